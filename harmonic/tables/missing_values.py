"""Imputation: tables without missing values, for generators and metrics that cannot handle them; and the way back.

Most generators and metrics take tables of numbers and categories, without missing values and with a target. So in a
numeric column missing values are replaced by numbers, and a second column says where they were. In a category column
they become one more category. A generator can learn when a value is missing, and a metric sees it. Dates become plain
numbers. A table without a target gets a stand-in; nothing is concluded from predicting it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.randomness import derive
from harmonic.tables.columns import Column, Kind
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task

MISSING, GIVEN = "missing", "given"
_FEW_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Imputation:
    """From a table with missing values to one without, and back.

    `schema` and `imputed`: of the two tables. By column: `fills`, the number that replaces a missing one; `known`, the
    training values; `flags`, the column that says where a number was missing (none if only some columns are imputed);
    `words`, the category that stands for a missing value.
    """

    schema: Schema
    imputed: Schema
    fills: dict[str, float]
    known: dict[str, NDArray[np.float64]]
    flags: dict[str, str]
    words: dict[str, str]

    version: ClassVar[int] = 1
    """Increase it when the same table is imputed in another way."""

    @classmethod
    def of(cls, train: Table, only: Collection[str] | None = None) -> Imputation:
        """Learn the medians from the training rows. `only`: the columns to impute; the others do not change."""
        schema = train.schema
        names = set(schema.names)
        columns: list[Column] = []
        fills: dict[str, float] = {}
        known: dict[str, NDArray[np.float64]] = {}
        words: dict[str, str] = {}
        for column in schema.columns:
            if only is not None and column.name not in only:
                columns.append(column)
            elif column.missing is None:
                columns.append(replace(column, date_format=None))
            elif column.is_numeric:
                values = train.frame[column.name].dropna().to_numpy(np.float64)
                known[column.name] = values if len(values) else np.array([column.minimum])
                fills[column.name] = float(round(float(np.median(known[column.name])), column.decimals))
                columns.append(replace(column, missing=None, date_format=None))
            else:
                words[column.name] = _unused(column.categories)
                columns.append(_with_category(column, words[column.name]))
        flags: dict[str, str] = {}
        for name in fills if only is None else ():
            flags[name] = _unused(names | set(flags.values()), f"{name} {MISSING}")
            columns.append(Column(name=flags[name], kind=Kind.CATEGORY, categories=(GIVEN, MISSING)))
        target, task = schema.target, schema.task
        if not schema.has_target:
            own = columns[: len(schema.columns)]
            target, task = _stand_in([column for column in own if only is None or column.name in only])
        imputed = Schema(columns=tuple(columns), target=target, task=task, description=schema.description)
        return cls(schema, imputed, fills, known, flags, words)

    def reaching(self, schema: Schema) -> Imputation:
        """The same for rows with a wider schema than the training rows have.

        Where no training value of a column is missing, a missing value stays missing: nothing was learnt to replace it.
        """
        columns = [
            replace(column, missing=None, date_format=None)
            if column.name in self.fills
            else _with_category(column, self.words[column.name])
            if column.name in self.words
            else replace(column, date_format=None)
            for column in schema.columns
        ]
        flags = [column for column in self.imputed.columns if column.name in self.flags.values()]
        return replace(self, schema=schema, imputed=replace(self.imputed, columns=(*columns, *flags)))

    @property
    def needed(self) -> bool:
        """Whether imputing changes the schema."""
        return self.imputed != self.schema

    def table(self, table: Table, *, drawn: bool = False) -> Table:
        """The table without missing values; see `frame`."""
        return Table(self.frame(table.frame, drawn=drawn), self.imputed)

    def frame(self, frame: pd.DataFrame, *, drawn: bool = False) -> pd.DataFrame:
        """The rows without missing values; they conform to the schema `imputed`.

        Equal rows stay equal, which metrics that look for copies need. With `drawn`, missing numbers are replaced by
        draws from the training values instead of their median: a generator that learns each column by itself would
        produce the median too often. The same rows in the same order get the same draws.
        """
        draw = np.random.default_rng(derive(0, "missing numbers"))  # whatever the run's seed
        cells: dict[str, Any] = {}
        for column, full in zip(self.schema.columns, self.imputed.columns, strict=False):
            values = frame[column.name]
            if column.missing is not None and full.missing is None:
                gap: Any = self.fills[column.name] if column.is_numeric else self.words[column.name]
                if drawn and column.is_numeric:
                    gap = draw.choice(self.known[column.name], len(values))
                values = values.where(values.notna(), gap)
            cells[column.name] = values.to_numpy(dtype=full.dtype)
        for name, flag in self.flags.items():
            cells[flag] = np.where(frame[name].isna(), MISSING, GIVEN).astype(object)
        return pd.DataFrame(cells, columns=self.imputed.names)

    def restore(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with their missing values again; they conform to `schema`."""
        cells: dict[str, Any] = {}
        for column, full in zip(self.schema.columns, self.imputed.columns, strict=False):
            values = frame[column.name]
            if column.name in self.flags:
                values = values.astype("float64").mask(frame[self.flags[column.name]] == MISSING)
            elif not column.is_numeric and column.missing is not None and full.missing is None:
                values = values.mask(values == self.words[column.name])
            cells[column.name] = values
        return self.schema.conform(pd.DataFrame(cells))

    def splits(self, splits: Splits, *, drawn: bool = False) -> Splits:
        """The splits without missing values; see `frame`."""
        return splits.each(lambda table: self.table(table, drawn=drawn))


def _stand_in(columns: list[Column]) -> tuple[str, Task]:
    """The column to use as target: the last one with few classes, else the last number, else the last column."""
    few = [column for column in columns if 2 <= len(column.categories) <= _FEW_CLASSES]
    chosen = (few or [column for column in columns if column.is_numeric] or columns)[-1]
    if chosen.is_numeric:
        return chosen.name, Task.REGRESSION
    return chosen.name, Task.BINARY if len(chosen.categories) == 2 else Task.MULTICLASS


def _unused(taken: object, word: str = MISSING) -> str:
    while word in taken:  # type: ignore[operator]
        word += "_"
    return word


def _with_category(column: Column, word: str) -> Column:
    return replace(column, missing=None, categories=tuple(sorted({*column.categories, word})))
