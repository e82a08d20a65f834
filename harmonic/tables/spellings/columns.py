"""How every column of a file spells its numbers, dates and missing values, and the plain texts behind them.

The rest of the program knows plain numbers and dates only; the file's own spelling is taken off when it is read and
put on again when synthetic rows are written (harmonic.tables.reading.file_layout). Columns of one file are read
together: a column that can be read in two ways is read as the others prove.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from harmonic.errors import ConfigError, suggest
from harmonic.shell import override
from harmonic.tables.spellings.clock import ClockSpelling, find_clock
from harmonic.tables.spellings.date_formats import find_format
from harmonic.tables.spellings.dates import (
    DateSpelling,
    DurationSpelling,
    find_dates,
    find_durations,
    in_one_lifetime,
    without_constants,
)
from harmonic.tables.spellings.numbers import NumberSpelling, decimal_mark, find_numbers

Spelling = NumberSpelling | DateSpelling | DurationSpelling | ClockSpelling

ORDERS = {"dayfirst": "day", "monthfirst": "month"}
LIKELY_MARKERS = frozenset(
    "? - -- --- . .. * / \\ n/a N/A n.a. N.A. #N/A #NA <NA> NULL Null null None none nil NIL (null) \\N unknown "
    "Unknown UNKNOWN unk UNK missing Missing MISSING k.A. k. A. NaN nan NAN #VALUE! #DIV/0! #REF! #NULL! #NAME? NA na "
    "(X) (D) (S) ** : … x X • – — ND nd n.d. k.W. n/v nv none. 0000-00-00 00.00.0000 00/00/0000".split()
) | {""}
_PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_EXPONENT_CODE = re.compile(r"\d+[eE]\d+")
_THREE_DECIMALS = re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+")
_MOST_MARKERS = 5  # different texts for missing values in one column
_LEAST_NUMBERS = 10  # different numbers from which a repeated text among them is no value
_NAMING = re.compile(r"@|(\d\D{0,2}){5}")  # what a text that may name someone has, and one for a missing value has not
_COMPACT_DATES = 3  # different texts of digits from which all being dates is no chance


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a column is not read as what most of its values are, in words, and the values that are something else."""

    words: str
    odd: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """What was found in a file.

    texts: the plain texts, (n, columns) of str. gaps: (n, columns) of bool, with those found here. spellings: of the
    columns that have one. kinds: of columns that must not be guessed again. doubts: by column, why it is not read as
    what most of its values are, and the values that are something else. notes: for the report.
    """

    texts: pd.DataFrame
    gaps: pd.DataFrame
    spellings: dict[str, Spelling] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """One column's reading: the spelling, another one that fits as well, and the values that fit neither."""

    spelling: Spelling | None = None
    other: Spelling | None = None
    odd: tuple[str, ...] = ()


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

    `gaps` marks the missing values known so far. `kinds` as in dataset.kinds: a category, or a column kept aside, is
    left as it stands. `decimal` ("." or ",") and `dates` ("dayfirst" or "monthfirst") decide where two readings fit.
    `markers`: whether texts among numbers and dates may be missing values. Raises ConfigError for other settings.
    """
    if decimal not in (None, ".", ","):
        fix = f"{override('dataset.decimal', '.')} or {override('dataset.decimal', ',')}"
        raise ConfigError("dataset.decimal", decimal, "is no decimal mark", fix)
    if dates is not None and dates not in ORDERS:
        raise ConfigError("dataset.dates", dates, "is no order", suggest(str(dates), ORDERS))
    free = [name for name in texts.columns if kinds.get(name, "float") in ("integer", "float", "date")]
    known = {name: texts.loc[~gaps[name].to_numpy(), name] for name in free}
    order = ORDERS.get(dates or "")
    decided_marks, decided_orders = decimal is not None, order is not None
    readings = {name: _read(known[name], kinds.get(name), decimal, order) for name in free}
    if decimal is None:
        decimal = _proven_decimal(readings, known) or ("," if delimiter == ";" else None)
    likely = _proven_order(readings)
    cells, gone = {}, gaps.copy()
    spellings: dict[str, Spelling] = {}
    decided: dict[str, str] = {}
    doubts: dict[str, Doubt] = {}
    notes: list[str] = []
    for name in free:
        values = known[name]
        reading = readings[name]
        clock = find_clock(str(name), values.unique()) if name not in kinds and len(values) else None
        if clock is not None:
            reading = _Reading(spelling=clock)
        elif reading.other is not None or _looks_thousands(values, decimal):
            reading = _read(values, kinds.get(name), decimal, order, likely)
            settled = decided_orders if isinstance(reading.spelling, DateSpelling) else decided_marks
            if reading.spelling is not None and not settled:
                notes += _ambiguity(name, reading, values)
        codes = sorted({text for text in values.unique() if _EXPONENT_CODE.fullmatch(text)})
        if codes and name not in kinds and reading.spelling is None:
            decided[name] = "category"
            notes.append(
                f"column {name!r} holds codes such as {codes[0]!r}, which stay as they are written; "
                f"if they are numbers: {override('dataset.kinds', {name: 'float'})}"
            )
            continue
        if reading.spelling is None:
            continue
        if reading.odd:
            odd = values[values.isin(reading.odd)]
            if markers and _are_markers(odd, values):
                gone.loc[odd.index, name] = True
                shown = ", ".join(f"{text!r} {count}" for text, count in odd.value_counts().items())
                notes.append(
                    f"column {name!r} holds {shown} among {reading.spelling}: taken for missing values; if they are "
                    f"not: {override('dataset.kinds', {name: 'category'})}"
                )
                values = values.drop(odd.index)
            else:
                doubts[name] = _doubt(reading, values)
                continue
        spelling = _told_apart(reading.spelling, values.unique())
        if isinstance(spelling, DateSpelling):
            spelling = without_constants(in_one_lifetime(spelling, values.unique()), values.unique())
        if not isinstance(spelling, NumberSpelling) or not spelling.is_plain:
            if spelling.is_plain:
                continue
            spellings[name] = spelling
            plain = {text: spelling.read(text) for text in values.unique()}
            column = texts[name].copy()
            column[values.index] = values.map(plain)
            cells[name] = column.to_numpy(dtype=object)
            if isinstance(spelling, DateSpelling) and spelling.loose:
                other = sorted(text for text, iso in plain.items() if spelling.write(iso) != text)
                notes.append(
                    f"column {name!r}: {len(other)} of {len(plain)} values are written otherwise than the rest, such "
                    f"as {other[0]!r}; they are read, and written as {spelling.write(plain[other[0]])!r}"
                )
            if isinstance(spelling, DateSpelling) and "%y" in spelling.form:
                ends = [spelling.moment(text).year for text in values.unique()]
                notes.append(f"column {name!r} has years of two digits, read as {min(ends)} to {max(ends)}")
            if isinstance(spelling, ClockSpelling):
                first = values.iloc[0]
                notes.append(
                    f"column {name!r} is read as times of day ({first} is {_clock(plain[first])}) and written alike; "
                    f"if they are numbers: {override('dataset.kinds', {name: 'integer'})}"
                )
            elif not isinstance(spelling, DateSpelling):
                notes.append(f"column {name!r} is read as numbers ({spelling}) and written alike")
    plain_texts = texts.assign(**cells) if cells else texts
    return Spelled(texts=plain_texts, gaps=gone, spellings=spellings, kinds=decided, doubts=doubts, notes=tuple(notes))


def _read(
    values: pd.Series, kind: str | None, decimal: str | None, order: str | None, likely: str | None = None
) -> _Reading:
    """The reading that fits most of a column's values."""
    distinct = values.unique()
    if not len(distinct):
        return _Reading()
    if kind != "date" and all(map(_PLAIN.fullmatch, distinct)) and not _looks_thousands(values, decimal):
        whole = [text for text in distinct if text.isdigit() and len(text) in (6, 8, 14)]
        if len(whole) < len(distinct) or len(distinct) < _COMPACT_DATES or kind is not None:
            return _Reading(spelling=NumberSpelling())
    found: list[tuple[Spelling, Spelling | None]] = []
    if kind in (None, "date"):
        date, other = find_dates(distinct, order, likely=likely, digits=kind == "date")
        if date is not None and (kind is not None or _is_evident(date, distinct)):
            found.append((date, other))
    if kind != "date":
        duration = find_durations(distinct)
        if duration is not None:
            found.append((duration, None))
        number, another_number = find_numbers(distinct, decimal)
        if number is not None:
            found.append((number, another_number))
    best: Spelling | None = None
    second: Spelling | None = None
    least = len(distinct) + 1
    for spelling, another in found:
        odd = [text for text in distinct if not fits(spelling, text)]
        if len(odd) < least:
            best, second, least = spelling, another, len(odd)
    if best is None:
        return _Reading()
    return _Reading(best, second, tuple(text for text in distinct if not fits(best, text)))


