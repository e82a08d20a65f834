"""The pictures of a comparison, as SVG files: utility against risk for each table, and mean ranks.

They are drawn only from the frame, and the same frame gives the same text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.collect.shown_metrics import MetricColumn, goodness
from experiments.report.charts import LEAKS, UTILITY, pareto_front
from experiments.report.figures import (
    FAINT,
    INK,
    QUIET,
    REAL,
    SYNTHETIC,
    THIRD,
    panels,
    place_labels,
    standalone,
    styled,
    svg,
)
from experiments.report.labelled_results import Pooled, ordered
from experiments.results.ranks import LEVEL, Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RISK = LEAKS[0][0]
SCORES = {"f1_macro": "macro F1", "r2": "R²"}
LEARNING = ("time/prompts_s", "time/fit_s", "time/sample_s")
STRETCH = 0.65  # power of the distance from 0.5 on the axis of the risk
RISK_TICKS = (0.5, 0.51, 0.53, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)
MANY = 10  # methods in a panel, which needs more room then
CEILING, COPIES = "real", ("real", "copy")
"""Not drawn as points: real rows reveal everything. Their utility is drawn as a line."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method on one table: means and standard deviations over seeds of its utility and its risk.

    `seconds`: of learning and drawing, mean over seeds; NaN if not known.
    """

    label: str
    unranked: bool
    utility: Pooled
    risk: Pooled
    seconds: float = math.nan

    def drawn_at(self, least: float) -> tuple[float, float]:
        """Its place in the picture; methods of less utility than `least` are drawn there, at the edge."""
        return max(self.utility.mean, least), self.risk.mean


def methods_of(
    values: pd.DataFrame, dataset: str, utility: MetricColumn = UTILITY, risk: MetricColumn = RISK
) -> list[Method]:
    """The methods that have both numbers on the table; `values` from `tables.measured`."""
    part = values[values["dataset"] == dataset]
    found = []
    for label, unranked in ordered(part, ""):
        own = part[part["label"] == label]
        pooled = [Pooled.of(measure.of(own)) for measure in (utility, risk)]
        if all(each.n for each in pooled):
            spent = own[own["metric"].isin(LEARNING)].groupby("seed")["value"].sum()
            seconds = float(spent.mean()) if len(spent) else math.nan
            found.append(Method(label, unranked, pooled[0], pooled[1], seconds))
    return found


def front_of(methods: Sequence[Method]) -> list[Method]:
    """The methods that no other ranked method beats in both numbers, by increasing utility."""
    ranked = [method for method in methods if not method.unranked]
    good = [(one.utility.mean, goodness(one.risk.mean, False, 0.5) or 0.0) for one in ranked]
    return sorted((ranked[place] for place in pareto_front(good)), key=lambda method: method.utility.mean)


def front_picture(
    values: pd.DataFrame, utility: MetricColumn = UTILITY, name: str = "front", *, limit: float | None = None
) -> str | None:
    """Utility against the strongest attack, a panel for each table: up and right is better. None without any method.

    Whiskers are standard deviations over seeds. Diamonds on the line are the front; hollow grey: anchors; triangles:
    further left than the axis goes. `limit`: the accepted risk, drawn as a line.
    """
    drawn = {str(dataset): methods_of(values, str(dataset), utility) for dataset in sorted(set(values["dataset"]))}
    drawn = {dataset: methods for dataset, methods in drawn.items() if any(not one.unranked for one in methods)}
    if not drawn:
        return None
    with styled():
        many = max(map(len, drawn.values())) > MANY
        figure, axes = panels(len(drawn), 2, (7.8, 6.0) if many else (6.2, 4.6))
        for place, (dataset, methods) in zip(axes, drawn.items(), strict=True):
            headline = str(values["headline"][values["dataset"] == dataset].iloc[0])
            score = SCORES.get(headline, headline) if "{headline}" in utility.metric else utility.title
            place.set(
                title=dataset, xlabel=f"utility: {score}", ylabel="strongest attack, AUC (0.5: no better than guessing)"
            )
            _panel(place, methods, limit)
        told = f"Utility and the AUC of the strongest attack for each method, a panel per table: {', '.join(drawn)}"
        return standalone(svg(figure, name, told))


def _panel(axes: Axes, methods: Sequence[Method], limit: float | None) -> None:
    shown = [one for one in methods if one.label not in COPIES]
    front, least = front_of(methods), _left_edge([one.utility.mean for one in methods])
    points = [one.drawn_at(least) for one in shown]
    axes.plot(*zip(*(one.drawn_at(least) for one in front), strict=True), color=SYNTHETIC, linewidth=1, zorder=1)
    for one, (across, up) in zip(shown, points, strict=True):
        colour = QUIET if one.unranked else SYNTHETIC if one in front else REAL
        inside = one.utility.mean >= least
        axes.errorbar(
            across, up, xerr=_whisker(one.utility) if inside else None, yerr=_whisker(one.risk), color=colour,
            linewidth=0.5, marker="<" if not inside else "D" if one in front else "o", markersize=5,
            markerfacecolor="none" if one.unranked else colour, zorder=2,
        )  # fmt: skip
    ceiling = next((one for one in methods if one.label == CEILING), None)
    if ceiling is not None:
        axes.axvline(ceiling.utility.mean, color=FAINT, linewidth=0.8, linestyle="--", zorder=0)
        axes.text(
            ceiling.utility.mean, 0.01, "real rows ", transform=axes.get_xaxis_transform(), fontsize=8, color=QUIET,
            ha="right", va="bottom",
        )  # fmt: skip
    if limit is not None:
        axes.axhline(limit, color=THIRD, linewidth=0.9, linestyle=":", zorder=0)
        axes.text(
            0.01, limit, "limit", transform=axes.get_yaxis_transform(), fontsize=8, color=THIRD, va="bottom", ha="left"
        )
    axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle="--", zorder=0)
    _scales(axes, least, max(up for _, up in points))
    named = [_called(one, least) for one in shown]
    place_labels(axes, points, named, [QUIET if one.unranked else INK for one in shown], width=40)


def _left_edge(utilities: Sequence[float]) -> float:
    """Methods below this are drawn at the left edge, or one of them would press all others together (Tukey's fence)."""
    low, high = np.quantile(utilities, [0.25, 0.75])
    fence = low - 1.5 * (high - low)
    return float(min(utility for utility in utilities if utility >= fence))


def _scales(axes: Axes, least: float, worst: float) -> None:
    """Room around the points; near 0.5, where most attacks are, the axis of the risk is stretched."""
    axes.set_yscale("function", functions=(_stretched, _unstretched))
    axes.margins(0.16)
    axes.autoscale_view()
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, least - 0.16 * (high - least)), high)
    axes.set_ylim(min(worst + 0.1 * (worst - 0.5) + 0.02, 1.0), 0.4985)
    axes.set_yticks([at for at in RISK_TICKS if at <= axes.get_ylim()[0]])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _stretched(risk: Any) -> Any:
    away = np.asarray(risk, dtype=float) - 0.5
    return np.sign(away) * np.abs(away) ** STRETCH


