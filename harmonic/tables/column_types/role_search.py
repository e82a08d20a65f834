"""Finds what a column is for: something to learn, or an identifier, free text, a constant.

An identifier is known by the pattern of its values (an e-mail address, a card number), or by values that look like
codes and differ in nearly every row, or by values that are in the rows of one person only. If nearly all values differ
and none of this fits, the role is unclear: a note asks the user, and the values are not released.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

import numpy as np
import pandas as pd

from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.column_types.personal_patterns import count_patterns, with_patterns
from harmonic.tables.column_types.role import (
    CARD_DIGITS,
    LEAST_LONG,
    LEAST_PEOPLE,
    LEAST_ROWS,
    MOSTLY,
    NAMES,
    NAMES_ONE,
    NAMES_TIME,
    NOTHING,
    NUMBERS_SOMEONE,
    PLACE,
    ROWS_PER_PERSON,
    Finding,
    Role,
    how_often,
    identifier,
)
from harmonic.tables.column_types.text_roles import find_text_role
from harmonic.tables.columns import Kind
from harmonic.tables.spellings.date_formats import find_format
from harmonic.tables.spellings.spelling_search import Doubt

_LONG = 9  # digits from which a whole number is likelier a name than a quantity


def find_role(known: pd.Series, rows: int, doubt: Doubt | None = None) -> Finding:
    """Whether a column is kept from the generator, and why. `known`: its plain texts without the missing ones.

    `rows`: how many the table has. `doubt`: why the column is not read as what most of its values are.
    """
    values = known.unique()
    if len(values) == 0:
        return Finding(role=Role.CONSTANT, why="no value at all")
    patterns = count_patterns(values)
    by_pattern = _role_by_pattern(known, patterns) if patterns else NOTHING
    if by_pattern.role is Role.IDENTIFIER:
        return by_pattern
    finding = _role_of_values(known, rows, doubt)
    return by_pattern if finding.role in (None, Role.CONSTANT) and by_pattern.role is not None else finding


def _role_by_pattern(known: pd.Series, patterns: Counter[str]) -> Finding:
    """An identifier if most values name someone, unclear if some do."""
    distinct = known.unique()
    pattern, _ = patterns.most_common(1)[0]
    naming = set(with_patterns(distinct))
    others = known[~known.isin(naming)].value_counts()
    plural = re.sub("^an? ", "", pattern).replace("address", "addresses").replace("number", "numbers")
    why = f"{len(naming)} of {len(distinct)} values are {plural}{'' if plural.endswith('s') else 's'}"
    if len(naming) * 2 < len(distinct):
        return Finding(role=Role.UNCLEAR, why=why, examples=tuple(sorted(naming)[:3]), by_pattern=True)
    return Finding(
        role=Role.IDENTIFIER, why=why, against=len(others), examples=tuple(map(str, others.index[:3])),
        grouped=bool(known.duplicated().any()), by_pattern=True,
    )  # fmt: skip


def _role_of_values(known: pd.Series, rows: int, doubt: Doubt | None) -> Finding:
    """The role that all values of the column together show."""
    values = known.unique()
    if len(values) == 1 and len(known) == rows:
        return Finding(role=Role.CONSTANT, why=f"{values[0]!r} in every row")
    numbers = _whole_numbers(values)
    if numbers is not None:
        return _role_of_numbers(known, numbers, rows)
    if infer_kind(values) is not Kind.CATEGORY or find_format(values) is not None:
        return NOTHING
    return NOTHING if len(known) < LEAST_ROWS else find_text_role(known, doubt)


def _whole_numbers(values: Collection[str]) -> list[int] | None:
    """The values as whole numbers, if all are written as such, or with only zeros after the point; else None."""
    if not all(re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.0+)?", text) for text in values):
        return None
    return [int(text.partition(".")[0]) for text in values]


def _role_of_numbers(known: pd.Series, numbers: list[int], rows: int) -> Finding:
    """Identifiers if they number the rows, or are long and of one length, or if the column's name says so."""
    name, distinct = str(known.name), len(numbers)
    lengths = Counter(len(str(abs(number))) for number in numbers)
    length, usual = lengths.most_common(1)[0]
    all_differ = distinct == len(known)
    per_value = len(known) / distinct
    moments = _are_moments(name, numbers)
    if distinct > 1 and length >= CARD_DIGITS and usual * 2 > distinct and not moments and per_value < 2:
        return identifier(f"numbers of {length} digits, which measure nothing", known)
    if len(known) < LEAST_ROWS or distinct < LEAST_LONG:
        return NOTHING
    if all_differ and distinct >= LEAST_PEOPLE and _are_counted(known, numbers):
        return identifier("counts the rows", known)
    if per_value > ROWS_PER_PERSON or PLACE.search(name):
        return NOTHING
    rounded = sum(number % 1000 == 0 for number in numbers) * 2 > distinct
    if length >= _LONG and usual >= MOSTLY * distinct and not rounded and not moments:
        return identifier(f"whole numbers of {length} digits, {how_often(known)}", known)
    people = NUMBERS_SOMEONE.search(name) and per_value > 1
    named = NAMES.search(name) and (all_differ or length >= 5 or NAMES_ONE.search(name))
    if distinct >= LEAST_PEOPLE and (people or named):
        return identifier(f"its name, and whole numbers, {how_often(known)}", known)
    return NOTHING


def _are_counted(known: pd.Series, numbers: list[int]) -> bool:
    """Whether the numbers are evenly spaced; by 1 and written as whole numbers, unless the name is an identifier's."""
    steps = set(np.diff(np.array(numbers, dtype=object)))
    whole = all("." not in text for text in known.unique())
    return len(steps) == 1 and ((steps == {1} and whole) or bool(NAMES.search(str(known.name))))


def _are_moments(name: str, numbers: list[int]) -> bool:
    """Whether numbers in a column with such a name are seconds, or parts of seconds, since 1970: of 1990 to 2050."""
    if not NAMES_TIME.search(name):
        return False
    units = (1, 1000, 1_000_000, 1_000_000_000)
    return any(all(631_152_000 * unit <= number <= 2_524_608_000 * unit for number in numbers) for unit in units)
