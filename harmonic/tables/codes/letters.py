"""Categories as single letters, and the way back: A for the first of a column's categories, B for the second.

A letter is one token, where `A101` is four and `critical account` three, so that a row is read, learnt and drawn
sooner. What the words mean is lost: a column stays as it is where its texts are short anyway, or more than there are
letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd

from harmonic.tables.columns import Column, Kind
from harmonic.tables.conditions import Condition, Conditions
from harmonic.tables.table import Schema, Table

SHORT = 2
"""Columns whose texts have so many characters on average, or fewer, stay as they are."""

_LETTERS = ascii_uppercase + ascii_lowercase


@dataclass(frozen=True, slots=True, eq=False)
class LetterCodes:
    """A table with letters in the place of categories, and the way back. letters: of each column, category to letter.

    schema: of the table in words.
    """

    schema: Schema
    letters: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, schema: Schema) -> LetterCodes:
        """Letters for the categories of this schema."""
        found = {column.name: letters_of(column) for column in schema.columns if column.kind is Kind.CATEGORY}
        return cls(schema, {name: letters for name, letters in found.items() if letters})

    @classmethod
    def none(cls, schema: Schema) -> LetterCodes:
        """Categories stay as they are."""
        return cls(schema, {})

    @property
    def coded(self) -> Schema:
        """The schema of the coded table."""
        return self._coded_schema(self.schema)

    def encode(self, table: Table) -> Table:
        """The table with letters; a value that has none, which no training row has, stays as it is."""
        if not self.letters:
            return table
        frame = table.frame.copy()
        for name, letters in self.letters.items():
            frame[name] = _mapped(frame[name], letters)
        return Table(frame, self._coded_schema(table.schema))

    def decode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Coded rows with their categories again."""
        found = frame.copy()
        for name, letters in self.letters.items():
            found[name] = _mapped(frame[name], {letter: category for category, letter in letters.items()})
        return found

    def conditions(self, conditions: Conditions) -> dict[str, Condition]:
        """The same conditions, on the coded table."""
        return {name: self._condition(name, condition) for name, condition in conditions.items()}

    def _condition(self, name: str, condition: Condition) -> Condition:
        letters = self.letters.get(name)
        if letters is None:
            return condition
        values = tuple(None if value is None else letters.get(str(value), value) for value in condition.values)
        return Condition(column=self._coded(self.schema[name]), values=values)

    def _coded_schema(self, schema: Schema) -> Schema:
        return replace(schema, columns=tuple(self._coded(column) for column in schema.columns))

    def _coded(self, column: Column) -> Column:
        letters = self.letters.get(column.name)
        if letters is None:
            return column
        others = (category for category in column.categories if category not in letters)
        return replace(column, categories=(*letters.values(), *others))


def letters_of(column: Column) -> dict[str, str]:
    """A letter for each category; none where texts are short, or more than there are letters."""
    texts = column.categories
    free = [letter for letter in _LETTERS if letter != column.missing]
    if not texts or len(texts) > len(free) or np.mean([len(text) for text in texts]) <= SHORT:
        return {}
    return dict(zip(texts, free, strict=False))


def _mapped(values: pd.Series, names: Mapping[str, str]) -> pd.Series:
    def named(value: Any) -> Any:
        return names.get(value, value)

    return values.map(named).astype(object)
