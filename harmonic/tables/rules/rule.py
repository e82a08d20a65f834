"""Relations between columns that hold in every row, such as `total = net + tax`, and that new rows must keep, too.

Three kinds: a column that is computed from others (Formula), one whose value another's decides (Lookup: a code and its
name), and one that is never above another (Order: start and end). A generator is not asked to learn what follows
from the rest. It is given the table without the columns that are computed, and with the distance in the place of
the end (`reduce`); of the rows that it draws, those columns are made anew (`restore`). So every generator's rows
keep the rules, whatever it has learnt, and a rule costs nothing but the columns' own noise.

Two things cannot be left out: the target, which generators are conditioned on, and a column that is missing where what
it follows from is not. Such a column is learnt and then corrected in the rows that break its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.columns import Column, Kind

_LEAST_DIGITS = 9  # of a float's 15 or so, in which a computed value agrees with the one in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """`column` = the sum of `terms` and `constant`, rounded as the column is written.

    A term is a factor and the one or two columns that it multiplies. Where one of these is missing, so is the column.
    `learnt`: see the module.
    """

    column: str
    terms: tuple[tuple[float, tuple[str, ...]], ...]
    constant: float = 0.0
    learnt: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, names in self.terms for name in names))

    def compute(self, frame: pd.DataFrame, column: Column) -> NDArray[Any]:
        """The column's values, (n,) of float64; NaN where a source is missing."""
        found = np.full(len(frame), self.constant)
        for factor, names in self.terms:
            part = np.full(len(frame), factor)
            for name in names:
                part = part * frame[name].to_numpy(np.float64)
            found = found + part
        return rounded(found, column)

    def broken(self, frame: pd.DataFrame, column: Column) -> NDArray[np.bool_]:
        """Which rows have another value, (n,), beyond what rounding does to it; none where a part is missing."""
        expected, found = self.compute(frame, column), frame[self.column].to_numpy(np.float64)
        room = 0.5 * 10.0**-column.decimals + 10.0**-_LEAST_DIGITS * np.abs(expected)
        room = room if column.kind is Kind.FLOAT else 0.5
        return np.abs(expected - found) > room  # not a number is not above

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
    """`source` decides `column`: `values` has what stands beside each of its values, None for a missing one.

    A number that is not among them is taken for the nearest that is.
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
        """Which rows have another value beside a known one, (n,)."""
        pairs = zip(keys_of(frame[self.source]), keys_of(frame[self.column]), strict=True)
        ignored = (None,) if self.learnt else ()
        return np.array(
            [key in self.values and value not in ignored and self.values[key] != value for key, value in pairs], bool
        )

    def __str__(self) -> str:
        return f"{self.source} -> {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`low` is never above `high`. `apart`: the distance between them is what is learnt; `least` is its smallest."""

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
        """Which rows have it the other way round, (n,); none where one of the two is missing."""
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
    """The values as keys of a Lookup: texts, whole numbers, None where one is missing."""
    if values.dtype == object:
        return [None if value is None or value != value else value for value in values.tolist()]
    return [None if value != value else int(value) if float(value).is_integer() else value for value in values.tolist()]