def fits(spelling: Spelling, text: str) -> bool:
    """Whether a text is written so."""
    try:
        spelling.read(text)
    except (ValueError, ArithmeticError):
        return False
    return True


def _is_evident(spelling: DateSpelling, distinct: Collection[str]) -> bool:
    """Whether dates are no chance: digits alone must all be dates, and some of them different."""
    if re.search("[^%a-zA-Z]", re.sub("%-?[a-zA-Z]", "", spelling.form)) or "%b" in spelling.form:
        return True
    if not re.fullmatch("(%[a-zA-Z])+", spelling.form):
        return True
    given = [text for text in distinct if text not in LIKELY_MARKERS]
    return len(given) >= _COMPACT_DATES and all(fits(spelling, text) for text in given)


def _proven_decimal(readings: Mapping[str, _Reading], known: Mapping[str, pd.Series]) -> str | None:
    """The decimal mark that the columns with one reading prove, where they agree."""
    marks = {
        decimal_mark(reading.spelling, known[name].unique())
        for name, reading in readings.items()
        if isinstance(reading.spelling, NumberSpelling) and reading.other is None
        and not _looks_thousands(known[name], ",")
    }  # fmt: skip
    marks.discard(None)
    return marks.pop() if len(marks) == 1 else None


def _proven_order(readings: Mapping[str, _Reading]) -> str | None:
    """What stands first in the dates of the columns with one reading, where they agree."""
    orders = {
        reading.spelling.order
        for reading in readings.values()
        if isinstance(reading.spelling, DateSpelling) and reading.other is None
    } - {"", "year"}
    return orders.pop() if len(orders) == 1 else None


