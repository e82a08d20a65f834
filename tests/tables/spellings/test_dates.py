"""Dates, times and durations as people write them: .venv/bin/pytest tests/tables/spellings/test_dates.py."""

from __future__ import annotations

import locale
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harmonic.tables.spellings.date_search import find_dates, in_one_lifetime, without_constants
from harmonic.tables.spellings.dates import DateSpelling
from harmonic.tables.spellings.durations import find_durations
from harmonic.tables.spellings.months import MONTHS


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["2021-08-11T01:41:00.053Z", "2021-12-23T01:40:00.374Z"], "2021-08-11 01:41:00.053000"),
        (["2021-08-11T01:41:00+02:00", "2021-12-23T01:40:00+02:00"], "2021-08-11 01:41:00"),
        (["2021-08-11T01:41:00+02:00", "2021-12-23T01:40:00+01:00"], "2021-08-10 23:41:00"),  # a zone, in UTC
        (["08/11/2021 01:41 AM", "12/23/2021 01:40 PM"], "2021-08-11 01:41"),
        (["8/11/2021 1:41 p.m.", "12/23/2021 1:40 a.m."], "2021-08-11 13:41"),
        (["11 Aug 2021", "23 Dec 2021"], "2021-08-11"),
        (["August 11, 2021", "May 1, 2020"], "2021-08-11"),
        (["11. August 2021", "3. März 2020"], "2021-08-11"),
        (["11-AUG-21", "01-DEC-99"], "2021-08-11"),
        (["août 2021", "mars 2020"], "2021-08"),
        (["Aug-21", "Dec-22"], "2021-08"),
        (["20210811", "20211223", "20200229"], "2021-08-11"),
        (["202108", "202109", "202001"], "2021-08"),
        (["13/08/21", "23/12/22"], "2021-08-13"),
        (["2021-Q3", "2022-Q1"], "2021-07"),
        (["Q3 2021", "Q1 2022"], "2021-07"),
        (["2021-W33", "2020-W53"], "2021-08-16"),
        (["Wed, 11 Aug 2021", "Thu, 12 Aug 2021"], "2021-08-11"),
        (["9:05", "23:59"], "09:05"),
        (["5:41 AM", "9:08 PM", "12:00 AM"], "05:41"),
        (["2021-08-11 01:41:00 +0200", "2021-12-23 01:40:00 +0200"], "2021-08-11 01:41:00"),
        (["2021-08-11T01:41:00+0200", "2021-12-23T01:40:00+0100"], "2021-08-10 23:41:00"),  # a zone, without colons
        (["[10/Oct/2021:13:55:36 +0000]", "[01/Feb/2022:03:05:06 +0000]"], "2021-10-10 13:55:36"),
        (["14h30", "09h05"], "14:30"),
        (["03/02/2021 à 14h30", "23/12/2021 à 09h05"], "2021-02-03 14:30"),
        (["2021年8月11日", "2020年12月3日"], "2021-08-11"),
        (["20210811093000", "20211223093001", "20200229093002"], "2021-08-11 09:30:00"),
    ],
)
def test_every_text_is_read_and_given_back(texts: list[str], plain: str) -> None:
    spelling, _ = find_dates(texts)
    assert spelling is not None
    assert spelling.read(texts[0]) == plain
    assert [spelling.write(spelling.read(text)) for text in texts] == texts


@pytest.mark.parametrize("texts", [["2021-08-11", "2020-02-29"], ["12/31/1999", "01/02/2003"], ["23:59", "00:00"]])
def test_what_is_read_anyway_has_no_spelling(texts: list[str]) -> None:
    spelling, _ = find_dates(texts)
    assert spelling is not None and spelling.is_plain


@pytest.mark.parametrize("texts", [["2023-02-31"], ["PAT-123"], ["1.5", "2.5"], ["May be", "Mayor"], ["99/99/2020"]])
def test_what_is_no_date_stays_a_text(texts: list[str]) -> None:
    assert find_dates(texts) == (None, None)


def test_two_readings_are_told_and_an_order_decides() -> None:
    texts = ["02/03/2021", "05/06/2022", "07/08/2020"]
    first, second = find_dates(texts)
    assert first is not None and second is not None
    assert (first.order, second.order) == ("month", "day")
    for order in ("day", "month"):
        decided, _ = find_dates(texts, order)
        assert decided is not None and decided.order == order
    likely, _ = find_dates(texts, likely="day")
    assert likely is not None and likely.order == "day"
    assert find_dates(["13/03/2021", *texts])[1] is None


