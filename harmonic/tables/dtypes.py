"""Data frames as tables of text, like CSV files, and back to their dtypes.

The dtype of a column says what the column is; its texts are looked at only where the dtype does not. Numbers are
written as Python writes them, and dates as ISO 8601, without a time of day or a fraction of a second if no date of the
column has one. Durations are whole numbers of the largest unit that divides all of them. Only null is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd

from harmonic.errors import DataError

_UNITS: dict[Literal["s", "ms", "us", "ns"], int] = {
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1000,
    "ns": 1,
}  # nanoseconds
_MARKERS = ("", "<NA>", "<null>", "<missing>")  # texts for null; the first one that is in no cell is taken
_INT64_DIGITS = 18

_OBJECTS = {  # pandas' name for the values of an object column, and our name
    "boolean": "boolean", "integer": "integer", "floating": "float", "mixed-integer-float": "float",
    "decimal": "decimal", "date": "date", "time": "time", "datetime": "moment", "datetime64": "moment",
    "timedelta": "duration", "timedelta64": "duration", "string": "string", "bytes": "bytes", "empty": "empty",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDtype:
    """One column of a data frame.

    `nature`: what its values are: boolean, integer, float, decimal, date, time, moment, duration, period, category,
    string, bytes, mixed or empty. `missing`: the text of null. `unit`: of durations. `words`: the value of each text,
    where the text alone does not tell it.
    """

    name: Hashable
    dtype: Any
    nature: str
    missing: str = ""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    words: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FrameDtypes:
    """The dtypes of a data frame's columns. Turns its values into texts and back."""

    columns: tuple[ColumnDtype, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> FrameDtypes:
        """The dtypes of a frame; its index is left out.

        Raises DataError if a column has no name, or the name of another one, or if a cell holds several values.
        """
        names = [str(name) for name in frame.columns]
        if isinstance(frame.columns, pd.MultiIndex):
            raise DataError("the column names have several levels\n  fix: give each column one name")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"column names must be unique; more than once: {twice}\n  fix: rename them")
        if not names or "" in names:
            raise DataError("the table has no columns, or one without a name\n  fix: name every column")
        return cls(tuple(_column_dtype(frame.iloc[:, place], name) for place, name in enumerate(frame.columns)))

    def texts(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame as text, (n, columns) of str."""
        cells = {str(one.name): _texts(frame.iloc[:, place], one) for place, one in enumerate(self.columns)}
        return pd.DataFrame(cells, columns=list(cells), dtype=object)

    def gaps(self, texts: pd.DataFrame) -> pd.DataFrame:
        """Which texts mean null, (n, columns) of bool."""
        return pd.DataFrame({str(one.name): texts[str(one.name)] == one.missing for one in self.columns})

    def frame(self, texts: pd.DataFrame) -> pd.DataFrame:
        """The table of texts with the names and dtypes of these columns; it may lack some of them."""
        known = {str(one.name): one for one in self.columns}
        return pd.DataFrame({known[str(name)].name: _typed(texts[name], known[str(name)]) for name in texts.columns})

    def described(self) -> dict[str, str]:
        """A text for each column: equal for two frames if `frame` gives the same values for both."""
        return {str(one.name): f"{_key_of(one)} {sorted(map(repr, one.words.items()))}" for one in self.columns}

    def kinds(self, texts: pd.DataFrame) -> dict[str, str]:
        """The kinds that the dtypes decide (harmonic.tables.columns.Kind), by column.

        Strings may still hold dates or prices. Strings of digits are categories, not numbers.
        """
        found = {}
        for one in self.columns:
            name = str(one.name)
            values = texts.loc[texts[name] != one.missing, name]
            kind = _kind(one, values)
            if kind is not None:
                found[name] = kind
        return found


def _kind(one: ColumnDtype, values: pd.Series) -> str | None:
    if one.nature in ("boolean", "category", "mixed"):
        return "category"
    if one.nature == "integer":
        return "category" if values.str.lstrip("+-").str.len().max() > _INT64_DIGITS else "integer"
    if one.nature in ("float", "decimal") and len(values) and np.isfinite(values.astype("float64")).all():
        return "float"
    if one.nature == "duration" and len(values):
        return "integer"
    if one.nature == "string" and len(values) and values.str.fullmatch(r"[+-]?\d+(\.\d+)?").all():
        return "category"  # postal codes, and other codes
    return None


def _key_of(one: ColumnDtype) -> str:
    # The class's first name: cache keys of earlier runs hold it.
    return repr(one).replace("ColumnDtype(", "ColumnForm(", 1)


def _column_dtype(values: pd.Series, name: Hashable) -> ColumnDtype:
    dtype, nature = values.dtype, _nature(values)
    if nature == "mixed" or (nature == "string" and dtype_is_object(values.dtype)):
        nested = next((one for one in values if isinstance(one, list | dict | set | tuple | np.ndarray)), None)
        if nested is not None:
            problem = f"column {str(name)!r} has a cell with several values: {nested!r:.60}"
            raise DataError(f"{problem}\n  fix: one value in each cell, or leave the column out")
    missing, words = "", {}
    unit: Literal["s", "ms", "us", "ns"] = "s"
    if nature in ("string", "mixed", "category", "bytes"):
        plain = set(map(_word, values.dropna().unique().tolist()))
        missing = next((marker for marker in _MARKERS if marker not in plain), "<NA>" * (len(plain) + 1))
    if nature == "category":
        words = {_word(value): value for value in values.cat.categories}
    if nature == "mixed":
        words = {_word(value): value for value in values.dropna()}
    if nature == "duration":
        counts = pd.to_timedelta(values.dropna()).astype("timedelta64[ns]").astype("int64")
        unit = next((name for name, size in _UNITS.items() if (counts % size == 0).all()), "ns")
    return ColumnDtype(name=name, dtype=dtype, nature=nature, missing=missing, unit=unit, words=words)


def _nature(values: pd.Series) -> str:
    types = pd.api.types
    tests: dict[str, Callable[[Any], bool]] = {
        "boolean": types.is_bool_dtype, "moment": types.is_datetime64_any_dtype, "duration": types.is_timedelta64_dtype,
        "integer": types.is_integer_dtype, "float": types.is_float_dtype,
    }  # fmt: skip
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(dtype, pd.PeriodDtype):
        return "period"
    if dtype_is_object(dtype):
        return _OBJECTS.get(pd.api.types.infer_dtype(values, skipna=True), "mixed")
    found = next((nature for nature, test in tests.items() if test(dtype)), None)
    return found or ("string" if types.is_string_dtype(dtype) else "mixed")


def _word(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _texts(values: pd.Series, one: ColumnDtype) -> np.ndarray:
    gaps = values.isna().to_numpy()
    if one.nature == "moment":
        written = _moments(pd.to_datetime(values))
    elif one.nature == "float":
        singles = values.dtype in ("float32", "float16")
        numbers = values.to_numpy() if singles else values.to_numpy(dtype="float64", na_value=np.nan)
        written = [str(number) if singles else str(float(number)) for number in numbers]
    elif one.nature == "duration":
        counts = pd.to_timedelta(values).astype("timedelta64[ns]").astype("int64") // _UNITS[one.unit]
        written = list(map(str, counts))
    elif one.nature == "time":
        unit = "microseconds" if any(value.microsecond for value in values[~gaps]) else "seconds"
        written = ["" if gap else value.isoformat(unit) for value, gap in zip(values, gaps, strict=True)]
    else:
        written = [_word(value) for value in values.astype(object).tolist()]
    return np.where(gaps, one.missing, np.array(written, dtype=object))


def _moments(values: pd.Series) -> list[str]:
    """In ISO 8601, as short as the column allows; times with a time zone in UTC."""
    zone = "" if values.dt.tz is None else "+00:00"
    values = values.dt.tz_convert("UTC") if zone else values
    given = values.dropna()
    date_format = "%Y-%m-%d"
    if zone or not (given == given.dt.normalize()).all():
        date_format += " %H:%M:%S" + (".%f" if given.dt.microsecond.any() else "") + zone
    return values.dt.strftime(date_format).fillna("").tolist()


def _typed(texts: pd.Series, one: ColumnDtype) -> pd.Series:
    gaps = (texts == one.missing).to_numpy()
    dtype, plain = one.dtype, dtype_is_object(one.dtype)
    if one.nature in ("category", "mixed"):
        found = [None if gap else one.words.get(text) for text, gap in zip(texts, gaps, strict=True)]
        return pd.Series(pd.Categorical(found, dtype=dtype) if one.nature == "category" else found, dtype=dtype)
    if one.nature == "boolean" and not plain:
        values = texts.map({"True": True, "False": False})
        return values.astype(dtype if not gaps.any() or not isinstance(dtype, np.dtype) else "boolean")
    if one.nature == "moment":
        moments = pd.to_datetime(texts.mask(gaps), utc=getattr(dtype, "tz", None) is not None, format="ISO8601")
        return moments.astype(object).where(~gaps, None) if plain else moments.astype(dtype)
    if one.nature == "duration":
        counts = [None if gap else int(float(text)) for text, gap in zip(texts, gaps, strict=True)]
        spans = pd.to_timedelta(pd.Series(counts), unit=one.unit)
        return spans.astype(object).where(~gaps, None) if plain else spans.astype(dtype)
    if one.nature == "period":
        return pd.Series(pd.PeriodIndex(texts.mask(gaps), dtype=dtype))
    if one.nature == "integer" and not plain:
        return _integers(texts, gaps, dtype)
    if one.nature == "float" and not plain:
        return pd.to_numeric(texts.mask(gaps)).astype(dtype)
    readers: dict[str, Callable[[str], Any]] = {
        "boolean": lambda text: text == "True", "integer": _whole, "float": float, "decimal": Decimal,
        "date": date.fromisoformat, "time": time.fromisoformat, "moment": datetime.fromisoformat,
        "bytes": lambda text: text.encode("utf-8", "surrogateescape"),
    }  # fmt: skip
    read = readers.get(one.nature, str)
    found = [None if gap else read(text) for text, gap in zip(texts, gaps, strict=True)]
    return pd.Series(found, dtype=object).astype(dtype)


def _integers(texts: pd.Series, gaps: np.ndarray, dtype: Any) -> pd.Series:
    """Integers of this dtype; of a wider one if new identifiers do not fit in it, of a nullable one if some miss."""
    numbers = [None if gap else _whole(text) for text, gap in zip(texts, gaps, strict=True)]
    given = [number for number in numbers if number is not None]
    bounds = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    if given and (min(given) < bounds.min or max(given) > bounds.max):
        dtype = "Int64" if max(given) < 2**63 and min(given) >= -(2**63) else object
    elif gaps.any() and isinstance(dtype, np.dtype):
        dtype = "Int64"
    return pd.Series(numbers, dtype=object).astype(dtype)


def _whole(text: str) -> int:
    return int(text.partition(".")[0])


def dtype_is_object(dtype: Any) -> bool:
    """Whether the values are Python objects."""
    return pd.api.types.is_object_dtype(dtype)
