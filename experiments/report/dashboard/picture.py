"""A picture of a dashboard: its sections and panels, drawn from its specification and our own numbers.

It shows what W&B would show, to readers without an account: `harmonic-dashboard outputs --picture dashboard.png`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.collect.record import RunRecord
from harmonic.errors import ConfigError
from harmonic.tracking import summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

IN_A_ROW, HEIGHT, WIDTH = 3, 2.5, 4.6
"""Panels in a row, and a panel's size in inches."""
MOST_FACETS, MOST_ROWS = 2, 8
"""Of a chart with many metrics, and of a table: how much fits into a panel."""


def draw(
    specification: Mapping[str, Any], records: Sequence[RunRecord], tables: Mapping[str, pd.DataFrame], path: Path
) -> Path:
    """Draw the view into a file, whose suffix says the format: png, svg or pdf. Raises ConfigError for another one."""
    figure = figure_of(specification, records, tables)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)
    except (ValueError, OSError) as error:
        raise ConfigError("--picture", path, str(error), "name a file such as dashboard.png") from error
    return path


def figure_of(
    specification: Mapping[str, Any], records: Sequence[RunRecord], tables: Mapping[str, pd.DataFrame]
) -> Figure:
    """The view in `specification` as a figure: its sections below each other.

    `records`: the runs; those that are results are drawn, in the view's groups. `tables`: by their names in panels.
    """
    from matplotlib.figure import Figure

    sections = [one for one in specification["view"]["section"]["panelBankConfig"]["sections"] if one["panels"]]
    rows = [-(-len(one["panels"]) // IN_A_ROW) for one in sections]
    runs = [record for record in records if record.is_result]
    figure = Figure(figsize=(WIDTH * IN_A_ROW, sum(HEIGHT * count + 0.4 for count in rows) + 0.5), layout="constrained")
    figure.suptitle(specification["name"], x=0.01, ha="left", fontsize=13, fontweight="bold")
    parts: Any = figure.subfigures(len(sections), 1, squeeze=False, height_ratios=rows) if sections else np.empty(0)
    for part, section, count in zip(parts.flat, sections, rows, strict=True):
        part.suptitle(section["name"], x=0.01, ha="left", fontsize=11, fontweight="bold")
        places = part.add_gridspec(count, IN_A_ROW)
        for position, panel in enumerate(section["panels"]):
            _panel(part, places[position // IN_A_ROW, position % IN_A_ROW], panel, runs, tables)
    return figure


def _panel(
    part: Any, place: SubplotSpec, panel: Mapping[str, Any], runs: Sequence[RunRecord],
    tables: Mapping[str, pd.DataFrame],
) -> None:  # fmt: skip
    """One panel, by the kind that W&B gives it."""
    kind, config = panel["viewType"], panel["config"]
    named = [tables[name] for name in tables if _mentions(config, name)]
    if kind == "Vega2" and named:
        metrics = list(dict.fromkeys(named[0]["metric"]))[:MOST_FACETS]
        inner = place.subgridspec(1, len(metrics))
        for position, metric in enumerate(metrics):
            _deviations(part.add_subplot(inner[0, position]), metric, named[0][named[0]["metric"] == metric])
        return
    axes = part.add_subplot(place)
    axes.set_title(config.get("chartTitle") or "", fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    if kind == "Scatter Plot":
        _scatter(axes, config, runs)
    elif kind == "Bar Chart":
        means = _groups(runs, f"summary:{config['metrics'][0]}")
        axes.barh(range(len(means)), list(means.values()), height=0.7)
        axes.set_yticks(range(len(means)), list(means))
        axes.invert_yaxis()
    elif kind == "Parallel Coordinates Plot":
        _parallel(axes, config["columns"], runs)
    else:
        _rows(axes, named[0] if named else pd.DataFrame())


def _scatter(axes: Axes, config: Mapping[str, Any], runs: Sequence[RunRecord]) -> None:
    x, y = _groups(runs, config["xAxis"]), _groups(runs, config["yAxis"])
    for name in (name for name in x if name in y):
        axes.scatter(x[name], y[name], s=16)
        axes.annotate(name, (x[name], y[name]), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.margins(0.2)
    axes.set_xlabel(config["xAxis"].partition(":")[2], fontsize=7)
    axes.set_ylabel(config["yAxis"].partition(":")[2], fontsize=7)


def _deviations(axes: Axes, metric: str, rows: pd.DataFrame) -> None:
    axes.barh(range(len(rows)), rows["mean"], height=0.7, alpha=0.6)
    axes.hlines(range(len(rows)), rows["low"], rows["high"], color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), list(rows["name"]))
    axes.invert_yaxis()
    axes.set_title(f"{metric}, mean ± deviation", fontsize=7, loc="left")
    axes.tick_params(labelsize=5)


def _parallel(axes: Axes, columns: Sequence[Mapping[str, Any]], runs: Sequence[RunRecord]) -> None:
    """A line a run; numbers from their least to their largest, other values in the order of their names."""
    scaled = []
    for place, column in enumerate(columns):
        found = [_value(run, column["accessor"]) for run in runs]
        numbers = pd.to_numeric(pd.Series(found, dtype=object), errors="coerce")
        if numbers.isna().any():
            names = sorted({str(value) for value in found})
            numbers = pd.Series([names.index(str(value)) for value in found], dtype=float)
            for position, name in enumerate(names):
                axes.text(place, position / max(1, len(names) - 1), f" {name}", fontsize=5, va="center")
        scaled.append((numbers - numbers.min()) / ((numbers.max() - numbers.min()) or 1.0))
    for line in np.array(scaled).T:
        axes.plot(range(len(columns)), line, linewidth=0.7, alpha=0.6)
    axes.set_xticks(range(len(columns)), [column.get("displayName") or column["accessor"] for column in columns])
    axes.set_yticks([])


def _rows(axes: Axes, table: pd.DataFrame) -> None:
    """The first rows of a table, as text."""
    axes.set_axis_off()
    lines = [
        f"{row['metric'][:12]:12} {row['name'][:24]:24} {row['mean']:8.3f} ± {row['deviation']:.3f}"
        for row in table.to_dict("records")
    ]
    axes.text(0, 1, "\n".join(lines[:MOST_ROWS]), family="monospace", fontsize=6, va="top")


def _groups(runs: Sequence[RunRecord], accessor: str) -> dict[str, float]:
    """The mean of a number in each group of the view; groups without one are left out."""
    found: dict[str, list[float]] = {}
    for run in runs:
        value = _value(run, accessor)
        if isinstance(value, int | float):
            found.setdefault(f"{run.generator} · {run.dataset}", []).append(float(value))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _value(run: RunRecord, accessor: str) -> Any:
    """What W&B has under this name, as "summary:mia/worst" or "config:run.value.generator"."""
    section, _, name = accessor.partition(":")
    if section == "summary":
        return summary(run.report).get(name)
    first, *rest = name.replace(".value", "", 1).split(".")
    value: Any = (
        {"generator": run.generator, "dataset": run.dataset} if first == "run" else run.report["config"].get(first)
    )
    for part in rest:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _mentions(tree: Any, name: str) -> bool:
    """Whether a text in the tree is the name."""
    if isinstance(tree, Mapping):
        return any(_mentions(one, name) for one in tree.values())
    return any(_mentions(one, name) for one in tree) if isinstance(tree, list) else tree == name
