"""What the code declares about metrics: their direction, their ideal value and their meaning."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.collect.record import RunRecord
from harmonic.evaluation.base import Evaluator, Metric

EFFICIENCY = (
    Metric("time/*", False, 0, meaning="seconds that a stage took when it was computed"),
    Metric("*/tokens_per_s", True, 0, meaning="tokens a second"),
    Metric("*/rows_per_s", True, 0, meaning="rows a second"),
    Metric("memory/*", False, 0, meaning="most memory held at once in a stage, MB"),
    Metric("peak_*_mb", False, 0, meaning="most memory held at once, MB"),
    Metric("validity/raw", True, 0, 1, 1, "share of freely written answers that were valid rows"),
)
"""The other numbers of a report, with their directions."""


def declaration_of(name: str, metrics: Sequence[Metric]) -> Metric | None:
    """The declaration of the metric with this name, if there is one."""
    return next((metric for metric in metrics if fnmatch.fnmatchcase(name, metric.name)), None)


def declared_metrics(records: Iterable[RunRecord] = ()) -> list[Metric]:
    """`metrics_of` the runs' reports."""
    return metrics_of(record.report for record in records)


def metrics_of(reports: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """All declared metrics, and the numbers for time and memory.

    Those of harmonic's evaluators, and those of other evaluators that the runs used, if they can be imported.
    """
    return [*EFFICIENCY, *(metric for part in _evaluators(reports) for metric in getattr(part, "metrics", ()))]


def families(records: Iterable[RunRecord] = ()) -> dict[str, str]:
    """What each declared metric is about: "utility", "fidelity", "privacy", or "cost", by the metric's name.

    For harmonic's evaluators, the folder that they are in; for others, the table that shows the metric.
    """
    found = {metric.name: "cost" for metric in EFFICIENCY}
    for part in _evaluators(record.report for record in records):
        for metric in getattr(part, "metrics", ()):
            tables = [shown.table for shown in metric.shown]
            ours = part.__module__.split(".")[2] if part.__module__.startswith("harmonic.evaluation.") else ""
            shown = next((table for table in tables if table in ("privacy", "fidelity")), "utility")
            found[metric.name] = {"": shown, "llm_effectiveness": "utility"}.get(ours, ours)
    return found


def _evaluators(reports: Iterable[Mapping[str, Any]]) -> list[type]:
    """Harmonic's evaluators, and others that the runs used."""
    package = importlib.import_module("harmonic.evaluation")
    found = []
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for part in vars(importlib.import_module(module.name)).values():
            if isinstance(part, type) and issubclass(part, Evaluator):
                found.append(part)
    for name in sorted({name for report in reports for name in _foreign_evaluators(report)}):
        try:
            found.append(pkgutil.resolve_name(name))
        except (ImportError, AttributeError, ValueError):
            continue  # then its numbers have no direction
    return found


def _foreign_evaluators(report: Mapping[str, Any]) -> list[str]:
    """The evaluator classes of a run that are not in harmonic."""
    given = (report.get("config") or {}).get("evaluator")
    parts = given.values() if isinstance(given, dict) else ()
    names = [str(part.get("_target_")) for part in parts if isinstance(part, dict)]
    return [name for name in names if not name.startswith("harmonic.")]
