"""A table: typed rows and their schema. A Column's values and texts are in harmonic.tables.columns.

The schema gives the dtypes of the frame: int64 for integer columns, float64 for float columns and for integers with
missing values, str (object) for category columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from harmonic.errors import DataError, suggest
from harmonic.tables.columns import Column, InvalidValue, Kind, Value

__all__ = ["Column", "InvalidValue", "Kind", "Schema", "Table", "Task", "Value"]


class Task(StrEnum):
    """What is predicted, in the words of the paper's instruction."""

    BINARY = "binary classification"
    MULTICLASS = "multi classification"
    REGRESSION = "regression"
    NONE = "no label"  # a table without a target: there is nothing to predict

    @property
    def is_classification(self) -> bool:
        return self in (Task.BINARY, Task.MULTICLASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns in order, including the target, and the task.

    `target` is "" if there is none. `description`: what the rows are about, in the words of the instruction.
    """

    columns: tuple[Column, ...]
    target: str
    task: Task
    description: str

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise DataError(f"column names must be unique; more than once: {sorted(twice)}")
        if self.target not in names and self.has_target:
            raise DataError(f"target {self.target!r} is not a column; {suggest(self.target, names)}")

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def has_target(self) -> bool:
        return self.task is not Task.NONE

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def features(self) -> list[Column]:
        """All columns except the target, in order."""
        return [column for column in self.columns if column.name != self.target]

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric columns, including a numeric target."""
        return [column.name for column in self.columns if column.is_numeric]

    @property
    def categorical(self) -> list[str]:
        """Names of the category columns, including a target with classes."""
        return [column.name for column in self.columns if not column.is_numeric]

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with this schema's column order and dtypes. Raises DataError if a column or value does not fit."""
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataError(f"columns missing: {missing}; found: {list(frame.columns)}")
        typed = {column.name: _typed(frame[column.name], column) for column in self.columns}
        return pd.DataFrame(typed, columns=self.names)


def _typed(values: pd.Series, column: Column) -> np.ndarray:
    """The values in the column's dtype. Raises DataError if a value does not fit."""
    gaps = values.isna().to_numpy()
    if gaps.any() and column.missing is None:
        raise DataError(f"column {column.name!r} has a missing value, first in row {int(np.flatnonzero(gaps)[0])}")
    if column.kind is Kind.CATEGORY:
        texts = values.astype(object).map(str, na_action="ignore").astype(object)
        unknown = set(texts[~gaps]) - set(column.categories)
        if unknown:
            raise DataError(f"column {column.name!r}: unknown categories {sorted(unknown)[:5]}")
        return texts.where(~gaps, None).to_numpy(dtype=object)
    try:
        numbers = values.astype("float64")
    except (TypeError, ValueError) as error:
        raise DataError(f"column {column.name!r} is not numeric: {error}") from error
    given = numbers[~gaps]
    if not np.isfinite(given).all():
        raise DataError(f"column {column.name!r} holds an infinite value")
    if column.kind is Kind.INTEGER and not (given == given.round()).all():
        raise DataError(f"column {column.name!r} holds a value that is not an integer")
    if column.dtype == "int64":
        # Not through float64 if possible: that would round big integers.
        exact = pd.api.types.is_integer_dtype(values) or values.dtype == object
        return (values if exact else numbers).astype("int64").to_numpy()
    return numbers.to_numpy()


@dataclass(frozen=True, slots=True)
class Table:
    """Typed rows and their schema. `frame` has a RangeIndex and the schema's columns in order."""

    frame: pd.DataFrame
    schema: Schema

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def features(self) -> pd.DataFrame:
        return self.frame[[column.name for column in self.schema.features]]

    @property
    def target(self) -> pd.Series:
        return self.frame[self.schema.target]

    def texts(self) -> pd.DataFrame:
        """The rows as text, cell by cell, (n, columns) of str."""
        cells = {}
        for column in self.schema.columns:
            written = [column.format(value) for value in self.frame[column.name].tolist()]
            cells[column.name] = np.array(written, dtype=object)
        return pd.DataFrame(cells, columns=self.schema.names)

    def take(self, rows: Any) -> Table:
        """The rows at these positions, renumbered from 0."""
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True))

    def fingerprint(self) -> str:
        """sha256 over schema and values: equal for equal tables from different files."""
        digest = hashlib.sha256(repr(self.schema).encode())
        digest.update(pd.util.hash_pandas_object(self.frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()
