"""Which synthetic rows copy a real row? SDMetrics' NewRowSynthesis, made to scale.

SDMetrics scans all real rows for every synthetic one. Here the real rows are sorted by each numeric
column within equal categories, and for every synthetic row only those real rows are checked that lie in
its narrowest window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import category_codes
from harmonic.tables.table import Column, Schema

PAIRS_AT_A_TIME = 1 << 20
"""Pairs of rows held in memory at once (some 50 bytes each)."""


def matching_rows(
    real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema, tolerance: float = 0.01
) -> NDArray[np.bool_]:
    """Whether some real row matches, for each synthetic row, (synthetic rows,).

    As in SDMetrics, a match has the same categories, and every number r of it satisfies
    |r - s| <= |tolerance * s| for the synthetic number s. Both frames conform to the schema.
    """
    categorical = tuple(column for column in schema.columns if not column.is_numeric)
    width = len(schema.numeric)
    real_rows, _ = _distinct(real, schema.numeric, categorical)
    rows, position = _distinct(synthetic, schema.numeric, categorical)
    groups = np.unique(np.vstack([real_rows[:, width:], rows[:, width:]]), axis=0, return_inverse=True)[1].ravel()
    real_groups, row_groups = groups[: len(real_rows)], groups[len(real_rows) :]
    if width == 0:
        return np.isin(row_groups, real_groups)[position]
    found = np.zeros(len(rows), dtype=bool)
    with np.errstate(over="ignore"):  # a huge value minus another may overflow to inf, which is far as well
        windows = [
            _windows(real_rows[:, column], rows[:, column], real_groups, row_groups, tolerance)
            for column in range(width)
        ]
        for mine, theirs in _narrowest_pairs(windows):
            for column in range(width):
                value = rows[mine, column]
                keep = np.abs(real_rows[theirs, column] - value) <= np.abs(tolerance * value)
                mine, theirs = mine[keep], theirs[keep]
            found[mine] = True
    return found[position]


def _distinct(
    frame: pd.DataFrame, numeric: list[str], categorical: tuple[Column, ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct rows, numbers beside category codes, and which of them each row of the frame is."""
    matrix = np.hstack([frame[numeric].to_numpy(dtype=np.float64), category_codes(frame, categorical)])
    rows, position = np.unique(matrix, axis=0, return_inverse=True)
    return rows, position.ravel()


Windows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""For one column: the real rows in order, and each synthetic row's window [start, stop) in that order."""


def _windows(
    real: NDArray[np.float64],
    values: NDArray[np.float64],
    real_groups: NDArray[np.int64],
    groups: NDArray[np.int64],
    tolerance: float,
) -> Windows:
    """Order the real rows by (group, value) and find the stretch of it that is near each value."""
    known = np.unique(real)
    keys = real_groups * (len(known) + 1) + np.searchsorted(known, real)
    order = np.argsort(keys, kind="stable")
    reach = np.abs(tolerance * values)
    slack = 1e-12 * (np.abs(values) + reach)  # too wide is safe, too narrow is not: matches are checked exactly
    low = np.searchsorted(known, values - reach - slack, side="left")
    high = np.searchsorted(known, values + reach + slack, side="right")
    base = groups * (len(known) + 1)
    return order, np.searchsorted(keys[order], base + low), np.searchsorted(keys[order], base + high)


def _narrowest_pairs(windows: list[Windows]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs (synthetic row, real row) from each synthetic row's narrowest window, in blocks.

    Every match is among them. A block exceeds PAIRS_AT_A_TIME only where one window does.
    """
    counts = np.stack([stop - start for _, start, stop in windows])
    narrowest = counts.argmin(axis=0)
    for column, (order, start, _) in enumerate(windows):
        chosen = np.flatnonzero((narrowest == column) & (counts[column] > 0))
        ends = np.cumsum(counts[column, chosen])
        cuts = np.searchsorted(ends, np.arange(PAIRS_AT_A_TIME, ends[-1] if len(ends) else 0, PAIRS_AT_A_TIME))
        for block in np.split(chosen, cuts):
            lengths = counts[column, block]
            within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            yield np.repeat(block, lengths), order[np.repeat(start[block], lengths) + within]
