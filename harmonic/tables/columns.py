"""What a column is, and its values as text, exactly as in the file.

Each column writes and reads its own values (`Column.format`, `Column.parse`). So a row can be written into a prompt or
a file, and read back without a change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from harmonic.tables.spellings.date_formats import format_date, parse_date


class Kind(StrEnum):
    """What values a column holds."""

    INTEGER = "integer"
    FLOAT = "float"
    CATEGORY = "category"


class Style(StrEnum):
    """How the file writes the decimals of a float column."""

    SHORTEST = "shortest"  # like Python: 10.0, 0.25
    PLAIN = "plain"  # no ".0" on whole numbers: 10, 0.25
    FIXED = "fixed"  # always all decimals: 10.00, 0.25
    MONEY = "money"  # all decimals, but none on whole numbers: 10, 0.25, 0.50


Value = int | float | str | None
"""What a cell holds; None is a missing value."""

_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class InvalidValue(ValueError):
    """A text that is not a value of its column; `reason` is a short tag for counting."""

    def __init__(self, reason: str, column: str, text: str) -> None:
        self.reason = reason
        super().__init__(f"column {column!r}: {text!r} is {reason.replace('_', ' ')}")


def format_number(number: float, style: Style, decimals: int) -> str:
    """The text of a number in this style. `decimals`: for styles with zeros at the end."""
    if style is Style.FIXED or (style is Style.MONEY and not float(round(number, decimals)).is_integer()):
        return f"{number:.{decimals}f}"
    if style is Style.MONEY:
        return str(round(number))
    text = str(number)
    return text.removesuffix(".0") if style is Style.PLAIN else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its kind and the values it may take.

    `categories` (category columns): the allowed values, sorted. `minimum` and `maximum` (numeric columns): of the data;
    they are not enforced. `decimals` (float columns): the largest number of decimals in the data; `style`: how they are
    written. `date_format` (integer columns): the numbers are dates in this format. `missing`: the text of a missing
    value; None: no value is missing. In a frame a missing value is NaN in a numeric column, which is then float64, and
    None in a category column.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    minimum: float = float("nan")
    maximum: float = float("nan")
    decimals: int = 0
    style: Style = Style.SHORTEST
    date_format: str | None = None
    missing: str | None = None

    @property
    def is_numeric(self) -> bool:
        return self.kind is not Kind.CATEGORY

    @property
    def is_date(self) -> bool:
        return self.date_format is not None

    @property
    def dtype(self) -> str:
        """The dtype of its values in a frame: int64, float64 or object."""
        if self.kind is Kind.CATEGORY:
            return "object"
        return "int64" if self.kind is Kind.INTEGER and self.missing is None else "float64"

    def format(self, value: Any) -> str:
        """The value's text in prompts and CSV files: '48', '10.0', 'A11', '2024-02-29'."""
        if self.missing is not None and (value is None or value != value):
            return self.missing
        if self.date_format is not None:
            return format_date(int(value), self.date_format)
        if self.kind is Kind.INTEGER:
            return str(int(value))
        if self.kind is Kind.CATEGORY:
            return str(value)
        return format_number(float(value), self.style, self.decimals)

    def parse(self, text: str) -> Value:
        """The value of a text; None is a missing value. Raises InvalidValue with the reason."""
        if self.missing is not None and text == self.missing:
            return None
        if self.kind is Kind.CATEGORY:
            if text not in self.categories:
                raise InvalidValue("unknown_category", self.name, text)
            return text
        text = text.strip()
        if self.date_format is not None:
            try:
                return parse_date(text, self.date_format)
            except ValueError:
                raise InvalidValue("not_a_date", self.name, text) from None
        if self.kind is Kind.INTEGER:
            if not _INTEGER.fullmatch(text) or len(text) > 18:
                raise InvalidValue("not_an_integer", self.name, text)
            return int(text.partition(".")[0])
        if not _NUMBER.fullmatch(text) or not np.isfinite(float(text)):
            raise InvalidValue("not_a_number", self.name, text)
        return round(float(text), self.decimals)

    def accepts(self, text: str) -> bool:
        """Whether the text is one of a value, or of a missing value."""
        try:
            self.parse(text)
        except InvalidValue:
            return False
        return True
