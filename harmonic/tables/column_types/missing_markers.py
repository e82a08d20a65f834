"""The texts that stand for missing values, in the whole table and in one column.

In a column of numbers or dates all of them are missing values, and each is written as often as it was. In a column of
categories one of them is the missing value, and the others are ordinary values: in a column with empty cells, "NA" may
mean Namibia.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from harmonic.errors import ConfigError
from harmonic.settings import text_of
from harmonic.shell import override
from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.columns import Kind
from harmonic.tables.spellings.date_formats import find_format

MISSING_VALUES = ("", "NA", "NaN", "nan", "null")
_SETTING = "dataset.missing_values"


def marker_texts(wanted: Sequence[object]) -> tuple[str, ...]:
    """The texts of the setting dataset.missing_values: numbers as they are written, null in several spellings."""
    texts: list[str] = []
    for one in wanted:
        texts += ["null", "NULL", "Null"] if one is None else [text_of(one)]
    return tuple(dict.fromkeys(["", *texts] if texts else []))


def marker_notes(wanted: Sequence[object], texts: pd.DataFrame) -> list[str]:
    """Notes on a list that replaces the usual one."""
    markers = marker_texts(wanted)
    if tuple(markers) == MISSING_VALUES:
        return []
    lost = [text for text in MISSING_VALUES if text not in markers and bool((texts == text).any(axis=None))]
    seen = {text: int((texts == text).sum().sum()) for text in markers if text}
    notes = [f"{_SETTING} has {text!r}, which is nowhere in the table" for text, count in seen.items() if not count]
    if lost:
        notes.append(f"{_SETTING} replaces the usual texts: {lost} are ordinary values")
    return notes


def refuse_classes(target: pd.Series, gaps: pd.Series, wanted: Sequence[object], task: str | None) -> None:
    """Raises ConfigError if one of the usual texts for missing values may be a class of the target."""
    given = target[~gaps]
    lost = sorted({text for text in target[gaps] if text})
    if not lost or marker_texts(wanted) != MISSING_VALUES or task == "regression" or not len(given):
        return
    if infer_kind(given.unique()) is not Kind.CATEGORY:
        return
    count = int(target[gaps].isin(lost).sum())
    problem = f"{count} rows have {lost[0]!r}, which is a text for missing values: they would be left out"
    fix = f"if it is a class: {override(_SETTING, [''])}; if not, remove those rows from the file, or empty their cells"
    raise ConfigError("dataset.target", target.name, problem, fix)


def settle_markers(
    plain: pd.DataFrame, gaps: pd.DataFrame, kinds: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[tuple[str, float], ...]], list[str]]:
    """Decide which texts are missing values in each column.

    Returns the plain texts, in which one text stands for all missing values of a column; the gaps; by column, the
    file's texts for missing values with their shares; and notes.
    """
    plain, gaps = plain.copy(), gaps.copy()
    markers: dict[str, tuple[tuple[str, float], ...]] = {}
    notes = []
    for name in plain.columns:
        texts = plain.loc[gaps[name], name]
        if not len(texts):
            continue
        counts = texts.value_counts()
        shown = ", ".join(f"{text!r} {count}" for text, count in counts.items())
        several = f"column {name!r} has several texts for missing values ({shown})"
        if len(counts) > 1 and _is_category(plain.loc[~gaps[name], name], kinds.get(name)):
            main = "" if "" in counts else str(counts.index[0])
            gaps.loc[texts.index[texts != main], name] = False
            others = ", ".join(repr(text) for text in counts.index if text != main)
            notes.append(f"{several}: {main!r} is one, and ordinary values are {others}")
            continue
        if len(counts) > 1:
            notes.append(f"{several}: each is written as often as it was, in any row without a value")
        markers[name] = tuple((str(text), round(count / len(texts), 6)) for text, count in counts.items())
        plain.loc[texts.index, name] = str(counts.index[0])
    return plain, gaps, markers, notes


def _is_category(known: pd.Series, kind: str | None) -> bool:
    if kind is not None:
        return kind == Kind.CATEGORY
    values = known.unique()
    return len(values) > 0 and infer_kind(values) is Kind.CATEGORY and find_format(values) is None
