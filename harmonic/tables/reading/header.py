"""What is around the rows in a text file: titles above the header, the header, labels below it, lines at the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harmonic.shell import override
from harmonic.tables.column_types.personal_patterns import count_patterns
from harmonic.tables.reading.encodings import unusable
from harmonic.tables.spellings.date_formats import find_format
from harmonic.tables.spellings.readings import LIKELY_MARKERS

DELIMITERS = {  # what may be between cells, and the setting for it
    ",": override("dataset.delimiter", ","),
    ";": override("dataset.delimiter", ";"),
    "\t": override("dataset.delimiter", "tab"),
    "|": override("dataset.delimiter", "|"),
}
UNNAMED = "Unnamed: {}"  # a column without a name, counted from 0: pandas' name for it
NAMELESS = "column_{}"  # a column of a file without a header, counted from 1
_ABOVE = 20  # lines that may be above the header
_NARROW, _WIDE = 2, 4  # cells of a title such as "Account;123", and of a table, so that such a title is not a row of it
_LABELLED = 2  # rows below the header that may hold units, or the header in other words
_LEAST_BODY = 10  # rows that are needed to know
_MOSTLY = 0.9
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")


def lines_of(record: list[str]) -> int:
    """How many lines a record has in the file."""
    return 1 + sum(len(re.findall(r"\r\n|\r|\n", cell)) for cell in record)


def header_place(records: list[list[str]]) -> int:
    """The number of the record that is the header; the records above it are titles, with at most one filled cell."""
    widths = [len(row) for row in records]
    if len(records) < 3 or max(widths) < 2:
        return 0
    width = max(set(widths[1:]), key=widths[1:].count)
    if width < 2:
        return 0
    for place, row in enumerate(records[:_ABOVE]):
        filled = [cell for cell in row if cell.strip()]
        if len(row) <= _NARROW and width >= _WIDE:
            continue  # a title and its value
        comment = row[0].lstrip().startswith("#") and len(row) != width
        if not comment and (len(row) == width and (len(filled) > 1 or (filled and not row[0].strip()))):
            return place
        if len(filled) > 1 and not comment:
            return 0  # this is not a title: the file is odd, and gets its error later
    return 0


def body_of(records: list[list[str]], at: list[int], header: list[str]) -> tuple[list[list[str]], list[int], list[str]]:
    """The rows below the header, the number of each one's last line, and notes on what is left out.

    Left out: lines without any value, lines that repeat the header, and notes below the table.
    """
    kept = [(row, line) for row, line in zip(records, at, strict=True) if any(cell.strip() for cell in row)]
    notes = []
    again = [row for row, _ in kept if [cell.strip() for cell in row] == header]
    if again and len(again) < len(kept):
        notes.append(f"{_lines(len(again))} that repeat the header left out")
        kept = [(row, line) for row, line in kept if row not in again]
    if empty := sum(not any(cell.strip() for cell in row) for row in records):
        notes.append(f"{empty} rows without any value are left out")
    footers = []
    while len(kept) > 1 and len(kept[-1][0]) == 1 and len(header) > 2:
        footers.append(kept.pop()[0][0])
    if footers:
        notes.append(f"{len(footers)} lines below the table are left out: {footers[-1][:40]!r}")
    return [row for row, _ in kept], [line for _, line in kept], notes


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedLines:
    """A file's lines, sorted by what they are.

    `above`, `below`: the texts above and below the header that new files get, too. `top`: the line of the header,
    counted from 0. `columns`: its cells; made up if the file is `headless`. `short`: the header lacks the first
    column, as when R writes row names, and its first cell is empty. `body`: the rows. `places`: the number of each
    one's last line. `notes`: what is left out, and why.
    """

    above: str
    below: str
    short: bool
    top: int
    columns: list[str]
    headless: bool
    body: list[list[str]]
    places: list[int]
    notes: tuple[str, ...]


def sort_lines(
    records: list[list[str]], at: list[int], lines: Sequence[str], start: int, header: bool | None
) -> SortedLines:
    """Find the header among the records. `at`: the line where each ends. `start`: the first line of the records.

    `header`: whether there is one; None: found.
    """
    first = header_place(records) if header is not False else 0
    kept_above, notes = check_titles(records[:first])
    top = at[first] - lines_of(records[first]) if first else start
    columns = [name.strip() for name in records[first]] if records else []
    headless = header is False
    if header is None and len(columns) > 1 and looks_like_a_row(columns, records[first + 1 :]):
        headless = True
        notes.append(
            f"the first line has values, and the columns have no names: they are called {NAMELESS.format(1)!r} to "
            f"{NAMELESS.format(len(columns))!r}; if it is a header: {override('dataset.header', True)}"
        )
    if headless:
        columns = [NAMELESS.format(place + 1) for place in range(len(columns))]
    skipped = first + (not headless)
    body, places, left = body_of(records[skipped:], at[skipped:], columns)
    short = not headless and _has_row_names(columns, body)
    if short:
        columns = ["", *columns]
        left.append("the header lacks the first column, as when R writes row names, and is written like that")
    labels = 0 if headless else labels_below(body)
    if labels:
        shown = ", ".join(cell for cell in body[labels - 1] if cell)
        left.append(f"{_lines(labels)} below the header, without values, kept unchanged: {shown[:40]!r}")
    return SortedLines(
        above="".join(lines[: top if kept_above else start]), top=top, columns=columns, headless=headless, short=short,
        below="".join(lines[at[first] : places[labels - 1]]) if labels else "",
        body=body[labels:], places=places[labels:], notes=(*notes, *left),
    )  # fmt: skip


def check_titles(records: Sequence[list[str]]) -> tuple[bool, list[str]]:
    """Whether the lines above the header may be above new rows, too, and a note on them.

    They may not if they say something about one person, such as an account number.
    """
    if not records:
        return True, []
    count = f"{_lines(len(records))} above the header"
    cells = [cell.strip() for row in records for cell in row]
    words = [word for cell in cells for word in (cell, *re.split(r"[\s:;,()]+", cell)) if word]
    naming = any(len([cell for cell in row if cell.strip()]) > 1 for row in records)
    naming = naming or bool(count_patterns(words)) or any(re.search(r"\d[\d ]{8,}", cell) for cell in cells)
    if naming:
        return False, [f"{count} left out of new files, because they may name someone: {cells[0][:40]!r}"]
    return True, [f"{count} kept unchanged: {records[0][0][:40]!r}"]


def _has_row_names(header: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether every row has one cell more than the header, and the first one is a unique name or a growing number."""
    if len(body) < _LEAST_BODY or any(len(row) != len(header) + 1 for row in body):
        return False
    names = [row[0].strip() for row in body]
    if len(set(names)) < len(names) or not all(names):
        return False
    if not any(map(_NUMBER.fullmatch, names)):
        return True
    return all(map(str.isdecimal, names)) and all(int(low) < int(high) for low, high in pairwise(names))


