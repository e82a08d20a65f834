"""How a row is written in a prompt and read back: the interface, and how a format is found by its name.

A format is one file in harmonic/prompts/row_formats with a subclass of RowFormat. The name of the file is the value of
`generator.row_format`. All formats write values as `Column.format` does.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import unknown
from harmonic.tables.conditions import Conditions
from harmonic.tables.table import Schema, Table, Value

KEY = "generator.row_format"


class InvalidAnswer(ValueError):
    """An answer that is not a row of the schema.

    reason: a short tag for counting. column: the first column at fault, "" if there is none.
    """

    def __init__(self, reason: str, detail: str = "", column: str = "") -> None:
        self.reason, self.column = reason, column
        super().__init__(f"{reason}: {detail or repr(column)}")


class RowFormat(ABC):
    """One way to write the rows of a schema. An order is a list of all column names."""

    names_columns: ClassVar[bool]
    """Whether each row names its columns. If so, the rows of a prompt may have different orders."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    @abstractmethod
    def described(self, order: Sequence[str]) -> str:
        """The format in words, to continue "I will transmit the data to you in"."""

    @abstractmethod
    def header(self, order: Sequence[str]) -> str:
        """The line above the rows of a list, with its line break; "" if rows need none."""

    @abstractmethod
    def cell(self, name: str, text: str) -> str:
        """The text of a value of the column `name` within a row."""

    @abstractmethod
    def joined(self, cells: Sequence[str]) -> str:
        """The text of a row, from its cells in order, without a line break."""

    @abstractmethod
    def parse(self, text: str, order: Sequence[str]) -> dict[str, Value]:
        """The row in the text of an answer, columns in the schema's order. Raises InvalidAnswer for any other text."""

    @abstractmethod
    def grammar(self, order: Sequence[str], conditions: Conditions | None = None) -> str:
        """The Lark grammar of the rows that satisfy the conditions, without a row's end. Its language is finite."""


class RowTexts:
    """Writes many rows of a table quickly, each in its own order: every distinct cell is written once."""

    def __init__(self, table: Table, row_format: RowFormat) -> None:
        self._format = row_format
        self.cells = np.empty(table.frame.shape, dtype=object)
        for place, column in enumerate(table.schema.columns):
            values = table.frame[column.name].to_numpy()
            is_float = values.dtype == np.float64
            # Floats are compared by their bits: 0.0 and -0.0 are equal, but not as texts.
            codes, distinct = pd.factorize(values.view(np.int64) if is_float else values, use_na_sentinel=False)
            distinct = distinct.view(np.float64) if is_float else distinct
            texts = [row_format.cell(column.name, column.format(value)) for value in distinct.tolist()]
            self.cells[:, place] = np.array(texts, dtype=object)[codes]

    def render(self, rows: NDArray[np.int64], orders: NDArray[np.int64] | None = None) -> list[str]:
        """The texts of the rows at these positions (m,). orders: the order of each row's columns, (m, columns)."""
        cells = self.cells[rows] if orders is None else self.cells[rows[:, None], orders]
        return [self._format.joined(row) for row in cells.tolist()]


def row_formats() -> list[str]:
    """The names of all formats: the files in harmonic/prompts/row_formats."""
    from harmonic.prompts import row_formats as folder

    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__))


def find_row_format(name: str, schema: Schema) -> RowFormat:
    """The format of this name. Raises ConfigError if there is none."""
    if name not in row_formats():
        raise unknown(KEY, name, "row format", row_formats())
    module = importlib.import_module(f"harmonic.prompts.row_formats.{name}")
    (kind,) = (
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, RowFormat) and found.__module__ == module.__name__
    )
    return kind(schema)
