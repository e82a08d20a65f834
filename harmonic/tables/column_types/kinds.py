"""What the columns of a text table are: kinds, target and task; then text to typed values, missing ones kept.

Nothing is guessed twice: a column is decided from all rows of the table (train, validation and test), so that
the splits share one schema; generators are told less (harmonic.tables.training_view). What was decided silently comes
back as notes for the report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.shell import override
from harmonic.tables.columns import Style, format_number
from harmonic.tables.spellings.date_formats import FORMATS, find_format, parse_date
from harmonic.tables.table import Column, InvalidValue, Kind, Schema, Task

MAX_CLASSES = 20  # an integer target with more values than this is a number to predict
ASIDE = (
    "identifier",
    "text",
    "constant",
    "drop",
)  # in dataset.kinds: columns that file_layout keeps aside
DATE = "date"  # a kind in dataset.kinds: whole numbers, written as dates
LARGEST = 1e100  # beyond it, squares of differences soon leave what a float holds: such a text is no quantity
MAX_DIGITS = 18  # what fits an int64, sign included, and what Column.parse takes

# "007" is a code, not a seven: no leading zeros.
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
    """Decide the columns of a text table and convert it.

    `gaps` marks the missing values, (n, columns) of bool; None: there are none. Every column has a value at least,
    and the target in every row. `target` None: there is nothing to predict. `task` and the kinds of the columns not
    in `kinds` (of harmonic.tables.table.Kind, or "date") are inferred where they are not given. Returns the typed frame
    (n, columns), its schema, and notes. Raises ConfigError for a target, task or kind that cannot be, DataError
    for a target with one value.
    """
    names = list(texts.columns)
    wanted = _check_kinds(kinds or {}, names)
    notes: list[str] = []
    if target is None:
        decided = Task.NONE
        notes.append("no target (dataset.target=null): utility is not measured")
    elif target not in names:
        raise ConfigError("dataset.target", target, "no such column", suggest(target, names))
    else:
        decided = infer_task(texts[target], wanted.get(target)) if task is None else _check_task(task)
        if task is None:
            notes.append(f"task inferred from column {target!r}: {decided} ({texts[target].nunique()} values)")
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
    """Integer if all values are integers without leading zeros, float if all are finite numbers, else category."""
    if all(_INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS for text in values):
        return Kind.INTEGER
    return Kind.FLOAT if all(map(_is_number, values)) else Kind.CATEGORY


def infer_task(target: pd.Series, kind: Kind | str | None = None) -> Task:
    """Classification for a text target or at most 20 distinct whole numbers, else regression."""
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
    """The column, its typed values (n,), and remarks on what a reader may want to mend.

    `gaps` (n,) marks missing values; the text that stands for most of them stands for all. With `kind` given, the
    values must be of that kind; raises ConfigError (dataset.kinds) if they are not.
    """
    name = str(texts.name)
    given = texts.to_numpy(dtype=object)
    known = np.ones(len(given), bool) if gaps is None else ~gaps
    codes, values = pd.factorize(given[known])
    missing = None if known.all() else str(pd.Series(given[~known]).mode()[0])
    remarks = [f"is constant: {values[0]!r} in every row"] if len(values) == 1 and missing is None else []
    form = find_format(values) if kind == DATE or (kind is None and infer_kind(values) is Kind.CATEGORY) else None
    if kind == DATE and form is None:
        other = override("dataset.kinds", {name: "category"})
        fix = f"formats that are read: {', '.join(FORMATS[:4])} …, with times; or {other}"
        raise ConfigError("dataset.kinds", f"{{{name}: date}}", f"column {name!r} holds {values[0]!r}", fix)
    found = Kind.INTEGER if form else infer_kind(values) if kind is None else Kind(kind)
    if form is None and missing is not None and found is Kind.INTEGER and _too_long_for_float(values):
        found = Kind.CATEGORY
    if found is Kind.CATEGORY:
        if kind is None:
            remarks += _doubts(values, len(texts))
        column = Column(name=name, kind=found, categories=tuple(sorted(values)), missing=missing)
        numbers: list[Any] = list(values)
    else:
        numbers = [parse_date(text, form) if form else _convert(name, text, found) for text in values]
        style, decimals, odd = infer_style(values, numbers) if found is Kind.FLOAT else (Style.SHORTEST, 0, [])
        if odd:
            again = format_number(float(odd[0]), style, decimals)
            remarks.append(
                f"has {len(odd)} of {len(values)} different numbers in another style than the rest, such as "
                f"{odd[0]!r}, which is written {again!r}"
            )
        column = Column(
            name=name, kind=found, minimum=float(min(numbers)), maximum=float(max(numbers)), decimals=decimals,
            style=style, date_format=form, missing=missing,
        )  # fmt: skip
    empty: Any = {"object": None, "float64": np.nan, "int64": 0}[column.dtype]
    typed = np.full(len(given), empty, dtype=column.dtype)
    typed[known] = np.array(numbers, dtype=column.dtype)[codes]
    return column, typed, remarks


def infer_style(texts: Collection[str], numbers: Collection[float]) -> tuple[Style, int, list[str]]:
    """How most of the texts of a float column are written, with how many decimals, and the texts that are not."""
    needed = max(map(decimals_of, numbers))
    padded = max(len(text.partition(".")[2]) if _FIXED.fullmatch(text) else 0 for text in texts)
    best: tuple[Style, int, list[str]] | None = None
    for style in Style:  # of those that fit alike the first
        decimals = needed if style in (Style.SHORTEST, Style.PLAIN) else padded
        if decimals < needed:
            continue  # it would lose digits
        odd = [t for t, number in zip(texts, numbers, strict=True) if format_number(number, style, decimals) != t]
        if best is None or len(odd) < len(best[2]):
            best = style, decimals, odd
    assert best is not None
    return best


def _too_long_for_float(values: NDArray[Any]) -> bool:
    """Whether an integer does not survive as a float, which the integers beside missing values are."""
    return any(int(float(text)) != int(text) for text in values)


def _is_number(text: str) -> bool:
    # An integer too long for int64 is an identifier: as a float it would lose digits.
    long = len(text) > MAX_DIGITS and _INTEGER.fullmatch(text)
    return bool(_NUMBER.fullmatch(text)) and not long and abs(float(text)) <= LARGEST


def _doubts(values: NDArray[Any], rows: int) -> list[str]:
    """Why a column that became a category may not be one."""
    if rows > 1 and len(values) == rows:
        return ["is another text in every row: an identifier teaches nothing; consider removing it"]
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
            raise ConfigError("dataset.kinds", f"{{{name}: {kind}}}", "no such column", suggest(name, names))
        if kind not in known:
            raise ConfigError("dataset.kinds", f"{{{name}: {kind}}}", "no such kind", suggest(str(kind), known))
    return {name: DATE if kind == DATE else Kind(kind) for name, kind in kinds.items()}


def _check_task(task: str) -> Task:
    if task not in list(Task):
        raise ConfigError("dataset.task", task, "no such task", suggest(str(task), [known.value for known in Task]))
    return Task(task)


def _target_kind(target: pd.Series, task: Task, kind: Kind | str | None) -> Kind | str:
    """A class is a category, whatever it looks like; a quantity is a number. Errors where the target is neither."""
    values = target.unique()
    if len(values) == 1:
        problem = f"the target {target.name!r} has one value only, {values[0]!r}"
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
