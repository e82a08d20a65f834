"""Scores by group are scikit-learn's on the rows of each group."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, root_mean_squared_error

from harmonic.evaluation.utility.group_scores import group_numbers, group_scores

FUNCTIONS = {
    "f1_macro": lambda true, said: f1_score(true, said, average="macro", zero_division=0),
    "accuracy": accuracy_score, "mae": mean_absolute_error, "rmse": root_mean_squared_error,
}  # fmt: skip


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("score", FUNCTIONS)
def test_scores_are_sklearns(score, labels):
    """Groups of very different sizes, rows of no group, a label that only one group has, one that is never said."""
    draw = np.random.default_rng(labels)
    group = draw.choice(4, 300, p=[0.6, 0.3, 0.08, 0.02])  # group 3 is left out
    groups = [group == number for number in range(3)]
    if score in ("f1_macro", "accuracy"):
        truth = draw.integers(labels, size=300)
        truth[group == 2] = labels - 1
        predictions = [np.where(draw.random(300) < 0.6, truth, draw.integers(labels - 1, size=300)) for _ in range(3)]
    else:
        truth, predictions = draw.normal(size=300), [draw.normal(size=300) for _ in range(3)]
    expected = [np.mean([FUNCTIONS[score](truth[part], said[part]) for said in predictions]) for part in groups]
    made = group_scores(score, truth.astype(float), [said.astype(float) for said in predictions], group_numbers(groups))
    np.testing.assert_allclose(made, expected, rtol=1e-12)
