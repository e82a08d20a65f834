"""GReaT's text of a row, "Age is 27.0, Outcome is 0", written and read by the schema.

The columns of a text may have any order; if one comes twice, the first counts, as in be-great. be-great splits a text
at every comma. Here it is read by the schema, so a name or a category may contain commas, or " is ".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.table import Column, InvalidValue, Schema, Table, Value

_COMMA = re.compile(r"\s*,")


def row_texts(table: Table) -> list[str]:
    """The rows' texts, columns in the schema's order: (n,)."""
    names, rows = table.schema.names, table.texts().to_numpy()
    return [", ".join(f"{name} is {cell.strip()}" for name, cell in zip(names, row, strict=True)) for row in rows]


@dataclass(frozen=True)
class RowReader:
    """Reads texts of one schema's rows."""

    schema: Schema

    def read(self, text: str, *, ended: bool) -> dict[str, Value]:
        """The row in `text`, columns in the schema's order. ended: the model itself ended the text.

        Raises InvalidAnswer with the first column at fault and the reason: truncated (the text was cut off within its
        value), missing_column, or a reason of Column.parse (not_a_number, unknown_category, …).
        """
        cells = self._cells(text)
        row: dict[str, Value] = {}
        for column in self.schema.columns:
            if column.name not in cells:
                raise InvalidAnswer("missing_column", column=column.name)
            value, closed = cells[column.name]
            if not (closed or ended):
                raise InvalidAnswer("truncated", column=column.name)
            try:
                row[column.name] = column.parse(self._categories[column.name].get(value, value))
            except InvalidValue as error:
                raise InvalidAnswer(error.reason, column=column.name) from None
        return row

    def is_whole(self, text: str) -> bool:
        """Whether every column has a value with a comma after it, so that further text cannot change the row."""
        cells = self._cells(text)
        return len(cells) == len(self.schema.columns) and all(closed for _, closed in cells.values())

    def _cells(self, text: str) -> dict[str, tuple[str, bool]]:
        """{column: (value, whether a comma follows)} for the columns in `text`."""
        cells: dict[str, tuple[str, bool]] = {}
        start = 0
        while start < len(text) and len(cells) < len(self.schema.columns):
            found = self._name.match(text, start)
            if found:
                value, start, closed = self._value(self.schema[found[1]], text, found.end())
                cells.setdefault(found[1], (value, closed))
            else:
                start = _comma(text, start)
            start += 1
        return cells

    def _value(self, column: Column, text: str, start: int) -> tuple[str, int, bool]:
        """The value that begins at `start`, its end (the next comma, or the text's end), and whether it is closed.

        A comma does not close a category that may still become a longer one.
        """
        categories = self._categories[column.name]
        longer = any(category.startswith(text[start:]) for category in categories)
        for category in categories:  # the longest that fits
            if text.startswith(category, start) and (behind := _COMMA.match(text + ",", start + len(category))):
                end = min(behind.end() - 1, len(text))
                return category, end, end < len(text) and not longer
        end = _comma(text, start)
        return text[start:end].strip(), end, end < len(text)

    @cached_property
    def _name(self) -> re.Pattern[str]:
        """The name of a column with " is " after it; longer names are tried first."""
        names = sorted(self.schema.names, key=len, reverse=True)
        return re.compile(rf"\s*({'|'.join(map(re.escape, names))}) is\s*")

    @cached_property
    def _categories(self) -> dict[str, dict[str, str]]:
        """{column: {written category: category}}, the longest first; be-great strips the texts that it writes."""
        return {
            column.name: {value.strip(): value for value in sorted(column.categories, key=len, reverse=True)}
            for column in self.schema.columns
        }


def _comma(text: str, start: int) -> int:
    """The place of the next comma, or of the text's end."""
    return found if (found := text.find(",", start)) >= 0 else len(text)
