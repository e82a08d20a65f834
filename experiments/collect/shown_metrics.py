"""The columns of tables, as the metrics declare them, and how a number is written there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harmonic.evaluation.base import Metric, Shown


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A column: its title and its metric. "{headline}" is the dataset's headline score, f1_macro or r2.

    `interval`: show the metric's interval, <metric>/low and <metric>/high. `noted`: mark values with a note of their
    evaluator, and show the note below the table.
    """

    title: str
    metric: str
    interval: bool = False
    noted: bool = False

    def of(self, frame: pd.DataFrame, end: str = "") -> pd.DataFrame:
        """The rows of this metric, or of an `end` of its interval, "/low" or "/high"."""
        names = [self.metric.format(headline=headline) + end for headline in frame["headline"]]
        return frame[frame["metric"] == pd.Series(names, index=frame.index, dtype=object)]


def columns(declared: Iterable[Metric], *tables: str) -> tuple[MetricColumn, ...]:
    """The columns of these tables, in their places, as the metrics declare them; those of "ablation" are a choice."""
    found: dict[tuple[str, str], list[tuple[Shown, str]]] = {}
    for metric in {metric.name: metric for metric in declared}.values():
        for shown in metric.shown:
            if shown.table in tables or ("ablation" in tables and (shown.ablated or shown.table == "main")):
                found.setdefault((shown.table, shown.title or metric.name), []).append((shown, metric.name))
    ordered = sorted(found.items(), key=lambda one: (TABLES.index(one[0][0]), one[1][0][0].place))
    return tuple(
        MetricColumn(title, _together([name for _, name in own]), own[0][0].interval, own[0][0].noted)
        for (_, title), own in ordered
    )


def _together(names: Sequence[str]) -> str:
    """One name for the metrics of a column: several of them are the scores of learners, under one path."""
    return names[0] if len(names) == 1 else f"{names[0].rpartition('/')[0]}/{{headline}}"


TABLES = ("main", "fidelity", "privacy", "summary", "card", "cards")
MOST_HEADLINES = 12


SECONDS = (
    MetricColumn("fit, s", "time/fit_s"),
    MetricColumn("sample, s", "time/sample_s"),
)
"""The time that a score took, beside it."""


EFFICIENCY = (
    *SECONDS,
    MetricColumn("rows/s", "sample/rows_per_s"),
    MetricColumn("fit, MB", "memory/fit_mb"),
    MetricColumn("sample, MB", "memory/sample_mb"),
    MetricColumn("whole run, MB", "peak_rss_mb"),
    MetricColumn("valid answers", "validity/raw"),
)


def headline_of(report: Mapping[str, Any]) -> str:
    """The most important score of learners: the dataset's, or r2 for a numeric target and f1_macro for classes."""
    regression = any(name.endswith("/r2") for name in report["metrics"])
    return str((report["config"].get("dataset") or {}).get("headline") or ("r2" if regression else "f1_macro"))


def headlines(metrics: Mapping[str, float | None], declared: Iterable[Metric], headline: str) -> list[str]:
    """Names of the metrics that a run shows at its end, at most MOST_HEADLINES; all if there are few.

    `declared`: those with a place in "summary" are shown, if they have a value.
    """
    ends = ("/low", "/high")
    whole = [name for name, value in metrics.items() if value is not None and not name.endswith(ends)]
    if len(whole) <= MOST_HEADLINES:
        return whole
    wanted = [measure.metric.format(headline=headline) for measure in columns(declared, "summary")]
    found = [name for name in wanted if metrics.get(name) is not None]
    return (found or whole)[:MOST_HEADLINES]


def number(value: float) -> str:
    """The value with three decimals; fewer if it is large, more if it is small."""
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.01 or size == 0 else 4
    return f"{value + 0.0:.{digits}f}".replace("-0.0000", "0.0000")


def goodness(value: float, higher_is_better: bool | None, ideal: float) -> float | None:
    """A number that is larger for better values; nothing is better than the ideal. None if there is no direction."""
    if higher_is_better is None:
        return None if math.isnan(ideal) else -abs(value - ideal)
    if higher_is_better:
        return value if math.isnan(ideal) else min(value, ideal)
    return -value if math.isnan(ideal) else -max(value, ideal)


def direction(rows: pd.DataFrame) -> tuple[bool | None, float]:
    """(higher is better, ideal) of a metric's rows."""
    higher, ideal = rows["higher_is_better"].iloc[0], rows["ideal"].iloc[0]
    return None if pd.isna(higher) else bool(higher), float(ideal)


def arrow(higher_is_better: bool | None, ideal: float) -> str:
    """The arrow in a column's title: which direction is better."""
    if higher_is_better is None:
        return "" if math.isnan(ideal) else f" → {ideal:g}"
    return " ↑" if higher_is_better else " ↓"


def spread(mean: float, std: float) -> str:
    """Mean ± std, with as many decimals as the mean has."""
    text = number(mean)
    return text if np.isnan(std) else f"{text} ± {std:.{len(text.partition('.')[2])}f}"
