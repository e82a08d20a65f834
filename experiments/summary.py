"""What a run prints when it ends, and what a dry run prints instead of running."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.answer import answer
from experiments.report.shown_metrics import headline_of, headlines
from harmonic.evaluation.base import Metric
from harmonic.shell import override
from harmonic.tables.grouping import People
from harmonic.tables.splits import Splits

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

SUMMARIES = ("short", "all")
_SHOWN = 24  # characters of a value
_DETAIL = re.compile(r"/(low|high)$|^mia/.*/(tpr_at_|members$|non_members$|apart$)|^epsilon/")


def print_summary(
    report: dict[str, Any], folder: Path, metrics: Sequence[Metric], sync_hint: str | None, shown: str = "short"
) -> None:
    """Print what the rows are worth, metrics, the files, and how to upload an offline run.

    `shown`: one of SUMMARIES; "short" has the headline metrics, "all" has all of them, answers and stages as well.
    """
    console = wide_console()
    if report["metrics"]:
        _print_answer(report, console)
        _print_metrics(report, metrics, shown, console)
    form = report.get("prompts") or {}
    if form.get("k", 0) < form.get("wanted", 0):
        few = f"prompts: {form['k']} of {form['wanted']} examples each, since rows are too long for more"
        console.print(few, highlight=False)
    if report["validity"] and (shown == "all" or not report["metrics"]):
        counts = ", ".join(f"{name} {value:g}" for name, value in report["validity"].items())
        console.print(f"answers: {counts}", highlight=False)
    if report.get("people"):
        console.print(f"rows: {People(**report['people'])}", highlight=False, markup=False)
    for one in report.get("rules") or []:
        told = ", ".join(f"{part.replace('_', '-')} {share:.2%}" for part, share in one["broken"].items())
        console.print(f"rule {one['rule']}: broken by {told}", highlight=False, markup=False)
    if shown == "all" or not report["metrics"]:
        seconds = ", ".join(
            f"{name} {stage['seconds']:.1f} s{' (cached)' if stage['cached'] else ''}"
            for name, stage in report["stages"].items()
        )
        console.print(f"stages: {seconds}", highlight=False)
    for name in ("report.json", "privacy_card.md", "synthetic.csv", "synthetic.parquet", "adapter", "prompts"):
        if (folder / name).exists():
            console.print(f"wrote {folder / name}", highlight=False)
    if sync_hint:
        console.print(f"to upload this run to W&B: {sync_hint}", highlight=False)


def _print_answer(report: dict[str, Any], console: Console) -> None:
    """The five lines, each behind its title; an odd report must not cost the rest."""
    from rich.table import Table as Grid
    from rich.text import Text

    try:
        lines = answer(report)
    except Exception:
        logger.exception("no answer could be made of the report")
        return
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    steps = lines.pop("next").splitlines()  # with commands to copy: not to be broken
    for title, text in lines.items():
        grid.add_row(title, Text(text))
    console.print(f"{report['generator']} on {report['dataset']}, seed {report['seed']}", style="bold", highlight=False)
    console.print(grid)
    for title, step in zip_longest(["next"], steps, fillvalue=""):
        console.print(Text(title.ljust(9), "bold") + Text(step))


def _print_metrics(report: dict[str, Any], metrics: Sequence[Metric], shown: str, console: Console) -> None:
    """The headline metrics, or all; how many are not shown."""
    from rich.table import Column
    from rich.table import Table as Grid

    every = [name for name in report["metrics"] if not _DETAIL.search(name)]
    names = every if shown == "all" else headlines(report["metrics"], headline_of(report))
    grid = Grid(Column("metric", no_wrap=True), "value", "better", "meaning")
    for name in names:
        metric = find(name, metrics)
        grid.add_row(name, _value(name, report), _arrow(metric), metric.meaning if metric else "")
    console.print(grid)
    if hidden := len(report["metrics"]) - len(names):
        all_of_them = "" if shown == "all" else "; summary=all prints them"
        told = f"{hidden} more metrics, ends of intervals among them, are in report.json{all_of_them}"
        console.print(told, highlight=False)


def _value(name: str, report: dict[str, Any]) -> str:
    """The metric with its interval and its note, or why there is none."""
    from rich.markup import escape

    metrics = report["metrics"]
    if metrics[name] is None:
        return f"[dim]{escape(report['unavailable'].get(name, 'not available'))}"
    low, high = (metrics.get(f"{name}/{end}") for end in ("low", "high"))
    interval = "" if low is None or high is None else f" \\[{low:.4g}, {high:.4g}]"
    note = report.get("notes", {}).get(name)
    return f"{metrics[name]:.4g}{interval}" + (f" ({escape(note)})" if note else "")


def print_plan(
    config: dict[str, Any], splits: Splits, n: int, prompts: Path, folder: Path, expected: Sequence[str] = ()
) -> None:
    """Print what a run would do: the data, the columns, the prompts, what is `expected` of it, where it writes."""
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
    """Print how to say otherwise what the columns are."""
    again = override("dataset.columns", str(path))
    wide_console().print(f"if a column is something else: edit {path}, and add {again}", highlight=False, markup=False)


def print_columns(splits: Splits, name: str) -> None:
    """Print what every column of the file is taken for, why, how many values speak against it, and the notes."""
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
        against = ""
        if finding and finding.against:
            examples = ", ".join(text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in finding.examples)
            against = escape(f"{finding.against}: {examples}")
        if column_name in asides:
            aside = asides[column_name]
            values = "[dim]not learnt" if aside.written else "[dim]left out"
            grid.add_row(escape(column_name), aside.role.value, values, "", why, against)
            continue
        column, spelling = schema[column_name], spellings.get(column_name)
        if column.is_numeric:
            ends = [replace(column, missing=None).format(end) for end in (column.minimum, column.maximum)]
            low, high = (spelling.write(end) if spelling else end for end in ends)
            values = f"{low} … {high}"
        else:
            shown = ", ".join(text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in column.categories[:6])
            values = f"{len(column.categories)}: {shown}"
        share = f"{splits.train.frame[column_name].isna().mean():.1%}" if column.missing is not None else ""
        kind = "date" if column.is_date else column.kind.value
        grid.add_row(escape(column_name), kind, escape(values), share, why or escape(str(spelling or "")), against)
    console.print(grid)
    for note in splits.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def wide_console() -> Console:
    """Standard output; 120 columns where it is no terminal, so that names are not cut in a file."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=120)


def find(name: str, metrics: Sequence[Metric]) -> Metric | None:
    """The declaration that covers this metric name."""
    return next((metric for metric in metrics if fnmatch.fnmatchcase(name, metric.name)), None)


def _arrow(metric: Metric | None) -> str:
    if metric is None or metric.higher_is_better is None:
        return "" if metric is None or metric.ideal is None else f"→ {metric.ideal:g}"
    return "↑" if metric.higher_is_better else "↓"
