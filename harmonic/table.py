"""What a column is, and rows that keep to it: Column, Schema, Table, Splits.

A Table's frame is typed by its schema: int64 for integer columns, float64 for float columns,
str (object) for category columns. Text is made and read per column (`Column.format`,
`Column.parse`), so that a row survives the way into a prompt and back without change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from harmonic.errors import DataError, suggest


class Kind(StrEnum):
    """What values a column holds."""

    INTEGER = "integer"
    FLOAT = "float"
    CATEGORY = "category"


class Task(StrEnum):
    """What the target column asks for, in the words of the paper's instruction."""

    BINARY = "binary classification"
    MULTICLASS = "multi classification"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        return self is not Task.REGRESSION


_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class InvalidValue(ValueError):
    """A text that is no value of its column; `reason` is a short tag for counting."""

    def __init__(self, reason: str, column: str, text: str) -> None:
        self.reason = reason
        super().__init__(f"column {column!r}: {text!r} is {reason.replace('_', ' ')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its kind and the values it may take.

    `categories` (category columns) are the allowed values, sorted. `minimum` and `maximum`
    (numeric columns) are what the data shows; they are not enforced. `decimals` is the largest
    number of decimal places in the data (float columns).
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    minimum: float = float("nan")
    maximum: float = float("nan")
    decimals: int = 0

    @property
    def is_numeric(self) -> bool:
        return self.kind is not Kind.CATEGORY

    def format(self, value: Any) -> str:
        """The value's text in prompts and CSV: '48', '10.0', 'A11'."""
        if self.kind is Kind.INTEGER:
            return str(int(value))
        if self.kind is Kind.FLOAT:
            return str(float(value))
        return str(value)

    def parse(self, text: str) -> int | float | str:
        """Read a value from its text. Raises InvalidValue with the reason."""
        if self.kind is Kind.CATEGORY:
            if text not in self.categories:
                raise InvalidValue("unknown_category", self.name, text)
            return text
        text = text.strip()
        if self.kind is Kind.INTEGER:
            if not _INTEGER.fullmatch(text) or len(text) > 18:
                raise InvalidValue("not_an_integer", self.name, text)
            return int(text.partition(".")[0])
        if not _NUMBER.fullmatch(text) or not np.isfinite(float(text)):
            raise InvalidValue("not_a_number", self.name, text)
        return round(float(text), self.decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns in order, the target among them, and the task.

    `description` is what the rows are about, in the words of the instruction.
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
        if self.target not in names:
            raise DataError(f"target {self.target!r} is not a column; {suggest(self.target, names)}")

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

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
            Column(**{**column, "kind": Kind(column["kind"]), "categories": tuple(column["categories"])})
            for column in plain["columns"]
        )
        return cls(**{**plain, "columns": columns, "task": Task(plain["task"])})

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with this schema's column order and dtypes. Raises DataError if it cannot be."""
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataError(f"columns missing: {missing}; found: {list(frame.columns)}")
        typed = {}
        for column in self.columns:
            values = frame[column.name]
            if values.isna().any():
                row = int(np.flatnonzero(values.isna().to_numpy())[0])
                raise DataError(f"column {column.name!r} has a missing value, first in row {row}")
            if column.kind is Kind.CATEGORY:
                values = values.astype(str).astype(object)
                unknown = set(values) - set(column.categories)
                if unknown:
                    raise DataError(f"column {column.name!r}: unknown categories {sorted(unknown)[:5]}")
            else:
                try:
                    numbers = values.astype("float64")
                except (TypeError, ValueError) as error:
                    raise DataError(f"column {column.name!r} is not numeric: {error}") from error
                if not np.isfinite(numbers).all():
                    raise DataError(f"column {column.name!r} holds an infinite value")
                if column.kind is Kind.INTEGER:
                    if not (numbers == numbers.round()).all():
                        raise DataError(f"column {column.name!r} holds a value that is no integer")
                    # Straight to int64 where it can be: a detour over float64 would round big integers.
                    exact = pd.api.types.is_integer_dtype(values) or values.dtype == object
                    values = (values if exact else numbers).astype("int64")
                else:
                    values = numbers
            typed[column.name] = values.to_numpy()
        return pd.DataFrame(typed, columns=self.names)


@dataclass(frozen=True, slots=True)
class Table:
    """Typed rows and their schema. `frame` has a RangeIndex and the schema's columns in order."""

    frame: pd.DataFrame
    schema: Schema

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def features(self) -> pd.DataFrame:
        return self.frame.drop(columns=self.schema.target)

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

    Members are `train`; non-members, and the test rows for utility, are `test`. The validation rows
    serve three ends: model selection (all of them), the rows an attacker may hold (`reference`,
    one half) and fresh real rows standing in for a generator (`holdout`, the other half).
    """

    train: Table
    val: Table
    test: Table
    source: str = ""  # where the rows came from, for the report
    notes: tuple[str, ...] = field(default=())  # what was changed on the way in, for the report

    @property
    def schema(self) -> Schema:
        return self.train.schema

    @property
    def reference(self) -> Table:
        return self.val.take(np.sort(self._halves()[0]))

    @property
    def holdout(self) -> Table:
        return self.val.take(np.sort(self._halves()[1]))

    def for_selection(self) -> Splits:
        """The same split with half of the validation rows in the place of the test rows, and half left to validate.

        For choosing settings by a metric: the test rows stay unseen.
        """
        return Splits(self.train, self.holdout, self.reference, self.source, self.notes)

    def _halves(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng(0).permutation(len(self.val))
        return order[: len(order) // 2], order[len(order) // 2 :]

    def fingerprint(self) -> str:
        parts = (self.train.fingerprint(), self.val.fingerprint(), self.test.fingerprint())
        return hashlib.sha256("".join(parts).encode()).hexdigest()
