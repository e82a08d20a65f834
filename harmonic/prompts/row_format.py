"""How a row is written in a prompt and read back: the interface, and how a format is found by its name.

A format is one file in harmonic/prompts/row_formats with a subclass of RowFormat; its name there is the value of
`generator.row_format`. All formats write values in the text that `Column.format` gives them.
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
    """One way to write the rows of a schema. Orders are column names, all of them, each once."""

    names_columns: ClassVar[bool]
    """Whether each row names its columns: then the rows of a prompt may have them in different orders."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    @abstractmethod
    def described(self, order: Sequence[str]) -> str:
        """The format in words, to stand behind "I will transmit the data to you in"."""

    @abstractmethod
    def header(self, order: Sequence[str]) -> str:
        """What stands once above rows in a list of rows, its line end included; "" where rows need nothing."""

    @abstractmethod
    def cell(self, name: str, text: str) -> str:
        """A value's text, of the column `name`, as it stands in a row."""

    @abstractmethod
    def joined(self, cells: Sequence[str]) -> str:
        """A row's text from its cells, in order. It has no line break."""

    @abstractmethod
    def parse(self, text: str, order: Sequence[str]) -> dict[str, Value]:
        """The row in an answer's text, columns in the schema's order. Raises InvalidAnswer, whatever the text."""

    @abstractmethod
    def grammar(self, order: Sequence[str], conditions: Conditions | None = None) -> str:
        """The Lark grammar of a row's text, without what ends it, held to the conditions. Its language is finite."""


class RowTexts:
    """Writes many rows of a table, each in an order of its own, fast: every distinct cell is written once."""

    def __init__(self, table: Table, row_format: RowFormat) -> None:
        self._format = row_format
        self.cells = np.empty(table.frame.shape, dtype=object)
        for place, column in enumerate(table.schema.columns):
            values = table.frame[column.name].to_numpy()
            is_float = values.dtype == np.float64
            # Floats are told apart by their bits: 0.0 and -0.0 are equal, but not as texts.
            codes, distinct = pd.factorize(values.view(np.int64) if is_float else values, use_na_sentinel=False)
            distinct = distinct.view(np.float64) if is_float else distinct
            texts = [row_format.cell(column.name, column.format(value)) for value in distinct.tolist()]
            self.cells[:, place] = np.array(texts, dtype=object)[codes]

    def render(self, rows: NDArray[np.int64], orders: NDArray[np.int64] | None = None) -> list[str]:
        """Texts of the rows at these positions (m,); `orders` (m, columns) permutes each one's columns."""
        cells = self.cells[rows] if orders is None else self.cells[rows[:, None], orders]
        return [self._format.joined(row) for row in cells.tolist()]


def row_formats() -> list[str]:
    """The names of all formats: the files in harmonic/prompts/row_formats."""
    from harmonic.prompts import row_formats as folder

    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__))


def find_row_format(name: str, schema: Schema) -> RowFormat:
    """The format of this name. Raises ConfigError for one that is not there."""
    if name not in row_formats():
        raise unknown(KEY, name, "row format", row_formats())
    module = importlib.import_module(f"harmonic.prompts.row_formats.{name}")
    (kind,) = (
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, RowFormat) and found.__module__ == module.__name__
    )
    return kind(schema)
