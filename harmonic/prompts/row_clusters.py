"""Clusters of similar rows of a large table (k-means), for approximate neighbours and for samples that cover it.

Rows are points in which Euclidean distance is HEOM (harmonic.prompts.neighbors): numbers over their range, and for each
frequent category a coordinate that is the root of one half or 0. Clusters are found on a sample of the rows; then each
row goes to the nearest centre.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harmonic.randomness import derive

_FREQUENT = 32  # categories of a column that have a coordinate
_PER_CLUSTER = 60  # rows in the sample for each cluster
_CHUNK = 16384  # rows whose distances to all centres are held at once

Numbers = Sequence[NDArray[np.float64]]
Codes = Sequence[NDArray[np.unsignedinteger]]


@dataclass(frozen=True)
class RowClusters:
    """labels: the cluster of each row, (n,). centers: their centres, (clusters, coordinates)."""

    labels: NDArray[np.int64]
    centers: NDArray[np.float32]

    @classmethod
    def of(cls, numbers: Numbers, codes: Codes, count: int) -> RowClusters:
        """About `count` clusters. numbers: columns in [-0.5, 0.5], (n,) each; codes: categories as numbers from 0."""
        from sklearn.cluster import MiniBatchKMeans

        rows = len((*numbers, *codes)[0])
        draw = np.random.default_rng(derive(0, "row clusters"))  # whatever the run's seed
        frequent = [np.argsort(-np.bincount(column), kind="stable")[:_FREQUENT] for column in codes]
        some = np.sort(draw.permutation(rows)[: _PER_CLUSTER * count])
        points = _points(numbers, codes, frequent, some)
        found = MiniBatchKMeans(
            count, batch_size=4096, n_init=1, max_iter=20, random_state=derive(0, "cluster centres")
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Number of distinct clusters")
            centers = found.fit(points).cluster_centers_.astype(np.float32)
        halves = np.square(centers).sum(axis=1) / 2
        labels = np.empty(rows, dtype=np.int64)
        for start in range(0, rows, _CHUNK):
            chunk = np.arange(start, min(start + _CHUNK, rows))
            labels[chunk] = (_points(numbers, codes, frequent, chunk) @ centers.T - halves).argmax(axis=1)
        return cls(labels, centers)


def _points(
    numbers: Numbers, codes: Codes, frequent: Sequence[NDArray[np.int64]], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The coordinates of these rows, (m, coordinates)."""
    parts = [column[rows].astype(np.float32)[:, None] for column in numbers]
    half = np.float32(np.sqrt(0.5))
    parts += [(column[rows, None] == known) * half for column, known in zip(codes, frequent, strict=True)]
    return np.hstack(parts)
