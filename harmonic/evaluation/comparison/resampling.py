"""How much would a score change with other test rows? Scores of many resamples at once.

A resample of n rows is a vector of counts with sum n. Every score here is a function of a few weighted sums (the
confusion matrix, squared errors, ordered pairs), so a block of resamples takes a few matrix products and no loop over
rows. The values equal scikit-learn's on the repeated rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Scores = dict[str, NDArray[np.float64]]

_CELLS = 1 << 21  # counts in memory at once


def resamples_of(rows: int, resamples: int, draw: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Blocks of counts: how often each row is in each resample, (block, rows), `resamples` in all."""
    block = max(1, min(resamples, _CELLS // max(rows, 1)))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        places = draw.integers(rows, size=(size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(places.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def label_scores(truth: NDArray[np.int64], degrees: NDArray[np.float64], counts: NDArray[np.float64]) -> Scores:
    """Scores for a class label by name, (resamples,) each; NaN if undefined.

    `truth` (rows,): label positions. `degrees` (rows, labels): the learner's score of each label. `counts` (resamples,
    rows). With two labels there is also "f1_binary", that of the second label.
    """
    labels = degrees.shape[1]
    cells = np.eye(labels * labels)[truth * labels + degrees.argmax(axis=1)]
    confusion = (counts @ cells).reshape(-1, labels, labels)
    hits, real, predicted = np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    total = real.sum(axis=1)
    both = real + predicted
    f1 = 2 * np.diagonal(confusion, axis1=1, axis2=2) / np.maximum(both, 1)
    found = {
        "f1_macro": f1.sum(axis=1) / (both > 0).sum(axis=1),  # a label that occurs nowhere is left out of the mean
        "f1_weighted": (f1 * real).sum(axis=1) / total,
        "accuracy": hits / total,
        "mcc": _matthews(hits, real, predicted, total),
        "roc_auc": _area(truth, degrees, counts),
    }
    return found | ({"f1_binary": f1[:, 1]} if labels == 2 else {})


def _matthews(
    hits: NDArray[np.float64], real: NDArray[np.float64], predicted: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gorodkin's form of Matthews' coefficient; 0 if all rows have, or are predicted to have, one label."""
    spread = (total**2 - (real**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    covariance = hits * total - (real * predicted).sum(axis=1)
    return np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)


def _area(truth: NDArray[np.int64], degrees: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean area under the ROC curve of each label against the rest, without labels that all rows have, or none."""
    total, areas = np.zeros(len(counts)), np.zeros(len(counts))
    for label in range(degrees.shape[1]):
        order = np.argsort(degrees[:, label], kind="stable")
        ascending, mine = degrees[order, label], truth[order] == label
        starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])  # of rows that tie
        positive, negative = (np.add.reduceat(counts[:, order] * kind, starts, axis=1) for kind in (mine, ~mine))
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        areas += np.divide((positive * below).sum(axis=1), pairs, out=np.zeros(len(counts)), where=pairs > 0)
        total += pairs > 0
    return np.divide(areas, total, out=np.full(len(counts), np.nan), where=total > 0)


def value_scores(truth: NDArray[np.float64], predicted: NDArray[np.float64], counts: NDArray[np.float64]) -> Scores:
    """r2, rmse and mae of predicted numbers, (resamples,) each; r2 is NaN if all numbers of a resample are equal.

    `truth` and `predicted` (rows,): the errors have their unit. `counts` (resamples, rows).
    """
    errors, centred = predicted - truth, truth - truth.mean()
    total = counts.sum(axis=1)
    squares = counts @ errors**2
    spread = counts @ centred**2 - (counts @ centred) ** 2 / total
    varied = spread > 1e-9 * max(float(centred @ centred), np.finfo(float).tiny)
    ratio = np.divide(squares, spread, out=np.full(len(counts), np.nan), where=varied)
    return {"r2": 1 - ratio, "rmse": np.sqrt(squares / total), "mae": counts @ np.abs(errors) / total}
