"""Conditions on rows that are drawn: the value of a column, or the range of its values.

A language model's grammar enforces them (harmonic.decoding.constraints). From another generator rows are drawn until
enough of them satisfy the conditions (harmonic.generators.rejection). In both cases every row satisfies them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, suggest, unknown
from harmonic.shell import setting
from harmonic.tables import ranges
from harmonic.tables.columns import Column, InvalidValue, Kind, Value
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.spellings.date_formats import parse_date
from harmonic.tables.table import Table

MOST_DIGITS = 17  # before or after the point: a float has no more, and they fit in an int64 with their sign
UNKNOWN_DIGITS = 6  # before the point, if the data's range is unknown
_NAMED = 20  # values that an error lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the values of `column` must be: one of `values`, or, if there are none, from `low` to `high`.

    None among the values is a missing value. None as a bound: the range is open there. Bounds belong to the range; of
    dates they are the numbers.
    """

    column: Column
    values: tuple[Value, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None

    def fits(self, value: Any) -> bool:
        """Whether a value of a frame, or of `Column.parse`, satisfies the condition."""
        missing = value is None or value != value
        if self.values:
            return any(known is None if missing else known == value for known in self.values)
        if missing:
            return False
        if self.column.kind is Kind.INTEGER:
            number = Decimal(int(value))
            return (self.low is None or self.low <= number) and (self.high is None or number <= self.high)
        real = float(value)  # compared with floats: a bound is then rounded as the value is
        return (self.low is None or float(self.low) <= real) and (self.high is None or real <= float(self.high))

    def pattern(self) -> str | None:
        """The regular expression of the texts in the range; None if there are none.

        Numbers have no more digits than the data, and no exponent. For conditions without `values` only.
        """
        column = self.column
        if column.date_format is not None:
            first = column.minimum if self.low is None else self.low
            last = column.maximum if self.high is None else self.high
            return ranges.dates(int(first), int(last), column.date_format)
        least, most = digit_span(column)
        low = least if self.low is None else max(self.low, least)
        high = most if self.high is None else min(self.high, most)
        if column.kind is Kind.INTEGER:
            return ranges.integers(math.ceil(low), math.floor(high))
        return ranges.decimals(low, high, min(column.decimals, MOST_DIGITS), column.style)

    def texts(self) -> list[str]:
        """The values as texts."""
        return [self.column.format(value) for value in self.values]

    def __str__(self) -> str:
        if self.values:
            return f"{self.column.name} = {' or '.join(repr(text) for text in self.texts())}"
        name = self.column.name
        low, high = (None if bound is None else self.column.format(float(bound)) for bound in (self.low, self.high))
        if low is None or high is None:
            return f"{name} >= {low}" if high is None else f"{name} <= {high}"
        return f"{name} from {low} to {high}"


Conditions = Mapping[str, Condition]
"""By column; all of them must hold."""


def digit_span(column: Column) -> tuple[Decimal, Decimal]:
    """The range of the numbers with no more digits than the data; below zero only if the data is."""
    bounds = [abs(bound) for bound in (column.minimum, column.maximum) if math.isfinite(bound)]
    largest = max(bounds, default=10.0**UNKNOWN_DIGITS - 1)
    most = Decimal(10) ** len(str(int(largest))) - Decimal(10) ** -min(column.decimals, MOST_DIGITS)
    return (-most if column.minimum < 0 else Decimal(0)), most


def satisfying(frame: pd.DataFrame, conditions: Conditions) -> NDArray[np.bool_]:
    """Which rows satisfy all conditions, (n,)."""
    found = np.ones(len(frame), dtype=bool)
    for name, condition in conditions.items():
        found &= np.array([condition.fits(value) for value in frame[name].tolist()], dtype=bool)
    return found


def described(conditions: Conditions) -> str:
    """The conditions in words."""
    return ", ".join(map(str, conditions.values()))


def renamed(conditions: Conditions, names: Mapping[str, str]) -> dict[str, Condition]:
    """The same conditions on columns of other names, where `names` has one."""
    return {
        names.get(name, name): replace(condition, column=replace(condition.column, name=names.get(name, name)))
        for name, condition in conditions.items()
    }


# ---- from what a user writes


def read_conditions(
    train: Table,
    equal: Mapping[str, Any] | None = None,
    between: Mapping[str, Any] | None = None,
    layout: FileLayout | None = None,
) -> dict[str, Condition]:
    """Conditions from {column: value or values} and {column: [low, high]}; both ends belong to the range.

    train: as generators get it (harmonic.tables.training_view). Values and bounds are written as in the file; `layout`
    knows its spelling. null or nothing is an open end. Raises ConfigError for an unknown column, for a value that no
    training row has (for a number: outside of their range, or with more decimals), and for an empty range.
    """
    found: dict[str, Condition] = {}
    for key, wanted in (("condition", equal or {}), ("range", between or {})):
        if not isinstance(wanted, Mapping):
            example: Any = {"condition": {"Outcome": 1}, "range": {"Age": [18, 65]}}[key]
            raise ConfigError(key, wanted, "must name columns", f"for example {setting(key, example)}")
        for name, value in wanted.items():
            if name not in train.schema.names:
                raise unknown(key, f"{{{name}: {value}}}", "column", train.schema.names, name=str(name))
            if name in found:
                raise ConfigError(key, f"{{{name}: {value}}}", "the column is in condition, too", "give only one")
            column = train.schema[name]
            if layout is not None:
                value = _plain(value, name, layout)
            found[name] = _equal(column, value, train) if key == "condition" else _between(column, value)
    return found


def _plain(wanted: Any, name: str, layout: FileLayout) -> Any:
    """Values in the file's spelling, as the plain texts of the table."""
    if isinstance(wanted, str):
        return layout.plain_value(name, wanted)
    return [_plain(one, name, layout) for one in wanted] if isinstance(wanted, list | tuple) else wanted


def _equal(column: Column, wanted: Any, train: Table) -> Condition:
    several = isinstance(wanted, Sequence) and not isinstance(wanted, str)
    texts = list(map(str, wanted)) if several else [str(wanted)]
    if not texts:
        raise ConfigError("condition", f"{{{column.name}: []}}", "has no value", "give at least one")
    values = [_known_value(column, text, train.frame[column.name]) for text in texts]
    return Condition(column=column, values=tuple(dict.fromkeys(values)))


def _known_value(column: Column, text: str, present: pd.Series) -> Value:
    """The value of a text. Raises ConfigError if no training row has it; `present` are their values."""
    shown = f"{{{column.name}: {text}}}"
    try:
        value = column.parse(text)
    except InvalidValue as error:
        fix = suggest(text, column.categories) if column.categories else f"a value such as {_span(column)}"
        raise ConfigError("condition", shown, f"no training row has such a value ({error})", fix) from None
    if value is None:
        there = bool(present.isna().any())
    elif column.kind is Kind.CATEGORY:
        there = bool((present == value).any())
    else:
        there = column.minimum <= float(value) <= column.maximum
        if column.date_format is None and Decimal(text.strip()) != Decimal(repr(value)):
            problem = f"has more decimals than the training rows: they have {column.decimals}"
            raise ConfigError("condition", shown, problem, "round the value")
    if not there:
        had = _span(column) if column.is_numeric else ", ".join(sorted(set(present.dropna()))[:_NAMED])
        raise ConfigError("condition", shown, "no training row has such a value", f"the data has {had}")
    return value


def _between(column: Column, wanted: Any) -> Condition:
    shown = f"{{{column.name}: {wanted}}}"
    if not column.is_numeric:
        fix = setting("condition", {column.name: list(column.categories[:3])})
        raise ConfigError("range", shown, "the column has categories, which have no order", fix)
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(wanted) != 2:
        fix = f"give two, null for an open end: {setting('range', {column.name: [column.minimum, None]})}"
        raise ConfigError("range", shown, "must be a pair of bounds", fix)
    low, high = (_bound(column, text, shown) for text in wanted)
    if column.kind is Kind.INTEGER:
        low = None if low is None else Decimal(math.ceil(low))
        high = None if high is None else Decimal(math.floor(high))
    if low is None and high is None:
        raise ConfigError("range", shown, "both ends are open", "give one of them")
    found = Condition(column=column, low=low, high=high)
    empty = low is not None and high is not None and low > high
    outside = (low is not None and float(low) > column.maximum) or (high is not None and float(high) < column.minimum)
    if empty or outside or found.pattern() is None:
        problem = "the low end is above the high end" if empty else "no training row has a value there"
        raise ConfigError("range", shown, problem, f"the data has {_span(column)}")
    return found


def _bound(column: Column, text: Any, shown: str) -> Decimal | None:
    if text is None or str(text).strip().lower() in ("", "null", "none", "~"):
        return None
    try:
        if column.date_format is not None:
            return Decimal(parse_date(str(text).strip(), column.date_format))
        number = Decimal(str(text).strip())
    except (ValueError, InvalidOperation):
        raise ConfigError("range", shown, f"{text!r} is not a bound", f"a value such as {_span(column)}") from None
    if not number.is_finite():
        raise ConfigError("range", shown, f"{text!r} is not a bound", "null is an open end")
    return number


def _span(column: Column) -> str:
    """The data's range in words."""
    return f"{column.format(column.minimum)} to {column.format(column.maximum)}"
