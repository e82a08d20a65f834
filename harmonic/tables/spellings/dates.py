"""Dates and times as people write them: months in words, years of two digits, am and pm, time zones, quarters.

A DateSpelling maps the file's text to a date in one of the formats of harmonic.tables.spellings.date_formats
("11 Aug 2021" to "2021-08-11"), and back. harmonic.tables.spellings.date_search finds it from a column's texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from harmonic.tables.spellings.date_formats import format_date, parse_date, parts_of

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH = datetime(1970, 1, 1)
_FIELD = re.compile(r"%(?:-?[a-zA-Z]|[1-9]f)")
_PATTERNS = {
    "%Y": "[1-9][0-9]{3}", "%G": "[1-9][0-9]{3}", "%y": "[0-9]{2}", "%m": "0[1-9]|1[0-2]", "%-m": "[1-9]|1[0-2]",
    "%d": "0[1-9]|[12][0-9]|3[01]", "%-d": "[1-9]|[12][0-9]|3[01]", "%H": "[01][0-9]|2[0-3]",
    "%-H": "1?[0-9]|2[0-3]", "%I": "0[1-9]|1[0-2]", "%-I": "[1-9]|1[0-2]",
    "%K": "0[0-9]|1[01]", "%-K": "[0-9]|1[01]", "%M": "[0-5][0-9]", "%S": "[0-5][0-9]",
    "%f": "[0-9]{6}", "%q": "[1-4]", "%V": "0[1-9]|[1-4][0-9]|5[0-3]", "%p": "[AaPp][.]?[Mm][.]?",
    "%z": "[+-][0-9]{2}:[0-9]{2}", "%-z": "[+-][0-9]{4}", "%a": "|".join(DAYS),
}  # fmt: skip
POSIX_PIVOT = 69  # 69 to 99 are 1969 to 1999


@dataclass(frozen=True, slots=True, kw_only=True)
class DateSpelling:
    """Dates in the format `form`, mapped to the format `plain` (harmonic.tables.spellings.date_formats).

    `form` has the fields of strftime, and also: "%-d" is without a leading zero, "%K" an hour from 0 to 11, "%3f"
    milliseconds, "%q" the quarter, "%z" ("%-z" without its colon) an offset that follows from `zone`. `words`: the
    months. `halves`: the texts of am and pm. `loose`: days, months and hours are read with and without a leading zero,
    and midnight as 0 and 12; they are written as `form` has them. `pivot`: years of two digits from here to 99 are in
    the 20th century.
    """

    form: str
    plain: str
    words: tuple[str, ...] = ()
    halves: tuple[str, str] = ("AM", "PM")
    zone: str = ""
    loose: bool = False
    pivot: int = POSIX_PIVOT

    @property
    def is_plain(self) -> bool:
        """Whether the file's texts are plain already."""
        return self.form == self.plain and not self.loose

    @property
    def order(self) -> str:
        """Which of year, month and day comes first if all are numbers; else ""."""
        fields = "".join(field[-1] for field in _FIELD.findall(self.form)).replace("y", "Y")
        return {"mdY": "month", "dmY": "day", "Ymd": "year"}.get(fields[:3], "")

    def __str__(self) -> str:
        return f"dates, {self.form}" if re.search("%-?[YyG]", self.form) else f"times, {self.form}"

    def read(self, text: str) -> str:
        """The plain text of a date. Raises ValueError if it is not written in this format."""
        found = date_pattern(self.form, self.words, self.loose).fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not written as {self.form}")
        moment = self._moment(found.groupdict())
        plain = format_date(_number(moment, self.plain), self.plain)
        if not self.loose and self.write(plain) != text:
            raise ValueError(f"{text!r} is not written as {self.form}")
        return plain

    def write(self, plain: str) -> str:
        """The text of a date in the plain format."""
        moment = _EPOCH + _unit(self.plain) * parse_date(plain, self.plain)
        offset = ""
        if self.zone:
            local = moment.replace(tzinfo=UTC).astimezone(_zone(self.zone))
            offset, moment = local.strftime("%z"), local.replace(tzinfo=None)
            offset = f"{offset[:3]}:{offset[3:]}"
        written = []
        for part in _parts(self.form):
            written.append(self._field(part, moment, offset) if _FIELD.fullmatch(part) else part)
        return "".join(written)

    def moment(self, text: str) -> datetime:
        """The moment of a text of the file, in UTC if the time zone is known."""
        return _EPOCH + _unit(self.plain) * parse_date(self.read(text), self.plain)

    def _field(self, part: str, moment: datetime, offset: str) -> str:
        if part[1].isdigit():
            return f"{moment.microsecond:06d}000"[: int(part[1])]
        hour = moment.hour % 12 or 12
        week = moment.isocalendar()
        numbers = {
            "Y": moment.year, "y": moment.year % 100, "m": moment.month, "d": moment.day, "H": moment.hour, "I": hour,
            "K": moment.hour % 12, "M": moment.minute, "S": moment.second,
            "q": (moment.month + 2) // 3, "G": week.year, "V": week.week,
        }  # fmt: skip
        texts = {
            "b": self.words[moment.month - 1] if self.words else "", "p": self.halves[moment.hour >= 12],
            "a": DAYS[moment.weekday()], "f": f"{moment.microsecond:06d}",
            "z": offset.replace(":", "") if part == "%-z" else offset,
        }  # fmt: skip
        if part[-1] in texts:
            return texts[part[-1]]
        width = 1 if "-" in part or part == "%q" else 4 if part in ("%Y", "%G") else 2
        return f"{numbers[part[-1]]:0{width}d}"

    def _moment(self, given: dict[str, str]) -> datetime:
        """The moment that the fields give. Raises ValueError if there is no such moment."""
        year = int(given.get("Y", _EPOCH.year))
        if "y" in given:
            year = int(given["y"]) + (1900 if int(given["y"]) >= self.pivot else 2000)
        month = int(given.get("m", 1))
        if "b" in given:
            month = self.words.index(given["b"]) + 1
        if "q" in given:
            month = int(given["q"]) * 3 - 2
        hour = int(given.get("H", 0))
        if "p" in given:
            if int(given.get("I", given.get("K", 0))) > 12:
                raise ValueError("an hour beyond 12")
            hour = int(given.get("I", given.get("K", 0))) % 12 + (12 if given["p"].lower().startswith("p") else 0)
        micro = int((given.get("f", "") + "000000")[:6])
        moment = datetime(
            year, month, int(given.get("d", 1)), hour, int(given.get("M", 0)), int(given.get("S", 0)), micro
        )
        if "V" in given:
            first = date.fromisocalendar(int(given["G"]), int(given["V"]), 1)
            moment = moment.replace(year=first.year, month=first.month, day=first.day)
        if "z" in given:
            sign, digits = given["z"][0], given["z"][1:].replace(":", "")
            ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            moment = moment - ahead if sign == "+" else moment + ahead
        return moment


@lru_cache(maxsize=1024)
def date_pattern(form: str, words: tuple[str, ...] | None, loose: bool) -> re.Pattern[str]:
    """The pattern of dates in this format. `words`: the months; None: any word. `loose`: as in DateSpelling."""
    months = r"[^\W\d_]+\.?" if words is None else "|".join(map(re.escape, words))

    def group(part: str) -> str:
        if not _FIELD.fullmatch(part):
            return re.escape(part)
        if part[1].isdigit():
            return f"(?P<f>[0-9]{{{part[1]}}})"
        if loose and part[-1] in "mdHIK":
            return f"(?P<{part[-1]}>[0-9]{{1,2}})"
        return f"(?P<{part[-1]}>{months if part == '%b' else _PATTERNS[part]})"

    return re.compile("".join(map(group, _parts(form))))


def _parts(form: str) -> list[str]:
    return parts_of(form, _FIELD)


@lru_cache(maxsize=32)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _unit(form: str) -> timedelta:
    return timedelta(microseconds=1) if "%f" in form else timedelta(seconds=1) if "%H" in form else timedelta(days=1)


def _number(moment: datetime, form: str) -> int:
    return (moment - _EPOCH) // _unit(form)
