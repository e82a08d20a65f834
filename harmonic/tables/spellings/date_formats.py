"""Dates and times in the formats that the program knows: found, read as whole numbers, and written back the same.

A number counts days since 1970-01-01 if the format has no time of day, else seconds, or microseconds if it has a
fraction. A format without a date counts from midnight. A day that its month does not have ("2023-02-31") is read as the
month's last day: rows of a language model may have one, a file cannot.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product

_FIELDS = {  # the fields of a format, and the patterns of their texts
    "%Y": "[1-9][0-9]{3}",
    "%m": "(0[1-9]|1[0-2])",
    "%-m": "([1-9]|1[0-2])",
    "%d": "(0[1-9]|[12][0-9]|3[01])",
    "%-d": "([1-9]|[12][0-9]|3[01])",
    "%H": "([01][0-9]|2[0-3])",
    "%M": "[0-5][0-9]",
    "%S": "[0-5][0-9]",
    "%f": "[0-9]{6}",
}
_FIELD = re.compile(r"%-?[a-zA-Z]")
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%-m/%-d/%Y", "%d/%m/%Y", "%-d/%-m/%Y", "%d.%m.%Y", "%-d.%-m.%Y",
    "%d-%m-%Y", "%m-%d-%Y", "%Y-%m",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
FORMATS = (*_DATES, *(d + s + t + z for d, s, t, z in product(_DATES, " T", _TIMES, ("", "Z", "+00:00"))), *_TIMES)
_UNITS = {"days": timedelta(days=1), "seconds": timedelta(seconds=1), "microseconds": timedelta(microseconds=1)}
_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)


def find_format(texts: Collection[str]) -> str | None:
    """The first of FORMATS that reads every text and writes it back without a change; None if there is none."""
    for form in FORMATS:
        reader = _reader(form)
        if all(map(reader.fullmatch, texts)) and all(_survives(text, form) for text in texts):
            return form
    return None


def pattern(form: str, low: float | None = None, high: float | None = None) -> str:
    """The regular expression of the texts in this format.

    The years are like those of the numbers `low` and `high` up to the digit in which these differ.
    """
    fields = dict(_FIELDS)
    if low is not None and high is not None and "%Y" in form:
        first, last = (f"{_moment(int(number), form).year:04d}" for number in (low, high))
        same = next((place for place in range(4) if first[place] != last[place]), 4)
        rest = "" if same == 4 else f"[{first[same]}-{last[same]}]" + "[0-9]" * (3 - same)
        fields["%Y"] = first[:same] + rest
    return "".join(fields.get(part, re.escape(part)) for part in _parts(form))


def parse_date(text: str, form: str) -> int:
    """The number of the date `text`. Raises ValueError if it is not written in this format."""
    found = _reader(form).fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not written as {form}")
    given = {name: int(value) for name, value in found.groupdict().items()}
    year, month = given.get("Y", _EPOCH.year), given.get("m", 1)
    day = min(given.get("d", 1), monthrange(year, month)[1])
    moment = datetime(year, month, day, given.get("H", 0), given.get("M", 0), given.get("S", 0), given.get("f", 0))
    return (moment - _EPOCH) // _UNITS[_unit(form)]


def format_date(number: int, form: str) -> str:
    """The date's text; numbers outside of the years 1000 to 9999 become the first or last day of these."""
    moment = _moment(number, form)
    values = {
        "Y": moment.year, "m": moment.month, "d": moment.day,
        "H": moment.hour, "M": moment.minute, "S": moment.second, "f": moment.microsecond,
    }  # fmt: skip
    widths = {"Y": 4, "f": 6}
    written = []
    for part in _parts(form):
        name = part[-1]
        if part not in _FIELDS:
            written.append(part)
        else:
            written.append(str(values[name]) if "-" in part else f"{values[name]:0{widths.get(name, 2)}d}")
    return "".join(written)


def _moment(number: int, form: str) -> datetime:
    unit = _UNITS[_unit(form)]
    low, high = (_FIRST - _EPOCH) // unit, (_LAST - _EPOCH) // unit
    return _EPOCH + unit * min(max(int(number), low), high)


def _survives(text: str, form: str) -> bool:
    return format_date(parse_date(text, form), form) == text


def _unit(form: str) -> str:
    return "microseconds" if "%f" in form else "seconds" if "%H" in form else "days"


def _parts(form: str) -> list[str]:
    return parts_of(form, _FIELD)


def parts_of(form: str, fields: re.Pattern[str]) -> list[str]:
    """The parts of a format: its fields, which match the pattern `fields`, and the texts between them."""
    parts, place = [], 0
    for found in fields.finditer(form):
        parts += [form[place : found.start()], found[0]]
        place = found.end()
    return [part for part in [*parts, form[place:]] if part]


@lru_cache(maxsize=len(FORMATS))
def _reader(form: str) -> re.Pattern[str]:
    named = (f"(?P<{part[-1]}>{_FIELDS[part]})" if part in _FIELDS else re.escape(part) for part in _parts(form))
    return re.compile("".join(named))
