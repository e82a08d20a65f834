"""What a column's numbers may mean besides quantities: codes, years, row numbers, texts for missing values.

Codes become categories, and a note says so. The other meanings are only noted, with the setting that decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from harmonic.shell import override
from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.column_types.missing_markers import MISSING_VALUES
from harmonic.tables.columns import Kind
from harmonic.tables.spellings.date_formats import find_format, format_date, parse_date

_MOST_CODES = 12  # different numbers that may be codes, at most
_ROWS_PER_CODE = 5.0
_LEAST_ROWS = 20
_SPARSE = 0.4  # share of all whole numbers between the least and the largest that may be codes, at most
_YEARS = (1900, 2100)
_INDEX = re.compile(r"(?i)^(index|idx|row|rows|rownames|row_?id|nr|no|id|key|unnamed: \d+)$|_(id|idx|index)$")
_SENTINEL = re.compile(
    r"-(1|9|99|999|9999|99999|999999|88|888|8888|77|777|7777|6666|66|666)|999|9999|99999|999999|9{7,}"
)
_REPEATED = 3  # rows that have a text for missing values, at least
_NEVER = re.compile(
    r"(1111-11-11|1753-01-01|1899-12-3[01]|19[07]0-01-01|20[79]9-12-31|2100-01-01|[239]999-(12-31|01-01))"
)
_TIMED = re.compile(r"(?i)date|datum|fecha|day|tag$|(^|_)(on|at)$")
_EXCEL_DAYS = (20_000, 60_000)  # 1954 to 2064, in days since 1899-12-30
_LEAST_DIGITS = 6  # of numbers that may name someone
_EXACT, _NEARLY = 7, 0.9  # digits of exact numbers, and the share of rows with a number that no other row has
_ROUNDED = 0.1  # share of multiples of 100 from which numbers are rounded, like quantities


def find_codes(name: str, values: pd.Series) -> str | None:
    """A note if whole numbers are codes rather than quantities; else None. `values`: texts without missing ones."""
    distinct = values.unique()
    if len(values) < _LEAST_ROWS or not 3 <= len(distinct) <= _MOST_CODES or infer_kind(distinct) is not Kind.INTEGER:
        return None
    if len(values) / len(distinct) < _ROWS_PER_CODE:
        return None
    numbers = sorted(map(int, distinct))
    steps = set(np.diff(numbers))
    if len(numbers) / (numbers[-1] - numbers[0] + 1) > _SPARSE or len(steps) == 1:
        return None  # without gaps, or evenly spaced: a scale
    shown = ", ".join(map(str, numbers[:6]))
    return (
        f"column {name!r} has {len(distinct)} whole numbers with gaps ({shown}): taken for codes, so that no others "
        f"are written; if they are quantities: {override('dataset.kinds', {name: 'integer'})}"
    )


def find_doubts(name: str, values: pd.Series, write: Callable[[str], str] = str) -> list[str]:
    """Notes for the user on a column that is learnt as numbers or dates.

    `values`: plain texts without missing ones. `write`: gives the file's text of a plain one.
    """
    distinct = values.unique()
    if len(values) < _LEAST_ROWS or len(distinct) < 3:
        return []
    if infer_kind(distinct) is Kind.CATEGORY:
        form = find_format(distinct)
        return [] if form is None else _far_dates(name, values, form, write)
    found = [*_years(name, distinct), *_row_numbers(name, distinct), *_sentinels(name, values, write)]
    return found or [*_day_numbers(name, distinct), *_long_numbers(name, values), *_exact_numbers(name, values)]


def _years(name: str, distinct: Collection[str]) -> list[str]:
    if not all(re.fullmatch(r"\d{4}", text) and _YEARS[0] <= int(text) <= _YEARS[1] for text in distinct):
        return []
    fix = f"if they are labels: {override('dataset.kinds', {name: 'category'})}"
    return [f"column {name!r} looks like years and is learnt as whole numbers: new rows may have other years; {fix}"]


def _row_numbers(name: str, distinct: Collection[str]) -> list[str]:
    if not _INDEX.search(name) or infer_kind(distinct) is not Kind.INTEGER:
        return []
    fix = f"{override('dataset.kinds', {name: 'identifier'})}, or category"
    return [f"column {name!r} has the name of an index and is learnt as whole numbers; if it is an index: {fix}"]


def _day_numbers(name: str, distinct: Collection[str]) -> list[str]:
    if not _TIMED.search(name) or infer_kind(distinct) is not Kind.INTEGER:
        return []
    numbers = sorted(map(int, distinct))
    if not (_EXCEL_DAYS[0] <= numbers[0] and numbers[-1] <= _EXCEL_DAYS[1]):
        return []
    day = datetime(1899, 12, 30) + timedelta(days=numbers[0])
    return [
        f"column {name!r} looks like the day numbers of a spreadsheet ({numbers[0]} is {day:%Y-%m-%d}) and is learnt "
        "and written as whole numbers; to have dates, format them as dates in the spreadsheet"
    ]


def _long_numbers(name: str, values: pd.Series) -> list[str]:
    """Every row has a different number, all of one length and not rounded: quantities, or numbers that name someone."""
    distinct = values.unique()
    if len(distinct) < len(values) or infer_kind(distinct) is not Kind.INTEGER:
        return []
    digits = {len(text.lstrip("+-")) for text in distinct}
    rounded = sum(int(text) % 100 == 0 for text in distinct)
    if len(digits) > 1 or min(digits) < _LEAST_DIGITS or rounded > _ROUNDED * len(distinct):
        return []
    return [
        f"column {name!r} has a different number of {digits.pop()} digits in every row, and is learnt as a quantity; "
        f"if the numbers name someone: {override('dataset.kinds', {name: 'identifier'})}"
    ]


def _exact_numbers(name: str, values: pd.Series) -> list[str]:
    """Nearly every row has a different number of many digits: a coordinate, the balance of an account."""
    counts = values.value_counts()
    if infer_kind(counts.index) is not Kind.FLOAT or (counts == 1).sum() < _NEARLY * len(values):
        return []
    digits = float(np.median([len(text.lstrip("-0.").replace(".", "")) for text in counts.index]))
    if digits < _EXACT:
        return []
    return [
        f"column {name!r} has a different number of {digits:.0f} digits in nearly every row: an exact number may show "
        "which person a row is about, and new rows may have some of them; to reveal less, round them in the file"
    ]


def _far_dates(name: str, values: pd.Series, form: str, write: Callable[[str], str]) -> list[str]:
    """Dates such as 9999-12-31 that are farther from all others than these are from each other."""
    found = []
    for text, count in values.value_counts().items():
        if count < _REPEATED or not _NEVER.fullmatch(_iso(str(text), form)):
            continue
        rest = [parse_date(other, form) for other in values[values != text].unique()]
        number, low, high = parse_date(str(text), form), min(rest), max(rest)
        if max(low - number, number - high) > high - low:
            ends = f"{write(format_date(low, form))} to {write(format_date(high, form))}"
            found.append(_stands_for_none(name, write(str(text)), int(count), ends))
    return found


def _iso(text: str, form: str) -> str:
    """The day of a date, in ISO 8601; "" if the format has no day."""
    seconds = {"%f": 86_400_000_000, "%H": 86_400}
    unit = next((size for field, size in seconds.items() if field in form), 1)
    return format_date(parse_date(text, form) // unit, "%Y-%m-%d") if "%Y" in form else ""


def _sentinels(name: str, values: pd.Series, write: Callable[[str], str]) -> list[str]:
    """Numbers such as -999 that are farther from all others than these are from each other."""
    counts = values.value_counts()
    found = []
    for text, count in counts.items():
        whole = re.sub(r"\.0+$", "", str(text))
        if count < _REPEATED or not _SENTINEL.fullmatch(whole):
            continue
        rest = values[values != text].map(float)
        if rest.nunique() < 3:
            continue
        low, high = float(rest.min()), float(rest.max())
        away = max(low - float(str(text)), float(str(text)) - high)
        if away > high - low or (whole.startswith("-") and low >= 0 and away > 0 and whole != "-1"):
            found.append(_stands_for_none(name, write(str(text)), int(count), f"{low:g} to {high:g}"))
    return found


def _stands_for_none(name: str, text: str, count: int, others: str) -> str:
    return (
        f"column {name!r} has {text!r} in {count} rows, far from the others ({others}); if it stands for a missing "
        "value: " + override("dataset.missing_values", [*MISSING_VALUES, text])
    )
