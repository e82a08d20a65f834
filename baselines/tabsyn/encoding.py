"""A table for TabSyn's networks: numbers made normal by their quantiles, categories as codes.

A number x becomes Φ⁻¹(F(x)), where F is the share of training rows up to x, and is then standardised. This is
scikit-learn's QuantileTransformer, as in the published code, with one difference: a value that many rows share always
goes to the middle of its share. In the published code, a frequent value that is also the smallest (Adult's
capital-gain: 0 in nine of ten rows) goes to -5.2, far from all others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from baselines.rounding import rounded
from harmonic.tables.table import Schema, Table

KNOTS = 1000
"""The most quantiles that are kept of a column."""

REPEATS = 10
"""A column with this many rows per distinct value, on average, gets no values between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericEncoding:
    """One numeric column.

    quantiles: (knots,), ascending, at equal shares from 1/(2 rows) to 1 - 1/(2 rows) of the training rows. mean, std:
    of Φ⁻¹(F(x)) over the training rows. values: the values that the column may have, sorted; empty: any between the
    quantiles.
    """

    name: str
    rows: int
    quantiles: list[float]
    mean: float = 0.0
    std: float = 1.0
    values: list[float]

    @classmethod
    def of(cls, name: str, column: NDArray[np.float64]) -> NumericEncoding:
        """Fitted on a column, (rows,)."""
        knots = np.quantile(column, np.linspace(0, 1, min(len(column), KNOTS)))
        distinct = np.unique(column)
        values = distinct.tolist() if len(distinct) * REPEATS <= len(column) else []
        settings: dict[str, Any] = {"name": name, "rows": len(column), "values": values}
        settings["quantiles"] = np.maximum.accumulate(knots).tolist()
        scores = cls(**settings).encode(column)
        std = float(scores.std())
        return cls(**settings, mean=float(scores.mean()), std=std if std > 1e-6 else 1.0)  # a constant stays 0

    def encode(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) values to (n,) standardised normal scores."""
        from scipy.special import ndtri

        knots, shares = np.array(self.quantiles), self._shares()
        above = np.interp(column, knots, shares)  # for equal knots, the share of one end, then of the other
        below = -np.interp(-column, -knots[::-1], -shares[::-1])
        return (ndtri((above + below) / 2) - self.mean) / self.std

    def decode(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `encode` for any score; the result is within the range of the training rows."""
        from scipy.special import ndtr

        column = np.interp(ndtr(scores * self.std + self.mean), self._shares(), self.quantiles)
        if not self.values:
            return column
        values = np.array(self.values)
        return values[np.searchsorted((values[1:] + values[:-1]) / 2, column)]

    def _shares(self) -> NDArray[np.float64]:
        half = 0.5 / self.rows
        return np.linspace(half, 1 - half, len(self.quantiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryEncoding:
    """One column of categories. values: those of the training rows, sorted; a code is a position in this list."""

    name: str
    values: list[Any]

    def encode(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """(n,) values, all among the known ones, to (n,) codes."""
        return np.searchsorted(np.array(self.values, dtype=column.dtype), column).astype(np.int64)

    def decode(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        """The inverse of `encode`."""
        kind = object if isinstance(self.values[0], str) else None
        return np.array(self.values, dtype=kind)[codes]


@dataclass(frozen=True, slots=True)
class TableEncoding:
    """The columns in the networks' order: first numeric ones, then categories, with the target of a classification."""

    numeric: list[NumericEncoding]
    categorical: list[CategoryEncoding]

    @classmethod
    def of(cls, table: Table) -> TableEncoding:
        """Fitted on the table's rows."""
        schema = table.schema
        numeric, categorical = [], []
        for column in schema.columns:
            values = table.frame[column.name].to_numpy()
            if column.is_numeric and not (column.name == schema.target and schema.task.is_classification):
                numeric.append(NumericEncoding.of(column.name, values.astype(np.float64)))
            else:
                categorical.append(CategoryEncoding(name=column.name, values=np.unique(values).tolist()))
        return cls(numeric, categorical)

    @property
    def cardinalities(self) -> list[int]:
        """The number of categories of each column of categories."""
        return [len(column.values) for column in self.categorical]

    def encode(self, frame: pd.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores, (n, numeric columns), and codes, (n, category columns)."""
        scores = np.empty((len(frame), len(self.numeric)), np.float32)
        codes = np.empty((len(frame), len(self.categorical)), np.int64)
        for position, number in enumerate(self.numeric):
            scores[:, position] = number.encode(frame[number.name].to_numpy(np.float64))
        for position, category in enumerate(self.categorical):
            codes[:, position] = category.encode(frame[category.name].to_numpy())
        return scores, codes

    def decode(self, scores: NDArray[np.float32], codes: NDArray[np.int64], schema: Schema) -> pd.DataFrame:
        """The inverse of `encode` for any scores and codes: rows of the schema, with rounded numbers."""
        columns: dict[str, NDArray[Any]] = {}
        for position, number in enumerate(self.numeric):
            columns[number.name] = number.decode(scores[:, position].astype(np.float64))
        for position, category in enumerate(self.categorical):
            columns[category.name] = category.decode(codes[:, position])
        return rounded(pd.DataFrame(columns), schema)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TableEncoding:
        """The inverse of `to_dict`, also after a way through JSON."""
        return cls(
            [NumericEncoding(**column) for column in plain["numeric"]],
            [CategoryEncoding(**column) for column in plain["categorical"]],
        )
