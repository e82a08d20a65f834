"""Dates, times and durations as people write them: months in words, two-digit years, am and pm, offsets, quarters.

A spelling maps the file's text to a plain one and back: dates to an ISO form of harmonic.tables.spellings.date_formats
("11 Aug 2021" to "2021-08-11"), durations to a number of their last unit ("51:00:39" to "183639"). It is found from a
column's texts, and only one that gives every text back is taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

from harmonic.tables.spellings.date_formats import FORMATS, format_date, parse_date, parts_of

MONTHS = {  # of the Unicode CLDR 48; abbreviations also come without their dots
    "en": "January February March April May June July August September October November December",
    "en_short": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de_short": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "de_three": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr_short": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "es_short": "ene feb mar abr may jun jul ago sept oct nov dic",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "it_short": "gen feb mar apr mag giu lug ago set ott nov dic",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "nl_short": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "pt_short": "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZONES = (  # tried where a column's offsets change, as they do with summer time
    "Europe/Berlin", "Europe/London", "Europe/Lisbon", "Europe/Athens", "Europe/Moscow", "America/New_York",
    "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Halifax", "America/Anchorage",
    "America/Sao_Paulo", "America/Santiago", "America/Mexico_City", "Australia/Sydney", "Australia/Adelaide",
    "Pacific/Auckland", "Asia/Jerusalem", "Africa/Cairo",
)  # fmt: skip
_FIELD = re.compile(r"%(?:-?[a-zA-Z]|[1-9]f)")
_PATTERNS = {
    "%Y": "[1-9][0-9]{3}", "%G": "[1-9][0-9]{3}", "%y": "[0-9]{2}", "%m": "0[1-9]|1[0-2]", "%-m": "[1-9]|1[0-2]",
    "%d": "0[1-9]|[12][0-9]|3[01]", "%-d": "[1-9]|[12][0-9]|3[01]", "%H": "[01][0-9]|2[0-3]",
    "%-H": "1?[0-9]|2[0-3]", "%I": "0[1-9]|1[0-2]", "%-I": "[1-9]|1[0-2]",
    "%K": "0[0-9]|1[01]", "%-K": "[0-9]|1[01]", "%M": "[0-5][0-9]", "%S": "[0-5][0-9]",
    "%f": "[0-9]{6}", "%q": "[1-4]", "%V": "0[1-9]|[1-4][0-9]|5[0-3]", "%p": "[AaPp][.]?[Mm][.]?",
    "%z": "[+-][0-9]{2}:[0-9]{2}", "%-z": "[+-][0-9]{4}", "%a": "|".join(_DAYS),
}  # fmt: skip
_ORDERS = {"year": ("%Y", "%m", "%d"), "month": ("%m", "%d", "%Y"), "day": ("%d", "%m", "%Y")}
_TIME = re.compile(
    r"(?P<date>.*?)(?P<gap>[ T:]|, | at | à )?(?P<hour>\d{1,2})(?P<colon>[:h])(?P<minute>\d\d)"
    r"(?:(?P<second>:\d\d)(?P<fraction>[.,]\d{1,9})?)?(?:(?P<space>[ \u202f]?)(?P<half>[AaPp]\.?[Mm]\.?))?"
    r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
POSIX_PIVOT = 69  # 69 to 99 are 1969 to 1999
_LEAST_CONSTANT = 10  # dates from which what all of them have is no chance
_SAMPLE = 5  # texts that formats are made from


@dataclass(frozen=True, slots=True, kw_only=True)
class DateSpelling:
    """Dates written as `form`, and `plain`, the format (harmonic.tables.spellings.date_formats) they are mapped to.

    `form` has strftime's fields, "%-d" without its zero, "%K" for hours from 0 to 11, "%3f" for milliseconds, "%q" for
    the quarter, and "%z" ("%-z" without its colon) for an offset that follows from `zone`. `words` are the months,
    `halves` the texts of am and pm. `loose`: days, months and hours are read with and without a zero in front, and
    midnight as 0 and 12; they are written as `form`. `pivot`: the year of two digits from which on it is of the 20th
    century.
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
        """Whether the texts are what the program reads anyway."""
        return self.form == self.plain and not self.loose

    @property
    def order(self) -> str:
        """Which of year, month and day stands first, where all are numbers; else ""."""
        fields = "".join(field[-1] for field in _FIELD.findall(self.form)).replace("y", "Y")
        return {"mdY": "month", "dmY": "day", "Ymd": "year"}.get(fields[:3], "")

    def __str__(self) -> str:
        return f"dates, {self.form}" if re.search("%-?[YyG]", self.form) else f"times, {self.form}"

    def read(self, text: str) -> str:
        """The plain text of a date. Raises ValueError where it is not written so."""
        found = _reader(self.form, self.words, self.loose).fullmatch(text)
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
        """The moment that a text of the file stands for, in UTC where the zone is known."""
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
            "a": _DAYS[moment.weekday()], "f": f"{moment.microsecond:06d}",
            "z": offset.replace(":", "") if part == "%-z" else offset,
        }  # fmt: skip
        if part[-1] in texts:
            return texts[part[-1]]
        width = 1 if "-" in part or part == "%q" else 4 if part in ("%Y", "%G") else 2
        return f"{numbers[part[-1]]:0{width}d}"

    def _moment(self, given: dict[str, str]) -> datetime:
        """The moment of the fields' texts; ValueError where there is none."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationSpelling:
    """Durations such as "51:00:39" or "2 days 05:00:00", mapped to how many of their last unit they are.

    `parts`: numbers between colons, the first without a bound. `width`: the least digits of the first. `days`: the
    word behind a number of days, "" for none. `places`: decimals of the seconds.
    """

    parts: int
    width: int
    days: str = ""
    places: int = 0

    @property
    def is_plain(self) -> bool:
        """Never: a duration is no number as it stands."""
        return False

    def __str__(self) -> str:
        return "durations, " + ("days, " if self.days else "") + ("h:mm:ss" if self.parts == 3 else "0:00")

    def read(self, text: str) -> str:
        """The plain text: a number. Raises ValueError where it is not written so."""
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no duration")
        pieces = found["clock"].split(":")
        total = Decimal(0)
        for piece in pieces:
            total = total * 60 + Decimal(piece)
        total += Decimal(found["count"] or 0) * 24 * 60 ** (len(pieces) - 1)
        plain = f"{-total if found['sign'] else total:.{self.places}f}"
        if self.write(plain) != text:
            raise ValueError(f"{text!r} is no duration of this make")
        return plain

    def write(self, plain: str) -> str:
        """The text of a number of the last unit."""
        number = Decimal(plain)
        rest, last = divmod(abs(round(number, self.places)), 60)
        pieces = [f"{last:0{3 + self.places if self.places else 2}.{self.places}f}"]
        for _ in range(self.parts - 2):
            rest, part = divmod(rest, 60)
            pieces.append(f"{int(part):02d}")
        days, first = divmod(int(rest), 24) if self.days else (0, int(rest))
        pieces.append(f"{first:0{self.width}d}")
        front = f"{days} {self.days} " if self.days else ""
        return ("-" if number < 0 else "") + front + ":".join(reversed(pieces))


_DURATION = re.compile(
    r"(?P<sign>-)?(?:(?P<count>\d+) (?P<word>days|day|d) )?(?P<clock>\d{1,5}(?::[0-5]\d){1,2}(?:\.\d{1,9})?)"
)
_EPOCH = datetime(1970, 1, 1)


def find_dates(
    values: Collection[str], order: str | None = None, *, likely: str | None = None, digits: bool = False
) -> tuple[DateSpelling | None, DateSpelling | None]:
    """The spelling in which most of the distinct texts are written and given back, and a second reading if one fits.

    The first is None where fewer than half of them are. `order`: what stands first in a date of three numbers, "day"
    or "month", where that is decided; `likely`: in other columns. `digits`: whether texts of
    digits alone may be dates whatever they are.
    """
    texts = list(values)
    tried: dict[DateSpelling, int] = {}
    for text in _sample(texts):
        for spelling in _candidates(text, texts, digits):
            if spelling not in tried and _fits(spelling, text):
                tried[spelling] = sum(_fits(spelling, other) for other in texts)
    best = max(tried.values(), default=0)
    if best * 2 < len(texts) or not best:
        return None, None
    fitting = [spelling for spelling, count in tried.items() if count == best]
    if best < len(texts):
        loose = {replace(spelling, loose=True): 0 for spelling in fitting}
        counts = {spelling: sum(_fits(spelling, text) for text in texts) for spelling in loose}
        if max(counts.values()) > best:
            best = max(counts.values())
            fitting = [spelling for spelling, count in counts.items() if count == best]
    fitting.sort(key=lambda spelling: _preference(spelling, texts, order, likely))
    first = fitting[0]
    known = [text for text in texts if _fits(first, text)]

    def differs(other: DateSpelling) -> bool:
        return any(_fits(other, text) and other.moment(text) != first.moment(text) for text in known)

    another = next((spelling for spelling in fitting[1:] if differs(spelling)), None)
    return first, another


def find_durations(values: Collection[str]) -> DurationSpelling | None:
    """The spelling of durations in which most of the distinct texts are written, if there is one."""
    found = [match for text in values if (match := _DURATION.fullmatch(text))]
    if len(found) * 2 < len(values) or not found:
        return None
    clocks = [match["clock"].split(":") for match in found]
    places = max(len(clock[-1].partition(".")[2]) for clock in clocks)
    width = 2 if all(len(clock[0]) >= 2 for clock in clocks) else 1
    word = next((match["word"] for match in found if match["word"]), "")
    spelling = DurationSpelling(parts=len(clocks[0]), width=width, days=word, places=places)
    return spelling if sum(_fits(spelling, text) for text in values) * 2 >= len(values) else None


def _preference(
    spelling: DateSpelling, texts: Sequence[str], order: str | None, likely: str | None
) -> tuple[int, int, int, int]:
    """Sorts readings that fit alike, the likeliest first."""
    wanted, usual_here = (0 if one is None or spelling.order in ("", one) else 1 for one in (order, likely))
    # The first of every month rather than days of January.
    regular = 0 if len(texts) > 2 and is_first_of_month(spelling, [t for t in texts if _fits(spelling, t)]) else 1
    usual = {
        "year": 0 if "%Y" in spelling.form else 3, "month": 1 if "/" in spelling.form else 2,
        "day": 2 if "/" in spelling.form else 1,
    }  # fmt: skip
    return wanted, regular, usual_here, usual.get(spelling.order, 0)


def without_constants(spelling: DateSpelling, values: Collection[str]) -> DateSpelling:
    """The spelling with what is the same in every date as it stands: the first of the month, or no seconds.

    So rows that are made have it, too. As it was where the values are few.
    """
    if spelling.zone or spelling.loose or len(values) < _LEAST_CONSTANT:
        return spelling
    moments = [spelling.moment(text) for text in values]
    form = spelling.form
    if "%S" in form and not re.search(r"%\d?f", form) and all(moment.second == 0 for moment in moments):
        form = form.replace("%S", "00")
    if (
        not re.search("%-?[HIK]", form)
        and all(moment.day == 1 for moment in moments)
        and re.search("%-?d", form)
        and "%a" not in form
    ):
        form = form.replace("%-d", "1").replace("%d", "01")
    return spelling if form == spelling.form else replace(spelling, form=form, plain=_iso(form))


def in_one_lifetime(spelling: DateSpelling, values: Collection[str]) -> DateSpelling:
    """The spelling with years of two digits in the shortest span that they allow: 50 beside 99 is 1950, not 2050."""
    if "%y" not in spelling.form:
        return spelling
    years = sorted({spelling.moment(text).year % 100 for text in values})
    # The years lie on a circle; they begin behind the largest gap.
    begins = max(years, key=lambda year: (year - years[years.index(year) - 1]) % 100)
    other = replace(spelling, pivot=begins)

    def span(one: DateSpelling) -> int:
        found = [one.moment(text).year for text in values]
        return max(found) - min(found)

    return other if span(other) < span(spelling) else spelling


def is_first_of_month(spelling: DateSpelling, values: Collection[str]) -> bool:
    """Whether every date is the first of its month."""
    return bool(re.search("%-?d", spelling.form)) and all(spelling.moment(text).day == 1 for text in values)


def _sample(texts: Sequence[str]) -> list[str]:
    step = max(1, len(texts) // _SAMPLE)
    return list(texts[::step])[:_SAMPLE]


def _candidates(text: str, texts: Sequence[str], digits: bool) -> Iterator[DateSpelling]:
    """Spellings in which this text may be written."""
    if len(text) > 45 or not any(mark.isdigit() for mark in text):
        return
    if text[0] == "[" and text[-1] == "]":  # as logs of servers have it
        for inner in _candidates(text[1:-1], [other[1:-1] for other in texts], digits):
            yield replace(inner, form=f"[{inner.form}]", plain=_iso(inner.form) if inner.is_plain else inner.plain)
        return
    found = _TIME.fullmatch(text)
    day, clock, halves = text, "", ("AM", "PM")
    hours: tuple[str, ...] = ("",)
    zones = [("", "")]
    if found:
        day, half = found["date"], found["half"]
        hours = ("%I", "%-I", "%K", "%-K") if half else ("%H", "%-H")
        tail = found["colon"] + "%M" + (":%S" if found["second"] else "")
        if found["fraction"]:
            tail += f"{found['fraction'][0]}%{len(found['fraction']) - 1}f"
        if half:
            halves = ("a" + half[1:], "p" + half[1:]) if half[0].islower() else ("A" + half[1:], "P" + half[1:])
            tail += found["space"] + "%p"
        clock = tail
        if found["zone"]:
            zones = list(_zones(found["zone"], texts))
    words = [()] if not re.search(r"[^\W\d_]{3}", day) else _month_words(day)
    for form in _date_forms(day, digits) if day else ("",):
        for hour, (zone, literal) in product(hours, zones):
            gap = (found["gap"] or "") if found else ""
            whole = (form + gap + (hour if found else "") + clock + literal).replace("%6f", "%f")
            for months in words if "%b" in form else [()]:
                yield DateSpelling(form=whole, plain=_plain(whole, zone), words=tuple(months), halves=halves, zone=zone)


def _plain(form: str, zone: str) -> str:
    """The format that dates written as `form` are mapped to: `form` itself where it is read anyway."""
    return form if form in FORMATS and not zone else _iso(form)


def _iso(form: str) -> str:
    dated, timed = re.search("%-?[YyGq]", form), re.search("%-?[HIK]", form)
    day = "%Y-%m-%d" if re.search("%-?[dV]", form) else "%Y-%m"
    clock = "%H:%M" + (":%S" if "%S" in form else "") + (".%f" if re.search(r"%\d?f", form) else "")
    if not dated:
        return clock
    return f"%Y-%m-%d {clock}" if timed else day


def _zones(zone: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Zones, and what stands in the format: the text itself where all have it, else an offset that follows from one."""
    given = [text for text in texts if re.search(r"[+-]\d\d:?\d\d$", text)]
    if all(text.endswith(zone) for text in given) or zone.strip() in ("Z", "UTC", "GMT"):
        yield "", zone
        return
    blank = " " if zone.startswith(" ") else ""
    for name in ZONES:
        yield name, blank + ("%z" if ":" in zone else "%-z")


