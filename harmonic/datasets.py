"""Datasets: what a table is, where its rows come from, and how they are split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.tables.canaries import plant
from harmonic.tables.file_layout import Layout, find_layout
from harmonic.tables.files import (
    download_california,
    download_openml,
    read_csv,
    read_given_splits,
    read_packaged,
    read_parquet,
)
from harmonic.tables.splitting import MIN_HELD_OUT, PARTS, Positions, split_rows
from harmonic.tables.table import Schema, Splits, Table
from harmonic.tables.typing import type_table

SOURCES: dict[str, Callable[[str], pd.DataFrame]] = {
    "packaged": read_packaged,
    "openml": download_openml,
    "scikit-learn": download_california,
}
MISSING_VALUES = ("", "NA", "NaN", "nan", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One table and everything about it that its rows do not say (conf/dataset/<name>.yaml).

    The rows come from `path` if it is given, else from the splits in `data_dir`, else from `source`.
    """

    name: str
    target: str | None = None  # the column to predict; None: there is none
    task: str | None = None  # one of harmonic.tables.table.Task; None infers it from the target
    description: str = "records"  # what the rows are about, in the words of the instruction
    source: str = "file"  # packaged | openml | scikit-learn | file (only `path` or `data_dir`)
    path: str | None = None  # a CSV or Parquet file, split here
    data_dir: str | None = None  # a folder with <name>/raw/<name>_{train,val,test}.csv, taken as they are
    kinds: Mapping[str, str] | None = None  # column: what it is, where inference is not wanted
    labels: Mapping[str, str] | None = None  # class: words for it, in LLM evaluation
    headline: str | None = None  # the score to look at first
    task_sentence: str | None = None  # the task in words, for LLM evaluation
    words: Mapping[str, Mapping[str, str]] | None = None  # column: {value: words for it}, in LLM evaluation
    canaries: Mapping[str, int] | None = None  # {count, repeats}: made-up training rows (harmonic.tables.canaries)
    split: Mapping[str, float] = field(default_factory=lambda: {"train": 0.64, "val": 0.16, "test": 0.2})
    identifiers: str = "new"  # new | drop: what the synthetic file has in the place of identifiers
    free_text: str = "blank"  # blank | drop: and in the place of free text
    missing: str = "error"  # error | drop | keep: what to do about rows with missing values
    missing_values: Sequence[str] = MISSING_VALUES  # texts that stand for a missing value
    delimiter: str = ","
    encoding: str = "utf-8-sig"

    def load(self, seed: int) -> Splits:
        """Read, type and split the table; the same seed gives the same splits, whatever the generator.

        `seed` does not change splits that `data_dir` gives. Raises ConfigError or DataError with the fix.
        """
        texts, given, origin = self._read()
        table, layout, kept, notes = self.typed(texts)
        if given is None:
            classes = table.target.to_numpy() if table.schema.task.is_classification else None
            positions, decided = split_rows(len(table), classes, fractions=self.split, seed=seed)
        else:
            positions, decided = _given_positions(given[kept]), []
        train, val, test = (table.take(rows) for rows in positions)
        _check_learnable(train)
        notes += [*decided, *_unseen_classes(train)]
        splits = Splits(train=train, val=val, test=test, source=origin, notes=tuple(notes), layout=layout)
        return plant(splits, self.canaries, seed)

    def typed(self, texts: pd.DataFrame) -> tuple[Table, Layout, NDArray[np.bool_], list[str]]:
        """What a text table is: its typed rows, the layout of its file, which rows were kept (n,), and notes.

        Raises ConfigError or DataError with the fix.
        """
        kept, gaps, notes = self._find_gaps(texts)
        texts, gaps = texts[kept].reset_index(drop=True), gaps[kept].reset_index(drop=True)
        kinds = self.kinds or {}
        layout, remarks = find_layout(
            texts, gaps, target=self.target, kinds=kinds, identifiers=self.identifiers, free_text=self.free_text
        )
        aside = {column.name for column in layout.asides}
        names = [name for name in layout.names if name not in aside]
        frame, schema, typing = type_table(
            texts[names],
            target=self.target,
            task=self.task,
            kinds={name: kind for name, kind in kinds.items() if name not in aside},
            description=self.description,
            gaps=gaps[names],
        )
        self._check_labels(schema)
        if schema.has_target and not schema.features:
            fix = f"see why above, or set dataset.target=null to learn {self.target!r} alone"
            raise DataError(f"no column but the target is left to learn from: {'; '.join(remarks)}\n  fix: {fix}")
        return Table(frame, schema), layout, kept, [*notes, *remarks, *typing]

    def _read(self) -> tuple[pd.DataFrame, NDArray[np.int64] | None, str]:
        """The whole table as text, each row's part (0 train, 1 val, 2 test) if that is given, and where it is from."""
        if self.path is not None:
            read = (
                read_parquet(self.path) if str(self.path).endswith((".parquet", ".pq")) else self._read_csv(self.path)
            )
            return read, None, f"file {self.path}"
        if self.data_dir is not None:
            frames = read_given_splits(self.data_dir, self.name)
            part = np.repeat(np.arange(len(PARTS)), [len(frame) for frame in frames])
            return pd.concat(frames, ignore_index=True), part, f"given splits in {self.data_dir}/{self.name}/raw"
        if self.source == "file":
            fix = f"dataset.path=<CSV file>, or data_dir=<folder with {self.name}/raw/{self.name}_train.csv ...>"
            raise ConfigError("dataset.path", "null", f"the rows of dataset {self.name} are not included", fix)
        if self.source not in SOURCES:
            raise ConfigError("dataset.source", self.source, "no such source", suggest(self.source, [*SOURCES, "file"]))
        return SOURCES[self.source](self.name), None, f"{self.source} {self.name}"

    def _read_csv(self, path: str) -> pd.DataFrame:
        return read_csv(path, delimiter=self.delimiter, encoding=self.encoding)

    def _find_gaps(self, texts: pd.DataFrame) -> tuple[NDArray[np.bool_], pd.DataFrame, list[str]]:
        """Which rows to keep (n,), where values are missing (n, columns), and notes. Errors as `missing` says."""
        if self.missing not in ("error", "drop", "keep"):
            fix = "error, drop: leave those rows out, or keep: generate missing values, too"
            raise ConfigError("dataset.missing", self.missing, "unknown", fix)
        gaps = texts.isin(list(self.missing_values))
        counts = gaps.sum()
        if self.missing == "keep":
            if self.target is None or self.target not in texts:  # the latter is told later, with the columns' names
                return np.ones(len(texts), bool), gaps, []
            known = ~gaps[self.target].to_numpy()
            lost = int((~known).sum())
            if not known.any():
                raise DataError(f"the target {self.target!r} has no value\n  fix: choose another dataset.target")
            notes = [f"dropped {lost} of {len(texts)} rows without a value of {self.target!r}"] if lost else []
            return known, gaps, notes
        empty = [name for name, count in counts.items() if count == len(texts)]
        if empty:
            raise DataError(
                f"columns without any value: {empty}\n  fix: remove them from the table, or dataset.missing=keep"
            )
        complete = ~gaps.any(axis=1).to_numpy()
        lost = len(texts) - int(complete.sum())
        if not lost:
            return complete, gaps, []
        where = ", ".join(f"{name!r} {count}" for name, count in counts.items() if count)
        if self.missing == "error":
            raise DataError(
                f"missing values in {lost} of {len(texts)} rows: {where}\n"
                "  fix: fill them in, or generate missing values, too: dataset.missing=keep, or leave those rows out: "
                "dataset.missing=drop, or keep the texts as values of their own: dataset.missing_values=[]"
            )
        if lost == len(texts):
            raise DataError(f"every row has a missing value: {where}\n  fix: remove the columns that lack most values")
        return complete, gaps, [f"dropped {lost} of {len(texts)} rows with missing values: {where}"]

    def _check_labels(self, schema: Schema) -> None:
        """The words for the classes must be about the classes that the target has."""
        words = self.labels or {}
        if not schema.has_target:
            return
        classes = set(schema[schema.target].categories)
        if words and {str(value) for value in words} != classes:
            problem = f"the classes of {schema.target!r} are {sorted(classes)[:10]}"
            if not classes:
                problem = f"{schema.target!r} has no classes: the task is {schema.task}"
            fix = "give words for each of them, or none: dataset.labels=null"
            raise ConfigError("dataset.labels", dict(words), problem, fix)


def _given_positions(part: NDArray[np.int64]) -> Positions:
    positions = (np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2))
    for name, rows in zip(PARTS, positions, strict=True):
        if len(rows) < MIN_HELD_OUT:
            raise DataError(f"the given {name} split has {len(rows)} usable rows\n  fix: at least {MIN_HELD_OUT}")
    return positions


def _check_learnable(train: Table) -> None:
    """Every column must have a value in the training rows."""
    empty = [name for name in train.schema.names if not train.frame[name].notna().any()]
    if empty:
        fix = "give more rows, or leave the column out: dataset.kinds={" + empty[0] + ": drop}"
        raise DataError(f"columns without any value in the {len(train)} training rows: {empty}\n  fix: {fix}")


def _unseen_classes(train: Table) -> list[str]:
    if not train.schema.has_target:
        return []
    column = train.schema[train.schema.target]
    unseen = sorted(set(column.categories) - set(train.target))
    return [f"classes of {column.name!r} that no training row has: {unseen}"] if unseen else []
