"""A table's columns as a file says what they are: `columns.yaml`, written by a dry run, edited, and read again.

    age: {kind: integer, minimum: 17, maximum: 90}
    zip: category                     # the kind alone: the rest is read off the rows
    patient: {kind: identifier}

A column with all that its kind needs is declared: its categories, its range and its digits are those of the file, and
nothing about it is inferred from the rows. So a table of secret rows can be described by what is public about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.settings import text_of
from harmonic.shell import override
from harmonic.tables.column_types.kinds import DATE, type_table
from harmonic.tables.column_types.role import Role
from harmonic.tables.columns import Column, InvalidValue, Kind
from harmonic.tables.naming import columns_named, kinds_in
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.table import Schema, Task

HEADER = """\
# What each column is: edit this file, and run again with {again}
# kind: integer, float, category or date; identifier, text, constant or drop for a column that is not learnt.
# Of a column that is described here in full, nothing is looked up in the rows, and synthetic rows may have any of its
# values, also one that no row to learn from has. A column with its kind alone (zip: category) is read off the rows
# again; so is one that is left out.
"""
_KEY = "dataset.columns"
_NEEDED = {Kind.CATEGORY.value: {"categories"}, Kind.INTEGER.value: {"minimum", "maximum"}}
_NEEDED |= {Kind.FLOAT.value: {"minimum", "maximum"}, DATE: {"date_format"}}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file says: the kind of every column in it, and those that it describes in full."""

    kinds: dict[str, str]
    columns: dict[str, Column]


def write_columns(schema: Schema, layout: FileLayout | None, path: Path) -> None:
    """Write what the columns were taken for."""
    import yaml

    asides = {aside.name: aside.role.value for aside in layout.asides} if layout else {}
    names = layout.names if layout else tuple(schema.names)
    told = {name: {"kind": asides[name]} if name in asides else _described(schema[name]) for name in names}
    style: Any = {"allow_unicode": True, "default_flow_style": True, "sort_keys": False, "width": 10**9}
    lines = [
        f"{json.dumps(name, ensure_ascii=False)}: {yaml.safe_dump(one, **style).strip()}" for name, one in told.items()
    ]
    text = HEADER.format(again=override(_KEY, str(path))) + "\n".join(lines) + "\n"
    path.write_text(text, encoding="utf-8")


def _described(column: Column) -> dict[str, Any]:
    """Its kind, and what is not as it usually is."""
    told: dict[str, Any] = {"kind": DATE if column.is_date else column.kind.value}
    for field in fields(Column):
        value = getattr(column, field.name)
        usual = field.default if field.default is not MISSING else None
        if field.name in ("name", "kind") or value == usual or (isinstance(value, float) and math.isnan(value)):
            continue
        told[field.name] = _simple(value)
    return told


