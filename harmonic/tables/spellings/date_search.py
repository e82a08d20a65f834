"""Finds how the dates of a column are written, from its texts. A spelling fits only if it gives every text back."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product

from harmonic.tables.spellings.date_formats import FORMATS
from harmonic.tables.spellings.dates import DateSpelling, date_pattern
from harmonic.tables.spellings.months import month_words
from harmonic.tables.spellings.spelling import count_fitting, fits

ZONES = (  # tried if a column's offsets change, as with summer time
    "Europe/Berlin", "Europe/London", "Europe/Lisbon", "Europe/Athens", "Europe/Moscow", "America/New_York",
    "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Halifax", "America/Anchorage",
    "America/Sao_Paulo", "America/Santiago", "America/Mexico_City", "Australia/Sydney", "Australia/Adelaide",
    "Pacific/Auckland", "Asia/Jerusalem", "Africa/Cairo",
)  # fmt: skip
_ORDERS = {"year": ("%Y", "%m", "%d"), "month": ("%m", "%d", "%Y"), "day": ("%d", "%m", "%Y")}
_TIME = re.compile(
    r"(?P<date>.*?)(?P<gap>[ T:]|, | at | à )?(?P<hour>\d{1,2})(?P<colon>[:h])(?P<minute>\d\d)"
    r"(?:(?P<second>:\d\d)(?P<fraction>[.,]\d{1,9})?)?(?:(?P<space>[ \u202f]?)(?P<half>[AaPp]\.?[Mm]\.?))?"
    r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_LEAST_CONSTANT = 10  # dates from which it is no chance that all of them share a part
_SAMPLE = 5  # texts that formats are tried on


def find_dates(
    values: Collection[str], order: str | None = None, *, likely: str | None = None, digits: bool = False
) -> tuple[DateSpelling | None, DateSpelling | None]:
    """The spelling of most of the distinct texts, and a second one that fits as well but gives other dates, if any.

    Both are None if fewer than half of the texts are dates. `order`: what comes first in a date of three numbers,
    "day" or "month", if that is decided. `likely`: what comes first in other columns. `digits`: whether any texts of
    digits may be dates.
    """
    texts = list(values)
    fitting = _fitting_best(texts, digits)
    if not fitting:
        return None, None
    fitting.sort(key=lambda spelling: _preference(spelling, texts, order, likely))
    first = fitting[0]
    known = [text for text in texts if fits(first, text)]

    def differs(other: DateSpelling) -> bool:
        return any(fits(other, text) and other.moment(text) != first.moment(text) for text in known)

    another = next((spelling for spelling in fitting[1:] if differs(spelling)), None)
    return first, another


def _fitting_best(texts: Sequence[str], digits: bool) -> list[DateSpelling]:
    """The spellings of most of the texts; none if that is fewer than half of them."""
    tried: dict[DateSpelling, int] = {}
    for text in _sample(texts):
        for spelling in _candidates(text, texts, digits):
            if spelling not in tried and fits(spelling, text):
                tried[spelling] = count_fitting(spelling, texts)
    best = max(tried.values(), default=0)
    if best * 2 < len(texts) or not best:
        return []
    fitting = [spelling for spelling, count in tried.items() if count == best]
    if best == len(texts):
        return fitting
    loose = [replace(spelling, loose=True) for spelling in fitting]
    counts = {spelling: count_fitting(spelling, texts) for spelling in loose}
    most = max(counts.values())
    return [spelling for spelling, count in counts.items() if count == most] if most > best else fitting


def _preference(
    spelling: DateSpelling, texts: Sequence[str], order: str | None, likely: str | None
) -> tuple[int, int, int, int]:
    """A sort key for spellings that fit equally well, the likeliest first."""
    wanted, usual_here = (0 if one is None or spelling.order in ("", one) else 1 for one in (order, likely))
    # The first of every month is likelier than days of January.
    regular = 0 if len(texts) > 2 and is_first_of_month(spelling, [t for t in texts if fits(spelling, t)]) else 1
    usual = {
        "year": 0 if "%Y" in spelling.form else 3, "month": 1 if "/" in spelling.form else 2,
        "day": 2 if "/" in spelling.form else 1,
    }  # fmt: skip
    return wanted, regular, usual_here, usual.get(spelling.order, 0)


def without_constants(spelling: DateSpelling, values: Collection[str]) -> DateSpelling:
    """The spelling with fixed parts that all dates share, the first of the month or no seconds: new rows share them.

    If the values are few, nothing is fixed.
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
    """The spelling that puts years of two digits in the shortest possible span: 50 beside 99 is 1950, not 2050."""
    if "%y" not in spelling.form:
        return spelling
    years = sorted({spelling.moment(text).year % 100 for text in values})
    # The years are on a circle; they begin after the largest gap.
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
    if text[0] == "[" and text[-1] == "]":  # in the logs of servers
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
    words = [()] if not re.search(r"[^\W\d_]{3}", day) else month_words(day)
    for form in _date_forms(day, digits) if day else ("",):
        for hour, (zone, literal) in product(hours, zones):
            gap = (found["gap"] or "") if found else ""
            whole = (form + gap + (hour if found else "") + clock + literal).replace("%6f", "%f")
            for months in words if "%b" in form else [()]:
                yield DateSpelling(form=whole, plain=_plain(whole, zone), words=tuple(months), halves=halves, zone=zone)


def _plain(form: str, zone: str) -> str:
    """The format that dates written as `form` are mapped to: `form` itself if the program knows it."""
    return form if form in FORMATS and not zone else _iso(form)


def _iso(form: str) -> str:
    dated, timed = re.search("%-?[YyGq]", form), re.search("%-?[HIK]", form)
    day = "%Y-%m-%d" if re.search("%-?[dV]", form) else "%Y-%m"
    clock = "%H:%M" + (":%S" if "%S" in form else "") + (".%f" if re.search(r"%\d?f", form) else "")
    if not dated:
        return clock
    return f"%Y-%m-%d {clock}" if timed else day


def _zones(zone: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Time zones, each with its part of the format: the text itself if all dates have it, else the zone's offset."""
    given = [text for text in texts if re.search(r"[+-]\d\d:?\d\d$", text)]
    if all(text.endswith(zone) for text in given) or zone.strip() in ("Z", "UTC", "GMT"):
        yield "", zone
        return
    blank = " " if zone.startswith(" ") else ""
    for name in ZONES:
        yield name, blank + ("%z" if ":" in zone else "%-z")


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
    """The formats in which the text is a date, with months of any language."""
    if text.isdigit():
        if re.fullmatch(r"(19|20)\d{6}", text) or (digits and len(text) == 8):
            yield "%Y%m%d"
        if re.fullmatch(r"(19|20)\d{4}", text) or (digits and len(text) == 6):
            yield "%Y%m"
        if re.fullmatch(r"(19|20)\d{12}", text):
            yield "%Y%m%d%H%M%S"
        return
    for form in _all_date_forms():
        if date_pattern(form, None, False).fullmatch(text):
            yield form
