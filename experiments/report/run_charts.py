"""Charts of one run: its columns and their relations compared with real rows, perplexities, and the tuning loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.report.figures import FAINT, INK, REAL, SYNTHETIC, THIRD, panels, styled, svg
from harmonic.tables.table import Schema, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 24
MOST_CATEGORIES = 8
OTHER = "(other)"


def column_distributions(real: Table, synthetic: Table, name: str) -> str:
    """The distribution of each column in real rows (filled) and synthetic rows (outline), for up to MOST_COLUMNS."""
    shown = real.schema.columns[:MOST_COLUMNS]
    with styled():
        figure, axes = panels(len(shown), 4, (2.3, 1.9))
        for place, column in zip(axes, shown, strict=True):
            first, second = real.frame[column.name], synthetic.frame[column.name]
            (_numbers if column.is_numeric else _categories)(place, first, second)
            place.set_title(_cut(column.name, 30), fontsize=8)
            place.tick_params(labelsize=7)
            (place.set_ylabel if column.is_numeric else place.set_xlabel)("rows, %", fontsize=7)
        return svg(figure, f"{name}-columns", "Distribution of each column, real and synthetic rows")


def _numbers(axes: Axes, real: pd.Series, synthetic: pd.Series) -> None:
    both = np.concatenate([real.to_numpy(dtype=float), synthetic.to_numpy(dtype=float)])
    # An extreme synthetic value must not push all others into one bin. The last bin has all values beyond.
    low, high = np.percentile(both, [0.5, 99.5])
    low, high = min(low, real.min()), max(high, real.max())
    if high - low <= 1e-9 * abs(high):
        width = max(0.5, 1e-3 * abs(high))
        low, high = low - width, high + width
    edges = np.linspace(low, high, 21)
    shares = [np.histogram(np.clip(values.to_numpy(dtype=float), low, high), edges)[0] for values in (real, synthetic)]
    first, second = (100 * counts / max(counts.sum(), 1) for counts in shares)
    axes.stairs(first, edges, fill=True, color=REAL, alpha=0.35)
    axes.stairs(second, edges, color=SYNTHETIC, linewidth=1.4)


def _categories(axes: Axes, real: pd.Series, synthetic: pd.Series) -> None:
    shares = pd.DataFrame(
        {"real": real.value_counts(normalize=True), "synthetic": synthetic.value_counts(normalize=True)}
    )
    shares = (100 * shares.fillna(0.0)).sort_values("real", ascending=False, kind="stable")
    if len(shares) > MOST_CATEGORIES:
        rest = shares.iloc[MOST_CATEGORIES - 1 :].sum().to_frame(OTHER).T
        shares = pd.concat([shares.iloc[: MOST_CATEGORIES - 1], rest])
    places = np.arange(len(shares))
    axes.barh(places, shares["real"], height=0.8, color=REAL, alpha=0.35)
    axes.barh(places, shares["synthetic"], height=0.8, facecolor="none", edgecolor=SYNTHETIC, linewidth=1.2)
    axes.set_yticks(places, [_cut(str(category), 14) for category in shares.index])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


def association(frame: pd.DataFrame, schema: Schema) -> NDArray[np.float64]:
    """The association of each pair of columns, (columns, columns), symmetric.

    Pearson's r for two numeric columns, in [-1, 1]; Cramér's V for two category columns, and the correlation ratio for
    a mixed pair, in [0, 1]. 0 if a column is constant; NaN if squares of numbers overflow.
    """
    size = len(schema.columns)
    strength = np.zeros((size, size))
    codes = [
        frame[column.name].to_numpy(dtype=np.float64)
        if column.is_numeric
        else pd.factorize(frame[column.name])[0].astype(np.float64)
        for column in schema.columns
    ]
    for first, second in combinations_with_replacement(range(size), 2):
        if np.ptp(codes[first]) == 0 or np.ptp(codes[second]) == 0:
            continue
        numeric = schema.columns[first].is_numeric, schema.columns[second].is_numeric
        if all(numeric):
            with np.errstate(over="ignore", invalid="ignore"):  # a generator may write 1e300
                value = np.corrcoef(codes[first], codes[second])[0, 1]
        elif not any(numeric):
            value = _cramers_v(codes[first], codes[second])
        else:
            number, category = (first, second) if numeric[0] else (second, first)
            value = _correlation_ratio(codes[number], codes[category])
        strength[first, second] = strength[second, first] = value
    return strength


def _cramers_v(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    from scipy.stats.contingency import association as measure

    return float(measure(pd.crosstab(first, second).to_numpy(), method="cramer"))


def _correlation_ratio(numbers: NDArray[np.float64], groups: NDArray[np.float64]) -> float:
    """Square root of the share of the variance between the groups."""
    means = pd.Series(numbers).groupby(groups).transform("mean").to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(means.var() / numbers.var()))


def relation_differences(real: Table, synthetic: Table, name: str) -> str:
    """A heat map of the association of each pair of columns: synthetic rows minus real rows."""
    schema = real.schema
    difference = association(synthetic.frame, schema) - association(real.frame, schema)
    names = [_cut(column.name, 24) for column in schema.columns]
    side = max(2.6, 0.26 * len(names)) + 1.6
    with styled():
        figure, (axes,) = panels(1, 1, (side + 0.6, side))
        image = axes.imshow(difference, cmap="PuOr", vmin=-1, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.tick_params(length=0)
        if len(names) <= 12:
            for (row, column), value in np.ndenumerate(difference):
                if row != column and np.isfinite(value):
                    ink = "white" if abs(value) > 0.6 else "black"
                    axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=6, color=ink)
        bar = figure.colorbar(image, ax=axes, shrink=0.7)
        bar.set_label("association, synthetic − real", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        return svg(figure, f"{name}-relations", "Difference of the columns' associations, synthetic minus real")


def perplexities(series: Mapping[str, NDArray[np.float64]], name: str) -> str:
    """Perplexities of training, held-out and synthetic rows under the tuned model, {name: (rows,)}."""
    colours = {"train": REAL, "holdout": THIRD, "synthetic": SYNTHETIC}
    every = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    low, high = every.min(), np.percentile(every, 99)
    edges = np.linspace(low, high if high > low else low + 1, 31)
    with styled():
        figure, (axes,) = panels(1, 1, (4.6, 2.8))
        for row, (label, values) in enumerate(series.items()):
            shares = 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
            colour = colours.get(label, INK)
            axes.stairs(shares, edges, color=colour, linewidth=1.5)
            axes.text(0.33 * row, 1.03, f"— {label} ({len(values)})", color=colour, transform=axes.transAxes)
        axes.set(xlabel="perplexity of a row (natural base; the last bin has all larger ones)", ylabel="rows, %")
        return svg(figure, f"{name}-perplexity", "Perplexities of training, held-out and synthetic rows")


def losses(history: Sequence[Mapping[str, float]], name: str) -> str:
    """The tuning loss on the answers, by step."""
    steps = [point["step"] for point in history]
    values = [point["train/loss"] for point in history]
    with styled():
        figure, (axes,) = panels(1, 1, (4.6, 2.8))
        axes.plot(steps, values, color=REAL, linewidth=1.5, marker="o" if len(steps) < 30 else None, markersize=3)
        axes.annotate(f"{values[-1]:.3f}", (steps[-1], values[-1]), (4, 4), textcoords="offset points", fontsize=8)
        axes.set(xlabel="optimiser step", ylabel="loss on answers (nats a token)")
        axes.grid(axis="y", color=FAINT)
        return svg(figure, f"{name}-loss", "Tuning loss over steps")


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
