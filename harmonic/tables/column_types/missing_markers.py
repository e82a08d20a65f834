"""The texts that stand for missing values: which they are, and which of them stay apart in one column.

In a column of numbers or dates all of them are missing values, and each comes back at its rate. In a column of
categories one is the missing value, and the others are values of their own: nobody can tell whether "NA" beside empty
cells is Namibia.
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
    """The texts that were asked for: a number as it is written, an unquoted null in any letters."""
    texts: list[str] = []
    for one in wanted:
        texts += ["null", "NULL", "Null"] if one is None else [text_of(one)]
    return tuple(dict.fromkeys(["", *texts] if texts else []))


def marker_notes(wanted: Sequence[object], texts: pd.DataFrame) -> list[str]:
    """What is said of a list that replaces the usual one."""
    markers = marker_texts(wanted)
    if tuple(markers) == MISSING_VALUES:
        return []
    lost = [text for text in MISSING_VALUES if text not in markers and bool((texts == text).any(axis=None))]
    seen = {text: int((texts == text).sum().sum()) for text in markers if text}
    notes = [f"{_SETTING} has {text!r}, which stands nowhere in the table" for text, count in seen.items() if not count]
    if lost:
        notes.append(f"{_SETTING} replaces the usual texts: {lost} stand for themselves")
    return notes


def refuse_classes(target: pd.Series, gaps: pd.Series, wanted: Sequence[object], task: str | None) -> None:
    """A class must not be taken for a missing value. Raises ConfigError where the usual texts do so."""
    given = target[~gaps]
    lost = sorted({text for text in target[gaps] if text})
    if not lost or marker_texts(wanted) != MISSING_VALUES or task == "regression" or not len(given):
        return
    if infer_kind(given.unique()) is not Kind.CATEGORY:
        return
    count = int(target[gaps].isin(lost).sum())
    problem = f"{count} rows have {lost[0]!r}, which is a text for missing values: they would be left out"
    fix = (
        f"if it is a class: {override(_SETTING, [''])}; if not, leave those rows out of the file, or empty their cells"
    )
    raise ConfigError("dataset.target", target.name, problem, fix)


def settle_markers(
    plain: pd.DataFrame, gaps: pd.DataFrame, kinds: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[tuple[str, float], ...]], list[str]]:
    """Settle which texts for missing values stand apart in a column.

    Returns the plain texts and the gaps that follow, the texts that stand for them with their shares, by column, and
    notes.
    """
    plain, gaps = plain.copy(), gaps.copy()
    markers: dict[str, tuple[tuple[str, float], ...]] = {}
    notes = []
    for name in plain.columns:
        texts = plain.loc[gaps[name], name]
        if not len(texts):
            continue
        counts = texts.value_counts()
        main = str(counts.index[0])
        if len(counts) > 1 and _is_category(plain.loc[~gaps[name], name], kinds.get(name)):
            main = "" if "" in counts else main
            others = [text for text in counts.index if text != main]
            gaps.loc[texts.index[texts != main], name] = False
            shown = ", ".join(f"{text!r} {counts[text]}" for text in counts.index)
            stay = "stay values of their own" if len(others) > 1 else "stays a value of its own"
            notes.append(
                f"column {name!r} has several texts for missing values ({shown}): {main!r} is one, and "
                f"{', '.join(map(repr, others))} {stay}"
            )
        else:
            if len(counts) > 1:
                shown = ", ".join(f"{text!r} {count}" for text, count in counts.items())
                notes.append(
                    f"column {name!r} has several texts for missing values ({shown}): each is written at its rate, in "
                    "any row without a value"
                )
            markers[name] = tuple((str(text), round(count / len(texts), 6)) for text, count in counts.items())
            plain.loc[texts.index, name] = main
    return plain, gaps, markers, notes


def _is_category(known: pd.Series, kind: str | None) -> bool:
    if kind is not None:
        return kind == Kind.CATEGORY
    values = known.unique()
    return len(values) > 0 and infer_kind(values) is Kind.CATEGORY and find_format(values) is None