def _month_words(text: str) -> list[tuple[str, ...]]:
    """The twelve months in languages and letters that have a word of this text."""
    found = []
    for names in MONTHS.values():
        for dots, case in product((True, False), (str.title, str.lower, str.upper)):
            months = tuple(case(name if dots else name.rstrip(".")) for name in names.split())
            if any(month in text for month in months) and months not in found:
                found.append(months)
    return found


@lru_cache(maxsize=8)
def _all_date_forms() -> tuple[str, ...]:
    forms = []
    for mark, order in product("-/. ", _ORDERS.values()):
        for year in ("%Y", "%y"):
            fields = [year if field == "%Y" else field for field in order]
            forms.append(mark.join(fields))
            forms.append(mark.join(field.replace("%m", "%-m").replace("%d", "%-d") for field in fields))
    for day in ("%d", "%-d"):
        for year in ("%Y", "%y"):
            forms += [f"{day}{mark}%b{mark}{year}" for mark in (" ", "-", "/", ".", "")]
            forms += [f"{day}. %b {year}", f"{day} %b, {year}", f"%b {day}, {year}", f"%b {day} {year}"]
            forms += [f"{day} de %b de %Y", f"%Y-%b-{day}", f"%Y %b {day}"]
        forms += [f"%a, {day} %b %Y", f"%a {day} %b %Y", f"%a %b {day} %Y", f"%a, %b {day}, %Y"]
    forms += ["%b %Y", "%b-%Y", "%b-%y", "%b %y", "%b/%Y", "%b. %Y", "%Y %b", "%Y-%b", "%y-%b"]
    forms += ["%Y年%m月%d日", "%Y年%-m月%-d日", "%Y年%m月", "%Y年%-m月", "%Y년 %-m월 %-d일"]
    forms += ["%Y-%m", "%Y/%m", "%m/%Y", "%-m/%Y", "%m-%Y", "%m.%Y"]
    forms += ["%Y-Q%q", "%YQ%q", "%Y Q%q", "%Y/Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%Yq%q", "%Y-q%q"]
    forms += ["%G-W%V", "%GW%V", "%G W%V", "W%V %G", "W%V/%G", "W%V-%G", "KW%V/%G", "KW %V/%G", "KW%V %G"]
    return tuple(forms)


def _date_forms(text: str, digits: bool) -> Iterator[str]:
    """The formats of dates that the text is written in, months of any language."""
    if text.isdigit():
        if re.fullmatch(r"(19|20)\d{6}", text) or (digits and len(text) == 8):
            yield "%Y%m%d"
        if re.fullmatch(r"(19|20)\d{4}", text) or (digits and len(text) == 6):
            yield "%Y%m"
        if re.fullmatch(r"(19|20)\d{12}", text):
            yield "%Y%m%d%H%M%S"
        return
    for form in _all_date_forms():
        if _reader(form, None, False).fullmatch(text):
            yield form


def _fits(spelling: DateSpelling | DurationSpelling, text: str) -> bool:
    try:
        spelling.read(text)
    except (ValueError, OverflowError):
        return False
    return True


@lru_cache(maxsize=1024)
def _reader(form: str, words: tuple[str, ...] | None, loose: bool) -> re.Pattern[str]:
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
