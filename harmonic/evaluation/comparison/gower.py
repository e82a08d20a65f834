"""Gower's distance (1971), for rows of numbers and categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import FARTHEST, category_codes
from harmonic.tables.table import Column, Table

_BLOCK = 2**22  # distances held at once


@dataclass(frozen=True, slots=True)
class Gower:
    """Gower's distance: the sum of number differences, in units of the training range, and of 1 per other category.

    `low`, `span`: (columns,), smallest value and range of each numeric column; 0 and 1 for other columns.
    """

    columns: tuple[Column, ...]
    low: NDArray[np.float64]
    span: NDArray[np.float64]

    @classmethod
    def fit(cls, train: Table) -> Gower:
        columns = train.schema.columns
        low, span = np.zeros(len(columns)), np.ones(len(columns))
        for place, column in enumerate(columns):
            if column.is_numeric:
                values = train.frame[column.name].to_numpy(dtype=np.float64)
                low[place], span[place] = values.min(), np.ptp(values) or 1.0
        return cls(columns, low, span)

    def nearest(self, targets: pd.DataFrame, rows: pd.DataFrame, places: list[int]) -> NDArray[np.int64]:
        """Position of the row nearest to each target, by the columns at these positions, (targets,)."""
        one, other = self.cells(targets), self.cells(rows)
        found = np.empty(len(targets), dtype=np.int64)
        step = max(_BLOCK // len(rows), 1)
        for start in range(0, len(targets), step):
            block = slice(start, start + step)
            distances = np.zeros((len(found[block]), len(rows)))
            for place in places:
                differences = one[place, block, None] - other[place]
                distances += np.abs(differences) if self.columns[place].is_numeric else differences != 0
            found[block] = distances.argmin(axis=1)
        return found

    def cells(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Scaled numbers and category positions, (columns, rows)."""
        cells = np.empty((len(self.columns), len(frame)))
        for place, column in enumerate(self.columns):
            if column.is_numeric:
                with np.errstate(over="ignore"):  # an overflow is cut off like any other far value
                    scaled = (frame[column.name].to_numpy(dtype=np.float64) - self.low[place]) / self.span[place]
                cells[place] = np.clip(scaled, -FARTHEST, FARTHEST)
            else:
                cells[place] = category_codes(frame, (column,))[:, 0]
        return cells
