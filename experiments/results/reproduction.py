"""Which published results are found again: the sign of every comparison of methods, and the order of methods.

Values are not compared, because the paper's have another model, other splits and partly other definitions. But which of
two methods is better can be compared with ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from experiments.collect.shown_metrics import direction, number
from experiments.report.labelled_results import Pooled
from experiments.report.published import BESIDE, published_figures
from experiments.report.tables import MISSING, Cell, ResultTable, begin_blocks

ROUNDING = 0.005
"""The published figures have two decimals."""
ANCHORED = ("real",)
"""Rows of the published tables that are no method."""
FEWEST, ORDERED = 2, 3
"""Methods that make a comparison, and an order."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods by one metric on one table: `first` minus `second`, published and here.

    `apart`: both differences are larger than the sum of the two methods' standard deviations over runs. False if there
    is only one run.
    """

    first: str
    second: str
    there: float
    here: float
    apart: bool

    @property
    def decided(self) -> bool:
        """Whether neither difference is 0. Published figures are rounded, so methods can be equal."""
        return self.there != 0 and self.here != 0

    @property
    def agrees(self) -> bool:
        return self.decided and (self.there > 0) == (self.here > 0)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One metric on one table: the methods that both have, their comparisons, and the correlation of their orders.

    `tau` and `rho` are Kendall's and Spearman's, in [-1, 1], `p_value` that of Kendall's; NaN for two methods
    only, and if all methods of one side are equal.
    """

    dataset: str
    metric: str
    title: str
    higher: bool | None
    methods: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    tau: float
    p_value: float
    rho: float

    @property
    def agreeing(self) -> int:
        return sum(one.agrees for one in self.comparisons)

    @property
    def decided(self) -> int:
        return sum(one.decided for one in self.comparisons)


def reproductions(values: pd.DataFrame, theirs: pd.DataFrame | None = None) -> list[Reproduction]:
    """For each table and metric that both have, with FEWEST methods at least; `values` from `tables.measured`.

    If a generator has several settings, the first label counts: its own name, without settings.
    """
    theirs = published_figures() if theirs is None else theirs
    found = []
    for dataset in sorted(set(values["dataset"]) & set(theirs["dataset"])):
        for metric, measure in BESIDE.items():
            rows = measure.of(values[values["dataset"] == dataset])
            rows = rows[(rows["label"] == rows["generator"]) & ~rows["generator"].isin(ANCHORED)]
            figures = theirs[(theirs["dataset"] == dataset) & (theirs["metric"] == metric)].set_index("generator")
            here = {str(label): Pooled.of(part) for label, part in rows.groupby("label")}
            methods = sorted(name for name, pooled in here.items() if pooled.n and name in figures.index)
            if len(methods) >= FEWEST:
                there = {name: _printed(figures.loc[name]) for name in methods}
                higher = direction(rows.dropna(subset="value"))[0]
                found.append(_reproduction(dataset, metric, measure.title, higher, methods, there, here))
    return found


def _printed(figure: pd.Series) -> tuple[float, float]:
    """Mean and deviation; if no deviation was printed, the rounding error."""
    mean, std = float(figure["mean"]), float(figure["std"])
    return mean, ROUNDING if math.isnan(std) else std


def _reproduction(
    dataset: str, metric: str, title: str, higher: bool | None, methods: Sequence[str],
    there: Mapping[str, tuple[float, float]], here: Mapping[str, Pooled],
) -> Reproduction:  # fmt: skip
    from scipy.stats import kendalltau, spearmanr

    comparisons = []
    for first, second in combinations(methods, 2):
        published = round(there[first][0] - there[second][0], 6)  # .64 - .64 must be nothing
        ours = here[first].mean - here[second].mean
        spreads = [there[first][1] + there[second][1], here[first].std + here[second].std]
        apart = all(
            not math.isnan(wide) and abs(size) > wide for size, wide in zip((published, ours), spreads, strict=True)
        )
        comparisons.append(Comparison(first, second, published, ours, apart))
    sides = [there[name][0] for name in methods], [here[name].mean for name in methods]
    if len(methods) < ORDERED or any(len(set(side)) == 1 for side in sides):
        tau = p_value = rho = math.nan
    else:
        kendall = kendalltau(*sides)
        tau, p_value, rho = float(kendall.statistic), float(kendall.pvalue), float(spearmanr(*sides).statistic)
    return Reproduction(dataset, metric, title, higher, tuple(methods), tuple(comparisons), tau, p_value, rho)


