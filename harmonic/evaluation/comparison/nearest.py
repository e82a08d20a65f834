"""The nearest rows of one table to each row of another, with bounded memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder

QUERIES_AT_A_TIME = 8192


def nearest_distances(
    queries: pd.DataFrame, points: pd.DataFrame, encoder: Encoder, neighbors: int = 1
) -> NDArray[np.float64]:
    """Distances from each query to its nearest points, ascending, (queries, min(neighbors, points)).

    Euclidean over standardised numbers and one-hot categories / sqrt(2): one different category counts 1. The nearest
    points are found with a matrix product, in blocks; their distances are then computed again from the differences, so
    that they are exact in float64, and exactly 0 for an equal row.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(points) == 0:
        return np.empty((len(queries), 0))
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
