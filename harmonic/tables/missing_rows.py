"""Which rows of a table are used, if some have missing values: dataset.missing decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.shell import override

WAYS = ("error", "drop", "keep")


def usable_rows(gaps: pd.DataFrame, *, target: str | None, missing: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Which rows to use, (n,), and notes. `gaps` marks the missing values, (n, columns) of bool.

    `missing`: "error" allows no missing values, "drop" leaves out the rows that have some, "keep" leaves out only rows
    without a target. Rows without any value are always left out. Raises ConfigError if `missing` is invalid, and
    DataError if no usable row or column is left, or if there are missing values and `missing` is "error".
    """
    if missing not in WAYS:
        fix = "error, drop: leave those rows out, or keep: generate missing values, too"
        raise ConfigError("dataset.missing", missing, "unknown value", fix)
    filled = ~gaps.all(axis=1).to_numpy()
    empty_rows = int((~filled).sum())
    if empty_rows == len(gaps):
        raise DataError("no row has a value\n  fix: give other rows, or see dataset.missing_values")
    notes = [f"{empty_rows} rows without any value are left out"] if empty_rows else []
    if missing != "keep":
        rows, dropped = _complete_rows(gaps, filled, missing)
    elif target is None or target not in gaps:  # an unknown target gets its error later, with the columns' names
        rows, dropped = filled, []
    else:
        rows, dropped = _rows_with_target(gaps, filled, target)
    return rows, notes + dropped


def _rows_with_target(
    gaps: pd.DataFrame, filled: NDArray[np.bool_], target: str
) -> tuple[NDArray[np.bool_], list[str]]:
    known = ~gaps[target].to_numpy()
    lost = int((~known & filled).sum())
    if not known.any():
        raise DataError(f"the target {target!r} has no value\n  fix: choose another dataset.target")
    return known & filled, [f"dropped {lost} of {len(gaps)} rows without a value of {target!r}"] if lost else []


def _complete_rows(gaps: pd.DataFrame, filled: NDArray[np.bool_], missing: str) -> tuple[NDArray[np.bool_], list[str]]:
    counts = gaps[filled].sum()
    empty = [name for name, count in counts.items() if count == filled.sum()]
    if empty:
        raise DataError(
            f"columns without any value: {empty}\n  fix: remove them from the table, or dataset.missing=keep"
        )
    complete = ~gaps.any(axis=1).to_numpy()
    lost = int(filled.sum()) - int(complete.sum())
    if not lost:
        return complete, []
    where = ", ".join(f"{name!r} {count}" for name, count in counts.items() if count)
    if missing == "error":
        raise DataError(
            f"missing values in {lost} of {len(gaps)} rows: {where}\n"
            "  fix: fill them in, or generate missing values, too: dataset.missing=keep, or leave those rows out: "
            "dataset.missing=drop, or keep the texts as values of their own: " + override("dataset.missing_values", [])
        )
    if lost == len(gaps):
        raise DataError(f"every row has a missing value: {where}\n  fix: remove the columns that lack most values")
    return complete, [f"dropped {lost} of {len(gaps)} rows with missing values: {where}"]
