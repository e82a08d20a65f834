"""Ranges: a text matches exactly if the number, or the date, that it stands for lies between the bounds."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest

from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.ranges import dates, decimals, integers
from harmonic.tables.spellings.date_formats import format_date, parse_date


def compiled(pattern: str | None) -> re.Pattern[str]:
    assert pattern is not None
    return re.compile(pattern)


def test_integers_match_if_and_only_if_they_lie_between_the_bounds() -> None:
    draw = np.random.default_rng(0)
    bounds = [sorted(pair) for pair in draw.integers(-250, 1300, (60, 2)).tolist()]
    for low, high in [*bounds, (0, 0), (-7, -7), (9, 10), (99, 1000), (-100, 99)]:
        pattern = compiled(integers(low, high))
        matched = [number for number in range(-300, 1400) if pattern.fullmatch(str(number))]
        assert matched == list(range(low, high + 1)), (low, high)
        assert not any(pattern.fullmatch(odd) for odd in ("-0", "007", "", "+5", "5.0"))


WRITTEN = [(style, places) for style in Style for places in range(style is Style.FIXED, 4)]


@pytest.mark.parametrize(("style", "places"), WRITTEN)
def test_decimals_match_as_the_column_writes_them(style: Style, places: int) -> None:
    column = Column(name="x", kind=Kind.FLOAT, decimals=places, style=style)
    draw = np.random.default_rng(places)
    unit = 10**places
    for low, high in [sorted(pair) for pair in draw.integers(-30 * unit, 60 * unit, (25, 2)).tolist()]:
        pattern = compiled(decimals(Decimal(low) / unit, Decimal(high) / unit, places, style))
        for number in [*draw.integers(-32 * unit, 62 * unit, 150).tolist(), low, high, low - 1, high + 1]:
            text = column.format(number / unit)
            if number or not text.startswith("-"):
                assert bool(pattern.fullmatch(text)) == (low <= number <= high), (low, high, text)


def test_decimals_with_trailing_zeros_count_as_the_number_they_are() -> None:
    pattern = compiled(decimals(Decimal("1.25"), Decimal("2.5"), 3, Style.SHORTEST))
    assert [text for text in ("1.2", "1.25", "1.250", "1.3", "2.0", "2.50", "2.500", "2.501", "2", "2.") if
            pattern.fullmatch(text)] == ["1.25", "1.250", "1.3", "2.0", "2.50", "2.500"]  # fmt: skip


def test_bounds_between_two_values_of_the_column_go_inwards() -> None:
    pattern = compiled(decimals(Decimal("0.04"), Decimal("0.26"), 1, Style.SHORTEST))
    assert [text for text in ("0.0", "0.1", "0.2", "0.3") if pattern.fullmatch(text)] == ["0.1", "0.2"]


@pytest.mark.parametrize("bounds", [(5, 4), (-1, -2)])
def test_nothing_lies_between_bounds_the_wrong_way_round(bounds: tuple[int, int]) -> None:
    low, high = bounds
    assert integers(low, high) is None and dates(low, high, "%Y-%m-%d") is None
    assert decimals(Decimal("0.11"), Decimal("0.19"), 1, Style.SHORTEST) is None


FORMATS = ["%Y-%m-%d", "%-m/%-d/%Y", "%d.%m.%Y", "%Y-%m", "%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"]


@pytest.mark.parametrize("form", FORMATS)
def test_dates_match_whatever_the_order_of_their_fields(form: str) -> None:
    draw = np.random.default_rng(1)
    day = 86_400 * 10**6 if "%f" in form else 86_400 if "%H" in form else 1

    def moment(first: int, last: int) -> int:
        number = int(draw.integers(first, last)) if "%Y" in form else int(draw.integers(0, day))
        return parse_date(format_date(number, form), form)

    for _ in range(15):
        start = int(draw.integers(9000, 20000))
        low, high = sorted(moment(start * day, (start + 900) * day) for _ in range(2))
        pattern = compiled(dates(low, high, form))
        for number in [*(moment((start - 60) * day, (start + 960) * day) for _ in range(60)), low, high]:
            text = format_date(number, form)
            assert bool(pattern.fullmatch(text)) == (low <= number <= high), text


def test_a_day_that_its_month_does_not_have_lies_where_the_months_last_does() -> None:
    form = "%Y-%m-%d"
    low, high = parse_date("2023-02-10", form), parse_date("2023-03-05", form)
    pattern = compiled(dates(low, high, form))
    for text in ("2023-02-31", "2023-02-30"):
        assert pattern.fullmatch(text) and low <= parse_date(text, form) <= high
    assert not compiled(dates(low, parse_date("2023-02-28", form), form)).fullmatch("2023-03-01")
