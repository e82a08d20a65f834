"""REaLTabFormer's token for each digit and category, written as the library does, and read by the schema.

A processed column is the place of a digit in a number ("0___NUMERIC___c0_02"), or a category ("3___CATEGORICAL___c3").
Each has its own tokens, for the values that training rows have there ("0___NUMERIC___c0_02___7").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.table import Column, InvalidValue, Schema, Table, Value

_SEPARATOR = "___"


def coded(table: Table) -> pd.DataFrame:
    """The table for the library, (n, columns), with columns c0 …, so that nothing depends on their names."""
    return table.frame.rename(columns={name: f"c{place}" for place, name in enumerate(table.schema.names)})


@dataclass(frozen=True)
class RowTokens:
    """Rows to token ids and back.

    processed: the processed columns in order. tokens: {token: id}. allowed: the ids of each processed column.
    transforms: {column: how the library writes its numbers}. A row has `len(processed)` tokens, between start and end.
    """

    processed: list[str]
    tokens: dict[str, int]
    allowed: list[list[int]]
    transforms: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, fitted: Any) -> RowTokens:
        """From a fitted REaLTabFormer."""
        ids = fitted.vocab["column_token_ids"]
        columns = list(fitted.processed_columns)
        return cls(columns, fitted.vocab["token2id"], [ids[name] for name in columns], fitted.col_transform_data)

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for JSON; `RowTokens(**…)` is the inverse."""
        return asdict(self)

    @property
    def start(self) -> int:
        return self.tokens["[BOS]"]

    @property
    def end(self) -> int:
        return self.tokens["[EOS]"]

    @property
    def padding(self) -> int:
        return self.tokens["[PAD]"]

    @property
    def unknown(self) -> int:
        """Stands for values that no training row has at a place. The model has never seen it."""
        return self.tokens["[UNK]"]

    def next(self, written: int) -> list[int]:
        """The ids that may follow `written` ids (with the start): those of the next processed column, or the end."""
        return self.allowed[written - 1] if written <= len(self.processed) else [self.end]

    def encode(self, table: Table) -> list[list[int]]:
        """The ids of each row with the end, without the start: (n,), len(processed) + 1 each.

        A digit or category that no training row has at its place becomes `unknown`. A missing value, or a number with
        more digits than any of its column, becomes `unknown` at all its places.
        """
        columns = []
        for place, column in enumerate(table.schema.columns):
            codes, values = pd.factorize(table.frame[column.name], use_na_sentinel=False)
            written = [self._written(place, column, value) for value in values]
            columns.append([written[code] for code in codes])
        return [[*(token for cell in cells for token in cell), self.end] for cells in zip(*columns, strict=True)]

    def decode(self, ids: Sequence[int], schema: Schema) -> dict[str, Value]:
        """The row of these ids: `len(processed)`, without start and end. Raises InvalidAnswer as Column.parse does."""
        row: dict[str, Value] = {}
        for place, column in enumerate(schema.columns):
            text = "".join(self._texts[ids[position]] for position in self._positions[place])
            try:
                row[column.name] = column.parse(text)
            except InvalidValue as error:
                raise InvalidAnswer(error.reason, column=column.name) from None
        return row

    def _written(self, place: int, column: Column, value: Any) -> list[int]:
        """The ids of one cell."""
        positions = self._positions[place]
        if value is None or value != value:
            return [self.unknown] * len(positions)
        if column.is_numeric:
            transform = self.transforms[f"c{place}"]
            size, text = int(transform["numeric_nparts"]), numeral(value, transform)
            parts = [text[start : start + size] for start in range(0, len(text), size)]
        else:
            parts = [str(value)]
        if len(parts) != len(positions):
            return [self.unknown] * len(positions)
        names = (f"{self.processed[at]}{_SEPARATOR}{part}" for at, part in zip(positions, parts, strict=True))
        return [self.tokens.get(name, self.unknown) for name in names]

    @cached_property
    def _positions(self) -> dict[int, list[int]]:
        """{the column's position in the schema: the positions of its tokens}."""
        found: dict[int, list[int]] = {}
        for position, name in enumerate(self.processed):
            found.setdefault(int(name.partition(_SEPARATOR)[0]), []).append(position)
        return found

    @cached_property
    def _texts(self) -> dict[int, str]:
        """{id: digits or category}."""
        names = {token: name for name, token in self.tokens.items()}
        return {
            token: names[token].removeprefix(f"{column}{_SEPARATOR}")
            for column, ids in zip(self.processed, self.allowed, strict=True)
            for token in ids
        }


def numeral(value: int | float, transform: dict[str, Any]) -> str:
    """The text of a number, as the library's `process_numeric_data` writes it within its training column.

    That function decides from all given numbers whether they are integers, so it would write a few rows of a table in
    another way; it cannot encode single rows.
    """
    if transform["mx_sig"] <= 0:  # a column of integers: leading zeros
        text = str(int(value)) if value == int(value) else _decimal(value, transform)
        text = text.zfill(transform["zfill"])
    else:
        text = _decimal(value, transform)
        text = "0" * (transform["mx_sig"] - text.find(".")) + text
        text = text[: transform["max_len"]].ljust(transform["ljust"], "0")
    return "-" + text.replace("-", "") if "-" in text else text


def _decimal(value: float, transform: dict[str, Any]) -> str:
    return f"{value:.{transform['numeric_precision']}f}".rstrip("0")
