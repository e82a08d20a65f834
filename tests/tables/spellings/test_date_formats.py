"""Dates as a file writes them: .venv/bin/pytest tests/tables/spellings/test_date_formats.py."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonic.tables.spellings.date_formats import FORMATS, find_format, format_date, parse_date, pattern


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2024-02-29", "1999-12-31"], "%Y-%m-%d"),
        (["12/31/1999", "01/02/2003"], "%m/%d/%Y"),
        (["31/12/1999", "01/02/2003"], "%d/%m/%Y"),
        (["1/2/2020", "12/31/2020"], "%-m/%-d/%Y"),
        (["2024-02-29 23:59:59"], "%Y-%m-%d %H:%M:%S"),
        (["2024-02-29T23:59:59.000001Z"], "%Y-%m-%dT%H:%M:%S.%fZ"),
        (["23:59", "00:00"], "%H:%M"),
        (["2024-02", "2023-12"], "%Y-%m"),
        (["2023-02-31"], None),  # no such day
        (["2024-02-29", "29.02.2024"], None),  # two formats
        (["2024-13-01"], None),
        (["yesterday"], None),
    ],
)
def test_format_is_the_one_that_gives_every_text_back(texts: list[str], form: str | None) -> None:
    assert find_format(texts) == form


@given(
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), st.sampled_from([f for f in FORMATS if "%-" not in f])
)
def test_a_date_is_written_as_the_standard_library_writes_it(moment: datetime, form: str) -> None:
    text = moment.strftime(form)
    assert re.fullmatch(pattern(form), text)
    assert format_date(parse_date(text, form), form) == text


@given(st.integers(-(10**18), 10**18), st.sampled_from(FORMATS))
def test_any_number_is_written_as_a_date_that_reads_back(number: int, form: str) -> None:
    text = format_date(number, form)
    assert format_date(parse_date(text, form), form) == text


def test_numbers_are_days_or_seconds_since_1970() -> None:
    assert parse_date("1970-01-31", "%Y-%m-%d") == 30
    assert parse_date("1970-01-02 00:00:01", "%Y-%m-%d %H:%M:%S") == 86401
    assert parse_date("01:30", "%H:%M") == 5400


def test_a_day_beyond_its_month_is_the_last() -> None:
    assert format_date(parse_date("2023-02-31", "%Y-%m-%d"), "%Y-%m-%d") == "2023-02-28"


def test_pattern_keeps_to_the_years_of_the_data() -> None:
    low, high = (parse_date(text, "%d.%m.%Y") for text in ("01.05.2019", "01.05.2023"))
    kept = re.compile(pattern("%d.%m.%Y", low, high))
    assert kept.fullmatch("31.12.2019") and kept.fullmatch("01.01.2029")
    assert not kept.fullmatch("01.01.2030") and not kept.fullmatch("01.01.1920")


@pytest.mark.parametrize("text", ["", "2024-1-1", "2024-01-01 ", "24-01-01", "٢٠٢٤-01-01"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not written as"):
        parse_date(text, "%Y-%m-%d")
