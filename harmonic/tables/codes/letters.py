"""Categories as single letters, and back: A for the first category of a column, B for the second.

A letter is one token; `A101` is four, and `critical account` three. So rows are learnt and drawn faster. The meaning
of the words is lost. A column does not change if its texts are short, or if it has more categories than there are
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
"""Columns whose texts have at most so many characters on average do not change."""

_LETTERS = ascii_uppercase + ascii_lowercase


@dataclass(frozen=True, slots=True, eq=False)
class LetterCodes:
    """Turns categories into letters, and back.

    schema: of the table with categories. letters: by column, the letter of each category.
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
        """No letters: categories do not change."""
        return cls(schema, {})

    @property
    def coded(self) -> Schema:
        """The schema of the coded table."""
        return self._coded_schema(self.schema)

    def encode(self, table: Table) -> Table:
        """The table with letters. A value that no training row has, and that has no letter, does not change."""
        if not self.letters:
            return table
        frame = table.frame.copy()
        for name, letters in self.letters.items():
            frame[name] = _mapped(frame[name], letters)
        return Table(frame, self._coded_schema(table.schema))

    def decode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Coded rows as categories."""
        found = frame.copy()
        for name, letters in self.letters.items():
            found[name] = _mapped(frame[name], {letter: category for category, letter in letters.items()})
        return found

    def conditions(self, conditions: Conditions) -> dict[str, Condition]:
        """The same conditions on the coded table."""
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
    """A letter for each category; none if the texts are short, or if there are more of them than letters."""
    texts = column.categories
    free = [letter for letter in _LETTERS if letter != column.missing]
    if not texts or len(texts) > len(free) or np.mean([len(text) for text in texts]) <= SHORT:
        return {}
    return dict(zip(texts, free, strict=False))


def _mapped(values: pd.Series, names: Mapping[str, str]) -> pd.Series:
    def named(value: Any) -> Any:
        return names.get(value, value)

    return values.map(named).astype(object)
