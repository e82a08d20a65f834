"""What a dry run prints: the data, the type of every column, and what the run would do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.summary.console import wide_console
from harmonic.shell import override
from harmonic.tables.columns import Column
from harmonic.tables.spellings.spelling import Spelling
from harmonic.tables.splits import Splits

_SHOWN = 24  # characters of a value


def print_plan(
    config: dict[str, Any], splits: Splits, n: int, prompts: Path, folder: Path, expected: Sequence[str] = ()
) -> None:
    """Print what a run would do: data, columns, prompts, the `expected` lines of the generator, and the folder."""
    console = wide_console()
    print_columns(splits, config["dataset"]["name"])
    sizes = f"train {len(splits.train)}, validation {len(splits.val)}, test {len(splits.test)}"
    console.print(f"rows: {sizes}; to draw: {n}; from {splits.source}", highlight=False)
    for file in sorted(prompts.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            console.print(f"{sum(1 for _ in lines)} prompts in {file}", highlight=False)
    for line in expected:
        console.print(line, highlight=False, markup=False)
    console.print(f"would write to {folder}", highlight=False)


def print_declared(path: Path) -> None:
    """Print how to change the types of columns."""
    again = override("dataset.columns", str(path))
    wide_console().print(f"to change the type of a column: edit {path}, and add {again}", highlight=False, markup=False)


def print_columns(splits: Splits, name: str) -> None:
    """Print the type of each column of the file, why it was chosen, the values that do not fit, and the notes."""
    from rich.markup import escape
    from rich.table import Table as Grid

    console = wide_console()
    schema, layout = splits.schema, splits.layout
    asides = {aside.name: aside for aside in layout.asides} if layout else {}
    findings = layout.findings if layout else {}
    spellings = dict(layout.spellings) if layout else {}
    grid = Grid(
        "column", "kind", "values", "missing", "why", "against", title=f"{name}: target {schema.target or 'none'}"
    )
    for column_name in layout.names if layout else schema.names:
        finding = findings.get(column_name)
        why = escape(finding.why if finding else "")
        against = escape(f"{finding.against}: {_listed(finding.examples)}") if finding and finding.against else ""
        if column_name in asides:
            aside = asides[column_name]
            values = "[dim]not learnt" if aside.written else "[dim]left out"
            grid.add_row(escape(column_name), aside.role.value, values, "", why, against)
            continue
        column, spelling = schema[column_name], spellings.get(column_name)
        values = _values(column, spelling)
        share = f"{splits.train.frame[column_name].isna().mean():.1%}" if column.missing is not None else ""
        kind = "date" if column.is_date else column.kind.value
        grid.add_row(escape(column_name), kind, escape(values), share, why or escape(str(spelling or "")), against)
    console.print(grid)
    for note in splits.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _values(column: Column, spelling: Spelling | None) -> str:
    """The range of a numeric column as in the file, or the first categories."""
    if not column.is_numeric:
        return f"{len(column.categories)}: {_listed(column.categories[:6])}"
    ends = [replace(column, missing=None).format(end) for end in (column.minimum, column.maximum)]
    low, high = (spelling.write(end) if spelling else end for end in ends)
    return f"{low} … {high}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in texts)
