"""Tables without gaps, for methods and measures that know none; and the way back.

Most generators and metrics take complete tables of numbers and categories with a target. A completed table has, for
a numeric column with missing values, other values in their place and a second column that says where they
were; for a category column, one more category. So a generator learns when a value is missing, and a metric sees
whether it did. Dates are plain numbers. A table without a target gets a stand-in; nothing is concluded from
predicting it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.generators.base import Generator, LanguageGenerator, Sample
from harmonic.randomness import derive
from harmonic.tables.columns import Column, Kind
from harmonic.tables.table import Schema, Splits, Table, Task

MISSING, GIVEN = "missing", "given"
_FEW_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Completion:
    """From a schema with gaps to one without.

    `fills`: what stands for a missing number, by column. `known`: the training values of these columns. `flags`: the
    columns that say where one was missing, by column; none where only some columns are completed. `words`: the category
    that stands for a missing one, by column.
    """

    schema: Schema
    complete: Schema
    fills: dict[str, float]
    known: dict[str, NDArray[np.float64]]
    flags: dict[str, str]
    words: dict[str, str]

    version: ClassVar[int] = 1
    """Raised when the same table is completed in another way."""

    @classmethod
    def of(cls, train: Table, only: Collection[str] | None = None) -> Completion:
        """Learn the medians from the training rows. `only`: the columns to complete; the others stay as they are."""
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
        complete = Schema(columns=tuple(columns), target=target, task=task, description=schema.description)
        return cls(schema, complete, fills, known, flags, words)

    def reaching(self, schema: Schema) -> Completion:
        """The same for rows of a schema that allows more than that of the training rows.

        A gap in a column of which no training value is missing stays one: nothing that was learnt stands for it.
        """
        columns = [
            replace(column, missing=None, date_format=None)
            if column.name in self.fills
            else _with_category(column, self.words[column.name])
            if column.name in self.words
            else replace(column, date_format=None)
            for column in schema.columns
        ]
        flags = [column for column in self.complete.columns if column.name in self.flags.values()]
        return replace(self, schema=schema, complete=replace(self.complete, columns=(*columns, *flags)))

    @property
    def needed(self) -> bool:
        """Whether the completed schema is another one."""
        return self.complete != self.schema

    def table(self, table: Table, *, drawn: bool = False) -> Table:
        """The completed table; see `frame`."""
        return Table(self.frame(table.frame, drawn=drawn), self.complete)

    def frame(self, frame: pd.DataFrame, *, drawn: bool = False) -> pd.DataFrame:
        """Completed rows: the frame conforms to the completed schema.

        Equal rows are completed equally, as metrics need that look for copies. With `drawn`, missing numbers are
        drawn from the training values instead of their median (the same rows in the same order alike): a generator
        that learns columns one by one would bring the median too often.
        """
        draw = np.random.default_rng(derive(0, "missing numbers"))  # whatever the run's seed
        cells: dict[str, Any] = {}
        for column, full in zip(self.schema.columns, self.complete.columns, strict=False):
            values = frame[column.name]
            if column.missing is not None and full.missing is None:
                gap: Any = self.fills[column.name] if column.is_numeric else self.words[column.name]
                if drawn and column.is_numeric:
                    gap = draw.choice(self.known[column.name], len(values))
                values = values.where(values.notna(), gap)
            cells[column.name] = values.to_numpy(dtype=full.dtype)
        for name, flag in self.flags.items():
            cells[flag] = np.where(frame[name].isna(), MISSING, GIVEN).astype(object)
        return pd.DataFrame(cells, columns=self.complete.names)

    def restore(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with their gaps again: conform to the schema."""
        cells: dict[str, Any] = {}
        for column, full in zip(self.schema.columns, self.complete.columns, strict=False):
            values = frame[column.name]
            if column.name in self.flags:
                values = values.astype("float64").mask(frame[self.flags[column.name]] == MISSING)
            elif not column.is_numeric and column.missing is not None and full.missing is None:
                values = values.mask(values == self.words[column.name])
            cells[column.name] = values
        return self.schema.conform(pd.DataFrame(cells))

    def splits(self, splits: Splits, *, drawn: bool = False) -> Splits:
        """The completed splits; see `frame`."""
        tables = {name: getattr(splits, name) for name in ("train", "val", "test", "canaries", "decoys", "kept_apart")}
        whole: dict[str, Any] = {
            name: self.table(table, drawn=drawn) for name, table in tables.items() if table is not None
        }
        return replace(splits, **whole)


def _stand_in(columns: list[Column]) -> tuple[str, Task]:
    """A column to take for the target: the last one with few classes, or the last number, or just the last."""
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


class Completed(Generator):
    """A generator that knows no gaps, given completed tables; its rows get their gaps back.

    Offers what the generator itself offers: `completed` makes one.
    """

    def __init__(self, generator: Generator, completion: Completion, whole: Completion) -> None:
        """`completion`: of the training rows; `whole`: the same for rows that hold what no training row has."""
        self.generator, self.completion, self.whole = generator, completion, whole

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        self.generator.prepare(self._given(splits), n, seed=seed, directory=directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        return self.generator.fit(self._given(splits), seed=seed, prepared=prepared, directory=directory)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self.generator.load(self._given(splits), prepared=prepared, directory=directory)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        sample = self.generator.sample(n, seed=seed, directory=directory)
        return Sample(self.completion.restore(sample.frame), sample.validity)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        return self.generator.learnt_rows(rows, seed=seed, prepared=prepared, directory=directory)

    def _given(self, splits: Splits) -> Splits:
        return replace(self.whole.splits(splits), train=self.completion.table(splits.train, drawn=True))


class CompletedLanguage(Completed, LanguageGenerator):
    """The same for a language generator, which also scores rows."""

    generator: LanguageGenerator

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        self.generator.history = self.history
        return super().fit(splits, seed=seed, prepared=prepared, directory=directory)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.generator.nll(self.whole.frame(rows))

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        return self.generator.token_nll(self.whole.frame(rows), base=base)

    def unload(self) -> None:
        self.generator.unload()


def completed(generator: Generator, splits: Splits) -> Generator:
    """The generator, fit for the training rows: itself where it takes gaps, or they have none."""
    completion = Completion.of(splits.train)
    if generator.takes_gaps or not completion.needed:
        return generator
    kind = CompletedLanguage if isinstance(generator, LanguageGenerator) else Completed
    return kind(generator, completion, completion.reaching(splits.whole_schema))
