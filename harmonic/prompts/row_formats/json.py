"""A row as a JSON object, {"Age": "48", "Outcome": "1"}: the paper's format. Each row names its columns.

Values are always JSON strings. Characters outside ASCII are not escaped, because that takes fewer tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from harmonic.prompts.row_format import InvalidAnswer, RowFormat
from harmonic.tables.conditions import Conditions
from harmonic.tables.languages import column_language, lark, literal
from harmonic.tables.table import InvalidValue, Value

encode = json.JSONEncoder(ensure_ascii=False).encode

# Objects become tuples of pairs, so that a repeated key is visible; numbers keep their text.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str)


class JsonRows(RowFormat):
    """One JSON object per row; its keys are the columns, in any order."""

    names_columns: ClassVar[bool] = True

    def described(self, order: Sequence[str]) -> str:
        return "JSON format"

    def header(self, order: Sequence[str]) -> str:
        return ""

    def cell(self, name: str, text: str) -> str:
        return f"{encode(name)}: {encode(text)}"

    def joined(self, cells: Sequence[str]) -> str:
        return "{" + ", ".join(cells) + "}"

    def parse(self, text: str, order: Sequence[str] = ()) -> dict[str, Value]:
        """The row in the first JSON object of `text`.

        Text before and after the object is ignored. Its keys may have any order, and numbers need no quotes. Tags of
        InvalidAnswer: no_json, malformed_json, repeated_column, unknown_column, missing_column,
        not_text (neither text nor a number), and the reasons of Column.parse (unknown_category, not_an_integer, ...).
        """
        pairs = _first_object(text)
        names = [name for name, _ in pairs]
        found = dict(pairs)
        columns = {column.name: column for column in self.schema.columns}
        if len(found) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise InvalidAnswer("repeated_column", repr(repeated))
        for name in names:
            if name not in columns:
                raise InvalidAnswer("unknown_column", repr(name))
        row: dict[str, Value] = {}
        for name, column in columns.items():
            if name not in found:
                raise InvalidAnswer("missing_column", column=name)
            if not isinstance(found[name], str):
                raise InvalidAnswer("not_text", column=name)
            try:
                row[name] = column.parse(found[name])
            except InvalidValue as error:
                raise InvalidAnswer(error.reason, str(error), name) from None
        return row

    def grammar(self, order: Sequence[str], conditions: Conditions | None = None) -> str:
        """`"name": "value"` for each column in order."""
        held = conditions or {}
        patterns = [
            f'{literal(encode(name))}: "({column_language(self.schema[name], held.get(name), _inside)})"'
            for name in order
        ]
        return lark('"{"', '", "', '"}"', patterns)


def _inside(text: str) -> str:
    """A text as it is written between the quotes of a JSON string."""
    return encode(text)[1:-1]


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
