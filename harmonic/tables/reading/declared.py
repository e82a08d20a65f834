"""A file that says what the columns of a table are: `columns.yaml`, written by a dry run, edited, and read again.

    age: {kind: integer, minimum: 17, maximum: 90}
    zip: category                     # only the kind: the rest is taken from the rows
    patient: {kind: identifier}

A column with everything that its kind needs is declared in full: its categories, its range and its decimals are those
of the file, and nothing about it is taken from the rows. So a table of secret rows can be described by public facts.
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

from harmonic.errors import ConfigError, DataError, suggest, unknown
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
# Nothing about a column that is described here in full is taken from the rows, and synthetic rows may have any of its
# values, even one that no training row has. A column with only its kind (zip: category), or one that is left out, is
# taken from the rows again.
"""
_KEY = "dataset.columns"
_NEEDED = {Kind.CATEGORY.value: {"categories"}, Kind.INTEGER.value: {"minimum", "maximum"}}
_NEEDED |= {Kind.FLOAT.value: {"minimum", "maximum"}, DATE: {"date_format"}}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Declared:
    """What the user says of columns: the kinds, and the columns that are declared in full. By column."""

    kinds: dict[str, str]
    columns: dict[str, Column]


def write_columns(schema: Schema, layout: FileLayout | None, path: Path) -> None:
    """Write what the columns were taken for."""
    import yaml

    asides = {aside.name: aside.role.value for aside in layout.asides} if layout else {}
    names = layout.names if layout else tuple(schema.names)
    columns = {name: {"kind": asides[name]} if name in asides else _described(schema[name]) for name in names}
    style: Any = {"allow_unicode": True, "default_flow_style": True, "sort_keys": False, "width": 10**9}
    lines = [
        f"{json.dumps(name, ensure_ascii=False)}: {yaml.safe_dump(one, **style).strip()}"
        for name, one in columns.items()
    ]
    text = HEADER.format(again=override(_KEY, str(path))) + "\n".join(lines) + "\n"
    path.write_text(text, encoding="utf-8")


def _described(column: Column) -> dict[str, Any]:
    """The kind of the column, and every other field that differs from its default."""
    found: dict[str, Any] = {"kind": DATE if column.is_date else column.kind.value}
    for field in fields(Column):
        value = getattr(column, field.name)
        usual = field.default if field.default is not MISSING else None
        if field.name in ("name", "kind") or value == usual or (isinstance(value, float) and math.isnan(value)):
            continue
        found[field.name] = _simple(value)
    return found


