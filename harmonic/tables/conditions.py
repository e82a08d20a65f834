"""Conditions on rows to be drawn: a column's value, or the range that it lies in.

A language model is held to them by its grammar (decoding.constraints); another generator's rows are drawn until
enough of them satisfy the conditions (harmonic.generators.rejection). Either way every row does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, suggest
from harmonic.shell import setting
from harmonic.tables import ranges
from harmonic.tables.columns import Column, InvalidValue, Kind, Value
from harmonic.tables.spellings.date_formats import parse_date
from harmonic.tables.table import Table

if TYPE_CHECKING:
    from harmonic.tables.reading.file_layout import FileLayout

MOST_DIGITS = 17  # before or behind the point; a float holds no more, and an int64 holds them with their sign
UNKNOWN_DIGITS = 6  # before the point, where the data's range is not known
_NAMED = 20  # values that an error lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the values of `column` must be: one of `values`, or, where there are none, from `low` to `high`.

    None among the values is a missing one; None as a bound leaves that end open. Bounds are allowed values, those of
    dates their numbers.
    """

    column: Column
    values: tuple[Value, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None

    def fits(self, value: Any) -> bool:
        """Whether a value, as frames or `Column.parse` have it, satisfies the condition."""
        missing = value is None or value != value
        if self.values:
            return any(known is None if missing else known == value for known in self.values)
        if missing:
            return False
        # Integers exactly; floats among floats, where a bound is rounded as the value is.
        number: Any = Decimal(int(value)) if self.column.kind is Kind.INTEGER else float(value)
        low, high = (bound if bound is None or isinstance(number, Decimal) else float(bound) for bound in self._bounds)
        return (low is None or number >= low) and (high is None or number <= high)

    def pattern(self) -> str | None:
        """The regular expression of the range's texts, within the digits that the data has; None if there are none.

        Numbers are written without an exponent. Only where there are no `values`: those are texts.
        """
        if self.column.date_format is not None:
            first = int(self.column.minimum if self.low is None else self.low)
            last = int(self.column.maximum if self.high is None else self.high)
            return ranges.dates(first, last, self.column.date_format)
        least, most = digit_span(self.column)
        low, high = (
            (least if self.low is None else max(self.low, least)),
            (most if self.high is None else min(self.high, most)),
        )
        if self.column.kind is Kind.INTEGER:
            return ranges.integers(math.ceil(low), math.floor(high))
        return ranges.decimals(low, high, min(self.column.decimals, MOST_DIGITS), self.column.style)

    @property
    def _bounds(self) -> tuple[Decimal | None, Decimal | None]:
        return self.low, self.high

    def texts(self) -> list[str]:
        """The values as texts."""
        return [self.column.format(value) for value in self.values]

    def __str__(self) -> str:
        if self.values:
            return f"{self.column.name} = {' or '.join(repr(text) for text in self.texts())}"
        low, high = (None if bound is None else self.column.format(float(bound)) for bound in self._bounds)
        if low is None or high is None:
            return f"{self.column.name} >= {low}" if high is None else f"{self.column.name} <= {high}"
        return f"{self.column.name} from {low} to {high}"


Conditions = Mapping[str, Condition]
"""By column; all of them must hold."""


def digit_span(column: Column) -> tuple[Decimal, Decimal]:
    """The numbers that have no more digits before the point than the data's, negative ones if the data has some."""
    bounds = [abs(bound) for bound in (column.minimum, column.maximum) if math.isfinite(bound)]
    largest = max(bounds, default=10.0**UNKNOWN_DIGITS - 1)
    # Beyond what digits can be counted, the data's own bound.
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
    """Conditions from {column: value, or values} and {column: [low, high]}; both ends of a range are in it.

    train: as generators are given it (harmonic.tables.training_view). Values and bounds stand as in the file, whose
    `layout` tells its spelling; null or nothing is an open end. Raises ConfigError for an unknown column, a value that
    no training row has (of a number: one outside of their range, or with more decimals), or an empty range.
    """
    found: dict[str, Condition] = {}
    for key, wanted in (("condition", equal or {}), ("range", between or {})):
        if not isinstance(wanted, Mapping):
            example = (
                setting("condition", {"Outcome": 1}) if key == "condition" else setting("range", {"Age": [18, 65]})
            )
            raise ConfigError(key, wanted, "must name columns", f"for example {example}")
        for name, value in wanted.items():
            if name not in train.schema.names:
                raise ConfigError(key, f"{{{name}: {value}}}", "no such column", suggest(str(name), train.schema.names))
            if name in found:
                raise ConfigError(key, f"{{{name}: {value}}}", "the column is in condition already", "give one of them")
            column = train.schema[name]
            if layout is not None:
                value = _plain(value, name, layout)
            found[name] = _equal(column, value, train) if key == "condition" else _between(column, value)
    return found


def _plain(wanted: Any, name: str, layout: FileLayout) -> Any:
    """What a user wrote as the file does, in the plain texts that the table has."""
    if isinstance(wanted, str):
        return layout.plain_value(name, wanted)
    return [_plain(one, name, layout) for one in wanted] if isinstance(wanted, list | tuple) else wanted


def _equal(column: Column, wanted: Any, train: Table) -> Condition:
    texts = [str(text) for text in wanted] if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [
        str(wanted)
    ]  # fmt: skip
    if not texts:
        raise ConfigError("condition", f"{{{column.name}: []}}", "no value is named", "name one or more")
    present = train.frame[column.name]
    values: list[Value] = []
    for text in texts:
        shown = f"{{{column.name}: {text}}}"
        try:
            value = column.parse(text)
        except InvalidValue as error:
            known = suggest(text, column.categories) if column.categories else f"a value such as {_span(column)}"
            raise ConfigError("condition", shown, f"no training row has such a value ({error})", known) from None
        if value is None:
            there = bool(present.isna().any())
        elif column.kind is Kind.CATEGORY:
            there = bool((present == value).any())
        else:
            there = column.minimum <= float(value) <= column.maximum
            if column.date_format is None and Decimal(text.strip()) != Decimal(repr(value)):
                raise ConfigError(
                    "condition", shown, f"training rows have {column.decimals} decimals", "round the value"
                )
        if not there:
            had = _span(column) if column.is_numeric else ", ".join(sorted(set(present.dropna()))[:_NAMED])
            fix = f"the data has {had}"
            raise ConfigError("condition", shown, "no training row has such a value", fix)
        values.append(value)
    return Condition(column=column, values=tuple(dict.fromkeys(values)))


def _between(column: Column, wanted: Any) -> Condition:
    shown = f"{{{column.name}: {wanted}}}"
    if not column.is_numeric:
        fix = setting("condition", {column.name: list(column.categories[:3])})
        raise ConfigError("range", shown, "the column holds categories, which have no order", fix)
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or len(wanted) != 2:
        raise ConfigError(
            "range",
            shown,
            "is no pair of bounds",
            f"give two, null for an open end: {setting('range', {column.name: [column.minimum, None]})}",
        )
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
        raise ConfigError("range", shown, f"{text!r} is no bound", f"a value such as {_span(column)}") from None
    if not number.is_finite():
        raise ConfigError("range", shown, f"{text!r} is no bound", "null is an open end")
    return number


def _span(column: Column) -> str:
    """The data's range in words."""
    return f"{column.format(column.minimum)} to {column.format(column.maximum)}"
