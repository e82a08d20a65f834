"""How a text file writes a table: what stands between cells, around them, above the header, and in which bytes.

Found from the bytes, and written back the same: `read_text` gives the cells and the Dialect, `Dialect.write` gives
bytes that hold other rows of the same columns.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from io import BytesIO, StringIO
from zipfile import ZipFile

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError
from harmonic.shell import override

DELIMITERS = {  # what a header may be split by, as it is typed on the command line
    ",": override("dataset.delimiter", ","),
    ";": override("dataset.delimiter", ";"),
    "\t": override("dataset.delimiter", "tab"),
    "|": override("dataset.delimiter", "|"),
}
UNNAMED = "Unnamed: {}"  # a column without a name, counted from 0, as pandas calls it
_TOTALS = re.compile(r"(?i)(grand )?(total|totals|sum|summe|gesamt|insgesamt|totaal|somme|suma|totale)s?:?")
_SAMPLE = 20_000  # characters that the delimiter is found from
_CHECKED = 300  # records that the way of quoting is found from
_ABOVE = 20  # lines that may stand above the header


class Quoting(StrEnum):
    """Which cells a file puts in quotes, beside those that need them."""

    MINIMAL = "minimal"
    ALL = "all"
    TEXT = "text"  # names, and the cells of columns that are not all numbers
    GIVEN_TEXT = "given text"  # the same, but for missing values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    r"""One way to write a table.

    `encoding` is Python's name. `above`: the lines above the header as they stand, their line ends included. `spaced`:
    a blank follows every delimiter. `escape`: "\" where quotes in a cell are written so, "" where they are doubled.
    `names`: the header as the file has it, where it differs from the table's column names. `notes`: what is said of
    it. `numbers`: columns that quotes leave out.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"
    quoting: Quoting = Quoting.MINIMAL
    escape: str = ""
    above: str = ""
    spaced: bool = False
    names: tuple[tuple[str, str], ...] = ()
    numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def write(self, texts: pd.DataFrame) -> bytes:
        """The file of these cells, (n, columns) of str, with its header."""
        names = dict(self.names)
        header = [names.get(str(name), str(name)) for name in texts.columns]
        numeric = [str(name) in self.numbers for name in texts.columns]
        lines = [self._line(header, [False] * len(header), header=True)]
        lines += [self._line(cells, numeric) for cells in texts.itertuples(index=False, name=None)]
        return (self.above + "".join(lines)).encode(self.encoding, "xmlcharrefreplace")

    def read(self, data: bytes) -> pd.DataFrame:
        """The cells of a file that `write` wrote, (n, columns) of str, as they stand."""
        text = data.decode(self.encoding).removeprefix(self.above)
        reader = csv.reader(
            StringIO(text, newline=""), delimiter=self.delimiter, skipinitialspace=self.spaced,
            doublequote=not self.escape, escapechar=self.escape or None,
        )  # fmt: skip
        header, *rows = [row for row in reader if row]
        own = {old: new for new, old in self.names}
        return pd.DataFrame(rows, columns=[own.get(name, name) for name in header], dtype=object)

    def _line(self, cells: Sequence[str], numeric: Sequence[bool], header: bool = False) -> str:
        between = self.delimiter + (" " if self.spaced else "")
        alone = len(cells) == 1
        return between.join(map(self._cell, cells, numeric, [alone] * len(cells))) + self.line_end

    def _cell(self, text: str, numeric: bool, alone: bool) -> str:
        needed = any(mark in text for mark in (self.delimiter, '"', "\r", "\n")) or text[:1].isspace()
        wanted = {
            Quoting.MINIMAL: alone and not text,
            Quoting.ALL: True,
            Quoting.TEXT: not numeric,
            Quoting.GIVEN_TEXT: not numeric and text not in ("", "NA"),
        }[self.quoting]
        if not (needed or wanted):
            return text
        inner = text.replace("\\", "\\\\").replace('"', '\\"') if self.escape else text.replace('"', '""')
        return f'"{inner}"'


