r"""A row as its values alone, 48|10.0|1. The columns are named once, in the prompt's header.

It takes a third of the JSON format's tokens on Diabetes. All rows of a prompt have the same order of columns. A bar, a
line break or a backslash inside a value is written as \p, \n, \r or \\, so a row is one line, and a bar ends a value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from harmonic.prompts.row_format import InvalidAnswer, RowFormat
from harmonic.tables.conditions import Conditions
from harmonic.tables.languages import column_language, lark
from harmonic.tables.table import InvalidValue, Value

_ESCAPES = {"\\": "\\\\", "|": "\\p", "\n": "\\n", "\r": "\\r"}
_WRITTEN = str.maketrans(_ESCAPES)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {escaped[1]: text for text, escaped in _ESCAPES.items()}


class CompactRows(RowFormat):
    """Values with bars between them, in the order of the header."""

    names_columns: ClassVar[bool] = False

    def described(self, order: Sequence[str]) -> str:
        return f"lines of values separated by |, in the order {self.header(order).rstrip()}"

    def header(self, order: Sequence[str]) -> str:
        return self.joined([escape(name) for name in order]) + "\n"

    def cell(self, name: str, text: str) -> str:
        return escape(text)

    def joined(self, cells: Sequence[str]) -> str:
        return "|".join(cells)

    def parse(self, text: str, order: Sequence[str]) -> dict[str, Value]:
        """The row in the first line of `text`.

        Tags of InvalidAnswer: number_of_values, unknown_escape, and the reasons of Column.parse.
        """
        cells = text.partition("\n")[0].split("|")
        if len(cells) != len(order):
            raise InvalidAnswer("number_of_values", f"{len(cells)} values for {len(order)} columns")
        found: dict[str, Value] = {}
        for name, cell in zip(order, cells, strict=True):
            try:
                found[name] = self.schema[name].parse(unescape(cell))
            except InvalidValue as error:
                raise InvalidAnswer(error.reason, str(error), name) from None
        return {name: found[name] for name in self.schema.names}

    def grammar(self, order: Sequence[str], conditions: Conditions | None = None) -> str:
        """The values with bars between them."""
        held = conditions or {}
        return lark("", '"|"', "", [column_language(self.schema[name], held.get(name), escape) for name in order])


def escape(text: str) -> str:
    """The text without a bar or a line break."""
    return text.translate(_WRITTEN)


def unescape(text: str) -> str:
    """The inverse of `escape`. Raises InvalidAnswer for any other escape."""

    def meant(found: re.Match[str]) -> str:
        if found[1] not in _MEANT:
            raise InvalidAnswer("unknown_escape", repr(found[0]))
        return _MEANT[found[1]]

    if text.endswith("\\") and (len(text) - len(text.rstrip("\\"))) % 2:
        raise InvalidAnswer("unknown_escape", "a backslash at the end")
    return _ESCAPED.sub(meant, text)
