"""How a text file writes a table: what stands between cells, around them, above the header, and in which bytes.

Found from the bytes, and written back the same: `read_text` gives the cells and the Dialect, `Dialect.write` gives
bytes that hold other rows of the same columns.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from io import StringIO
from itertools import product

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError
from harmonic.tables.reading.encodings import decoded, unpacked, unusable
from harmonic.tables.reading.header import DELIMITERS, checked_header, framed

_TOTALS = re.compile(r"(?i)(grand )?(total|totals|sum|summe|gesamt|insgesamt|totaal|somme|suma|totale)s?:?")
_SAMPLE = 20_000  # characters that the delimiter is found from
_CHECKED = 300  # records that the way of quoting is found from


class Quoting(StrEnum):
    """Which cells a file puts in quotes, beside those that need them."""

    MINIMAL = "minimal"
    ALL = "all"
    TEXT = "text"  # names, and the cells of columns that are not all numbers
    GIVEN_TEXT = "given text"  # the same, but for missing values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    r"""One way to write a table.

    `encoding` is Python's name. `above`: the lines above the header as they stand, their line ends included; `below`:
    those below it that are no rows. `headless`: the columns of a file without a header. `short`: its header
    lacks the first column. `spaced`: a blank follows every delimiter. `quote` stands around cells. `escape`: "\" where
    quotes in a cell are written so, "" where they are doubled.
    `names`: the header as the file has it, where it differs from the table's column names. `notes`: what is said of
    it. `numbers`: columns that quotes leave out.
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
        """The cells of a file that `write` wrote, (n, columns) of str, as they stand."""
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


def read_text(
    data: bytes, origin: str, *, delimiter: str | None = None, encoding: str | None = None, header: bool | None = None
) -> tuple[pd.DataFrame, Dialect]:
    """The cells of a text table, (rows, columns) of str, and how the file writes them.

    `delimiter`, `encoding` and `header` (whether there is one) None: found. `origin` names the file in errors. Raises
    ConfigError for a delimiter or an encoding that cannot be, DataError where the content is no table.
    """
    data, packed = unpacked(data, origin)
    text, encoding, remarks = decoded(data, origin, encoding)
    if not text.replace("\ufeff", "").strip():
        raise unusable(origin, "is empty", "give a CSV file with a header and rows")
    notes = [*packed, *remarks]
    if _is_json(text):
        raise unusable(origin, "is JSON, not CSV", "export the table as CSV")
    lines = list(StringIO(text, newline=""))
    ends = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n" if "\n" in text else "\r"
    declared = re.match(r'(?i)"?sep=(.)"?\s*$', lines[0]) if lines else None
    start = 1 if declared else 0
    if delimiter is not None:
        mark = "\t" if delimiter in ("tab", "\\t") else delimiter
    elif declared:
        mark = declared[1]
    else:
        mark, doubt = find_delimiter(text)
        notes += doubt
    escape = "\\" if '\\"' in text and _fails(lines, mark, "") and not _fails(lines, mark, "\\") else ""
    quote = "'" if _in_single_quotes(lines[start], mark) else '"'
    records, at = _records(lines, start, mark, escape, quote, origin, delimiter)
    frame = framed(records, at, lines, start, header)
    columns, body, places = frame.columns, frame.body, frame.places
    left: list[str] = []
    names, renamed, remarks = checked_header(columns, origin, text, body)
    if body and len(columns) > 1:
        total = _is_total(body)
        if total:
            left.append(f"the last row is a total and is left out: {', '.join(cell for cell in body[-1] if cell)!r}")
            body, places = body[:-1], places[:-1]
    for row, line in zip(body, places, strict=True):
        if len(row) != len(columns):
            problem = f"line {line} has {len(row)} fields, the header has {len(columns)}"
            raise unusable(origin, problem, "quote fields that hold the delimiter; complete the short lines")
    if not body:
        raise unusable(origin, "a header and no rows", "give a table with rows")
    cells = [np.array(_without_blanks(column), dtype=object) for column in zip(*body, strict=True)]
    texts = pd.DataFrame(dict(zip(names, cells, strict=True)))
    dialect = Dialect(
        delimiter=mark, encoding=encoding, line_end=ends, escape=escape, above=frame.above, below=frame.below,
        headless=tuple(names) if frame.headless else (), short=frame.short, names=renamed,
        spaced=_is_spaced(lines, records, mark), quote=quote,
        notes=(*notes, *frame.notes, *remarks, *left),
    )  # fmt: skip
    return texts, _with_quoting(dialect, texts, "".join(lines[frame.top :]))


def find_delimiter(text: str) -> tuple[str, list[str]]:
    """What stands between cells, and a note where two readings fit."""
    found = [(score, mark) for mark in DELIMITERS if (score := _consistency(text[:_SAMPLE], mark)) > 0]
    if not found:
        return ",", []
    best = max(score for score, _ in found)
    fitting = [mark for score, mark in found if score == best]
    mark = fitting[-1] if "," in fitting and len(fitting) > 1 else fitting[0]  # a comma also stands in numbers
    if len(fitting) == 1:
        return mark, []
    other = next(candidate for candidate in fitting if candidate != mark)
    return mark, [f"cells may be split by {mark!r} or by {other!r}: {mark!r} is taken; if not: {DELIMITERS[other]}"]


