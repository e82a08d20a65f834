"""A table as numbers, to compute distances: min-max scaled numeric columns, then category codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.table import Table


@dataclass(frozen=True, slots=True)
class Encoding:
    """Fitted on training rows. numeric: {column: (minimum, span)}. categorical: {column: its training values}."""

    numeric: dict[str, tuple[float, float]]
    categorical: dict[str, list[str]]

    @classmethod
    def of(cls, table: Table, *, with_target: bool) -> Encoding:
        """The encoding of the table's features, with or without its target."""
        columns = table.schema.columns if with_target else table.schema.features
        numeric, categorical = {}, {}
        for column in columns:
            values = table.frame[column.name]
            if column.is_numeric:
                span = float(values.max() - values.min())
                numeric[column.name] = (float(values.min()), span or 1.0)  # a constant column stays 0
            else:
                categorical[column.name] = sorted(values.unique())
        return cls(numeric, categorical)

    @property
    def categorical_positions(self) -> list[int]:
        """The positions of the category codes in an encoded row."""
        return list(range(len(self.numeric), len(self.numeric) + len(self.categorical)))

    def encode(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """(n, columns): the numeric columns, in [0, 1] for training rows, then the codes 0 … of the categories."""
        numbers = [(frame[name].to_numpy(np.float64) - low) / span for name, (low, span) in self.numeric.items()]
        codes = [pd.Categorical(frame[name], values).codes for name, values in self.categorical.items()]
        return np.column_stack([*numbers, *codes]).astype(np.float64)

    def decode(self, rows: NDArray[np.float64]) -> pd.DataFrame:
        """The inverse of `encode`; numbers are not rounded."""
        names = [*self.numeric, *self.categorical]
        columns: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {}
        for position, name in enumerate(names):
            values = rows[:, position].astype(np.float64)
            if name in self.numeric:
                low, span = self.numeric[name]
                columns[name] = values * span + low
            else:
                columns[name] = np.array(self.categorical[name], dtype=object)[values.astype(np.int64)]
        return pd.DataFrame(columns)

    def expand(self, weights: dict[str, float]) -> NDArray[np.float64]:
        """The weights of the columns as weights of the numeric columns, then of the one-hot column of each category."""
        numbers = [weights[name] for name in self.numeric]
        hot = [weights[name] for name, values in self.categorical.items() for _ in values]
        return np.array([*numbers, *hot], dtype=np.float64)
