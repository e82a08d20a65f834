"""Finds how a text file writes a table, and reads its cells."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import StringIO
from itertools import product

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError
from harmonic.tables.reading.dialect import Dialect, Quoting
from harmonic.tables.reading.encodings import decoded, unpacked, unusable
from harmonic.tables.reading.header import DELIMITERS, SortedLines, checked_header, sort_lines

_TOTALS = re.compile(r"(?i)(grand )?(total|totals|sum|summe|gesamt|insgesamt|totaal|somme|suma|totale)s?:?")
_SAMPLE = 20_000  # characters that the delimiter is found from
_CHECKED = 300  # rows that the quoting is found from


def read_text(
    data: bytes, origin: str, *, delimiter: str | None = None, encoding: str | None = None, header: bool | None = None
) -> tuple[pd.DataFrame, Dialect]:
    """The cells of a text table, (rows, columns) of str, and how the file writes them.

    `delimiter`, `encoding` and `header` (whether there is one) are found if they are None. `origin` names the file in
    errors. Raises ConfigError if the delimiter or the encoding is invalid, DataError if the content is not a table.
    """
    data, packed = unpacked(data, origin)
    text, encoding, guessed = decoded(data, origin, encoding)
    if not text.replace("\ufeff", "").strip():
        raise unusable(origin, "is empty", "give a CSV file with a header and rows")
    if _is_json(text):
        raise unusable(origin, "is JSON, not CSV", "export the table as CSV")
    lines = list(StringIO(text, newline=""))
    mark, start, doubts = _delimiter(text, lines, delimiter)
    escape = "\\" if '\\"' in text and _fails(lines, mark, "") and not _fails(lines, mark, "\\") else ""
    quote = "'" if _in_single_quotes(lines[start], mark) else '"'
    records, at = _records(lines, start, mark, escape, quote, origin, delimiter)
    found = sort_lines(records, at, lines, start, header)
    names, renamed, remarks = checked_header(found.columns, origin, text, found.body)
    texts, left = _cells(names, found, origin)
    dialect = Dialect(
        delimiter=mark, encoding=encoding, line_end=_line_end(text), escape=escape, above=found.above,
        below=found.below, headless=tuple(names) if found.headless else (), short=found.short, names=renamed,
        spaced=_is_spaced(lines, records, mark), quote=quote,
        notes=(*packed, *guessed, *doubts, *found.notes, *remarks, *left),
    )  # fmt: skip
    first_rows = lines[found.top : found.places[:_CHECKED][-1]]
    return texts, _with_quoting(dialect, texts, "".join(first_rows))


def _delimiter(text: str, lines: Sequence[str], given: str | None) -> tuple[str, int, list[str]]:
    """What is between cells, how many lines at the start only say so ("sep=;"), and notes. `given`: by the user."""
    declared = re.match(r'(?i)"?sep=(.)"?\s*$', lines[0]) if lines else None
    start = 1 if declared else 0
    if given is not None:
        return "\t" if given in ("tab", "\\t") else given, start, []
    if declared:
        return declared[1], start, []
    mark, doubts = find_delimiter(text)
    return mark, start, doubts


def _line_end(text: str) -> str:
    if text.count("\r\n") * 2 > text.count("\n"):
        return "\r\n"
    return "\n" if "\n" in text else "\r"


def _cells(names: list[str], found: SortedLines, origin: str) -> tuple[pd.DataFrame, list[str]]:
    """The table, without a total below it, and a note on that. Raises DataError if it has no rows, or uneven ones."""
    body, places, notes = found.body, found.places, []
    if body and len(names) > 1 and _is_total(body):
        notes = [f"the last row is a total and is left out: {', '.join(cell for cell in body[-1] if cell)!r}"]
        body, places = body[:-1], places[:-1]
    for row, line in zip(body, places, strict=True):
        if len(row) != len(names):
            problem = f"line {line} has {len(row)} fields, the header has {len(names)}"
            raise unusable(origin, problem, "quote fields that hold the delimiter; complete the short lines")
    if not body:
        raise unusable(origin, "has a header and no rows", "give a table with rows")
    cells = [np.array(_without_blanks(column), dtype=object) for column in zip(*body, strict=True)]
    return pd.DataFrame(dict(zip(names, cells, strict=True))), notes


def find_delimiter(text: str) -> tuple[str, list[str]]:
    """What is between cells, and a note if another reading fits as well."""
    found = [(score, mark) for mark in DELIMITERS if (score := _consistency(text[:_SAMPLE], mark)) > 0]
    if not found:
        return ",", []
    best = max(score for score, _ in found)
    fitting = [mark for score, mark in found if score == best]
    mark = fitting[-1] if "," in fitting and len(fitting) > 1 else fitting[0]  # commas are also in numbers
    if len(fitting) == 1:
        return mark, []
    other = next(candidate for candidate in fitting if candidate != mark)
    return mark, [f"cells may be split by {mark!r} or by {other!r}: {mark!r} is taken; if not: {DELIMITERS[other]}"]


def _consistency(text: str, mark: str) -> float:
    """The share of records that have the most frequent number of cells, of those above one; 0 if none has several."""
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
    """Whether the text, or its first line, is JSON."""
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
    """The records that are not empty, and the number of each one's last line. Equal cells are one object in memory."""
    try:
        reader = _reader(lines[start:], mark, escape, quote)
    except (TypeError, ValueError) as error:
        fix = "give one character, or tab"
        raise ConfigError("dataset.delimiter", repr(delimiter), str(error), fix) from error
    records, at = [], []
    known: dict[str, str] = {}
    same = known.setdefault
    try:
        for row in reader:
            if row:
                records.append([same(cell, cell) for cell in row])
                at.append(reader.line_num + start)
    except csv.Error as error:
        raise unusable(origin, f"line {reader.line_num + start} is not CSV: {error}", "check its quotes") from error
    return records, at


def _is_total(body: list[list[str]]) -> bool:
    """Whether the last row is the sum of the others: it says so, and no other row does."""
    if len(body) < 3 or not any(_TOTALS.fullmatch(cell.strip()) for cell in body[-1]):
        return False
    return not any(_TOTALS.fullmatch(cell.strip()) for row in body[:-1] for cell in row)


def _without_blanks(cells: Sequence[str]) -> list[str]:
    """The cells without surrounding blanks; with them, if blanks make texts differ."""
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
    """The dialect with the quoting that writes the file's first rows as they are; the least quoting if none does."""
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
    given = [text for text in values.unique() if text not in ("", "NA")]
    return bool(given) and all(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text) for text in given)
