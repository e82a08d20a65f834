"""REaLTabFormer's token of each digit and category, written as the library writes it and read back by the schema.

A processed column is a digit's place in a number ("0___NUMERIC___c0_02") or a category ("3___CATEGORICAL___c3"); each
has tokens of its own, the values that the training rows show there ("0___NUMERIC___c0_02___7").
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
    """The table as the library takes it, (n, columns): columns c0 …, so that nothing depends on their names."""
    return table.frame.rename(columns={name: f"c{place}" for place, name in enumerate(table.schema.names)})


@dataclass(frozen=True)
class RowTokens:
    """Rows to token ids and back.

    processed: the processed columns in order. tokens: {token: id}. allowed: each processed column's ids. transforms:
    {column: how the library writes its numbers}. Every row takes `len(processed)` tokens, between start and end.
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
        """Stands for what the training rows do not show at a place. The model never met it."""
        return self.tokens["[UNK]"]

    def next(self, written: int) -> list[int]:
        """The ids that may follow so many, start included: those of the next processed column, then the end."""
        return self.allowed[written - 1] if written <= len(self.processed) else [self.end]

    def encode(self, table: Table) -> list[list[int]]:
        """The ids of each row with the end, without the start: (n,), len(processed) + 1 each.

        A digit or category that no training row has at its place becomes `unknown`; a number with more digits than
        any of its column, and a missing value, `unknown` at all its places.
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
        """{column's place in the schema: where its tokens stand}."""
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
    """A number's text in a column that the library wrote before, as `process_numeric_data` would have written it there.

    That function decides by all numbers that it is given whether they are integers, and so writes a few rows apart
    from their table in another way; it cannot encode rows one by one.
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
