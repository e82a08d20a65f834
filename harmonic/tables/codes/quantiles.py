"""Numbers as codes of one or two digits, and back: the rank of a value, or the quantile bin that it is in.

Codes are shorter than numbers, learnt faster, and do not show exact values of columns with many values. A numeric
column gets at most 100 codes, "00" to "99" in the order of its values (one digit if there are at most ten codes), and
at most one code for every three rows, so that few numbers of single rows are released exactly. If a column has no more
distinct values than codes, each value has its own code, and no other number is drawn. Otherwise a value that more than
its share of the rows have gets its own code, and the values between share bins with about equal numbers of rows. A bin
becomes a number again by a uniform draw from its range, with the column's decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.randomness import derive
from harmonic.tables.columns import Column, Kind
from harmonic.tables.conditions import Condition, Conditions
from harmonic.tables.table import Schema, Table

CODES = 100
ROWS = 3
"""The least number of rows of a column for each code."""

_MOST_STEPS = 2.0**52  # different numbers in a bin: a float cannot have more


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """The codes of one column: bin i has the numbers from low[i] to high[i], both included. (codes,) each."""

    column: Column
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, column: Column, values: NDArray[np.float64], *, codes: int) -> Bins:
        """At most `codes` codes for these training values, (n,), of which there is at least one."""
        distinct, counts = np.unique(values, return_counts=True)
        starts = np.arange(len(distinct)) if len(distinct) <= codes else _starts(counts, codes)
        ends = np.append(starts[1:], len(distinct)) - 1
        return cls(column, distinct[starts], distinct[ends])

    @property
    def codes(self) -> tuple[str, ...]:
        """The texts of the codes, without the text of a missing value."""
        width = len(str(len(self.low) - 1))
        texts = (f"{number:0{width}d}" for number in range(len(self.low) + 1))
        return tuple(text for text in texts if text != self.column.missing)[: len(self.low)]

    @property
    def coded(self) -> Column:
        """The column of codes."""
        return Column(name=self.column.name, kind=Kind.CATEGORY, categories=self.codes, missing=self.column.missing)

    def places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bin of each value, (n,); for a value between two bins the nearer one, for NaN any."""
        place = np.clip(np.searchsorted(self.low, values, side="right") - 1, 0, len(self.low) - 1)
        above = np.minimum(place + 1, len(self.low) - 1)
        nearer = (values > self.high[place]) & (self.low[above] - values < values - self.high[place])
        return np.where(nearer, above, place)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.object_]:
        """The code of each value, (n,); NaN has none."""
        found = np.array(self.codes, dtype=object)[self.places(values)]
        found[np.isnan(values)] = None
        return found

    def decode(
        self, codes: pd.Series, uniforms: NDArray[np.float64], condition: Condition | None
    ) -> NDArray[np.float64]:
        """A number from each code's bin, by uniform draws in [0, 1): (n,), NaN for a missing code."""
        numbers = {text: number for number, text in enumerate(self.codes)}
        place = codes.map(numbers).to_numpy(dtype=np.float64)
        given = np.flatnonzero(~np.isnan(place))
        found = np.full(len(codes), np.nan)
        if condition is not None and condition.values:
            known = np.array([float(value) for value in condition.values if value is not None])
            inside = self.encode(known)
            for row in given:
                fitting = known[inside == codes.iloc[row]]
                found[row] = fitting[int(uniforms[row] * len(fitting))]
            return found
        low, high = self._bounds(condition)
        bins = place[given].astype(int)
        step = 10.0**-self.column.decimals
        with np.errstate(all="ignore"):  # of numbers near the ends of what a float holds
            count = np.nan_to_num(np.rint((high[bins] - low[bins]) / step) + 1, nan=1, posinf=_MOST_STEPS)
        grid = np.where(count < _MOST_STEPS, step, (high[bins] - low[bins]) / _MOST_STEPS)
        count = np.minimum(count, _MOST_STEPS)
        drawn = low[bins] + np.minimum(np.floor(uniforms[given] * count), count - 1) * grid
        found[given] = np.round(drawn, self.column.decimals)
        return found

    def condition(self, condition: Condition) -> Condition:
        """The same condition on codes: on those whose bins have a number that satisfies it."""
        if condition.values:
            given = [float(value) for value in condition.values if value is not None]
            codes: list[Any] = sorted(set(self.encode(np.array(given)))) if given else []
            return Condition(column=self.coded, values=(*codes, *([None] if None in condition.values else [])))
        low, high = self._bounds(condition)
        return Condition(
            column=self.coded,
            values=tuple(code for code, least, most in zip(self.codes, low, high, strict=True) if least <= most),
        )

    def _bounds(self, condition: Condition | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ends of the bins, within the condition's range."""
        low, high = self.low.copy(), self.high.copy()
        if condition is None:
            return low, high
        step = 10.0**-self.column.decimals
        if condition.low is not None:
            least = np.ceil(float(condition.low) / step - 1e-9) * step
            low = np.maximum(low, least)
        if condition.high is not None:
            most = np.floor(float(condition.high) / step + 1e-9) * step
            high = np.minimum(high, most)
        return low, high


def _starts(counts: NDArray[np.int64], codes: int) -> NDArray[np.int64]:
    """The positions, (codes,), at which bins begin among the distinct values with these counts."""
    alone = np.flatnonzero(counts > counts.sum() / codes)
    # The other codes go to the stretches between, by their rows, at least one to each.
    edges = np.concatenate([[-1], alone, [len(counts)]])
    stretches = [(first + 1, last) for first, last in pairwise(edges) if last > first + 1]
    if len(alone) + len(stretches) > codes:
        alone, stretches = alone[:0], [(0, len(counts))]
    rows = np.array([counts[first:last].sum() for first, last in stretches], dtype=np.float64)
    spare = codes - len(alone) - len(stretches)
    shares = np.floor(spare * rows / rows.sum()).astype(int) if len(rows) else np.zeros(0, dtype=int)
    starts = list(alone)
    for (first, last), more in zip(stretches, shares, strict=True):
        cumulated = np.cumsum(counts[first:last])
        before = cumulated - counts[first:last]
        bins = np.floor(before / cumulated[-1] * (more + 1)).astype(int)
        starts += (first + np.flatnonzero(np.diff(bins, prepend=-1) > 0)).tolist()
    return np.array(sorted(starts), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Turns numbers into codes, and back. `schema`: of the table with numbers. `bins`: of the coded columns."""

    schema: Schema
    bins: Mapping[str, Bins]

    @classmethod
    def of(cls, train: Table) -> Quantiles:
        """Learn the codes from the training rows."""
        found = {}
        for name in train.schema.numeric:
            values = train.frame[name].dropna().to_numpy(np.float64)
            if len(values):
                codes = min(CODES, max(len(values) // ROWS, 1))
                found[name] = Bins.of(train.schema[name], values, codes=codes)
        return cls(train.schema, found)

    @classmethod
    def none(cls, schema: Schema) -> Quantiles:
        """No codes: numbers do not change."""
        return cls(schema, {})

    @property
    def coded(self) -> Schema:
        """The schema of the coded table."""
        return self._coded(self.schema)

    def encode(self, table: Table) -> Table:
        """The table with codes. Its schema may be wider than that of the training rows."""
        if not self.bins:
            return table
        frame = table.frame.copy()
        for name, bins in self.bins.items():
            frame[name] = bins.encode(table.frame[name].to_numpy(np.float64))
        return Table(frame, self._coded(table.schema))

    def _coded(self, schema: Schema) -> Schema:
        columns = tuple(
            replace(self.bins[column.name].coded, missing=column.missing) if column.name in self.bins else column
            for column in schema.columns
        )
        return replace(schema, columns=columns)

    def decode(
        self, frame: pd.DataFrame, seed: int, conditions: Conditions | None = None, start: int = 0
    ) -> pd.DataFrame:
        """Coded rows as numbers, each within its bin and within the conditions.

        Row i depends on i alone. start: the number of the first row.
        """
        if not self.bins:
            return frame
        bits = np.random.PCG64(derive(seed, "numbers in bins"))
        bits.advance(start * len(self.bins))  # one step for each number of the rows before
        uniforms = np.random.Generator(bits).random((len(frame), len(self.bins)))
        found = frame.copy()
        for place, (name, bins) in enumerate(self.bins.items()):
            condition = (conditions or {}).get(name)
            found[name] = bins.decode(frame[name], uniforms[:, place], condition)
        return self.schema.conform(found)

    def conditions(self, conditions: Conditions) -> dict[str, Condition]:
        """The same conditions on the coded table. Raises ConfigError if no code can satisfy one of them."""
        found = {
            name: self.bins[name].condition(condition) if name in self.bins else condition
            for name, condition in conditions.items()
        }
        for name, condition in conditions.items():
            if name in self.bins and not found[name].values:
                fix = "widen the range, or generator.numbers=text"
                raise ConfigError("condition", str(condition), "no training row has a value there", fix)
        return found
