"""How a language model gets values: unchanged, or as codes; numbers and categories are decided separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from harmonic.tables.codes.letters import LetterCodes
from harmonic.tables.codes.quantiles import Quantiles
from harmonic.tables.conditions import Condition, Conditions
from harmonic.tables.table import Schema, Table

Numbers = Literal["text", "quantiles"]
Categories = Literal["text", "letters"]


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """Turns a table into codes, and back."""

    numbers: Quantiles
    categories: LetterCodes

    @classmethod
    def of(cls, train: Table, numbers: Numbers, categories: Categories) -> Coding:
        """Learn the codes from the training rows."""
        schema = train.schema
        binned = Quantiles.of(train) if numbers == "quantiles" else Quantiles.none(schema)
        # The codes of numbers are categories, too, but keep their digits: letters are for the table's own categories.
        lettered = LetterCodes.of(schema) if categories == "letters" else LetterCodes.none(schema)
        return cls(binned, LetterCodes(binned.coded, lettered.letters))

    @property
    def coded(self) -> Schema:
        """The schema of the coded table."""
        return self.categories.coded

    def encode(self, table: Table) -> Table:
        """The table in codes."""
        return self.categories.encode(self.numbers.encode(table))

    def decode(
        self, frame: pd.DataFrame, seed: int, conditions: Conditions | None = None, start: int = 0
    ) -> pd.DataFrame:
        """Coded rows as numbers and categories; numbers are drawn within their bins and within the conditions.

        start: the number of the first row.
        """
        return self.numbers.decode(self.categories.decode(frame), seed, conditions, start)

    def conditions(self, conditions: Conditions) -> dict[str, Condition]:
        """The same conditions on the coded table. Raises ConfigError if no code can satisfy one of them."""
        return self.categories.conditions(self.numbers.conditions(conditions))
