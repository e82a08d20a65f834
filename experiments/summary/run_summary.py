"""What a run prints at its end: the result in words, metrics, and files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.collect.declared_metrics import declaration_of
from experiments.collect.shown_metrics import headline_of, headlines
from experiments.summary.answer import answer
from experiments.summary.console import wide_console
from harmonic.evaluation.base import Metric
from harmonic.tables.grouping import People

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

SUMMARIES = ("short", "all")
_SHOWN = 24  # characters of a value
_DETAIL = re.compile(r"/(low|high)$|^mia/.*/(tpr_at_|members$|non_members$|apart$)|^epsilon/")


def print_summary(
    report: dict[str, Any], folder: Path, metrics: Sequence[Metric], sync_hint: str | None, shown: str = "short"
) -> None:
    """Print the result in words, metrics, the files, and how to upload an offline run.

    `shown`: one of SUMMARIES. "short": the headline metrics; "all": all metrics, and counts of answers and stages.
    """
    console = wide_console()
    if report["metrics"]:
        _print_answer(report, console)
        _print_metrics(report, metrics, shown, console)
    for line in _details(report, whole=shown == "all" or not report["metrics"]):
        console.print(line, highlight=False, markup=False)
    for name in ("report.json", "privacy_card.md", "synthetic.csv", "synthetic.parquet", "adapter", "prompts"):
        if (folder / name).exists():
            console.print(f"wrote {folder / name}", highlight=False)
    if sync_hint:
        console.print(f"to upload this run to W&B: {sync_hint}", highlight=False)


def _details(report: dict[str, Any], *, whole: bool) -> Iterator[str]:
    """Lines about prompts, people and rules; `whole`: also counts of answers, and the seconds of each stage."""
    prompts = report.get("prompts") or {}
    if prompts.get("k", 0) < prompts.get("wanted", 0):
        yield f"prompts: {prompts['k']} of {prompts['wanted']} examples each, because rows are too long for more"
    if report["validity"] and whole:
        yield "answers: " + ", ".join(f"{name} {value:g}" for name, value in report["validity"].items())
    if report.get("people"):
        yield f"rows: {People(**report['people'])}"
    for one in report.get("rules") or []:
        shares = ", ".join(f"{part.replace('_', '-')} {share:.2%}" for part, share in one["broken"].items())
        yield f"rule {one['rule']}: broken by {shares}"
    if whole:
        yield "stages: " + ", ".join(
            f"{name} {stage['seconds']:.1f} s{' (cached)' if stage['cached'] else ''}"
            for name, stage in report["stages"].items()
        )


def _print_answer(report: dict[str, Any], console: Console) -> None:
    """Print the five lines with their titles. An error is only logged, so that the rest is still printed."""
    from rich.table import Table as Grid
    from rich.text import Text

    try:
        lines = answer(report)
    except Exception:
        logger.exception("could not put the report into words")
        return
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    steps = lines.pop("next").splitlines()  # they have commands to copy, so lines must not be broken
    for title, text in lines.items():
        grid.add_row(title, Text(text))
    console.print(f"{report['generator']} on {report['dataset']}, seed {report['seed']}", style="bold", highlight=False)
    console.print(grid)
    for title, step in zip_longest(["next"], steps, fillvalue=""):
        console.print(Text(title.ljust(9), "bold") + Text(step))


def _print_metrics(report: dict[str, Any], metrics: Sequence[Metric], shown: str, console: Console) -> None:
    """Print the headline metrics, or all, and how many are not shown."""
    from rich.table import Column
    from rich.table import Table as Grid

    every = [name for name in report["metrics"] if not _DETAIL.search(name)]
    names = every if shown == "all" else headlines(report["metrics"], metrics, headline_of(report))
    grid = Grid(Column("metric", no_wrap=True), "value", "better", "meaning")
    for name in names:
        metric = declaration_of(name, metrics)
        grid.add_row(name, _value(name, report), _arrow(metric), metric.meaning if metric else "")
    console.print(grid)
    if hidden := len(report["metrics"]) - len(names):
        how = "" if shown == "all" else "; summary=all prints them"
        console.print(f"{hidden} more metrics and ends of intervals are in report.json{how}", highlight=False)


def _value(name: str, report: dict[str, Any]) -> str:
    """The metric with its interval and its note, or the reason why it is missing."""
    from rich.markup import escape

    metrics = report["metrics"]
    if metrics[name] is None:
        return f"[dim]{escape(report['unavailable'].get(name, 'not available'))}"
    low, high = (metrics.get(f"{name}/{end}") for end in ("low", "high"))
    interval = "" if low is None or high is None else f" \\[{low:.4g}, {high:.4g}]"
    note = report.get("notes", {}).get(name)
    return f"{metrics[name]:.4g}{interval}" + (f" ({escape(note)})" if note else "")


def _arrow(metric: Metric | None) -> str:
    if metric is None or metric.higher_is_better is None:
        return "" if metric is None or metric.ideal is None else f"→ {metric.ideal:g}"
    return "↑" if metric.higher_is_better else "↓"
