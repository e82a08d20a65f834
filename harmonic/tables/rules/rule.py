"""Rules: relations between columns that are true in every row, such as `total = net + tax`. New rows must keep them.

Three kinds: a column that is computed from others (Formula), a column whose value another column decides (Lookup: a
code and its name), and a column that is never above another (Order: start and end). A generator need not learn what
follows from the rest. It gets the table without computed columns, and with the distance instead of the end
(`Rules.reduce`). These columns are made again in the rows that it draws (`Rules.restore`). So the rows of every
generator keep the rules. The only loss is noise in those columns.

Two kinds of columns cannot be left out: the target, because generators are conditioned on it, and a column with missing
values where its sources have none. Such a column is learnt, and corrected in rows that break its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.columns import Column, Kind

_LEAST_DIGITS = 9  # digits, of a float's 15 or so, in which a computed value must agree with the one in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """`column` = the sum of `terms` and `constant`, rounded to the column's decimals.

    A term is a factor, and the one or two columns that it multiplies. If one of these is missing, so is the column.
    `learnt`: the column is learnt and corrected, not computed.
    """

    column: str
    terms: tuple[tuple[float, tuple[str, ...]], ...]
    constant: float = 0.0
    learnt: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, names in self.terms for name in names))

    def compute(self, frame: pd.DataFrame, column: Column) -> NDArray[Any]:
        """The column's values, (n,) of float64; NaN if a source is missing."""
        found = np.full(len(frame), self.constant)
        for factor, names in self.terms:
            part = np.full(len(frame), factor)
            for name in names:
                part = part * frame[name].to_numpy(np.float64)
            found = found + part
        return rounded(found, column)

    def broken(self, frame: pd.DataFrame, column: Column) -> NDArray[np.bool_]:
        """Which rows have another value, (n,), apart from rounding; none of those with a missing value."""
        expected, found = self.compute(frame, column), frame[self.column].to_numpy(np.float64)
        room = 0.5 * 10.0**-column.decimals + 10.0**-_LEAST_DIGITS * np.abs(expected)
        room = room if column.kind is Kind.FLOAT else 0.5
        return np.abs(expected - found) > room  # False for NaN

    def __str__(self) -> str:
        written = ""
        for factor, names in self.terms:
            size = "" if abs(factor) == 1 else f"{abs(factor):.10g} * "
            sign = (" - " if factor < 0 else " + ") if written else ("-" if factor < 0 else "")
            written += sign + size + " * ".join(names)
        if self.constant:
            written += f" {'-' if self.constant < 0 else '+'} {abs(self.constant):.10g}"
        return f"{self.column} = {written}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """`source` decides `column`: `values` has the column's value for each value of the source; None is a missing one.

    For a number that is not among them, the nearest one is taken. `learnt`: as in Formula.
    """

    column: str
    source: str
    values: Mapping[Any, Any] = field(repr=False)
    learnt: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    def compute(self, frame: pd.DataFrame, column: Column) -> NDArray[np.object_]:
        """The column's values, (n,); None for a missing one."""
        known = [key for key in self.values if key is not None]
        numbers = np.array(known, np.float64) if known and not isinstance(known[0], str) else None
        found = [self.values.get(key, _ABSENT) for key in keys_of(frame[self.source])]
        if any(value is _ABSENT for value in found):
            usual = max(self.values.values(), key=list(self.values.values()).count)
            for row, key in enumerate(keys_of(frame[self.source])):
                if found[row] is not _ABSENT:
                    continue
                near = None if numbers is None or key is None else known[int(np.abs(numbers - key).argmin())]
                found[row] = usual if near is None else self.values[near]
        made = np.empty(len(found), dtype=object)
        made[:] = found
        return made

    def broken(self, frame: pd.DataFrame, column: Column) -> NDArray[np.bool_]:
        """Which rows have another value than their source decides, (n,)."""
        pairs = zip(keys_of(frame[self.source]), keys_of(frame[self.column]), strict=True)
        ignored = (None,) if self.learnt else ()
        return np.array(
            [key in self.values and value not in ignored and self.values[key] != value for key, value in pairs], bool
        )

    def __str__(self) -> str:
        return f"{self.source} -> {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`low` is never above `high`. `apart`: the distance between them is learnt; `least` is the smallest distance."""

    low: str
    high: str
    apart: bool = False
    least: float = 0.0

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.low,)

    @property
    def column(self) -> str:
        return self.high

    def broken(self, frame: pd.DataFrame, column: Column) -> NDArray[np.bool_]:
        """Which rows have `low` above `high`, (n,); none of those with a missing value."""
        low, high = (frame[name].to_numpy(np.float64) for name in (self.low, self.high))
        return low > high

    def __str__(self) -> str:
        return f"{self.low} <= {self.high}"


Rule = Formula | Lookup | Order
_ABSENT = object()


def raised(low: pd.Series, column: Column) -> NDArray[np.float64]:
    """The smallest values of the column that are not below these."""
    step = 10.0**column.decimals if column.kind is Kind.FLOAT else 1.0
    values = low.to_numpy(np.float64)
    up = np.ceil((values * step).round(6)) / step
    return np.round(up, column.decimals) if column.kind is Kind.FLOAT else up


def rounded(values: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """The values with as many decimals as the column has."""
    return np.round(values, column.decimals if column.kind is Kind.FLOAT else 0)


def keys_of(values: pd.Series) -> list[Any]:
    """The values as keys of a Lookup: texts, numbers (whole ones as int), None for a missing one."""
    if values.dtype == object:
        return [None if value is None or value != value else value for value in values.tolist()]
    return [None if value != value else int(value) if float(value).is_integer() else value for value in values.tolist()]
