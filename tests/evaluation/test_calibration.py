"""Calibration: on fresh real rows no measure of leaks may find one more often than its intervals promise.

    pytest -m slow -s tests/evaluation/test_calibration.py     # prints the table in experiments/LOG.md

The release is `holdout`, real rows that no training row hangs together with, of 40 splits of each packaged table; the
"model" that goes with it is a likelihood read off these rows alone; the "prompts" are training rows drawn at random. So
every truth is known: areas of 0.5, hits as often as false alarms, no difference of perplexities, no risk.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from experiments.configuration.building import configured
from harmonic.datasets import Dataset
from harmonic.evaluation.base import Measures, TokenScorer
from harmonic.evaluation.comparison.encoding import category_codes
from harmonic.evaluation.privacy.anonymeter import Anonymeter
from harmonic.evaluation.privacy.canary import CHANCE, CanaryExposure
from harmonic.evaluation.privacy.epsilon import EmpiricalEpsilon
from harmonic.evaluation.privacy.leakage import DataLeakageTest
from harmonic.evaluation.privacy.membership import MembershipInference
from harmonic.evaluation.privacy.prompt_copy import PromptCopy
from harmonic.llm.language_model import LanguageModel
from harmonic.randomness import derive
from harmonic.tables.canaries import uproot
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

pytestmark = pytest.mark.slow

SPLITS = 40
TABLES = ("diabetes", "german")
TRUTHS = {
    "auc": 0.5, "apart": 0.5, "worst": 0.5, "worst_apart": 0.5, "tpr_at_1": 0.01, "tpr_at_10": 0.1, "exposure": CHANCE,
    "dlt_holdout": 0.0, "rows": 0.0, "cells": 0.0, "singling_out": 0.0, "linkability": 0.0, "inference": 0.0,
}  # fmt: skip
"""What a measure would be with as many rows as one likes, by the last part of its name."""


TIED = ("mc", "levatt", "levatt_digits")
"""Attacks with many equal scores: no threshold has just so many false alarms, and hits may fall below that rate."""


def cell_losses(rows: pd.DataFrame, known: Table) -> list[np.ndarray]:
    """A token a cell: its negative log-likelihood under the known rows' columns, each taken by itself."""
    losses = []
    for column in known.schema.columns:
        if column.is_numeric:
            values = known.frame[column.name].to_numpy(float)
            spread = values.std() or 1.0
            losses.append(
                ((rows[column.name].to_numpy(float) - values.mean()) / spread) ** 2 / 2 + np.log(spread) + 0.92
            )
        else:
            counts = np.bincount(category_codes(known.frame, (column,))[:, 0], minlength=len(column.categories)) + 1.0
            losses.append(-np.log(counts / counts.sum())[category_codes(rows, (column,))[:, 0]])
    return list(np.column_stack(losses))


def measured(dataset: Dataset, llm: LanguageModel, seed: int) -> Measures:
    """Every measure with an interval, of the holdout rows of one split."""
    splits: Splits = uproot(dataset.load(seed))
    release, base = splits.holdout, splits.reference.take(range(len(splits.reference) // 2))
    shown = np.random.default_rng(derive(seed, "shown")).integers(len(splits.train), size=(len(release), 5))
    scorer = TokenScorer(
        lambda rows: np.array([loss.mean() for loss in cell_losses(rows, release)]),
        lambda rows, base_model: cell_losses(rows, base if base_model else release),
        lambda n: shown[:n],
    )
    found = Measures()
    for evaluator in (
        MembershipInference(), EmpiricalEpsilon(), DataLeakageTest(), Anonymeter(), PromptCopy(),
        CanaryExposure(llm=llm, signals=["model", "nearest"]),
    ):  # fmt: skip
        found.merge(evaluator.evaluate(splits, release, seed=seed, scorer=scorer))
    return found


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Measures]]:
    found = {}
    for table in TABLES:
        parts = configured(f"dataset={table}", "data_dir=null", "canaries.count=20", "llm=tiny", "generator=holdout")
        found[table] = [measured(parts["dataset"], parts["llm"], seed) for seed in range(SPLITS)]
    return found


def intervals(runs: dict[str, list[Measures]]) -> pd.DataFrame:
    """How often each interval lies above, and below, the truth: (measures, ...)."""
    everything = [measures for found in runs.values() for measures in found]
    rows = []
    for name in sorted({name.removesuffix("/low") for found in everything for name in found if name.endswith("/low")}):
        truth = TRUTHS.get(name.rpartition("/")[2])
        ends = np.array([[found.get(f"{name}/{end}", np.nan) for end in ("low", "high")] for found in everything])
        ends = ends[np.isfinite(ends).all(axis=1)]
        if truth is not None and len(ends):
            values = np.array([found.get(name, np.nan) for found in everything])
            if "tpr_at" in name and name.split("/")[1] in TIED:
                ends[:, 1] = 1
            rows.append(
                (name, len(ends), np.nanmean(values), truth, (ends[:, 0] > truth).sum(), (ends[:, 1] < truth).sum())
            )
    return pd.DataFrame(rows, columns=["measure", "intervals", "mean", "truth", "above", "below"])


def test_every_interval_of_every_measure_covers_what_leaks_nothing(runs: dict[str, list[Measures]]) -> None:
    table = intervals(runs)
    print("\n" + table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    wanted = {"mia/dcr/auc", "mia/loss/auc", "mia/worst_apart", "dlt_holdout", "canary/auc", "prompt_copy/cells"}
    assert wanted <= set(table["measure"]) and (table["intervals"] >= SPLITS).all()
    for row in table.itertuples():
        allowed = binom.ppf(0.999, row.intervals, 0.05)  # of some 40 measures, one in 25 tables fails by chance
        assert row.above + row.below <= allowed, row


@pytest.mark.parametrize("name", ["mia/worst", "mia/worst_apart", "canary/auc"])
def test_members_are_told_by_chance_in_at_most_one_of_twenty(runs: dict[str, list[Measures]], name: str) -> None:
    for table, found in runs.items():
        told = np.array([measures[f"{name}/low"] for measures in found]) > 0.5
        print(f"{name} on {table}: {told.sum()} of {len(told)}")
        assert told.mean() <= 0.05


def test_an_epsilon_is_refuted_by_chance_in_at_most_5_of_100_draws(runs: dict[str, list[Measures]]) -> None:
    bounds = [measures["epsilon"] for found in runs.values() for measures in found]
    for table in TABLES:
        dataset = configured(f"dataset={table}", "data_dir=null", "generator=holdout")["dataset"]
        for seed in range(SPLITS, 50):
            splits = dataset.load(seed)
            bounds.append(EmpiricalEpsilon().evaluate(splits, splits.holdout, seed=seed)["epsilon"])
    print(f"epsilon above 0: {np.sum(np.array(bounds) > 0)} of {len(bounds)}")
    assert len(bounds) == 100 and np.mean(np.array(bounds) == 0) >= 0.95