def _lines(count: int) -> str:
    return f"{count} line{'s' * (count > 1)}"


def looks_like_a_row(header: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether the first line is a row like the others, so that the file has no header.

    It must have a number in every column of numbers, and also a text that comes again in its column, or two decimals
    or dates, or one number twice. Years, and numbers that count the columns, are names of columns.
    """
    if len(body) < _LEAST_BODY or any(len(row) != len(header) for row in body):
        return False
    given = [_without_markers(counts) for counts in _counted(body)]
    numeric = [bool(cells) and all(map(_NUMBER.fullmatch, cells)) for cells in given]
    dated = [bool(cells) and find_format(cells) is not None for cells in given]
    numbers = [cell for cell, is_number in zip(header, numeric, strict=True) if is_number and _NUMBER.fullmatch(cell)]
    if any(not _NUMBER.fullmatch(cell) for cell, is_number in zip(header, numeric, strict=True) if is_number):
        return False
    counted = [str(number) for number in range(len(header) + 1)]
    if all(number in counted or re.fullmatch(r"(19|20)\d\d", number) for number in numbers):
        numbers = []
    moments = [cell for cell, is_date in zip(header, dated, strict=True) if is_date and find_format([cell])]
    recurring = [
        cell for cell, cells, number in zip(header, given, numeric, strict=True)
        if not number and cell and cells[cell] > 1
    ]  # fmt: skip
    fine = moments + [number for number in numbers if re.search("[.,]", number)]
    return bool(numbers or moments) and (bool(recurring) or len(fine) > 1 or len(set(numbers)) < len(numbers))


def labels_below(body: Sequence[Sequence[str]]) -> int:
    """How many rows below the header hold units, or the header in other words, but no values.

    There must be at least two columns of numbers; such a row has no numbers there, and none of its cells comes again in
    its column.
    """
    if len(body) < _LEAST_BODY or any(len(row) != len(body[0]) for row in body):
        return 0
    whole = _counted(body)
    for count in range(_LABELLED, 0, -1):
        labels = [[cell.strip() for cell in row] for row in body[:count]]
        columns = [cells - Counter(own) for cells, own in zip(whole, zip(*labels, strict=True), strict=True)]
        given = [_without_markers(cells) for cells in columns]
        numeric = [
            cells.total() >= _LEAST_BODY - _LABELLED
            and sum(times for cell, times in cells.items() if _NUMBER.fullmatch(cell)) >= _MOSTLY * cells.total()
            for cells in given
        ]
        if sum(numeric) > 1 and all(_labels(row, columns, numeric) for row in labels):
            return count
    return 0


def _counted(body: Sequence[Sequence[str]]) -> list[Counter[str]]:
    """How often each cell is in its column, without surrounding blanks. All rows have the same length."""
    counted = [Counter(row[place] for row in body) for place in range(len(body[0]))]
    found = []
    for cells in counted:
        bare: Counter[str] = Counter()
        for cell, times in cells.items():
            bare[cell.strip()] += times
        found.append(bare)
    return found


def _without_markers(cells: Counter[str]) -> Counter[str]:
    """The cells that are not likely to stand for missing values."""
    return Counter({cell: times for cell, times in cells.items() if cell not in LIKELY_MARKERS})


def _labels(row: Sequence[str], columns: Sequence[Counter[str]], numeric: Sequence[bool]) -> bool:
    over = [cell for cell, is_number in zip(row, numeric, strict=True) if is_number]
    words = [cell for cell in over if cell and cell not in LIKELY_MARKERS and not _NUMBER.fullmatch(cell)]
    seen = any(cell and cell in column for cell, column in zip(row, columns, strict=True))
    return len(words) > 1 and not seen and not any(map(_NUMBER.fullmatch, over))


def checked_header(
    header: list[str], origin: str, text: str, body: list[list[str]]
) -> tuple[list[str], tuple[tuple[str, str], ...], list[str]]:
    """The table's column names, pairs of these and the file's where they differ, and notes."""
    if len(header) < 2:
        first = text.strip().splitlines()[0]
        other = next((words for mark, words in DELIMITERS.items() if mark in first and [first] != header), None)
        if other is None:
            fix = "give a table with a header and at least two columns"
            raise unusable(origin, "the first line names only one column, and one column has nothing to learn", fix)
        raise unusable(origin, "the first line names only one column", other)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise unusable(origin, f"column names must be unique; more than once: {twice}", "rename them in the file")
    names = [name or UNNAMED.format(place) for place, name in enumerate(header)]
    if len(set(names)) < len(names):
        raise unusable(origin, "columns have no name, and the usual names for them are taken", "name every column")
    renamed = tuple((new, old) for new, old in zip(names, header, strict=True) if new != old)
    notes = [f"column {names.index(new) + 1} has no name, and is called {new!r} here" for new, _ in renamed]
    return names, renamed, notes
