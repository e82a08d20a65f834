"""Which synthetic rows copy a real row? SDMetrics' NewRowSynthesis for large tables.

SDMetrics scans all real rows for each synthetic row. Here the real rows with equal categories are sorted by each
numeric column. Each numeric column gives a window of real rows that are near enough, and only the rows in the smallest
window are checked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import category_codes
from harmonic.tables.table import Column, Schema

PAIRS_AT_A_TIME = 1 << 20
"""Pairs of rows in memory at once (about 50 bytes each)."""


def matching_rows(
    real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema, tolerance: float = 0.01
) -> NDArray[np.bool_]:
    """Whether each synthetic row matches some real row, (synthetic rows,).

    As in SDMetrics, rows match if all categories are equal, and all numbers satisfy |r - s| <= |tolerance * s|, where r
    is the real number and s the synthetic one. Both frames conform to the schema.
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
    with np.errstate(over="ignore"):  # differences of huge values may overflow to inf: no match
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
    """The distinct rows, as numbers beside category codes, and the position of each row of the frame among them."""
    matrix = np.hstack([frame[numeric].to_numpy(dtype=np.float64), category_codes(frame, categorical)])
    rows, position = np.unique(matrix, axis=0, return_inverse=True)
    return rows, position.ravel()


Windows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""For one column: the order of the real rows, and each synthetic row's window [start, stop) in that order."""


def _windows(
    real: NDArray[np.float64],
    values: NDArray[np.float64],
    real_groups: NDArray[np.int64],
    groups: NDArray[np.int64],
    tolerance: float,
) -> Windows:
    """Order the real rows by (group, value), and find the part of this order that is near each value."""
    known = np.unique(real)
    keys = real_groups * (len(known) + 1) + np.searchsorted(known, real)
    order = np.argsort(keys, kind="stable")
    reach = np.abs(tolerance * values)
    slack = 1e-12 * (np.abs(values) + reach)  # a window may be too wide, since matches are checked exactly
    low = np.searchsorted(known, values - reach - slack, side="left")
    high = np.searchsorted(known, values + reach + slack, side="right")
    base = groups * (len(known) + 1)
    return order, np.searchsorted(keys[order], base + low), np.searchsorted(keys[order], base + high)


def _narrowest_pairs(windows: list[Windows]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs (synthetic row, real row) from each synthetic row's narrowest window, in blocks.

    Every match is among them. A block is larger than PAIRS_AT_A_TIME only if a single window is.
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
