"""How one column may be read: as numbers, dates, durations; and what other columns say about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from harmonic.tables.spellings.date_search import find_dates
from harmonic.tables.spellings.dates import DateSpelling
from harmonic.tables.spellings.durations import find_durations
from harmonic.tables.spellings.number_search import decimal_mark, find_numbers
from harmonic.tables.spellings.numbers import NumberSpelling
from harmonic.tables.spellings.spelling import Spelling, fits

LIKELY_MARKERS = frozenset(
    "? - -- --- . .. * / \\ n/a N/A n.a. N.A. #N/A #NA <NA> NULL Null null None none nil NIL (null) \\N unknown "
    "Unknown UNKNOWN unk UNK missing Missing MISSING k.A. k. A. NaN nan NAN #VALUE! #DIV/0! #REF! #NULL! #NAME? NA na "
    "(X) (D) (S) ** : … x X • – — ND nd n.d. k.W. n/v nv none. 0000-00-00 00.00.0000 00/00/0000".split()
) | {""}
"""Texts that often stand for missing values."""
_PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_THREE_DECIMALS = re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+")
_COMPACT_DATES = 3  # different texts of digits from which it is no chance that all are dates


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is read.

    `spelling`: of most of its values; None: texts. `other`: a spelling that fits as well and gives other values. `odd`:
    the values that do not fit.
    """

    spelling: Spelling | None = None
    other: Spelling | None = None
    odd: tuple[str, ...] = ()


def read_column(
    values: pd.Series, kind: str | None, decimal: str | None, order: str | None, likely: str | None = None
) -> Reading:
    """The reading that fits most of a column's values.

    `kind`: as in dataset.kinds; None: not known. `decimal`: the mark before decimals, `order`: what comes first in
    dates ("day" or "month"), if they are decided. `likely`: what comes first in other columns.
    """
    distinct = values.unique()
    if not len(distinct):
        return Reading()
    if kind != "date" and all(map(_PLAIN.fullmatch, distinct)) and not looks_thousands(values, decimal):
        whole = [text for text in distinct if text.isdigit() and len(text) in (6, 8, 14)]
        if len(whole) < len(distinct) or len(distinct) < _COMPACT_DATES or kind is not None:
            return Reading(spelling=NumberSpelling())
    found: list[tuple[Spelling, Spelling | None]] = []
    if kind in (None, "date"):
        date, other_date = find_dates(distinct, order, likely=likely, digits=kind == "date")
        if date is not None and (kind is not None or _is_evident(date, distinct)):
            found.append((date, other_date))
    if kind != "date":
        duration = find_durations(distinct)
        if duration is not None:
            found.append((duration, None))
        number, other_number = find_numbers(distinct, decimal)
        if number is not None:
            found.append((number, other_number))
    readings = [
        Reading(spelling, other, tuple(text for text in distinct if not fits(spelling, text)))
        for spelling, other in found
    ]
    return min(readings, key=lambda reading: len(reading.odd), default=Reading())


def _is_evident(spelling: DateSpelling, distinct: Collection[str]) -> bool:
    """Whether it is no chance that the texts are dates: if only digits, several must differ, and all be dates."""
    if re.search("[^%a-zA-Z]", re.sub("%-?[a-zA-Z]", "", spelling.form)) or "%b" in spelling.form:
        return True
    if not re.fullmatch("(%[a-zA-Z])+", spelling.form):
        return True
    given = [text for text in distinct if text not in LIKELY_MARKERS]
    return len(given) >= _COMPACT_DATES and all(fits(spelling, text) for text in given)


def proven_decimal(readings: Mapping[str, Reading], known: Mapping[str, pd.Series]) -> str | None:
    """The decimal mark that columns with only one reading show; None if they do not agree."""
    marks = {
        decimal_mark(reading.spelling, known[name].unique())
        for name, reading in readings.items()
        if isinstance(reading.spelling, NumberSpelling) and reading.other is None
        and not looks_thousands(known[name], ",")
    }  # fmt: skip
    marks.discard(None)
    return marks.pop() if len(marks) == 1 else None


def proven_order(readings: Mapping[str, Reading]) -> str | None:
    """What comes first in the dates of columns with only one reading; None if they do not agree."""
    orders = {
        reading.spelling.order
        for reading in readings.values()
        if isinstance(reading.spelling, DateSpelling) and reading.other is None
    } - {"", "year"}
    return orders.pop() if len(orders) == 1 else None


def looks_thousands(values: pd.Series, decimal: str | None) -> bool:
    """Whether the numbers may be thousands in a file with a decimal comma: 1.234, never 12.34."""
    return decimal == "," and len(values) > 0 and all(map(_THREE_DECIMALS.fullmatch, values.unique()))
