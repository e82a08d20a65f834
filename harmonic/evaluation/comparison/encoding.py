"""From rows to arrays, in the same way for every evaluator: fitted once on the training rows and the schema.

Encoders that are fitted separately on real and on synthetic rows hide the differences that the metrics look for (the
published reference code does this).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.randomness import derive
from harmonic.tables.table import Column, Schema, Table

FARTHEST = 1e6
"""Standardised values are cut off at this number of standard deviations: a generator may write 1e300, and its square
is too large for a float. Real rows are far below (|z| is at most the square root of the number of rows)."""


def usable_rows(synthetic: Table, schema: Schema) -> pd.DataFrame:
    """The synthetic rows with the schema's columns and dtypes. Raises DataError if there are none."""
    if len(synthetic) == 0:
        raise DataError("the synthetic table has no rows")
    return schema.conform(synthetic.frame)


def subsample(length: int, size: int, seed: int) -> NDArray[np.int64]:
    """Positions of min(size, length) rows of a table of `length` rows, ascending, drawn with `seed`.

    Tables of equal length get the same positions, so a copy of a table is compared with the same rows.
    """
    if size >= length:
        return np.arange(length)
    return np.sort(np.random.default_rng(derive(seed, "subsample")).permutation(length)[:size])


def category_codes(frame: pd.DataFrame, columns: tuple[Column, ...]) -> NDArray[np.int64]:
    """Position of each value among its column's categories, (n, columns).

    Columns are category columns, the frame conforms to the schema.
    """
    codes = np.empty((len(frame), len(columns)), dtype=np.int64)
    for position, column in enumerate(columns):
        codes[:, position] = pd.Index(column.categories).get_indexer(pd.Index(frame[column.name]))
    return codes


@dataclass(frozen=True, slots=True)
class Encoder:
    """Standardised numbers and one-hot categories.

    `center` and `scale` are mean and standard deviation of the numeric columns in the training rows (scale 1 if a
    column is constant). The categories are those of the schema, even if the training rows lack some.
    """

    numeric: tuple[Column, ...]
    categorical: tuple[Column, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, train: Table, columns: list[Column] | None = None) -> Encoder:
        """Fit to the training rows. `columns`: those to encode; by default all, including the target."""
        columns = list(train.schema.columns) if columns is None else columns
        numeric = tuple(column for column in columns if column.is_numeric)
        categorical = tuple(column for column in columns if not column.is_numeric)
        values = train.frame[[column.name for column in numeric]].to_numpy(dtype=np.float64)
        span = np.ptp(values, axis=0)
        span[span == 0] = 1.0
        # In units of the range, because the squares of tiny values are 0.
        deviation = ((values - values.min(axis=0)) / span).std(axis=0)
        scale = np.where(np.ptp(values, axis=0) == 0, 1.0, deviation) * span
        return cls(numeric, categorical, values.mean(axis=0), np.where(scale == 0, span, scale))

    def numbers(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The numeric columns, standardised, (n, numeric columns)."""
        values = frame[[column.name for column in self.numeric]].to_numpy(dtype=np.float64)
        with np.errstate(over="ignore"):  # an overflow is cut off like any other far value
            return np.clip((values - self.center) / self.scale, -FARTHEST, FARTHEST)

    def codes(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """The category columns as positions of the categories, (n, category columns)."""
        return category_codes(frame, self.categorical)

    def dense(self, frame: pd.DataFrame, one: float = 1.0) -> NDArray[np.float64]:
        """Numbers and one-hot categories side by side, (n, numeric columns + all categories).

        `one` is the value that marks the category; with sqrt(1/2), rows that differ in one category are at distance 1.
        """
        widths = [len(column.categories) for column in self.categorical]
        encoded = np.zeros((len(frame), len(self.numeric) + sum(widths)))
        encoded[:, : len(self.numeric)] = self.numbers(frame)
        rows = np.arange(len(frame))
        start = len(self.numeric)
        for codes, width in zip(self.codes(frame).T, widths, strict=True):
            encoded[rows, start + codes] = one
            start += width
        return encoded
