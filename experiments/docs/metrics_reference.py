"""The reference of all metrics, made from the evaluators' declarations."""

from __future__ import annotations

import math
import pkgutil

import yaml

from experiments.docs.settings_reference import escaped
from experiments.docs.yaml_comments import CONF, bases, files, header
from harmonic.evaluation.base import Metric


def reference() -> str:
    """Every evaluator of conf/evaluator with its metrics, in Markdown."""
    parts = []
    for path in files("evaluator"):
        parts += [f"### evaluator={path.stem}", escaped(header(path))]
        if known := bases(path):
            parts.append("It has the metrics of " + ", ".join(f"`{name}`" for name in known) + ".")
        read = yaml.safe_load((CONF / "evaluator" / path.name).read_text(encoding="utf-8"))
        found = [
            metric
            for part in read.values()
            if isinstance(part, dict) and "_target_" in part
            for metric in pkgutil.resolve_name(part["_target_"]).metrics
        ]
        if found:
            lines = [
                "| metric | better | range | what it is | where it is shown |",
                "|---" * 5 + "|",
                *map(_row, found),
            ]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(metric: Metric) -> str:
    better = {True: "↑", False: "↓", None: ""}[metric.higher_is_better]
    if metric.ideal is not None:
        better += f" → {metric.ideal:g}"
    places = ", ".join(f"{one.table}: {one.title}" if one.title else one.table for one in metric.shown)
    cells = (f"`{metric.name}`", better.strip(), _range(metric), metric.meaning, places)
    return "| " + " | ".join(escaped(cell).replace("|", "\\|") for cell in cells) + " |"


def _range(metric: Metric) -> str:
    low, high = metric.minimum, metric.maximum
    if math.isinf(low) and math.isinf(high):
        return "any number"
    if math.isinf(high):
        return f"from {low:g}"
    return f"{low:g} to {high:g}" if not math.isinf(low) else f"up to {high:g}"
