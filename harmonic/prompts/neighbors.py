"""The k nearest other rows of every training row, and the label filter (paper, section 3.1).

Four metrics, all with the target among the columns:

- `mixed` (default): HEOM, Wilson & Martinez 1997, "Improved Heterogeneous Distance Functions", eq. 3-5: the root of the
  sum over columns of d², with d = |x - y| / range for a numeric column (0 if it is constant), and d = 0 or 1 for equal
  or different categories.
- `same_label`: `mixed` among the rows of the same label. For a label with at most k rows, and for a numeric target, it
  is `mixed`. If many columns agree, the nearest rows by `mixed` often have another label.
- `reference`: as in the published code: numeric columns min-max scaled, categories as label-encoder codes (unscaled, so
  that their alphabetical order matters), the target unchanged, Euclidean distance.
- `random`: k random other rows, without any distance (the ablation without nearest neighbours).

Ties: of rows at the same distance, the one with the lower index is nearer. For `mixed`, squared distances that differ
by less than about 1e-12 count as equal, so that rounding in the last bits decides nothing. A row is never its own
neighbour; a duplicate of it is an ordinary neighbour at distance 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NotRequired, TypedDict, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, unknown
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.table import Table

Metric = Literal["mixed", "same_label", "reference", "random"]


class Neighbors(TypedDict):
    """generator.neighbors: the number of examples in a prompt, and the metric for nearness."""

    k: Count
    metric: NotRequired[Metric]


_TIE_GRID = 2.0**40  # squared distances are compared in steps of 2**-40, about 1e-12
_BLOCK_CELLS = 2**20  # distances held at once by one thread: 4 MB of float32, near the cache


def nearest(table: Table, k: int, metric: Metric = "mixed", seed: int = 0) -> NDArray[np.int64]:
    """The k nearest other rows of every row, nearest first: (n, k) positions in [0, n).

    Only `random` uses the seed; the neighbours of row i then depend on (seed, i) and n alone. Raises ConfigError if k
    is below 1, if the table has fewer than k + 1 rows, or for an unknown metric.
    """
    check_neighbors(len(table), k, metric)
    if metric == "random":
        return _random_others(len(table), k, seed)
    if metric == "reference":
        return _reference(table, k)
    if metric == "same_label" and table.schema.task.is_classification:
        return _same_label(table, k)
    return _mixed(table, k)


def check_neighbors(n: int, k: int, metric: str) -> None:
    """Raise ConfigError unless each of n rows can have k other rows by this metric."""
    if metric not in get_args(Metric):
        raise unknown("generator.neighbors.metric", metric, "metric of neighbours", get_args(Metric))
    if k < 1:
        raise ConfigError("generator.neighbors.k", k, "a prompt needs at least one example", "set it to 1 or more")
    if n < k + 1:
        problem = f"the training split has {n} rows, so no row has {k} others"
        raise ConfigError("generator.neighbors.k", k, problem, f"set it to {max(n - 1, 1)} or less, or use more rows")


def label_filter(table: Table, neighbors: NDArray[np.int64], threshold: int) -> NDArray[np.bool_]:
    """Which rows to keep, (n,): those whose label more than `threshold` neighbours share.

    Works for any number of classes. Raises ConfigError if no row is left.
    """
    labels = pd.factorize(table.target)[0]
    agreeing = (labels[neighbors] == labels[:, None]).sum(axis=1)
    keep = agreeing > threshold
    if not keep.any():
        problem = f"no row has more than {threshold} of its {neighbors.shape[1]} neighbours with its own label"
        fix = f"set it below {agreeing.max(initial=0)}" if agreeing.any() else "set generator.filter=false"
        raise ConfigError("generator.filter_threshold", threshold, problem, fix)
    return keep


def _random_others(n: int, k: int, seed: int) -> NDArray[np.int64]:
    drawn = np.empty((n, k), dtype=np.int64)
    for row in range(n):
        generator = np.random.default_rng(derive(seed, "random neighbors", row))
        others = generator.choice(n - 1, size=k, replace=False)
        drawn[row] = others + (others >= row)  # skip the row itself
    return drawn


def _reference(table: Table, k: int) -> NDArray[np.int64]:
    """The published procedure, with the same parts of scikit-learn, so that ties are broken in the same way."""
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import LabelEncoder, MinMaxScaler

    encoded = []
    for column in table.schema.features:
        values = table.frame[column.name].to_numpy()
        if column.is_numeric:
            encoded.append(MinMaxScaler().fit_transform(values.astype(np.float64)[:, None])[:, 0])
        else:
            encoded.append(LabelEncoder().fit_transform(values))
    labels = pd.to_numeric(table.target, errors="coerce").to_numpy(np.float64)  # "0" and "1" are numbers in the CSV
    encoded.append(labels if np.isfinite(labels).all() else LabelEncoder().fit_transform(table.target))
    points = np.column_stack(encoded).astype(np.float64)

    found = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points, return_distance=False)
    # The published code drops the first neighbour, as the row itself. Among duplicates the first can be another row:
    # drop the row itself wherever it is, which leaves the same texts and never shows the answer.
    own = found == np.arange(len(table))[:, None]
    own[~own.any(axis=1), 0] = True
    return found[~own].reshape(len(table), k).astype(np.int64)


def _same_label(table: Table, k: int) -> NDArray[np.int64]:
    """HEOM among the rows of the same label; for a label with at most k rows, among all rows."""
    labels = pd.factorize(table.target)[0]
    found = np.empty((len(table), k), dtype=np.int64)
    rare = np.bincount(labels)[labels] <= k
    if rare.any():
        found[rare] = _mixed(table, k)[rare]
    for label in np.unique(labels[~rare]):
        rows = np.flatnonzero(labels == label)
        found[rows] = _mixed(table, k, rows)
    return found


def _mixed(table: Table, k: int, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """HEOM by brute force, in blocks of rows, with a thread for each span of rows.

    With `rows`, (m,) ascending positions: the neighbours of these rows among themselves, (m, k), with the ranges of the
    whole table.
    """
    from threadpoolctl import threadpool_limits

    rows = np.arange(len(table)) if rows is None else rows
    n, frame = len(rows), table.frame.iloc[rows]
    # Of identical rows only the first k + 1 can be neighbours: later ones have the same distance and a higher index.
    earlier = frame.groupby(table.schema.names, sort=False).cumcount().to_numpy()
    searched = np.flatnonzero(earlier <= k)
    numbers = [_unit_range(table.frame[name].to_numpy(np.float64))[rows] for name in table.schema.numeric]
    codes = [_smallest(pd.factorize(frame[name])[0]) for name in table.schema.categorical]
    search = _Search(numbers, codes, searched, k)
    workers = min(os.cpu_count() or 1, 8, n)
    edges = np.linspace(0, n, workers + 1).astype(int)
    # numpy releases the lock inside its loops, so spans run in parallel. BLAS must not start its own threads below
    # them: on a busy machine these wait for each other (measured: ten times slower).
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        return rows[np.concatenate(list(pool.map(search.span, edges[:-1], edges[1:])))]


def _unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values over their range, centred: in [-0.5, 0.5]; all 0 for a constant column."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros_like(values)
    return (values - low) / (high - low) - 0.5


def _smallest(codes: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """The codes in the smallest unsigned type that holds them, because comparing bytes is cheap."""
    return codes.astype(np.min_scalar_type(int(codes.max())))


class _Search:
    """Exact k nearest rows by HEOM, among the `searched` rows (ascending positions).

    For a block of rows, the squared distances are first estimated in float32: one matrix product for the numeric
    columns, byte comparisons for the categories. An upper bound on the k-th smallest, plus the largest rounding error,
    leaves a few candidates per row. Their distances are computed by the definition in float64, so the result is exact.
    """

    def __init__(
        self,
        numbers: Sequence[NDArray[np.float64]],
        codes: Sequence[NDArray[np.unsignedinteger]],
        searched: NDArray[np.int64],
        k: int,
    ) -> None:
        self.numbers, self.codes, self.searched, self.k = numbers, codes, searched, k
        self.searched_codes = [column[searched] for column in codes]
        # |x - y|² = -2 x·y + |x|² + |y|² as one product of vectors with two more entries.
        count = len((*numbers, *codes)[0])
        self.place = np.full(count, -1)  # the place of a row in `searched`; -1: it is not searched
        self.place[searched] = np.arange(len(searched))
        points = np.stack(numbers, axis=1) if numbers else np.zeros((count, 0))
        square, ones = np.square(points).sum(axis=1, keepdims=True), np.ones((count, 1))
        self.left = np.hstack([-2 * points, square, ones]).astype(np.float32)
        self.right = np.ascontiguousarray(np.hstack([points, ones, square])[searched].T, dtype=np.float32)
        # Bound on the error of a float32 estimate: a sum of p + 2 products of magnitude at most p in all
        # (centred columns: |x|² <= p/4), then one addition of up to c mismatches.
        p, c = len(numbers), len(codes)
        self.error = (p + 6) * (p + c) * float(np.finfo(np.float32).eps)
        self.groups = min(len(searched), max(512, 8 * (k + 1)))

    def span(self, start: int, stop: int) -> NDArray[np.int64]:
        """Neighbours of the rows start..stop: (stop - start, k)."""
        block = max(1, min(stop - start, _BLOCK_CELLS // len(self.searched)))
        shape = (block, len(self.searched))
        # Allocated once per span: new memory for every block would cost more than the arithmetic.
        estimate = np.empty(shape, dtype=np.float32)
        mismatches = np.empty(shape, dtype=np.min_scalar_type(len(self.codes)))
        unequal = np.empty(shape, dtype=bool)
        found = np.empty((stop - start, self.k), dtype=np.int64)
        for first in range(start, stop, block):
            rows = np.arange(first, min(first + block, stop))
            size = len(rows)
            self._estimate(rows, estimate[:size], mismatches[:size], unequal[:size])
            local, others = self._candidates(rows, estimate[:size], unequal[:size])
            found[first - start : first - start + size] = self._select(rows, local, others)
        return found

    def _estimate(
        self,
        rows: NDArray[np.int64],
        estimate: NDArray[np.float32],
        mismatches: NDArray[np.unsignedinteger],
        unequal: NDArray[np.bool_],
    ) -> None:
        """Fill `estimate` with squared distances (size, searched); the distance to the row itself is infinite."""
        np.matmul(self.left[rows], self.right, out=estimate)
        mismatches[:] = 0
        for codes, searched_codes in zip(self.codes, self.searched_codes, strict=True):
            np.not_equal(codes[rows, None], searched_codes, out=unequal)
            np.add(mismatches, unequal, out=mismatches)
        estimate += mismatches
        own = self.place[rows]
        estimate[own >= 0, own[own >= 0]] = np.inf

    def _candidates(
        self, rows: NDArray[np.int64], estimate: NDArray[np.float32], near: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs (place in the block, other row), sorted, that contain every true neighbour."""
        # The minima of disjoint groups are k distinct rows' distances, so the k-th smallest minimum
        # bounds the k-th smallest distance. Groups are strided, because sorted files have similar rows together.
        depth = len(self.searched) // self.groups
        minima = estimate[:, : depth * self.groups].reshape(len(rows), depth, self.groups).min(axis=1)
        bound = np.partition(minima, self.k - 1, axis=1)[:, self.k - 1]
        np.less_equal(estimate, (bound + np.float32(2 * self.error))[:, None], out=near)
        local, others = np.divmod(np.flatnonzero(near), len(self.searched))
        return local, self.searched[others]

    def _select(
        self, rows: NDArray[np.int64], local: NDArray[np.int64], others: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The k nearest candidates of each row by the definition, ties by index: (size, k)."""
        squared = np.zeros(len(local))
        own = rows[local]
        for values in self.numbers:
            squared += np.square(values[own] - values[others])
        for codes in self.codes:
            squared += codes[own] != codes[others]
        order = np.lexsort((others, np.rint(squared * _TIE_GRID), local))
        firsts = np.searchsorted(local, np.arange(len(rows)))
        return others[order[firsts[:, None] + np.arange(self.k)]]