def _consistency(text: str, mark: str) -> float:
    """The share of records that have as many cells as most have, 0 where these are single cells."""
    lines = text.splitlines(keepends=True)
    whole = lines[:-1] if len(text) == _SAMPLE and len(lines) > 1 else lines
    try:
        widths = [len(row) for row in csv.reader(whole, delimiter=mark, skipinitialspace=True) if row]
    except csv.Error:
        return 0.0
    if not widths:
        return 0.0
    wide = [width for width in widths if width > 1]
    if not wide:
        return 0.0
    most = max(set(wide), key=wide.count)
    return wide.count(most) / len(widths)


def _is_json(text: str) -> bool:
    """Whether the text is JSON, or its first line is an object."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    for part in (text.strip().splitlines()[0], text):
        try:
            return isinstance(json.loads(part), dict | list)
        except ValueError:
            continue
    return False


def _in_single_quotes(line: str, mark: str) -> bool:
    """Whether every cell of the header is in single quotes."""
    cells = line.strip().split(mark)
    return len(cells) > 1 and all(re.fullmatch("'[^']*'", cell.strip()) for cell in cells)


def _reader(lines: Iterable[str], mark: str, escape: str, quote: str = '"') -> csv._reader:  # type: ignore[name-defined]
    return csv.reader(
        lines, delimiter=mark, skipinitialspace=mark != " ", strict=True, doublequote=not escape,
        escapechar=escape or None, quotechar=quote,
    )  # fmt: skip


def _fails(lines: list[str], mark: str, escape: str) -> bool:
    try:
        for _ in _reader(lines, mark, escape):
            pass
    except (csv.Error, TypeError, ValueError):
        return True
    return False


def _records(
    lines: list[str], start: int, mark: str, escape: str, quote: str, origin: str, delimiter: str | None
) -> tuple[list[list[str]], list[int]]:
    """The records that hold something, and the number of each one's last line."""
    try:
        reader = _reader(lines[start:], mark, escape, quote)
    except (TypeError, ValueError) as error:
        fix = "give one character, or tab"
        raise ConfigError("dataset.delimiter", repr(delimiter), str(error), fix) from error
    records, at = [], []
    try:
        for row in reader:
            if row:
                records.append(row)
                at.append(reader.line_num + start)
    except csv.Error as error:
        raise unusable(origin, f"line {reader.line_num + start} is not CSV: {error}", "check its quotes") from error
    return records, at


def _is_total(body: list[list[str]]) -> bool:
    """Whether the last row is a sum of the others: it says so, and no other row does."""
    if len(body) < 3 or not any(_TOTALS.fullmatch(cell.strip()) for cell in body[-1]):
        return False
    return not any(_TOTALS.fullmatch(cell.strip()) for row in body[:-1] for cell in row)


def _without_blanks(cells: Sequence[str]) -> list[str]:
    """The cells without surrounding blanks; with them where they tell texts apart."""
    stripped = list(map(str.strip, cells))
    if stripped == list(cells):
        return stripped
    around = {
        (cell.find(text), len(cell) - cell.find(text) - len(text))
        for cell, text in zip(cells, stripped, strict=True)
        if text
    }
    if len(around) < 2 or all(re.fullmatch(r"[^a-zA-Z]*", text) for text in stripped):
        return stripped
    return [cell if text else "" for cell, text in zip(cells, stripped, strict=True)]


def _is_spaced(lines: list[str], records: list[list[str]], mark: str) -> bool:
    text = "".join(lines[:_CHECKED])
    split = text.count(mark)
    return mark in ",;|" and split > 0 and text.count(mark + " ") == split and len(records) > 1


def _with_quoting(dialect: Dialect, texts: pd.DataFrame, raw: str) -> Dialect:
    """The dialect with the quoting that writes the file's first rows as they stand; the least where none does."""
    some = texts.iloc[:_CHECKED]
    numbers = tuple(str(name) for name in texts.columns if _all_numbers(texts[name]))
    without_first = tuple(name for name in numbers if name != str(texts.columns[0]))  # R quotes row names
    for quoting, plain in product(Quoting, dict.fromkeys((numbers, without_first))):
        tried = replace(dialect, quoting=quoting, numbers=plain, above="")
        written = tried.write(some).decode(dialect.encoding)
        if raw.removeprefix("\ufeff").startswith(written.removeprefix("\ufeff").rstrip("\r\n")):
            kept = plain if quoting in (Quoting.TEXT, Quoting.GIVEN_TEXT) else ()
            return replace(dialect, quoting=quoting, numbers=kept)
    return dialect


def _all_numbers(values: pd.Series) -> bool:
    given = [text for text in values if text not in ("", "NA")]
    return bool(given) and all(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text) for text in given)
