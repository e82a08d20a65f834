"""Anchors on the real metrics and a real table: an anchor out of place means that a metric is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.configuration.building import configured
from harmonic.evaluation.base import Measures
from harmonic.evaluation.fidelity.columns_and_pairs import Fidelity
from harmonic.evaluation.privacy.copies_and_distances import Privacy
from harmonic.evaluation.privacy.epsilon import EmpiricalEpsilon
from harmonic.evaluation.privacy.membership import ON_ROWS, MembershipInference
from harmonic.evaluation.utility.efficacy import MachineLearningEfficacy
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

EVALUATORS = (
    Fidelity(),
    Privacy(),
    MachineLearningEfficacy(models=["linear", "xgboost"], max_candidates=1),
    MembershipInference(attacks=list(ON_ROWS), resamples=100),
    EmpiricalEpsilon(),
)


@pytest.fixture(scope="module")
def splits() -> Splits:
    found: Splits = configured("dataset=diabetes", "generator=real", "data_dir=null")["dataset"].load(0)
    return found


@pytest.fixture(scope="module")
def scores(splits: Splits) -> dict[str, Measures]:
    """All measures of each anchor, on as many rows as there are to train on (holdout: as many as it has)."""
    found = {}
    for name in ("real", "copy", "holdout", "marginals"):
        generator = configured(f"generator={name}", "data_dir=null")["generator"]
        generator.load(splits, prepared=Path(), directory=Path())
        n = len(splits.holdout) if name == "holdout" else len(splits.train)
        rows = Table(generator.sample(n, seed=0, directory=Path()).frame, splits.schema)
        found[name] = Measures()
        for evaluator in EVALUATORS:
            found[name].merge(evaluator.evaluate(splits, rows, seed=0))
    return found


def test_real_rows_are_the_ceiling_of_utility(scores: dict[str, Measures]) -> None:
    for score in ("mle/f1_macro", "mle/roc_auc", "mle/accuracy"):
        assert scores["real"][score] > scores["marginals"][score] + 0.05
    assert scores["real"]["mle/roc_auc"] > max(0.75, scores["holdout"]["mle/roc_auc"])  # fresh, but only a few rows
    assert scores["real"]["column_shapes"] == pytest.approx(1) and scores["real"]["correlation_similarity"] > 0.999


def test_copies_are_the_worst_privacy(scores: dict[str, Measures]) -> None:
    copy = scores["copy"]
    assert copy["nrs"] == 0
    assert copy["dcr/mean"] == copy["dcr/p5"] == copy["nndr"] == 0
    assert copy["dcr/share"] > 0.6
    assert copy["mia/dcr/auc"] == copy["mia/levatt/auc"] == copy["mia/worst"] == 1
    assert copy["mia/worst/low"] > 0.9 and copy["mia/worst_apart/low"] > 0.6
    assert copy["epsilon"] > 2.5


def test_marginals_keep_the_columns_and_destroy_what_is_between_them(scores: dict[str, Measures]) -> None:
    marginals = scores["marginals"]
    assert marginals["column_shapes"] == pytest.approx(1)
    assert marginals["correlation_similarity"] < scores["holdout"]["correlation_similarity"]
    assert marginals["mle/roc_auc"] < 0.65


def test_fresh_real_rows_score_as_honest_data(scores: dict[str, Measures]) -> None:
    holdout = scores["holdout"]
    assert holdout["nrs"] == 1
    assert abs(holdout["dcr/share"] - 0.5) < 0.15
    # Each interval misses in 5% of splits: of seven one may. test_calibration counts how often.
    ends = [(holdout[f"mia/{attack}/auc/low"], holdout[f"mia/{attack}/auc/high"]) for attack in ON_ROWS]
    assert sum(not low < 0.5 < high for low, high in ends) <= 1
    # For all attacks at once above .5 in 5% of splits; of the 15 rows that stand apart an interval is rough.
    assert holdout["mia/worst/low"] <= 0.5 and holdout["mia/worst_apart/low"] < 0.55
    assert holdout["epsilon"] == 0
    assert np.isfinite(holdout["mle/f1_macro"])
