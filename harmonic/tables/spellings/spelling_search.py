"""How every column of a file writes its numbers, dates and missing values, and the plain texts of them.

The rest of the program knows only plain numbers and dates. The file's spelling is removed when the file is read, and
used again when synthetic rows are written (harmonic.tables.reading.file_layout). The columns of one file are read
together: if a column can be read in two ways, other columns may show which one is right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from harmonic.errors import ConfigError, unknown
from harmonic.shell import override
from harmonic.tables.spellings.clock import ClockSpelling, find_clock
from harmonic.tables.spellings.date_formats import find_format
from harmonic.tables.spellings.date_search import in_one_lifetime, without_constants
from harmonic.tables.spellings.dates import DateSpelling
from harmonic.tables.spellings.numbers import NumberSpelling
from harmonic.tables.spellings.readings import (
    LIKELY_MARKERS,
    Reading,
    looks_thousands,
    proven_decimal,
    proven_order,
    read_column,
)
from harmonic.tables.spellings.spelling import Spelling, fits

ORDERS = {"dayfirst": "day", "monthfirst": "month"}
_EXPONENT_CODE = re.compile(r"\d+[eE]\d+")
_MOST_MARKERS = 5  # different texts for missing values in one column
_LEAST_NUMBERS = 10  # different numbers from which a repeated text among them is not a value
_NAMING = re.compile(r"@|(\d\D{0,2}){5}")  # in texts that may name someone, and not in texts for missing values


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a column is not read as what most of its values are, in words; and the values that are something else."""

    words: str
    odd: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """The columns of a file, without their spelling.

    texts: the plain texts, (n, columns) of str. gaps: the missing values, (n, columns) of bool, including those found
    here. By column: spellings, of those that have one; kinds, of columns that must not be guessed again; doubts, of
    columns that are not read as what most of their values are. notes: for the report.
    """

    texts: pd.DataFrame
    gaps: pd.DataFrame
    spellings: dict[str, Spelling] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What is known of the whole file.

    `decimal`: the mark before decimals. `order`: what comes first in dates, as the user says; `likely`: as other
    columns show. `decided`: whether the user gave the decimal mark. `markers`: whether texts among numbers and dates
    may be missing values.
    """

    decimal: str | None
    order: str | None
    likely: str | None
    decided: bool
    markers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """What was found about one column; `missing`: its texts that stand for missing values."""

    spelling: Spelling | None = None
    missing: tuple[str, ...] = ()
    kind: str | None = None
    doubt: Doubt | None = None
    notes: tuple[str, ...] = ()


def spell(
    texts: pd.DataFrame,
    gaps: pd.DataFrame,
    *,
    kinds: Mapping[str, str],
    decimal: str | None = None,
    dates: str | None = None,
    delimiter: str = ",",
    markers: bool = True,
) -> Spelled:
    """Read every column of a text table as its file means it.

    `gaps` marks the missing values known so far. `kinds` as in dataset.kinds: a category, or a column that is kept
    aside, does not change. `decimal` ("." or ",") and `dates` ("dayfirst" or "monthfirst") decide if a column can be
    read in two ways. `markers`: whether texts among numbers and dates may be missing values. Raises ConfigError if
    `decimal` or `dates` is invalid.
    """
    _check_settings(decimal, dates)
    free = [name for name in texts.columns if kinds.get(name, "float") in ("integer", "float", "date")]
    known = {name: texts.loc[~gaps[name].to_numpy(), name] for name in free}
    order = ORDERS.get(dates or "")
    readings = {name: read_column(known[name], kinds.get(name), decimal, order) for name in free}
    file = _File(
        decimal=decimal or proven_decimal(readings, known) or ("," if delimiter == ";" else None),
        order=order, likely=proven_order(readings), decided=decimal is not None, markers=markers,
    )  # fmt: skip
    found = {name: _column(name, known[name], readings[name], kinds.get(name), file) for name in free}
    cells, gone = {}, gaps.copy()
    for name, column in found.items():
        odd = known[name].isin(column.missing)
        if odd.any():
            gone.loc[known[name].index[odd], name] = True
        if column.spelling is not None:
            values = known[name][~odd]
            whole = texts[name].copy()
            whole[values.index] = values.map({text: column.spelling.read(text) for text in values.unique()})
            cells[name] = whole.to_numpy(dtype=object)
    return Spelled(
        texts=texts.assign(**cells) if cells else texts,
        gaps=gone,
        spellings={name: column.spelling for name, column in found.items() if column.spelling is not None},
        kinds={name: column.kind for name, column in found.items() if column.kind is not None},
        doubts={name: column.doubt for name, column in found.items() if column.doubt is not None},
        notes=tuple(note for column in found.values() for note in column.notes),
    )


def _check_settings(decimal: str | None, dates: str | None) -> None:
    if decimal not in (None, ".", ","):
        fix = f"{override('dataset.decimal', '.')} or {override('dataset.decimal', ',')}"
        raise ConfigError("dataset.decimal", decimal, "must be a point or a comma", fix)
    if dates is not None and dates not in ORDERS:
        raise unknown("dataset.dates", dates, "order", ORDERS)


def _column(name: str, values: pd.Series, reading: Reading, kind: str | None, file: _File) -> _Column:
    """What a column is, from its known values and how they may be read."""
    notes: list[str] = []
    clock = find_clock(str(name), values.unique()) if kind is None and len(values) else None
    if clock is not None:
        reading = Reading(spelling=clock)
    elif reading.other is not None or looks_thousands(values, file.decimal):
        reading = read_column(values, kind, file.decimal, file.order, file.likely)
        if not (file.order if isinstance(reading.spelling, DateSpelling) else file.decided):
            notes += _ambiguity(name, reading, values)
    if reading.spelling is None:
        codes = sorted({text for text in values.unique() if _EXPONENT_CODE.fullmatch(text)})
        if not codes or kind is not None:
            return _Column(notes=tuple(notes))
        note = (
            f"column {name!r} holds codes such as {codes[0]!r}, which are not changed; if they are numbers: "
            f"{override('dataset.kinds', {name: 'float'})}"
        )
        return _Column(kind="category", notes=(*notes, note))
    if reading.odd:
        odd = values[values.isin(reading.odd)]
        if not (file.markers and _are_markers(odd, values)):
            return _Column(doubt=_doubt(reading, values), notes=tuple(notes))
        shown = ", ".join(f"{text!r} {count}" for text, count in odd.value_counts().items())
        notes.append(
            f"column {name!r} holds {shown} among {reading.spelling}: taken for missing values; if they are not: "
            f"{override('dataset.kinds', {name: 'category'})}"
        )
        values = values.drop(odd.index)
    spelling = _settled(reading.spelling, values.unique())
    if spelling.is_plain:
        return _Column(missing=reading.odd, notes=tuple(notes))
    notes += _spelling_notes(name, spelling, values)
    return _Column(spelling=spelling, missing=reading.odd, notes=tuple(notes))


def _are_markers(odd: pd.Series, values: pd.Series) -> bool:
    """Whether the texts that are not numbers stand for missing values: few different ones, which repeat or are usual.

    They may be in most of the rows, if the other rows have many different numbers.
    """
    counts = odd.value_counts()
    rest = values.drop(odd.index).nunique()
    if len(counts) > _MOST_MARKERS or (len(odd) * 2 > len(values) and rest < _LEAST_NUMBERS):
        return False
    return all(
        text in LIKELY_MARKERS or (count > 1 and rest >= _LEAST_NUMBERS and not _NAMING.search(str(text)))
        for text, count in counts.items()
    )


def _settled(spelling: Spelling, distinct: Collection[str]) -> Spelling:
    """The spelling, with what all these values share, and which no other format could be taken for."""
    if not isinstance(spelling, DateSpelling):
        return spelling
    if spelling.is_plain and find_format(list(distinct)) != spelling.form:
        clock = re.search(r"[ T](%-?H.*)", spelling.form)
        day = "%Y-%m-%d" if "d" in spelling.form else "%Y-%m"
        plain = day if clock is None else f"%Y-%m-%d {clock[1].removesuffix('Z').removesuffix('+00:00')}"
        spelling = replace(spelling, plain=plain)
    return without_constants(in_one_lifetime(spelling, distinct), distinct)


# ---- notes


def _ambiguity(name: str, reading: Reading, values: pd.Series) -> list[str]:
    """The note on a column that can be read in two ways."""
    if reading.spelling is None or reading.other is None:
        return []
    first, second = reading.spelling, reading.other
    if first == NumberSpelling():
        return []  # a point before three decimals is a decimal point, unless the file has a decimal comma
    text = next((t for t in values.unique() if fits(first, t) and fits(second, t) and _differ(first, second, t)), None)
    if text is None:
        return []
    if isinstance(first, DateSpelling) and isinstance(second, DateSpelling):
        key = "dataset.dates=" + ("dayfirst" if second.order == "day" else "monthfirst")
        taken, other = (f"{one.moment(text):%d %B %Y}" for one in (first, second))
    else:
        taken, other = first.read(text), second.read(text)
        key = override("dataset.decimal", getattr(second, "decimal", "."))
    return [f"column {name!r}: {text!r} may be {taken} or {other}; it is read as {taken}; if it is the other: {key}"]


def _differ(first: Spelling, second: Spelling, text: str) -> bool:
    if isinstance(first, DateSpelling) and isinstance(second, DateSpelling):
        return first.moment(text) != second.moment(text)
    return first.read(text) != second.read(text)


def _doubt(reading: Reading, values: pd.Series) -> Doubt:
    odd = values[values.isin(reading.odd)].value_counts()
    shown = ", ".join(f"{text!r}" + (f" {count} times" if count > 1 else "") for text, count in odd.head(5).items())
    fitting = values.nunique() - len(odd)
    what = "numbers" if isinstance(reading.spelling, NumberSpelling) and reading.spelling.is_plain else reading.spelling
    words = f"{fitting} of its {values.nunique()} values are {what}, {len(odd)} are not: {shown}"
    return Doubt(words, tuple(map(str, odd.index)))


def _spelling_notes(name: str, spelling: Spelling, values: pd.Series) -> list[str]:
    """What the user should know about how a column is read and written."""
    if isinstance(spelling, ClockSpelling):
        first = values.iloc[0]
        time = "{}:{:02d}".format(*divmod(int(spelling.read(first)), 60))
        fix = override("dataset.kinds", {name: "integer"})
        return [f"column {name!r} is read as times of day ({first} is {time}); if it is not: {fix}"]
    if not isinstance(spelling, DateSpelling):
        return [f"column {name!r} is read as numbers ({spelling}), and written the same way"]
    notes = []
    distinct = values.unique()
    if spelling.loose:
        plain = {text: spelling.read(text) for text in distinct}
        other = sorted(text for text, iso in plain.items() if spelling.write(iso) != text)
        notes.append(
            f"column {name!r}: {len(other)} of {len(plain)} values are written in another way than the rest, such as "
            f"{other[0]!r}; they are read, and written as {spelling.write(plain[other[0]])!r}"
        )
    if "%y" in spelling.form:
        years = [spelling.moment(text).year for text in distinct]
        notes.append(f"column {name!r} has years of two digits, read as {min(years)} to {max(years)}")
    return notes