def _simple(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _simple(inner) for name, inner in asdict(value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list | frozenset):
        return [_simple(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_columns(path: str | Path) -> Declared:
    """Read such a file. Raises ConfigError if it does not exist, is not a mapping, or has an invalid value."""
    import yaml

    given = Path(path).expanduser()
    try:
        # The base loader leaves every value a text, such as the category "no" or "2024-01-01".
        read = yaml.load(given.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        here = [entry.name for entry in given.parent.glob("*.yaml")] if given.parent.is_dir() else []
        fix = suggest(given.name, here) if here else "write one: dry_run=true"
        raise ConfigError(_KEY, path, "cannot be read as a text file", fix) from error
    except yaml.YAMLError as error:
        problem = f"is not YAML: {' '.join(str(error).split())}"
        raise ConfigError(_KEY, path, problem, "put the text in quotes there") from error
    if not isinstance(read, dict):
        raise ConfigError(_KEY, path, "must be a mapping of columns", "write a line a column, such as zip: category")
    kinds: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for name, one in read.items():
        kinds[name], column = _read_column(name, one)
        if column is not None:
            columns[name] = column
    return Declared(kinds, columns)


def _read_column(name: str, given: Any) -> tuple[str, Column | None]:
    from pydantic import TypeAdapter, ValidationError

    """The kind of a column and, if it is declared in full, the column."""
    shown = f"{{{name}: {given}}}"
    said: Mapping[str, Any] = {"kind": given} if isinstance(given, str) else given
    known = [*(kind.value for kind in Kind), DATE, *(role.value for role in Role)]
    if not isinstance(said, Mapping) or not isinstance(said.get("kind"), str):
        raise ConfigError(_KEY, shown, "does not say what the column is", f"give its kind: {', '.join(known)}")
    kind = said["kind"]
    if kind not in known:
        raise unknown(_KEY, shown, "kind", known, name=kind)
    own = [field.name for field in fields(Column) if field.name != "name"]
    for key in said:
        if key not in own:
            raise unknown(_KEY, shown, "key", own, name=str(key))
    if not _NEEDED.get(kind, {""}) <= set(said):
        return kind, None  # the rest is taken from the rows
    category = kind == Kind.CATEGORY.value
    aside = {"minimum", "maximum", "decimals", "style", "date_format"} if category else {"categories"}
    if kind == Kind.INTEGER.value:
        aside |= {"decimals", "style", "date_format"}
    values = {key: value for key, value in said.items() if key not in aside}
    values |= {"name": name, "kind": Kind.INTEGER if kind == DATE else Kind(kind)}
    try:
        column: Column = TypeAdapter(Column).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(_KEY, shown, f"{where}: {first['msg']}", "correct the value in the file") from error
    if category and len(set(column.categories)) != len(column.categories):
        raise ConfigError(_KEY, shown, "a category is there twice", "name each once")
    return kind, column


def read_declared(columns: str | None, kinds: Mapping[Any, str] | str | None, names: Sequence[str]) -> Declared:
    """What the file `columns` and the setting `kinds` say of the columns `names`; if both do, `kinds` decides.

    `kinds` may be such a file, too. Raises ConfigError if a column is unknown.
    """
    paths = [] if columns is None else [text_of(columns)]
    if isinstance(kinds, str) and kinds.endswith((".yaml", ".yml")):
        paths, kinds = [*paths, kinds], None
    read = [read_columns(path) for path in paths]
    for path, one in zip(paths, read, strict=True):
        for name in one.kinds:
            if name not in names:
                raise unknown(_KEY, path, "column", names, name=name)
    said = columns_named(kinds_in(kinds), names)
    for name, kind in said.items():
        if name not in names:
            raise unknown("dataset.kinds", f"{{{name}: {kind}}}", "column", names, name=name)
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
    """Type the rows: declared columns as declared, others as `type_table` does. Returns the frame, schema and notes."""
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
        # Here is a target: what is noted of a table without one is wrong.
        notes += [note for note in found if not (target in said and "dataset.target=null" in note)]
    columns = tuple(said[name] if name in said else schema[name] for name in names)
    schema = replace(schema, columns=columns)
    if target is not None and target in said:
        schema = replace(schema, target=target, task=_task(said[target], task))
    whole = pd.DataFrame({name: values[name] if name in said else frame[name] for name in names}, columns=names)
    return whole, schema, notes


def _task(target: Column, task: str | None) -> Task:
    """The task of a declared target. Raises ConfigError if another task is given."""
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
    """The values of declared columns, {name: (n,)}, and notes on numbers outside of the declared range.

    `gaps` marks missing values. Raises DataError if texts are not values of their columns.
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
                span = f"{column.minimum:g} to {column.maximum:g}"
                notes.append(f"column {name!r} has {beyond} values outside of the declared {span}")
    return typed, notes


def _undeclared(column: Column, wrong: Mapping[str, int], rows: int) -> DataError:
    shown = ", ".join(repr(text) for text in list(wrong)[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return DataError(
        f"column {column.name!r} is declared as {column.kind.value}, but {sum(wrong.values())} of {rows} cells are "
        f"not among its values: {shown}{more}\n"
        "  fix: add them to its description, or give only its kind: then it is taken from the rows"
    )