def _simple(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _simple(inner) for name, inner in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list | frozenset):
        return [_simple(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_columns(path: str | Path) -> Declared:
    """Read such a file. Raises ConfigError for one that is not there, is no mapping, or says what cannot be."""
    import yaml

    given = Path(path).expanduser()
    try:
        # The base loader leaves every value a text: a category "no" or "2024-01-01" is what it looks like.
        read = yaml.load(given.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        here = [entry.name for entry in given.parent.glob("*.yaml")] if given.parent.is_dir() else []
        fix = suggest(given.name, here) if here else "write one: dry_run=true"
        raise ConfigError(_KEY, path, "cannot be read as a text file", fix) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            _KEY, path, f"is no YAML: {' '.join(str(error).split())}", "quote what YAML trips over"
        ) from error
    if not isinstance(read, dict):
        raise ConfigError(_KEY, path, "is no mapping of columns", "write a line a column, such as zip: category")
    kinds: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for name, one in read.items():
        kinds[name], column = _read_column(name, one)
        if column is not None:
            columns[name] = column
    return Declared(kinds, columns)


def _read_column(name: str, given: Any) -> tuple[str, Column | None]:
    from pydantic import TypeAdapter, ValidationError

    shown = f"{{{name}: {given}}}"
    told: Mapping[str, Any] = {"kind": given} if isinstance(given, str) else given
    known = [*(kind.value for kind in Kind), DATE, *(role.value for role in Role)]
    if not isinstance(told, Mapping) or not isinstance(told.get("kind"), str):
        raise ConfigError(_KEY, shown, "says not what the column is", f"give its kind: {', '.join(known)}")
    kind = told["kind"]
    if kind not in known:
        raise ConfigError(_KEY, shown, f"no such kind: {kind}", suggest(kind, known))
    own = [field.name for field in fields(Column) if field.name != "name"]
    for key in told:
        if key not in own:
            raise ConfigError(_KEY, shown, f"a column has no {key!r}", suggest(str(key), own))
    if not _NEEDED.get(kind, {""}) <= set(told):
        return kind, None  # not all is said: the rest is read off the rows
    category = kind == Kind.CATEGORY.value
    aside = {"minimum", "maximum", "decimals", "style", "date_format"} if category else {"categories"}
    if kind == Kind.INTEGER.value:
        aside |= {"decimals", "style", "date_format"}
    values = {key: value for key, value in told.items() if key not in aside}
    values |= {"name": name, "kind": Kind.INTEGER if kind == DATE else Kind(kind)}
    try:
        column: Column = TypeAdapter(Column).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(_KEY, shown, f"{where}: {first['msg']}", "correct the value in the file") from error
    if category and len(set(column.categories)) != len(column.categories):
        raise ConfigError(_KEY, shown, "a category stands there twice", "name each once")
    return kind, column


def read_declared(columns: str | None, kinds: Mapping[Any, str] | str | None, names: Sequence[str]) -> Declared:
    """What is said of the columns `names`: by the file `columns`, and by `kinds`, which has the last word.

    `kinds` may be such a file, too. Raises ConfigError for a column that is not there.
    """
    paths = [] if columns is None else [text_of(columns)]
    if isinstance(kinds, str) and kinds.endswith((".yaml", ".yml")):
        paths, kinds = [*paths, kinds], None
    read = [read_columns(path) for path in paths]
    for path, one in zip(paths, read, strict=True):
        for name in one.kinds:
            if name not in names:
                raise ConfigError(_KEY, path, f"the table has no column {name!r}", suggest(name, names))
    said = columns_named(kinds_in(kinds), names)
    for name, kind in said.items():
        if name not in names:
            raise ConfigError("dataset.kinds", f"{{{name}: {kind}}}", "no such column", suggest(name, names))
    found = {name: kind for one in read for name, kind in one.kinds.items()} | said
    return Declared(found, {n: column for one in read for n, column in one.columns.items() if n not in said})


def typed_table(
    texts: pd.DataFrame,
    gaps: pd.DataFrame,
    declared: Declared,
    *,
    target: str | None,
    task: str | None,
    description: str,
) -> tuple[pd.DataFrame, Schema, list[str]]:
    """Type the rows: declared columns as they are declared, others as `type_table` does. Frame, schema and notes."""
    names = list(texts.columns)
    said = {name: column for name, column in declared.columns.items() if name in names}
    left = [name for name in names if name not in said]
    values, notes = typed_as_declared(texts, gaps, said)
    if not left and (target is None or target in said):
        frame, schema = pd.DataFrame(), Schema(columns=(), target="", task=Task.NONE, description=description)
    else:
        here = None if target in said else target
        kinds = {name: kind for name, kind in declared.kinds.items() if name in left}
        frame, schema, found = type_table(
            texts[left], target=here, task=None if target in said else task, kinds=kinds, description=description,
            gaps=gaps[left],
        )  # fmt: skip
        # What it says of a table without a target is not meant where the target is declared.
        notes += [note for note in found if not (target in said and "dataset.target=null" in note)]
    columns = tuple(said[name] if name in said else schema[name] for name in names)
    schema = replace(schema, columns=columns)
    if target is not None and target in said:
        schema = replace(schema, target=target, task=_task(said[target], task))
    whole = pd.DataFrame({name: values[name] if name in said else frame[name] for name in names}, columns=names)
    return whole, schema, notes


def _task(target: Column, task: str | None) -> Task:
    """The task of a declared target. Raises ConfigError where another is given."""
    fitting = Task.MULTICLASS
    if target.is_numeric:
        fitting = Task.REGRESSION
    elif len(target.categories) == 2:
        fitting = Task.BINARY
    if task is not None and task != fitting:
        problem = f"the target is declared as {target.kind.value}"
        raise ConfigError("dataset.task", task, problem, override("dataset.task", fitting.value))
    return fitting


def typed_as_declared(
    texts: pd.DataFrame, gaps: pd.DataFrame, columns: Mapping[str, Column]
) -> tuple[dict[str, Any], list[str]]:
    """The values of declared columns, {name: (n,)}, and notes on numbers beyond the declared range.

    `gaps` marks missing values. Raises DataError for texts that are no values of their columns.
    """
    typed: dict[str, Any] = {}
    notes: list[str] = []
    for name, column in columns.items():
        values: list[Any] = []
        wrong: dict[str, int] = {}
        for text, gap in zip(texts[name].tolist(), gaps[name].tolist(), strict=True):
            try:
                values.append(None if gap and column.missing is not None else column.parse(text))
            except InvalidValue:
                wrong[text] = wrong.get(text, 0) + 1
        if wrong:
            raise _undeclared(column, wrong, len(texts))
        empty: Any = None if column.kind is Kind.CATEGORY else np.nan
        typed[name] = np.array([empty if value is None else value for value in values], dtype=column.dtype)
        if column.is_numeric:
            beyond = int(((typed[name] < column.minimum) | (typed[name] > column.maximum)).sum())
            if beyond:
                notes.append(
                    f"column {name!r} has {beyond} values beyond the declared {column.minimum:g} to {column.maximum:g}"
                )
    return typed, notes


def _undeclared(column: Column, wrong: Mapping[str, int], rows: int) -> DataError:
    shown = ", ".join(repr(text) for text in list(wrong)[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return DataError(
        f"column {column.name!r} is declared as {column.kind.value}, and {sum(wrong.values())} of {rows} cells are "
        f"none of its values: {shown}{more}\n"
        "  fix: add them to its description, or give its kind alone: then it is read off the rows"
    )
