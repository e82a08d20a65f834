"""Rows that keep to a schema: Schema, Table, Splits; a Column's values and texts are in harmonic.tables.columns.

A Table's frame is typed by its schema: int64 for integer columns, float64 for float columns and for integers of
which some are missing, str (object) for category columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harmonic.errors import DataError, suggest
from harmonic.randomness import derive
from harmonic.tables.columns import Column, InvalidValue, Kind, Style, Value

if TYPE_CHECKING:
    from harmonic.tables.grouping import People
    from harmonic.tables.reading.declared import Declared
    from harmonic.tables.reading.file_layout import Layout
    from harmonic.tables.rules.rule_set import Rules

__all__ = ["Column", "InvalidValue", "Kind", "Schema", "Splits", "Table", "Task", "Value"]


class Task(StrEnum):
    """What the target column asks for, in the words of the paper's instruction."""

    BINARY = "binary classification"
    MULTICLASS = "multi classification"
    REGRESSION = "regression"
    NONE = "no label"  # a table without a target: there is nothing to predict

    @property
    def is_classification(self) -> bool:
        return self in (Task.BINARY, Task.MULTICLASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns in order, the target among them, and the task.

    `target` is "" where the task is none. `description` is what the rows are about, in the words of the instruction.
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
        """All columns but the target, in order."""
        return [column for column in self.columns if column.name != self.target]

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric columns, the target among them when it is numeric."""
        return [column.name for column in self.columns if column.is_numeric]

    @property
    def categorical(self) -> list[str]:
        """Names of the category columns, the target among them when it is one."""
        return [column.name for column in self.columns if not column.is_numeric]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Schema:
        """The inverse of `to_dict`, also after a trip through JSON."""
        columns = tuple(
            Column(
                **{
                    **column,
                    "kind": Kind(column["kind"]),
                    "style": Style(column.get("style", "shortest")),
                    "categories": tuple(column["categories"]),
                }
            )
            for column in plain["columns"]
        )
        return cls(**{**plain, "columns": columns, "task": Task(plain["task"])})

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with this schema's column order and dtypes. Raises DataError if it cannot be."""
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataError(f"columns missing: {missing}; found: {list(frame.columns)}")
        typed = {column.name: _typed(frame[column.name], column) for column in self.columns}
        return pd.DataFrame(typed, columns=self.names)


def _typed(values: pd.Series, column: Column) -> np.ndarray:
    """The values in the column's dtype. Raises DataError if they cannot be."""
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
        raise DataError(f"column {column.name!r} holds a value that is no integer")
    if column.dtype == "int64":
        # Straight to int64 where it can be: a detour over float64 would round big integers.
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
        """sha256 over schema and values: equal for equal tables, whatever file they came from."""
        digest = hashlib.sha256(repr(self.schema).encode())
        digest.update(pd.util.hash_pandas_object(self.frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Splits:
    """One table, split once; every generator of a sweep sees the same split.

        table ─┬─ train ──────────── generators learn from them; fidelity compares with them; those that were learnt are
               │                     the members of attacks
               ├─ val ─┬─ reference  learners' settings are chosen on them (mle); attackers hold them
               │       └─ holdout ── nothing but the anchor `holdout`: fresh real rows in the place of synthetic ones
               └─ test ───────────── learners are tested on them; the non-members of attacks

        evaluate_on=validation, to choose settings by a metric (`for_selection`):

        reference ─┬─ two thirds ─── take the place of test
                   └─ one third ──── takes the place of reference; test and holdout stay unseen

    Small tables set the halves: more parts would leave fewer rows than choosing and testing take. Learners' settings
    and attackers may share rows, since neither result goes into the other.
    """

    train: Table
    val: Table
    test: Table
    source: str = ""  # where the rows came from, for the report
    notes: tuple[str, ...] = field(default=())  # what was changed on the way in, for the report
    layout: Layout | None = None  # of the file they came from; None: its columns are the table's
    canaries: Table | None = None  # made-up rows that stand behind the real ones in `train` (harmonic.tables.canaries)
    decoys: Table | None = None  # such rows that stand nowhere
    planted: np.ndarray | None = None  # positions of the canaries that the generator learnt; None: all
    learnt: np.ndarray | None = None  # positions of the training rows that the generator really used; None: all
    kept_apart: Table | None = None  # the holdout rows, where `val` is without them
    people: People | None = None  # whose the rows are, where someone has several (harmonic.tables.grouping)
    rules: Rules | None = None  # what holds in every row, and is to hold in new ones (harmonic.tables.rules.rule)
    declared: Declared | None = None  # what the user, or the file's form, says of the columns; None: nothing

    @property
    def schema(self) -> Schema:
        """The training rows' schema: that of all rows, but in the splits that generators are given.

        See harmonic.tables.training_view.
        """
        return self.train.schema

    @property
    def whole_schema(self) -> Schema:
        """The schema of all rows: it allows what only held-out rows have."""
        return self.val.schema

    @property
    def members(self) -> Table:
        """The training rows that the generator learnt, or was shown: an attacker can find no trace of the others."""
        return self.train if self.learnt is None else self.train.take(self.learnt)

    @property
    def learnt_canaries(self) -> Table | None:
        """The canaries that the generator learnt."""
        return self.canaries if self.canaries is None or self.planted is None else self.canaries.take(self.planted)

    @property
    def reference(self) -> Table:
        return self.val if self.kept_apart is not None else _parted(self.val, len(self.val) // 2, "reference")[0]

    @property
    def holdout(self) -> Table:
        if self.kept_apart is not None:
            return self.kept_apart
        return _parted(self.val, len(self.val) // 2, "reference")[1]

    def for_selection(self) -> Splits:
        """The same split with two thirds of the reference rows in the place of the test rows, and one third left.

        For choosing settings by a metric: the test rows stay unseen, and so do those of `holdout`.
        """
        reference = self.reference
        val, test = _parted(reference, len(reference) // 3, "selection")
        return replace(self, val=val, test=test, kept_apart=self.holdout)

    def fingerprint(self) -> str:
        """sha256 over the rows and the layout of their file: equal for equal files, split alike."""
        layout = "" if self.layout is None else self.layout.fingerprint()
        return hashlib.sha256((self.rows_fingerprint() + layout).encode()).hexdigest()

    def rows_fingerprint(self) -> str:
        """sha256 over the rows of every part, all that generators and measures see of the file."""
        tables = (self.train, self.val, self.test, self.reference, self.holdout, self.canaries, self.decoys)
        parts = ["" if table is None else table.fingerprint() for table in tables]
        if self.rules is not None and self.rules.rules:
            parts.append(repr(self.rules.rules))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _parted(table: Table, size: int, name: str) -> tuple[Table, Table]:
    """So many of the rows, and the others, in the table's order; the same ones for any seed of a run."""
    order = np.random.default_rng(derive(0, name)).permutation(len(table))
    return table.take(np.sort(order[:size])), table.take(np.sort(order[size:]))
