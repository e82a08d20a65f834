"""Attacks on rows that prompts showed and on others: the parts are told apart by what the prompts show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harmonic.evaluation.attacks.shown_rows import measure_shown
from harmonic.evaluation.base import Measures, TokenScorer
from harmonic.evaluation.comparison.encoding import subsample

SEED = 4


def scorer(shown: Any) -> TokenScorer:
    return TokenScorer(lambda rows: np.zeros(len(rows)), lambda rows, base: None, lambda n: shown)


def test_a_leak_of_the_shown_rows_alone_is_found_there_alone(toy: Any) -> None:
    draw = np.random.default_rng(0)
    size, others = 60, draw.normal(size=60)
    learnt = np.arange(10, len(toy.train))
    splits = replace(toy, learnt=learnt)
    places = learnt[subsample(len(learnt), size, SEED)]
    shown = places[:30].reshape(10, 3)
    members = np.where(np.isin(places, shown), 5.0, draw.normal(size=size))
    measures = Measures()
    measure_shown(
        measures, splits, {"made": (members, others)}, rows=10, scorer=scorer(shown), seed=SEED, confidence=0.95
    )
    assert measures["mia/worst_shown"] == pytest.approx(1.0)
    assert measures["mia/worst_not_shown/low"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shown", [None, np.zeros((5, 2), dtype=int)], ids=["shows none", "shows one row"])
def test_without_rows_of_a_kind_there_is_a_reason(toy: Any, shown: Any) -> None:
    measures = Measures()
    scores = np.arange(40.0)
    measure_shown(measures, toy, {"made": (scores, scores)}, rows=5, scorer=scorer(shown), seed=SEED, confidence=0.95)
    assert "mia/worst_shown" in measures.reasons
    assert ("mia/worst_not_shown" in measures.reasons) == (shown is None)