def read_text(
    data: bytes, origin: str, *, delimiter: str | None = None, encoding: str | None = None
) -> tuple[pd.DataFrame, Dialect]:
    """The cells of a text table, (rows, columns) of str, and how the file writes them.

    `delimiter` and `encoding` None: found. `origin` names the file in errors. Raises ConfigError for a delimiter or
    an encoding that cannot be, DataError where the content is no table.
    """
    data, packed = _unpacked(data, origin)
    text, encoding, remarks = _decoded(data, origin, encoding)
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
    records, at = _records(lines, start, mark, escape, origin, delimiter)
    first = _header_place(records)
    if first:
        titles = f"{first} line{'s' * (first > 1)} above the header {'are' if first > 1 else 'is'} kept as they stand"
        notes.append(f"{titles}: {records[0][0][:40]!r}")
    top = at[first] - _lines_of(records[first]) if first else start
    above = "".join(lines[:top])
    header = [name.strip() for name in records[first]] if records else []
    body, places, left = _body(records[first + 1 :], at[first + 1 :], header)
    names, renamed, remarks = _checked_header(header, origin, text, body)
    if body and len(header) > 1:
        total = _is_total(body)
        if total:
            left.append(f"the last row is a total and is left out: {', '.join(cell for cell in body[-1] if cell)!r}")
            body, places = body[:-1], places[:-1]
    for row, line in zip(body, places, strict=True):
        if len(row) != len(header):
            problem = f"line {line} has {len(row)} fields, the header has {len(header)}"
            raise unusable(origin, problem, "quote fields that hold the delimiter; complete the short lines")
    if not body:
        raise unusable(origin, "a header and no rows", "give a table with rows")
    columns = [np.array(_without_blanks(column), dtype=object) for column in zip(*body, strict=True)]
    texts = pd.DataFrame(dict(zip(names, columns, strict=True)))
    dialect = Dialect(
        delimiter=mark, encoding=encoding, line_end=ends, escape=escape, above=above, names=renamed,
        spaced=_is_spaced(lines, records, first, mark), notes=(*notes, *remarks, *left),
    )  # fmt: skip
    return texts, _with_quoting(dialect, texts, "".join(lines[top:]))


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


def unusable(origin: str, problem: str, fix: str) -> DataError:
    """The error of a file whose content is no table."""
    return DataError(f"{origin}: {problem}\n  fix: {fix}")


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


def _unpacked(data: bytes, origin: str) -> tuple[bytes, list[str]]:
    """The bytes inside of a compressed file."""
    plain = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\0": lzma.decompress}
    try:
        for magic, decompress in plain.items():
            if data.startswith(magic):
                return decompress(data), ["the file is compressed; synthetic.csv is not"]
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            import pyarrow as pa

            with pa.CompressedInputStream(BytesIO(data), "zstd") as stream:
                return bytes(stream.read()), ["the file is compressed; synthetic.csv is not"]
        if data.startswith(b"PK\x03\x04"):
            with ZipFile(BytesIO(data)) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if any(name.startswith("xl/") for name in names):
                    fix = "save the sheet as CSV (in Excel: Save as, CSV UTF-8)"
                    raise unusable(origin, "is an Excel workbook, not CSV", fix)
                if len(names) != 1:
                    raise unusable(origin, f"is an archive of {len(names)} files: {names[:5]}", "take the table out")
                return archive.read(names[0]), ["the file is compressed; synthetic.csv is not"]
    except (OSError, EOFError, lzma.LZMAError, ValueError, RuntimeError) as error:
        raise unusable(origin, f"cannot be decompressed: {error}", "decompress it and give the text") from error
    return data, []


def _decoded(data: bytes, origin: str, encoding: str | None) -> tuple[str, str, list[str]]:
    """The text, its encoding, and a note where that is a guess."""
    if not data.strip():
        raise unusable(origin, "is empty", "give a CSV file with a header and rows")
    if encoding is None:
        marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = "utf-16" if marked else "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if b"\0" not in data:
                return _in_windows_text(data, error)
            text = "\0"
        if "\0" not in text:
            return text, encoding, []
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ConfigError("dataset.encoding", encoding, "unknown encoding", "utf-8, latin-1, utf-16 ...") from error
    except UnicodeDecodeError as error:
        if b"\0" not in data:
            byte = f"byte 0x{data[error.start]:02x} at position {error.start}"
            fix = "save it as UTF-8, or name its encoding: dataset.encoding=latin-1"
            raise unusable(origin, f"is not {encoding} text ({byte})", fix) from error
        text = "\0"
    if "\0" in text:
        fix = "export the table as CSV; if it is text in UTF-16: dataset.encoding=utf-16"
        raise unusable(origin, "is a binary file, not CSV", fix)
    marked = encoding.replace("_", "-") == "utf-8-sig" and not data.startswith(b"\xef\xbb\xbf")
    return text, "utf-8" if marked else encoding, []


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


def _in_windows_text(data: bytes, error: UnicodeDecodeError) -> tuple[str, str, list[str]]:
    """Text that is not UTF-8: as Windows writes Western languages, or, beyond its letters, Latin-1."""
    try:
        text, encoding = data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    shown = text[max(0, error.start - 8) : error.start + 8].split("\n")[0].strip()
    wrong = "if that is wrong: dataset.encoding=latin-1, or its own"
    note = f"the file is not UTF-8 and is read as {encoding} ({shown!r}); {wrong}"
    return text, encoding, [note]


def _reader(lines: Iterable[str], mark: str, escape: str) -> csv._reader:  # type: ignore[name-defined]
    return csv.reader(
        lines, delimiter=mark, skipinitialspace=mark != " ", strict=True, doublequote=not escape,
        escapechar=escape or None,
    )  # fmt: skip


