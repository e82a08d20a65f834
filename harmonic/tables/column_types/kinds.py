"""What the columns of a text table are: their kinds, the target, the task; and the typed values, with missing ones.

A column is decided once, from all rows of the table (train, validation and test), so that the splits share one schema.
Generators get to know less (harmonic.tables.training_view). Decisions that the user did not make are noted for the
report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.shell import override
from harmonic.tables.columns import Style, format_number
from harmonic.tables.spellings.date_formats import FORMATS, find_format, parse_date
from harmonic.tables.table import Column, InvalidValue, Kind, Schema, Task

MAX_CLASSES = 20  # an integer target with more values than this is a number to predict
ASIDE = ("identifier", "text", "constant", "drop")  # in dataset.kinds: columns that are kept aside
DATE = "date"  # a kind in dataset.kinds: whole numbers that are written as dates
LARGEST = 1e100  # larger numbers are not quantities: squares of their differences may not fit in a float
MAX_DIGITS = 18  # what fits in an int64, sign included, and what Column.parse takes

# No leading zeros: "007" is a code, not a seven.
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)")
_FIXED = re.compile(r"-?(0|[1-9]\d*)\.\d+")
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def type_table(
    texts: pd.DataFrame,
    *,
    target: str | None,
    task: str | None = None,
    kinds: Mapping[str, str] | None = None,
    description: str = "records",
    gaps: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, Schema, list[str]]:
    """Decide what the columns of a text table are, and convert it.

    `gaps` marks the missing values, (n, columns) of bool; None: there are none. Every column has at least one value,
    the target one in every row. `target` None: there is nothing to predict. `task`, and the kinds of columns that are
    not in `kinds` (harmonic.tables.columns.Kind, or "date"), are inferred if they are not given. Returns the typed
    frame (n, columns), its schema, and notes. Raises ConfigError if the target, the task or a kind is invalid, and
    DataError if the target has only one value.
    """
    names = list(texts.columns)
    wanted = _check_kinds(kinds or {}, names)
    if target is not None and target not in names:
        raise unknown("dataset.target", target, "column", names)
    if target is None:
        decided, notes = Task.NONE, ["no target (dataset.target=null): utility is not measured"]
    else:
        decided, notes = _decide_task(texts[target], task, wanted.get(target))
        wanted[target] = _target_kind(texts[target], decided, wanted.get(target))
    columns, values = [], {}
    for name in names:
        missing = None if gaps is None else gaps[name].to_numpy()
        column, values[name], remarks = type_column(texts[name], wanted.get(name), missing)
        columns.append(column)
        notes += [f"column {name!r} {remark}" for remark in remarks]
    schema = Schema(columns=tuple(columns), target=target or "", task=decided, description=description)
    return pd.DataFrame(values, columns=names), schema, notes


def infer_kind(values: Collection[str]) -> Kind:
    """Integer if all values are whole numbers without leading zeros, float if all are numbers, else category."""
    if all(_INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS for text in values):
        return Kind.INTEGER
    return Kind.FLOAT if all(map(_is_number, values)) else Kind.CATEGORY


def infer_task(target: pd.Series, kind: Kind | str | None = None) -> Task:
    """Classification if the target is text or has at most 20 different whole numbers, else regression."""
    values = target.unique()
    classes = kind is Kind.CATEGORY
    if kind is None:
        numeric = infer_kind(values) is not Kind.CATEGORY
        classes = not numeric or (len(values) <= MAX_CLASSES and all(float(text).is_integer() for text in values))
    if not classes:
        return Task.REGRESSION
    return Task.BINARY if len(values) == 2 else Task.MULTICLASS


def type_column(
    texts: pd.Series, kind: Kind | str | None = None, gaps: NDArray[np.bool_] | None = None
) -> tuple[Column, NDArray[Any], list[str]]:
    """The column, its typed values (n,), and remarks on what the user may want to correct.

    `gaps` (n,) marks missing values; the most frequent text of them stands for all. If `kind` is given and the values
    are not of that kind, raises ConfigError (dataset.kinds).
    """
    name = str(texts.name)
    given = texts.to_numpy(dtype=object)
    known = np.ones(len(given), bool) if gaps is None else ~gaps
    codes, values = pd.factorize(given[known])
    missing = None if known.all() else str(pd.Series(given[~known]).mode()[0])
    date_format = _date_format(name, values, kind)
    found = Kind.INTEGER if date_format else infer_kind(values) if kind is None else Kind(kind)
    if found is Kind.INTEGER and date_format is None and missing is not None and _too_long_for_float(values):
        found = Kind.CATEGORY
    remarks = [f"is constant: {values[0]!r} in every row"] if len(values) == 1 and missing is None else []
    distinct: list[Any] = list(values)
    if found is Kind.CATEGORY:
        column = Column(name=name, kind=found, categories=tuple(sorted(values)), missing=missing)
        remarks += _category_doubts(values, len(texts)) if kind is None else []
    else:
        distinct = [parse_date(text, date_format) if date_format else _convert(name, text, found) for text in values]
        style, decimals, odd = infer_style(values, distinct) if found is Kind.FLOAT else (Style.SHORTEST, 0, [])
        column = Column(
            name=name, kind=found, minimum=float(min(distinct)), maximum=float(max(distinct)), decimals=decimals,
            style=style, date_format=date_format, missing=missing,
        )  # fmt: skip
        remarks += _style_remarks(column, odd, len(values))
    empty: Any = {"object": None, "float64": np.nan, "int64": 0}[column.dtype]
    typed = np.full(len(given), empty, dtype=column.dtype)
    typed[known] = np.array(distinct, dtype=column.dtype)[codes]
    return column, typed, remarks


def _date_format(name: str, values: NDArray[Any], kind: Kind | str | None) -> str | None:
    """The format of a column of dates; None if it is none. Raises ConfigError if it is declared as one, but is not."""
    if kind is None and infer_kind(values) is not Kind.CATEGORY:
        return None
    found = find_format(values) if kind in (None, DATE) else None
    if kind == DATE and found is None:
        other = override("dataset.kinds", {name: "category"})
        fix = f"known formats: {', '.join(FORMATS[:4])} …, with times; or {other}"
        raise ConfigError("dataset.kinds", f"{{{name}: date}}", f"column {name!r} holds {values[0]!r}", fix)
    return found


def _style_remarks(column: Column, odd: list[str], distinct: int) -> list[str]:
    """What to say of `odd`, the texts of a float column that are not in its style."""
    if not odd:
        return []
    again = format_number(float(odd[0]), column.style, column.decimals)
    return [
        f"has {len(odd)} of {distinct} different numbers in another style than the rest, such as {odd[0]!r}, which is "
        f"written {again!r}"
    ]


def infer_style(texts: Collection[str], numbers: Collection[float]) -> tuple[Style, int, list[str]]:
    """The style and the decimals of most texts of a float column, and the texts that are not in that style."""
    needed = max(map(decimals_of, numbers))
    padded = max(len(text.partition(".")[2]) if _FIXED.fullmatch(text) else 0 for text in texts)
    best: tuple[Style, int, list[str]] | None = None
    for style in Style:  # the first of those that fit equally well
        decimals = needed if style in (Style.SHORTEST, Style.PLAIN) else padded
        if decimals < needed:
            continue  # digits would be lost
        odd = [t for t, number in zip(texts, numbers, strict=True) if format_number(number, style, decimals) != t]
        if best is None or len(odd) < len(best[2]):
            best = style, decimals, odd
    assert best is not None
    return best


def _too_long_for_float(values: NDArray[Any]) -> bool:
    """Whether an integer loses digits as a float, which integers beside missing values are."""
    return any(int(float(text)) != int(text) for text in values)


def _is_number(text: str) -> bool:
    # An integer that is too long for int64 would lose digits as a float: it is an identifier.
    long = len(text) > MAX_DIGITS and _INTEGER.fullmatch(text)
    return bool(_NUMBER.fullmatch(text)) and not long and abs(float(text)) <= LARGEST


def _category_doubts(values: NDArray[Any], rows: int) -> list[str]:
    """Why a column that became a category may be something else."""
    if rows > 1 and len(values) == rows:
        return ["has a different text in every row: an identifier teaches nothing; consider removing it"]
    numbers = [text for text in values if _is_number(text)]
    if len(numbers) > len(values) / 2:
        odd = sorted(set(values) - set(numbers))
        return [f"is read as a category: {len(numbers)} of its {len(values)} values are numbers, {odd[:3]} are not"]
    if all(re.fullmatch(r"[+-]?\d+", text) for text in values):
        return [f"is read as a category: its numbers have leading zeros or more than {MAX_DIGITS} digits"]
    return []


def _convert(name: str, text: str, kind: Kind) -> int | float:
    try:
        if kind is Kind.INTEGER:
            whole = Column(name=name, kind=kind).parse(text)
            assert isinstance(whole, int)
            return whole
        number = float(text)
        if abs(number) <= LARGEST:
            return number
        raise InvalidValue("not_a_number_that_can_be_measured", name, text)
    except ValueError as error:
        fix = f"correct the value, or read the column as it is: {override('dataset.kinds', {name: 'category'})}"
        raise ConfigError("dataset.kinds", f"{{{name}: {kind}}}", f"column {name!r} holds {text!r}", fix) from error


def decimals_of(number: float) -> int:
    """Decimal places that the number needs: 0 for 10.0, 3 for 0.285."""
    text = repr(number)
    if "e" in text:
        return max(0, -int(Decimal(text).normalize().as_tuple().exponent))
    return len(text.partition(".")[2].rstrip("0"))


def _check_kinds(kinds: Mapping[str, str], names: list[str]) -> dict[str, Kind | str]:
    known = [*(kind.value for kind in Kind), DATE, *ASIDE]
    for name, kind in kinds.items():
        if name not in names:
            raise unknown("dataset.kinds", f"{{{name}: {kind}}}", "column", names, name=name)
        if kind not in known:
            raise unknown("dataset.kinds", f"{{{name}: {kind}}}", "kind", known, name=str(kind))
    return {name: DATE if kind == DATE else Kind(kind) for name, kind in kinds.items()}


def _decide_task(target: pd.Series, task: str | None, kind: Kind | str | None) -> tuple[Task, list[str]]:
    """The task that was given, or the one that fits the target; and notes. Raises ConfigError if it is unknown."""
    if task is None:
        found = infer_task(target, kind)
        return found, [f"task inferred from column {target.name!r}: {found} ({target.nunique()} values)"]
    if task not in list(Task):
        raise unknown("dataset.task", task, "task", [known.value for known in Task])
    return Task(task), []


def _target_kind(target: pd.Series, task: Task, kind: Kind | str | None) -> Kind | str:
    """Category for a classification, whatever the values look like; a kind of number for a regression.

    Raises ConfigError or DataError if the target does not fit the task.
    """
    values = target.unique()
    if len(values) == 1:
        problem = f"the target {target.name!r} has only one value, {values[0]!r}"
        raise DataError(f"{problem}: nothing can be learnt\n  fix: choose another target, or give more rows")
    if task.is_classification:
        if kind not in (None, Kind.CATEGORY):
            fix = f"drop {target.name} from dataset.kinds, or set dataset.task=regression"
            raise ConfigError("dataset.kinds", f"{{{target.name}: {kind}}}", f"the target of a {task} is text", fix)
        fitting = Task.BINARY if len(values) == 2 else Task.MULTICLASS
        if task is not fitting:
            problem = f"the target {target.name!r} has {len(values)} classes: {sorted(values)[:10]}"
            raise ConfigError(
                "dataset.task", task, problem, f"{override('dataset.task', fitting.value)}, or null to infer it"
            )
        return Kind.CATEGORY
    found = infer_kind(values) if kind is None else kind
    if found is Kind.CATEGORY:
        text = next((value for value in values if not _is_number(value)), values[0])
        problem = f"the target {target.name!r} is text, for instance {text!r}"
        fix = "correct the values, or set dataset.task=null to have the task inferred"
        raise ConfigError("dataset.task", task, problem, fix)
    return found
