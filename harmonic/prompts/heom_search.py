"""Exact k nearest rows by HEOM (harmonic.prompts.neighbors), quickly, by blocks of rows and several threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.table import Table

_TIE_GRID = 2.0**40  # squared distances are compared in steps of 2**-40, about 1e-12
_BLOCK_CELLS = 2**20  # distances held at once by one thread: 4 MB of float32, near the cache


def numbers_of(table: Table, rows: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """The numeric columns of these rows over their range in the whole table, (m,) each."""
    return [_unit_range(table.frame[name].to_numpy(np.float64))[rows] for name in table.schema.numeric]


def codes_of(table: Table, rows: NDArray[np.int64]) -> list[NDArray[np.unsignedinteger]]:
    """The category columns of these rows as numbers from 0, (m,) each."""
    return [_smallest(pd.factorize(table.frame[name].to_numpy()[rows])[0]) for name in table.schema.categorical]


def _unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values over their range, centred: in [-0.5, 0.5]; all 0 for a constant column."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros_like(values)
    return (values - low) / (high - low) - 0.5


def _smallest(codes: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """The codes in the smallest unsigned type that holds them, because comparing bytes is cheap."""
    return codes.astype(np.min_scalar_type(int(codes.max())))


class Search:
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

    @classmethod
    def of(cls, table: Table, rows: NDArray[np.int64], k: int) -> Search:
        """Among these rows of the table, ascending positions; rows have their place in `rows` as number from now on."""
        frame = table.frame.iloc[rows]
        # Of identical rows only the first k + 1 can be neighbours: later ones have the same distance and a higher
        # index.
        earlier = frame.groupby(table.schema.names, sort=False).cumcount().to_numpy()
        searched = np.flatnonzero(earlier <= k)
        return cls(numbers_of(table, rows), codes_of(table, rows), searched, k)

    def nearest(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Neighbours of these rows, (m, k), with a thread for each part of them."""
        from threadpoolctl import threadpool_limits

        workers = max(min(os.cpu_count() or 1, 8, len(rows)), 1)
        # numpy releases the lock inside its loops, so parts run in parallel. BLAS must not start its own threads below
        # them: on a busy machine these wait for each other (measured: ten times slower).
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
            return np.concatenate(list(pool.map(self.part, np.array_split(rows, workers))))

    def among(self, rows: NDArray[np.int64], searched: NDArray[np.bool_]) -> Search:
        """The search among these rows, ascending positions, of which only some are `searched`, (m,)."""
        numbers, codes = [column[rows] for column in self.numbers], [column[rows] for column in self.codes]
        return Search(numbers, codes, np.flatnonzero(searched), self.k)

    def squared(self, own: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        """The squared distances of pairs of rows, (m,), by the definition."""
        squared = np.zeros(len(own))
        for values in self.numbers:
            squared += np.square(values[own] - values[others])
        for codes in self.codes:
            squared += codes[own] != codes[others]
        return squared

    def part(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Neighbours of these rows, (m, k)."""
        block = max(1, min(len(wanted), _BLOCK_CELLS // len(self.searched)))
        shape = (block, len(self.searched))
        # Allocated once per span: new memory for every block would cost more than the arithmetic.
        estimate = np.empty(shape, dtype=np.float32)
        mismatches = np.empty(shape, dtype=np.min_scalar_type(len(self.codes)))
        unequal = np.empty(shape, dtype=bool)
        found = np.empty((len(wanted), self.k), dtype=np.int64)
        for first in range(0, len(wanted), block):
            rows = wanted[first : first + block]
            size = len(rows)
            self._estimate(rows, estimate[:size], mismatches[:size], unequal[:size])
            local, others = self._candidates(rows, estimate[:size], unequal[:size])
            found[first : first + size] = self._select(rows, local, others)
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
        squared = self.squared(rows[local], others)
        order = np.lexsort((others, np.rint(squared * _TIE_GRID), local))
        firsts = np.searchsorted(local, np.arange(len(rows)))
        return others[order[firsts[:, None] + np.arange(self.k)]]
