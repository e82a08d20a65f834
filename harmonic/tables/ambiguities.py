"""What a column's numbers may mean besides the obvious: codes, years, row numbers, stand-ins for missing values.

Codes are taken for categories, and it is said; the rest is said only, with the setting that decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from harmonic.shell import override
from harmonic.tables.columns import Kind
from harmonic.tables.typing import infer_kind

_MOST_CODES = 12  # different numbers up to which they may be codes
_ROWS_PER_CODE = 5.0
_LEAST_ROWS = 20
_SPARSE = 0.4  # share of the whole numbers between the least and the largest that codes have at most
_YEARS = (1900, 2100)
_INDEX = re.compile(r"(?i)^(index|idx|row|rows|rownames|row_?id|nr|no|id|key|unnamed: \d+)$|_(id|idx|index)$")
_SENTINEL = re.compile(
    r"-(1|9|99|999|9999|99999|999999|88|888|8888|77|777|7777|6666|66|666)|999|9999|99999|999999|9{7,}"
)
_REPEATED = 3  # rows in which a stand-in stands at least


def find_codes(name: str, values: pd.Series) -> str | None:
    """Why whole numbers are codes rather than quantities; None where they are not. `values`: texts, none missing."""
    distinct = values.unique()
    if len(values) < _LEAST_ROWS or not 3 <= len(distinct) <= _MOST_CODES or infer_kind(distinct) is not Kind.INTEGER:
        return None
    if len(values) / len(distinct) < _ROWS_PER_CODE:
        return None
    numbers = sorted(map(int, distinct))
    steps = set(np.diff(numbers))
    if len(numbers) / (numbers[-1] - numbers[0] + 1) > _SPARSE or len(steps) == 1:
        return None  # without gaps, or evenly spaced: steps of a scale
    shown = ", ".join(map(str, numbers[:6]))
    return (
        f"column {name!r} has {len(distinct)} whole numbers with gaps ({shown}): taken for codes, and only these are "
        f"written; if they are quantities: {override('dataset.kinds', {name: 'integer'})}"
    )


def find_doubts(name: str, values: pd.Series) -> list[str]:
    """What a user should know about a column of numbers that is learnt as such. `values`: texts, none missing."""
    distinct = values.unique()
    if len(values) < _LEAST_ROWS or len(distinct) < 3 or infer_kind(distinct) is Kind.CATEGORY:
        return []
    return [*_years(name, distinct), *_row_numbers(name, distinct), *_sentinels(name, values)]


def _years(name: str, distinct: Collection[str]) -> list[str]:
    if not all(re.fullmatch(r"\d{4}", text) and _YEARS[0] <= int(text) <= _YEARS[1] for text in distinct):
        return []
    fix = f"if they are labels: {override('dataset.kinds', {name: 'category'})}"
    return [f"column {name!r} looks like years and is learnt as whole numbers, years between them, too; {fix}"]


def _row_numbers(name: str, distinct: Collection[str]) -> list[str]:
    if not _INDEX.search(name) or infer_kind(distinct) is not Kind.INTEGER:
        return []
    fix = f"{override('dataset.kinds', {name: 'identifier'})}, or category"
    return [f"column {name!r} is named like an index and is learnt as whole numbers; if it is one: {fix}"]


def _sentinels(name: str, values: pd.Series) -> list[str]:
    """Numbers such as -999 far beyond the others: further from them than these are from each other."""
    counts = values.value_counts()
    found = []
    for text, count in counts.items():
        whole = str(text).removesuffix(".0").removesuffix(".00")
        if count < _REPEATED or not _SENTINEL.fullmatch(whole):
            continue
        rest = values[values != text].map(float)
        if rest.nunique() < 3:
            continue
        low, high = float(rest.min()), float(rest.max())
        away = max(low - float(str(text)), float(str(text)) - high)
        if away > high - low or (whole.startswith("-") and low >= 0 and away > 0 and whole != "-1"):
            found.append(
                f"column {name!r} has {str(text)!r} in {count} rows, far from the others ({low:g} to {high:g}); if it "
                f"stands for a missing value: {override('dataset.missing_values', ['', str(text)])}"
            )
    return found
