"""Every name that a table, chart or card shows is the name of a metric that something measures."""

from __future__ import annotations

import fnmatch

import pytest

from experiments.card.limits import MEASURES
from experiments.card.privacy_card import BESIDES, SIDE_BY_SIDE
from experiments.collect.declared_metrics import declared_metrics, find
from experiments.collect.shown_metrics import ABLATION, EFFICIENCY, FIDELITY, MAIN, PRIVACY, SECONDS
from experiments.report.charts import LEAKS, UTILITY
from experiments.report.published import BESIDE
from harmonic.evaluation.privacy.membership import RATES

SHOWN = (
    *MAIN, *FIDELITY, *PRIVACY, *ABLATION, *EFFICIENCY, *SECONDS, *BESIDE.values(), UTILITY,
    *(measure for measure, _ in LEAKS),
)  # fmt: skip


@pytest.mark.parametrize("measure", dict.fromkeys(SHOWN), ids=lambda measure: measure.metric)
def test_every_measure_of_tables_and_charts_is_declared(measure) -> None:
    for headline in ("f1_macro", "r2"):
        for end in ("", "/low", "/high") if measure.interval else ("",):
            name = measure.metric.format(headline=headline) + end
            assert find(name, declared_metrics()) is not None, name


def test_every_measure_of_cards_is_declared_by_name_or_as_the_beginning_of_one() -> None:
    declared = [metric.name for metric in declared_metrics()]
    for name in (*BESIDES, *MEASURES):
        assert any(other == name or other.startswith(f"{name}/") for other in declared), name
    for name in SIDE_BY_SIDE.values():
        whole = f"mia/dcr/{name}" if name in RATES else name
        assert any(fnmatch.fnmatchcase(whole, other) for other in declared), name


def test_a_name_that_nothing_measures_is_not_found() -> None:
    assert find("prompt_copy", declared_metrics()) is None
