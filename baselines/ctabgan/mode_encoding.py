"""Rows as numbers for a network: CTAB-GAN+'s encoding of categorical, continuous, mixed and long-tail columns.

Zhao, Kunar, Birke, Van der Scheer, Chen: CTAB-GAN (arXiv 2102.08369), section 3.2, and CTAB-GAN+ (arXiv 2204.00401),
"Data representation"; mode-specific normalisation is CTGAN's (arXiv 1907.00503, section 4.2). Own code.

A column becomes at most one number in [-1, 1] and at most one one-hot choice:

    categorical     a choice among its values
    continuous      a choice among the modes of a Gaussian mixture, and the place within the mode: (x - mean) / 4 sd
    mixed           the same, with special values, such as many zeros, as further choices
    long tail       as continuous or mixed, on a logarithmic scale
    simple          only the place within the range (the "general transform"): nearly normal columns, and categorical
                    columns with too many values, by the position among the sorted values
    constant        nothing

baselines/ctabgan/encoding_rules.py decides the kind of each column.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ColumnCode:
    """How one column is encoded.

    The choices are first `levels` (single values), then the modes: `centres`, `spreads` and `weights`, on the scale x
    or, with `shift`, log(x + shift). names: the values of a categorical column; its numbers are positions in this list.
    low, high: the range of the training rows, in the column's own unit.
    """

    name: str
    low: float
    high: float
    levels: list[float] = field(default_factory=list)
    centres: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    shift: float | None = None
    names: list[str] | None = None

    @property
    def choices(self) -> int:
        """Width of the one-hot part: 0 if there is no choice."""
        count = len(self.levels) + len(self.centres)
        return count if count > 1 else 0

    @property
    def width(self) -> int:
        return bool(self.centres) + self.choices

    def encode(self, values: NDArray[Any], random: np.random.Generator) -> NDArray[np.float32]:
        """From values of the column, (n,), to (n, width): the number, then the one-hot choice.

        If modes overlap, `random` chooses one in proportion to their densities.
        """
        numbers = (values if self.names is None else np.searchsorted(self.names, values)).astype(np.float64)
        encoded = np.zeros((len(numbers), self.width), dtype=np.float32)
        is_level, choice = np.isin(numbers, self.levels), np.searchsorted(self.levels, numbers)
        if self.centres:
            ordinary = ~is_level
            scaled = self.forward(numbers[ordinary])
            mode = self._draw_modes(scaled, random)
            offsets = (scaled - np.take(self.centres, mode)) / np.take(self.spreads, mode)
            encoded[ordinary, 0] = np.clip(offsets, -1, 1)
            choice[ordinary] = len(self.levels) + mode
        if self.choices:
            encoded[np.arange(len(numbers)), self.width - self.choices + choice] = 1
        return encoded

    def decode(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """From (n, width) to values of the column, (n,): the likeliest choice, with numbers in the training range."""
        n = len(encoded)
        options = encoded[:, self.width - self.choices :].argmax(axis=1) if self.choices else np.zeros(n, np.int64)
        numbers = np.zeros(n)
        is_level = options < len(self.levels)
        if self.levels:
            numbers[is_level] = np.take(self.levels, options[is_level])
        if self.centres:
            mode = options[~is_level] - len(self.levels)
            place = encoded[~is_level, 0].astype(np.float64)
            numbers[~is_level] = self.backward(np.take(self.centres, mode) + np.take(self.spreads, mode) * place)
        numbers = np.clip(numbers, self.low, self.high)
        return numbers if self.names is None else np.array(self.names, dtype=object)[np.rint(numbers).astype(np.int64)]

    def forward(self, numbers: Floats) -> Floats:
        """From the unit of the column to the scale of the modes."""
        return numbers if self.shift is None else np.log(np.maximum(numbers + self.shift, 1e-12))

    def backward(self, scaled: Floats) -> Floats:
        """The inverse of `forward`."""
        return scaled if self.shift is None else np.exp(np.minimum(scaled, 700.0)) - self.shift

    def _draw_modes(self, scaled: Floats, random: np.random.Generator) -> NDArray[np.int64]:
        """A mode for each value, (n,), in proportion to each mode's density there."""
        if len(self.centres) == 1:
            return np.zeros(len(scaled), dtype=np.int64)
        deviations = np.array(self.spreads) / 4
        logs = np.log(self.weights) - np.log(deviations) - 0.5 * ((scaled[:, None] - self.centres) / deviations) ** 2
        # Gumbel's trick: each mode has the maximum with its own probability, even with underflow
        return (logs + random.gumbel(size=logs.shape)).argmax(axis=1)


@dataclass(frozen=True)
class RowEncoding:
    """The codes of the columns, in the schema's order. An encoded row is their parts, one after the other."""

    codes: list[ColumnCode]

    @property
    def width(self) -> int:
        return sum(code.width for code in self.codes)

    @property
    def parts(self) -> dict[str, slice]:
        """{column: the place of its part in an encoded row}."""
        ends = np.cumsum([code.width for code in self.codes]).tolist()
        return {code.name: slice(end - code.width, end) for code, end in zip(self.codes, ends, strict=True)}

    @property
    def numbers(self) -> list[int]:
        """The positions of the numbers in [-1, 1]."""
        return [self.parts[code.name].start for code in self.codes if code.centres]

    @property
    def selectors(self) -> list[slice]:
        """The places of the one-hot choices."""
        ends = {code.name: self.parts[code.name].stop for code in self.codes if code.choices}
        return [slice(ends[code.name] - code.choices, ends[code.name]) for code in self.codes if code.choices]

    def encode(self, frame: pd.DataFrame, random: np.random.Generator) -> NDArray[np.float32]:
        """(n, columns) to (n, width)."""
        return np.hstack([code.encode(frame[code.name].to_numpy(), random) for code in self.codes])

    def decode(self, rows: NDArray[Any]) -> pd.DataFrame:
        """(n, width) to (n, columns); numbers are not rounded."""
        parts = self.parts
        return pd.DataFrame({code.name: code.decode(rows[:, parts[code.name]]) for code in self.codes})

    def to_list(self) -> list[dict[str, Any]]:
        """Plain containers, for JSON."""
        return [asdict(code) for code in self.codes]

    @classmethod
    def from_list(cls, plain: list[dict[str, Any]]) -> RowEncoding:
        return cls([ColumnCode(**code) for code in plain])
