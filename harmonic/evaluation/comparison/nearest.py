"""The nearest rows of one table to each row of another, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder

QUERIES_AT_A_TIME = 8192
POINTS_AT_A_TIME = 1 << 17  # whose encoding is in memory at once: 0.1 GB for 100 numbers and categories


def blocks(rows: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """The rows in blocks of `size`, in order, for what would take too much memory of all together."""
    for start in range(0, len(rows), size):
        yield rows.iloc[start : start + size]


def nearest_distances(
    queries: pd.DataFrame, points: pd.DataFrame, encoder: Encoder, neighbors: int = 1
) -> NDArray[np.float64]:
    """Distances from each query to its nearest points, ascending, (queries, min(neighbors, points)).

    Euclidean over standardised numbers and one-hot categories / sqrt(2): one different category counts 1. The nearest
    points are found with a matrix product, in blocks; their distances are then computed again from the differences, so
    that they are exact in float64, and exactly 0 for an equal row.
    """
    nearest = np.empty((len(queries), 0))
    for some in blocks(points, POINTS_AT_A_TIME):
        more = _nearest_in_memory(queries, some, encoder, neighbors)
        nearest = np.sort(np.hstack([nearest, more]), axis=1)[:, :neighbors]
    return nearest


def _nearest_in_memory(
    queries: pd.DataFrame, points: pd.DataFrame, encoder: Encoder, neighbors: int
) -> NDArray[np.float64]:
    """The same, with all points in one block."""
    from sklearn.neighbors import NearestNeighbors

    neighbors = min(neighbors, len(points))
    # A few more candidates than needed: a matrix product cannot order nearly equal distances.
    candidates = min(neighbors + 2, len(points))
    index = NearestNeighbors(n_neighbors=candidates, algorithm="brute").fit(encoder.dense(points, one=0.5**0.5))
    numbers, codes = encoder.numbers(points), encoder.codes(points)
    nearest = np.empty((len(queries), neighbors))
    for start in range(0, len(queries), QUERIES_AT_A_TIME):
        block = queries.iloc[start : start + QUERIES_AT_A_TIME]
        chosen = index.kneighbors(encoder.dense(block, one=0.5**0.5), return_distance=False)
        squares = ((encoder.numbers(block)[:, None, :] - numbers[chosen]) ** 2).sum(axis=2)
        squares += (encoder.codes(block)[:, None, :] != codes[chosen]).sum(axis=2)
        nearest[start : start + len(block)] = np.sqrt(np.sort(squares, axis=1)[:, :neighbors])
    return nearest