def _looks_thousands(values: pd.Series, decimal: str | None) -> bool:
    """Whether plain decimals may be thousands in a file with a decimal comma: 1.234 and never 12.34."""
    return decimal == "," and len(values) > 0 and all(map(_THREE_DECIMALS.fullmatch, values.unique()))


def _ambiguity(name: str, reading: _Reading, values: pd.Series) -> list[str]:
    """The note on a column that can be read in two ways."""
    if reading.spelling is None or reading.other is None:
        return []
    first, second = reading.spelling, reading.other
    if first == NumberSpelling():
        return []  # a point before three decimals is what it seems, unless the file has a decimal comma
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


def _are_markers(odd: pd.Series, values: pd.Series) -> bool:
    """Whether the texts that are no numbers stand for missing values: few of them, and they repeat or are usual.

    Most of the rows may have them, where many different numbers stand beside.
    """
    counts = odd.value_counts()
    rest = values.drop(odd.index).nunique()
    if len(counts) > _MOST_MARKERS or (len(odd) * 2 > len(values) and rest < _LEAST_NUMBERS):
        return False
    return all(
        text in LIKELY_MARKERS or (count > 1 and rest >= _LEAST_NUMBERS and not _NAMING.search(str(text)))
        for text, count in counts.items()
    )


def _doubt(reading: _Reading, values: pd.Series) -> Doubt:
    odd = values[values.isin(reading.odd)].value_counts()
    shown = ", ".join(f"{text!r}" + (f" {count} times" if count > 1 else "") for text, count in odd.head(5).items())
    fitting = values.nunique() - len(odd)
    what = "numbers" if isinstance(reading.spelling, NumberSpelling) and reading.spelling.is_plain else reading.spelling
    words = f"{fitting} of its {values.nunique()} values are {what}, {len(odd)} are not: {shown}"
    return Doubt(words, tuple(map(str, odd.index)))


def _clock(minutes: str) -> str:
    return "{}:{:02d}".format(*divmod(int(minutes), 60))


def _told_apart(spelling: Spelling, distinct: Collection[str]) -> Spelling:
    """The spelling, to be mapped to ISO dates where the format would be taken for another."""
    if isinstance(spelling, DateSpelling) and spelling.is_plain and find_format(list(distinct)) != spelling.form:
        clock = re.search(r"[ T](%-?H.*)", spelling.form)
        day = "%Y-%m-%d" if "d" in spelling.form else "%Y-%m"
        return replace(
            spelling, plain=day if clock is None else f"%Y-%m-%d {clock[1].removesuffix('Z').removesuffix('+00:00')}"
        )
    return spelling
