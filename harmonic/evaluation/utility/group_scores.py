"""Scores of predictions for each group of rows, all groups at once: thousands of shuffled groups are scored.

The values are those of scikit-learn's functions (`f1_score` with average="macro" and zero_division=0, `accuracy_score`,
`mean_absolute_error`, `root_mean_squared_error`) on the rows of a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def group_numbers(groups: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The number of each row's group, (rows,), and -1 for a row of none. `groups`: the rows of each; none in two."""
    numbers = np.full(len(groups[0]), -1, dtype=np.int64)
    for number, rows in enumerate(groups):
        numbers[rows] = number
    return numbers


def group_scores(
    score: str, truth: NDArray[np.float64], predictions: Sequence[NDArray[np.float64]], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The mean score over the predictions, (groups,).

    `score`: f1_macro, accuracy, mae or rmse. `truth` and each of `predictions`: label positions, or numbers, (rows,).
    `numbers`: as from `group_numbers`, in any order; each group has at least one row.
    """
    known = numbers >= 0
    numbers, truth = numbers[known], truth[known]
    function = _of_labels if score in ("f1_macro", "accuracy") else _of_numbers
    found = [function(score, truth, said[known], numbers) for said in predictions]
    return np.asarray(np.mean(found, axis=0))


def _of_labels(
    score: str, truth: NDArray[np.float64], said: NDArray[np.float64], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    true, answer = truth.astype(np.int64), said.astype(np.int64)
    labels, groups = int(max(true.max(), answer.max())) + 1, int(numbers.max()) + 1
    cells = np.bincount((numbers * labels + true) * labels + answer, minlength=groups * labels * labels)
    confusion = cells.reshape(groups, labels, labels)
    right = np.einsum("gll->gl", confusion)
    if score == "accuracy":
        return np.asarray(right.sum(axis=1) / confusion.sum(axis=(1, 2)))
    either = confusion.sum(axis=1) + confusion.sum(axis=2)  # a label that is neither true nor an answer does not count
    return np.asarray((2 * right / np.maximum(either, 1)).sum(axis=1) / (either > 0).sum(axis=1))


def _of_numbers(
    score: str, truth: NDArray[np.float64], said: NDArray[np.float64], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    error = np.abs(truth - said) if score == "mae" else (truth - said) ** 2
    mean = np.bincount(numbers, weights=error) / np.bincount(numbers)
    return np.asarray(mean if score == "mae" else np.sqrt(mean))