def _fails(lines: list[str], mark: str, escape: str) -> bool:
    try:
        for _ in _reader(lines, mark, escape):
            pass
    except (csv.Error, TypeError, ValueError):
        return True
    return False


def _records(
    lines: list[str], start: int, mark: str, escape: str, origin: str, delimiter: str | None
) -> tuple[list[list[str]], list[int]]:
    """The records that hold something, and the number of each one's last line."""
    try:
        reader = _reader(lines[start:], mark, escape)
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


def _lines_of(record: list[str]) -> int:
    """How many lines a record has in the file."""
    return 1 + sum(len(re.findall(r"\r\n|\r|\n", cell)) for cell in record)


def _header_place(records: list[list[str]]) -> int:
    """The number of the record that is the header: those above it are titles, with one cell of many at most."""
    widths = [len(row) for row in records]
    if len(records) < 3 or max(widths) < 2:
        return 0
    width = max(set(widths[1:]), key=widths[1:].count)
    if width < 2:
        return 0
    for place, row in enumerate(records[:_ABOVE]):
        filled = [cell for cell in row if cell.strip()]
        comment = row[0].lstrip().startswith("#") and len(row) != width
        if not comment and (len(row) == width and (len(filled) > 1 or (filled and not row[0].strip()))):
            return place
        if len(filled) > 1 and not comment:
            return 0  # no title: the file is odd, and what is odd is told below
    return 0


def _body(records: list[list[str]], at: list[int], header: list[str]) -> tuple[list[list[str]], list[int], list[str]]:
    """The rows below the header; lines without any value, and notes below the table, are left out."""
    kept = [(row, line) for row, line in zip(records, at, strict=True) if any(cell.strip() for cell in row)]
    notes = []
    if empty := len(records) - len(kept):
        notes.append(f"{empty} rows without any value are left out")
    footers = []
    while len(kept) > 1 and len(kept[-1][0]) == 1 and len(header) > 2:
        footers.append(kept.pop()[0][0])
    if footers:
        notes.append(f"{len(footers)} lines below the table are left out: {footers[-1][:40]!r}")
    return [row for row, _ in kept], [line for _, line in kept], notes


def _is_total(body: list[list[str]]) -> bool:
    """Whether the last row is a sum of the others: it says so, and no other row does."""
    if len(body) < 3 or not any(_TOTALS.fullmatch(cell.strip()) for cell in body[-1]):
        return False
    return not any(_TOTALS.fullmatch(cell.strip()) for row in body[:-1] for cell in row)


def _checked_header(
    header: list[str], origin: str, text: str, body: list[list[str]]
) -> tuple[list[str], tuple[tuple[str, str], ...], list[str]]:
    """The table's column names, pairs of these and the file's where they differ, and notes."""
    if len(header) < 2:
        first = text.strip().splitlines()[0]
        other = next((words for mark, words in DELIMITERS.items() if mark in first and [first] != header), None)
        if other is None:
            fix = "give a table with a header and two columns at least"
            raise unusable(origin, "the first line names one column only, and one column has nothing to learn", fix)
        raise unusable(origin, "the first line names one column only", other)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise unusable(origin, f"column names must be unique; more than once: {twice}", "rename them in the file")
    names = [name or UNNAMED.format(place) for place, name in enumerate(header)]
    if len(set(names)) < len(names):
        raise unusable(origin, "columns have no name, and the names for them are taken", "name every column")
    renamed = tuple((new, old) for new, old in zip(names, header, strict=True) if new != old)
    notes = [f"column {names.index(new) + 1} has no name, and is called {new!r} here" for new, _ in renamed]
    return names, renamed, notes


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


def _is_spaced(lines: list[str], records: list[list[str]], first: int, mark: str) -> bool:
    text = "".join(lines[:_CHECKED])
    split = text.count(mark)
    return mark in ",;|" and split > 0 and text.count(mark + " ") == split and len(records) > first + 1


def _with_quoting(dialect: Dialect, texts: pd.DataFrame, raw: str) -> Dialect:
    """The dialect with the quoting that writes the file's first rows as they stand; the least where none does."""
    some = texts.iloc[:_CHECKED]
    numbers = tuple(str(name) for name in texts.columns if _all_numbers(texts[name]))
    for quoting in Quoting:
        tried = replace(dialect, quoting=quoting, numbers=numbers, above="")
        written = tried.write(some).decode(dialect.encoding)
        if raw.removeprefix("\ufeff").startswith(written.removeprefix("\ufeff").rstrip("\r\n")):
            kept = numbers if quoting in (Quoting.TEXT, Quoting.GIVEN_TEXT) else ()
            return replace(dialect, quoting=quoting, numbers=kept)
    return dialect


def _all_numbers(values: pd.Series) -> bool:
    given = [text for text in values if text not in ("", "NA")]
    return bool(given) and all(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text) for text in given)