def _unstretched(place: Any) -> Any:
    place = np.asarray(place, dtype=float)
    return 0.5 + np.sign(place) * np.abs(place) ** (1 / STRETCH)


def _called(method: Method, least: float) -> str:
    spent = "" if method.unranked or math.isnan(method.seconds) else f" · {spent_in_words(method.seconds)}"
    below = "" if method.utility.mean >= least else f" ({method.utility.mean:.2f})"
    return method.label + below + spent


def spent_in_words(seconds: float) -> str:
    """In seconds below two minutes, in minutes below two hours, else in hours."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _whisker(pooled: Pooled) -> float | None:
    return None if math.isnan(pooled.std) else pooled.std


def ranks_picture(rankings: Sequence[Ranking], name: str = "ranks") -> str | None:
    """Mean ranks: a line per method, a panel per metric, the best at the top; bars join methods that do not differ."""
    if not rankings:
        return None
    most = max(len(one.methods) for one in rankings)
    with styled():
        figure, axes = panels(len(rankings), 1, (8.6, 0.9 + 0.24 * most))
        for place, one in zip(axes, rankings, strict=True):
            _rank_panel(place, one)
        told = (
            "Mean ranks of methods over tables, the best at the top; bars join methods without a significant difference"
        )
        return standalone(svg(figure, name, told))


def _rank_panel(axes: Axes, one: Ranking) -> None:
    """A line a method, ordered by mean rank; the bars of Nemenyi's groups beside the lines that they join."""
    means, count = one.means, len(one.methods)
    for place, (label, mean) in enumerate(zip(one.methods, means, strict=True)):
        axes.plot([1, mean], [place, place], color=FAINT, linewidth=0.6, zorder=0)
        axes.plot(mean, place, marker="o", markersize=5, color=SYNTHETIC if label == one.best else REAL)
        axes.annotate(f"{mean:.2f}", (mean, place), (7, 0), textcoords="offset points", fontsize=8, va="center")
    for number, (first, last) in enumerate(one.groups):
        at = count + 0.9 + 0.45 * number
        axes.plot([at, at], [first - 0.2, last + 0.2], color=INK, linewidth=2.2, solid_capstyle="butt")
    axes.set_yticks(range(count), one.methods, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlim(0.9, count + 1.2 + 0.45 * max(len(one.groups), 1))
    axes.set_xticks(range(1, count + 1))
    axes.set(title=f"{one.title}: {tested(one)}", xlabel="mean rank (1: best)")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def tested(one: Ranking) -> str:
    """What Friedman's test says about the methods, and how far apart two must be."""
    tables = len(one.ranks)
    if math.isnan(one.p_value):
        return f"{len(one.methods)} methods on {tables} table{'s' * (tables > 1)}, too few for a test"
    sure = f"Friedman p {'< 0.001' if one.p_value < 0.001 else f'= {one.p_value:.3f}'}"
    verdict = "" if one.p_value < LEVEL else ": no significant difference"
    return f"{tables} tables, {sure}{verdict}; critical difference {one.difference:.2f}"
