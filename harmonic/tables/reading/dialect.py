"""How a text file writes a table: what is between cells, around them and above the header, and in which encoding.

harmonic.tables.reading.dialect_search finds it from the bytes. `Dialect.write` writes other rows of the same columns in
the same way.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO

import pandas as pd


class Quoting(StrEnum):
    """Which cells a file puts in quotes, besides those that need them."""

    MINIMAL = "minimal"
    ALL = "all"
    TEXT = "text"  # column names, and the cells of columns that are not all numbers
    GIVEN_TEXT = "given text"  # the same, except missing values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    r"""One way to write a table.

    `encoding` is Python's name. `above`: the lines above the header, with their line ends; `below`: those below it
    that are not rows. `headless`: the columns of a file without a header. `short`: the header lacks the first column.
    `spaced`: a blank follows every delimiter. `quote` is around cells. `escape`: "\" if it is before quotes in a cell,
    "" if such quotes are doubled. `names`: pairs of a column name and the header's name where these differ. `numbers`:
    columns without quotes. `notes`: for the report.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"
    quoting: Quoting = Quoting.MINIMAL
    quote: str = '"'
    escape: str = ""
    above: str = ""
    below: str = ""
    headless: tuple[str, ...] = ()
    short: bool = False
    spaced: bool = False
    names: tuple[tuple[str, str], ...] = ()
    numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def write(self, texts: pd.DataFrame) -> bytes:
        """The file of these cells, (n, columns) of str, with its header."""
        names = dict(self.names)
        header = [names.get(str(name), str(name)) for name in texts.columns]
        numeric = [str(name) in self.numbers for name in texts.columns]
        header = header[self.short :]
        lines = [] if self.headless else [self._line(header, [False] * len(header)), self.below]
        lines += [self._line(cells, numeric) for cells in texts.itertuples(index=False, name=None)]
        return (self.above + "".join(lines)).encode(self.encoding, "xmlcharrefreplace")

    def read(self, data: bytes) -> pd.DataFrame:
        """The cells of a file that `write` wrote, (n, columns) of str, unchanged."""
        rows = self._parsed(data.decode(self.encoding).removeprefix(self.above))
        if self.headless:
            return pd.DataFrame(rows, columns=list(self.headless), dtype=object)
        header, *rows = rows
        header = [""] * self.short + header
        rows = rows[len(self._parsed(self.below)) :]
        own = {old: new for new, old in self.names}
        return pd.DataFrame(rows, columns=[own.get(name, name) for name in header], dtype=object)

    def _parsed(self, text: str) -> list[list[str]]:
        reader = csv.reader(
            StringIO(text, newline=""), delimiter=self.delimiter, skipinitialspace=self.spaced,
            doublequote=not self.escape, escapechar=self.escape or None, quotechar=self.quote,
        )  # fmt: skip
        return [row for row in reader if row]

    def _line(self, cells: Sequence[str], numeric: Sequence[bool]) -> str:
        between = self.delimiter + (" " if self.spaced else "")
        alone = len(cells) == 1
        return between.join(map(self._cell, cells, numeric, [alone] * len(cells))) + self.line_end

    def _cell(self, text: str, numeric: bool, alone: bool) -> str:
        needed = any(mark in text for mark in (self.delimiter, self.quote, "\r", "\n")) or text[:1].isspace()
        wanted = {
            Quoting.MINIMAL: alone and not text,
            Quoting.ALL: True,
            Quoting.TEXT: not numeric,
            Quoting.GIVEN_TEXT: not numeric and text not in ("", "NA"),
        }[self.quoting]
        if not (needed or wanted):
            return text
        quote = self.quote
        escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        return quote + (escaped if self.escape else text.replace(quote, quote * 2)) + quote
