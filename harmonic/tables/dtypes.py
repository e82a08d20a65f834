"""Data frames as text tables, which is what a CSV file is, and back to the dtypes they had.

A missing value is the empty text. Numbers are written as Python writes them, dates as ISO 8601 without what every
one of them lacks (a time of day, a fraction of a second).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harmonic.errors import DataError


def to_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text, (n, columns) of str, its index left out.

    Raises DataError for columns without a name of their own, or cells that hold more than one value.
    """
    names = [str(name) for name in frame.columns]
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError("the table has column names of several levels\n  fix: give each column one name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"column names must be unique; more than once: {twice}\n  fix: rename them")
    if not names or "" in names:
        raise DataError("the table has a column without a name, or none at all\n  fix: name every column")
    cells = {name: _texts(frame.iloc[:, place], name) for place, name in enumerate(names)}
    return pd.DataFrame(cells, columns=names, dtype=object)


def from_texts(texts: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The text table with the column names and dtypes of `like`, of whose columns it may lack some."""
    columns = {str(name): (name, like.iloc[:, place].dtype) for place, name in enumerate(like.columns)}
    typed = {columns[str(name)][0]: _typed(texts[name], columns[str(name)][1]) for name in texts.columns}
    return pd.DataFrame(typed)


def described(frame: pd.DataFrame) -> dict[str, str]:
    """Each column's name as it is and its dtype with all its categories: equal where `from_texts` would write alike."""
    found = {}
    for place, name in enumerate(frame.columns):
        dtype = frame.iloc[:, place].dtype
        kinds = f" {list(dtype.categories)!r} {dtype.ordered}" if isinstance(dtype, pd.CategoricalDtype) else ""
        found[str(name)] = f"{name!r} {dtype!r}{kinds}"
    return found


def _texts(values: pd.Series, name: str) -> np.ndarray:
    gaps = values.isna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        written = _dates(values)
    elif pd.api.types.is_float_dtype(values.dtype):
        written = [str(float(value)) for value in values.to_numpy(dtype="float64", na_value=np.nan)]
    else:
        plain = values.astype(object).tolist()
        nested = next((value for value in plain if isinstance(value, list | dict | set | tuple | np.ndarray)), None)
        if nested is not None:
            problem = f"column {name!r} holds more than one value in a cell: {nested!r:.60}"
            raise DataError(f"{problem}\n  fix: flatten it, or leave it out")
        written = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in plain]
    return np.where(gaps, "", np.array(written, dtype=object))


def _dates(values: pd.Series) -> list[str]:
    """ISO 8601, as short as the column allows; times with a zone in UTC."""
    zone = "" if values.dt.tz is None else "+00:00"
    values = values.dt.tz_convert("UTC") if zone else values
    given = values.dropna()
    form = "%Y-%m-%d"
    if zone or not (given == given.dt.normalize()).all():
        form += " %H:%M:%S" + (".%f" if given.dt.microsecond.any() else "") + zone
    return values.dt.strftime(form).fillna("").tolist()


def _typed(texts: pd.Series, dtype: Any) -> pd.Series:
    gaps = texts == ""
    if pd.api.types.is_bool_dtype(dtype):
        return texts.map({"True": True, "False": False}).astype(dtype if not gaps.any() else "boolean")
    if pd.api.types.is_datetime64_any_dtype(dtype):
        dates = pd.to_datetime(texts.mask(gaps), utc=getattr(dtype, "tz", None) is not None, format="ISO8601")
        return dates.astype(dtype)
    if pd.api.types.is_integer_dtype(dtype) and not gaps.any():
        return texts.map(lambda text: int(text.removesuffix(".0"))).astype(dtype)
    if pd.api.types.is_numeric_dtype(dtype):
        return pd.to_numeric(texts.mask(gaps)).astype(dtype if not pd.api.types.is_integer_dtype(dtype) else "Int64")
    if isinstance(dtype, pd.CategoricalDtype):
        words = {str(value): value for value in dtype.categories}
        return texts.map(lambda text: words.get(text, np.nan)).astype(dtype)
    return (
        texts.mask(gaps).astype(dtype) if isinstance(dtype, pd.StringDtype) else texts.mask(gaps, None).astype(object)
    )
