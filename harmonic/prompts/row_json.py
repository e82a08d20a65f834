"""A row as JSON text, and back: what prompts show, and what answers are read as.

Values are always written as JSON strings, in the text that `Column.format` gives them, and characters
outside ASCII as themselves (shorter for a tokenizer than their escapes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.table import InvalidValue, Schema, Table, Value


class InvalidAnswer(ValueError):
    """An answer that is no row of the schema; `reason` is a short tag for counting.

    Tags: no_json, malformed_json, repeated_column, unknown_column, missing_column, not_text (a value that
    is neither text nor a number), and the reasons of Column.parse (unknown_category, not_an_integer, …).
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")


as_json = json.JSONEncoder(ensure_ascii=False).encode


def row_json(row: Mapping[str, Any], schema: Schema, order: Sequence[str] | None = None) -> str:
    """The row's JSON text, columns in `order` (default: the schema's)."""
    texts = {name: schema[name].format(row[name]) for name in order or schema.names}
    return as_json(texts)


def parse_row(text: str, schema: Schema) -> dict[str, Value]:
    """The row in the first JSON object of `text`, columns in the schema's order.

    What stands before and after the object is ignored; the order of its keys is free. Numbers may stand
    without quotes. Raises InvalidAnswer, and nothing else, whatever the text.
    """
    pairs = _first_object(text)
    names = [name for name, _ in pairs]
    found = dict(pairs)
    columns = {column.name: column for column in schema.columns}
    if len(found) < len(names):
        raise InvalidAnswer("repeated_column", repr(next(name for name in names if names.count(name) > 1)))
    for name in names:
        if name not in columns:
            raise InvalidAnswer("unknown_column", repr(name))
    row: dict[str, Value] = {}
    for name, column in columns.items():
        if name not in found:
            raise InvalidAnswer("missing_column", repr(name))
        if not isinstance(found[name], str):
            raise InvalidAnswer("not_text", f"column {name!r}")
        try:
            row[name] = column.parse(found[name])
        except InvalidValue as error:
            raise InvalidAnswer(error.reason, str(error)) from None
    return row


# Objects become tuples of pairs, so that a repeated key stays visible; numbers keep their own text.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str)


def _first_object(text: str) -> tuple[tuple[str, Any], ...]:
    start = text.find("{")
    if start < 0:
        raise InvalidAnswer("no_json", "no '{' in the answer")
    while start >= 0:
        try:
            return _DECODER.raw_decode(text, start)[0]
        except (ValueError, RecursionError):  # RecursionError: thousands of nested brackets
            start = text.find("{", start + 1)
    raise InvalidAnswer("malformed_json", "no complete JSON object in the answer")


class RowTexts:
    """Renders many rows of a table as `row_json` does, each column order of its own, fast.

    Every distinct `"name": "value"` is written once; a row is then a join.
    """

    def __init__(self, table: Table) -> None:
        self.fragments = np.empty(table.frame.shape, dtype=object)
        for place, column in enumerate(table.schema.columns):
            values = table.frame[column.name].to_numpy()
            is_float = values.dtype == np.float64
            # Floats are told apart by their bits: 0.0 and -0.0 are equal, but not as texts.
            codes, distinct = pd.factorize(values.view(np.int64) if is_float else values, use_na_sentinel=False)
            distinct = distinct.view(np.float64) if is_float else distinct
            texts = [f"{as_json(column.name)}: {as_json(column.format(value))}" for value in distinct.tolist()]
            self.fragments[:, place] = np.array(texts, dtype=object)[codes]

    def render(self, rows: NDArray[np.int64], orders: NDArray[np.int64] | None = None) -> list[str]:
        """JSON texts of the rows at these positions (m,); `orders` (m, columns) permutes each one's columns."""
        cells = self.fragments[rows] if orders is None else self.fragments[rows[:, None], orders]
        return ["{" + ", ".join(row) + "}" for row in cells.tolist()]
