"""Charts of a whole sweep: utility against privacy, and the distances of synthetic rows to training rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.collect.shown_metrics import MetricColumn, direction, goodness
from experiments.report.figures import FAINT, INK, QUIET, REAL, SYNTHETIC, panels, place_labels, styled, svg, wrapped
from experiments.report.labelled_results import Pooled, ordered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UTILITY = MetricColumn("MLE", "mle/{headline}")
LEAKS = (
    (MetricColumn("MIA worst", "mia/worst"), "privacy: largest attack AUC (0.5: no leak)"),
    (MetricColumn("DCR", "dcr/mean"), "privacy: mean distance to closest training row"),
)
"""Metrics of privacy and their axis titles."""


@dataclass(frozen=True, slots=True)
class Point:
    """One generator on one dataset: utility and privacy, mean and standard deviation over seeds."""

    label: str
    anchor: bool
    utility: Pooled
    privacy: Pooled


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points for which no other is at least as good in both coordinates and better in one.

    Larger is better.
    """
    return [
        position
        for position, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a > x or b > y) for a, b in points)
    ]


def utility_against_privacy(values: pd.DataFrame) -> list[str]:
    """A figure for each privacy metric, with a panel for each dataset; a line joins the Pareto front."""
    utility, figures = UTILITY.of(values), []
    for measure, title in LEAKS:
        privacy = measure.of(values)
        drawn = {str(dataset): _points(utility, privacy, part) for dataset, part in values.groupby("dataset")}
        drawn = {dataset: points for dataset, points in drawn.items() if points}
        if drawn:
            figures.append(_scatters(utility, privacy, title, drawn))
    return figures


def _scatters(utility: pd.DataFrame, privacy: pd.DataFrame, title: str, drawn: Mapping[str, list[Point]]) -> str:
    higher, ideal = direction(privacy.dropna(subset="value"))
    with styled():
        figure, axes = panels(len(drawn), 2, (5.8, 4.0))
        for place, (dataset, points) in zip(axes, drawn.items(), strict=True):
            score = utility["headline"][utility["dataset"] == dataset].iloc[0]
            place.set(title=dataset, xlabel=f"utility: mean {_score_name(score)} of classical learners", ylabel=title)
            _scatter(place, points, higher, ideal)
        return svg(figure, f"pareto-{title}", "Utility against privacy of every generator, one panel a dataset")


def _score_name(score: str) -> str:
    return {"f1_macro": "macro F1", "r2": "R²"}.get(score, score)


def _points(utility: pd.DataFrame, privacy: pd.DataFrame, part: pd.DataFrame) -> list[Point]:
    points = []
    dataset = part["dataset"].iloc[0]
    for label, anchor in ordered(part, ""):
        pooled = [
            Pooled.of(rows[(rows["dataset"] == dataset) & (rows["label"] == label)]) for rows in (utility, privacy)
        ]
        if all(each.n for each in pooled):
            points.append(Point(label, anchor, *pooled))
    return points


def _scatter(axes: Axes, points: Sequence[Point], higher: bool | None, ideal: float) -> None:
    ranked = [point for point in points if not point.anchor]
    good = [(point.utility.mean, goodness(point.privacy.mean, higher, ideal) or 0.0) for point in ranked]
    front = sorted((ranked[position] for position in pareto_front(good)), key=lambda point: point.utility.mean)
    axes.plot([p.utility.mean for p in front], [p.privacy.mean for p in front], color=SYNTHETIC, linewidth=1, zorder=1)
    colours = []
    for point in points:
        colour = QUIET if point.anchor else SYNTHETIC if point in front else REAL
        axes.errorbar(
            point.utility.mean, point.privacy.mean, xerr=_spread(point.utility), yerr=_spread(point.privacy),
            color=colour, linewidth=0.7, marker="D" if point in front else "o", markersize=5,
            markerfacecolor="none" if point.anchor else colour, zorder=2,
        )  # fmt: skip
        colours.append(QUIET if point.anchor else INK)
    axes.margins(0.16)
    axes.autoscale_view()
    if higher is False:
        axes.invert_yaxis()
    if not np.isnan(ideal) and min(axes.get_ylim()) < ideal < max(axes.get_ylim()):
        axes.axhline(ideal, color=FAINT, linewidth=0.8, linestyle="--", zorder=0)
    place_labels(axes, [(p.utility.mean, p.privacy.mean) for p in points], [p.label for p in points], colours)


def _spread(pooled: Pooled) -> float | None:
    return None if np.isnan(pooled.std) else pooled.std


def distances(found: Mapping[str, Mapping[str, NDArray[np.float64]]], anchors: Collection[str]) -> str | None:
    """Distances to the closest training row, with a panel for each dataset. `found`: {dataset: {label: distances}}.

    The box has the middle half of the distances, the line the middle 90%; the bar is the median.
    """
    drawn = {dataset: rows for dataset, rows in found.items() if rows}
    if not drawn:
        return None
    lines = max(sum(1 + wrapped(label).count("\n") for label in rows) for rows in drawn.values())
    with styled():
        figure, axes = panels(len(drawn), 2, (5.8, 0.9 + 0.24 * lines))
        for place, (dataset, rows) in zip(axes, drawn.items(), strict=True):
            for position, (label, values) in enumerate(reversed(list(rows.items()))):
                low, left, middle, right, high = np.percentile(values, [5, 25, 50, 75, 95])
                colour = QUIET if label in anchors else REAL
                place.plot([low, high], [position, position], color=colour, linewidth=1)
                place.barh(position, right - left, left=left, height=0.5, color=colour, alpha=0.45)
                place.plot([middle, middle], [position - 0.3, position + 0.3], color=INK, linewidth=1.6)
            place.set_yticks(range(len(rows)), [wrapped(label) for label in list(rows)[::-1]], fontsize=8)
            place.tick_params(axis="y", length=0)
            place.set(title=dataset, xlabel="distance to the closest training row (standardised)")
            place.set_xlim(left=0)
            place.grid(axis="x")
            place.set_axisbelow(True)
        return svg(figure, "dcr", "Distances of synthetic rows to their closest training row, one panel a dataset")