def reproduction_table(found: Sequence[Reproduction]) -> ResultTable | None:
    """A row for each table and metric; None if nothing can be compared."""
    if not found:
        return None
    rows = []
    for one in found:
        p_value = "" if math.isnan(one.p_value) else f" (p {one.p_value:.2f})"
        rows.append([
            Cell(one.dataset), Cell(one.title), Cell(str(len(one.methods))),
            Cell(f"{one.agreeing} of {one.decided}"),
            Cell(_opposites(one, apart=True)),
            Cell(MISSING if math.isnan(one.tau) else f"{one.tau:.2f}{p_value}"),
            Cell(MISSING if math.isnan(one.rho) else f"{one.rho:.2f}"),
        ])  # fmt: skip
    header = ["table", "metric", "methods", "same sign", "clearly opposite", "Kendall τ", "Spearman ρ"]
    notes = [
        "Same sign: pairs of methods of which the same one is better in the paper and here; pairs that are equal on "
        "one side do not count. Clearly opposite: the other method is better here, and both differences are larger "
        "than the sum of the standard deviations.",
        "By chance, half of the signs would agree, and τ would be 0. A few methods prove little.",
    ]
    return ResultTable("reproduction", "Published order of methods, and ours", header, begin_blocks(rows), notes)


def in_words(found: Sequence[Reproduction]) -> list[str]:
    """What is reproduced and what is not: a sentence about everything, and one for each metric on each table."""
    if not found:
        return ["Nothing can be compared: no table of the paper has published figures for two of the methods here."]
    agreeing, decided = sum(one.agreeing for one in found), sum(one.decided for one in found)
    share = f" ({agreeing / decided:.0%})" if decided else ""
    lines = [
        f"Of {decided} pairs of methods that differ in the paper's tables, {agreeing}{share} have the same better "
        "method here. By chance it would be half."
    ]
    for one in found:
        verdict = _verdict(one)
        opposite = _opposites(one, apart=True)
        plainly = f" Clearly opposite: {opposite}." if opposite else ""
        lines.append(f"{one.dataset}, {one.title}: {verdict}, {one.agreeing} of {one.decided} signs.{plainly}")
    return lines


def _verdict(one: Reproduction) -> str:
    """The order of methods in words."""
    if math.isnan(one.tau):
        return (
            f"only {' and '.join(one.methods)}" if len(one.methods) < ORDERED else "all methods are equal on one side"
        )
    strength = "repeats" if one.tau >= 0.6 else "partly repeats" if one.tau >= 0.2 else "does not repeat"
    reverse = " (rather the opposite)" if one.tau <= -0.2 else ""
    sure = "" if one.p_value < 0.05 else ", possible by chance"
    return f"the order of {len(one.methods)} methods {strength}{reverse} (τ {one.tau:.2f}{sure})"


def _opposites(one: Reproduction, *, apart: bool) -> str:
    """The comparisons with the other sign, the paper's better method first: the differences there and here."""
    told = []
    for pair in one.comparisons:
        if pair.decided and not pair.agrees and (pair.apart or not apart):
            ahead = pair.there > 0 if one.higher is not False else pair.there < 0
            names = (pair.first, pair.second) if ahead else (pair.second, pair.first)
            there, here = (pair.there, pair.here) if ahead else (-pair.there, -pair.here)
            over, under = ("above", "below") if one.higher is None else ("ahead of", "behind")
            told.append(f"{names[0]} {over} {names[1]} in the paper ({_signed(there)}), {under} here ({_signed(here)})")
    return "; ".join(told)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−") + number(abs(value))