def test_firsts_of_months_are_not_days_of_january() -> None:
    first, second = find_dates(["01/03/2019", "01/11/2022", "01/04/2020"], likely="month")
    assert first is not None and second is not None and (first.order, second.order) == ("day", "month")
    assert f"{first.moment('01/03/2019'):%d %B}" == "01 March"
    decided, _ = find_dates(["01/03/2019", "01/11/2022", "01/04/2020"], "month")
    assert decided is not None and decided.order == "month"


def test_what_every_date_has_new_ones_have_too() -> None:
    texts = [f"01/{month:02d}/{year}" for month in range(1, 13) for year in (2019, 2020)]
    spelling, _ = find_dates(texts)
    assert spelling is not None
    kept = without_constants(spelling, texts)
    assert (kept.form, kept.plain) == ("01/%m/%Y", "%Y-%m")
    assert [kept.write(kept.read(text)) for text in texts] == texts
    texts = [f"2024-05-{day:02d} 10:{day:02d}:00" for day in range(1, 29)]
    spelling, _ = find_dates(texts)
    assert spelling is not None and without_constants(spelling, texts).form == "%Y-%m-%d %H:%M:00"
    assert without_constants(spelling, texts[:5]) == spelling


def test_a_few_texts_may_lack_a_zero() -> None:
    texts = ["1:05 PM", "11:30 AM", "12:45 PM", "0:45 AM", "9:20 PM", "10:10 AM"]
    spelling, _ = find_dates(texts)
    assert spelling is not None and spelling.loose
    assert spelling.read("0:45 AM") == "00:45" and spelling.write("00:45") == "12:45 AM"


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["51:00:39", "9:05:00"], ["183639", "32700"]),
        (["75:30", "02:10"], ["4530", "130"]),
        (["2 days 05:00:00", "0 days 01:00:01"], ["190800", "3601"]),
        (["25:00:00.50", "00:00:01.25"], ["90000.50", "1.25"]),
        (["-0:05", "30:00"], ["-5", "1800"]),
    ],
)
def test_durations_are_numbers(texts: list[str], plain: list[str]) -> None:
    spelling = find_durations(texts)
    assert spelling is not None
    assert [spelling.read(text) for text in texts] == plain
    assert [spelling.write(text) for text in plain] == texts


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2060, 12, 31)),
    st.sampled_from(
        ["%d.%m.%y", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%B %d, %Y", "%Y%m%d", "%G-W%V", "%Y-%m-%dT%H:%M:%S.%f+02:00"]
    ),
)
def test_a_date_is_written_as_the_standard_library_writes_it(moment: datetime, form: str) -> None:
    assert locale.setlocale(locale.LC_TIME) == "C"
    text = moment.strftime(form)
    spelling, _ = find_dates([text], digits=True)
    assert spelling is not None and spelling.write(spelling.read(text)) == text


def test_months_are_twelve_in_every_language() -> None:
    assert all(len(names.split()) == 12 == len(set(names.split())) for names in MONTHS.values())


def test_a_day_that_a_month_does_not_have_is_written_as_its_last() -> None:
    spelling = DateSpelling(form="%d.%m.%y", plain="%Y-%m-%d")
    assert spelling.write("2023-02-31") == "28.02.23"


def test_minutes_with_tenths_of_seconds_are_durations() -> None:
    """They were read as hours and minutes of a day, and written as times that cannot be."""
    laps = ["09:34.7", "02:05.1", "00:59.9", "11:00.0"]
    assert find_dates(laps) == (None, None)
    spelling = find_durations(laps)
    assert spelling is not None and [spelling.read(text) for text in laps] == ["574.7", "125.1", "59.9", "660.0"]
    assert [spelling.write(spelling.read(text)) for text in laps] == laps


@pytest.mark.parametrize(
    ("years", "first", "last"),
    [
        (["50", "63", "74", "99"], 1950, 1999),  # births: not of 2050
        (["50", "74", "99", "03"], 1950, 2003),
        (["19", "21", "23"], 2019, 2023),
        (["70", "85", "12"], 1970, 2012),
    ],
)
def test_years_of_two_digits_lie_in_one_lifetime(years: list[str], first: int, last: int) -> None:
    texts = [f"28-Jun-{year}" for year in years]
    spelling, _ = find_dates(texts)
    assert spelling is not None
    spelling = in_one_lifetime(spelling, texts)
    found = [spelling.moment(text).year for text in texts]
    assert (min(found), max(found)) == (first, last)
    assert [spelling.write(spelling.read(text)) for text in texts] == texts
