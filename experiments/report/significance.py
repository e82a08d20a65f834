"""Is one generator better than the others, or is it chance? Paired tests over (dataset, seed), Holm-corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from experiments.collect.shown_metrics import MetricColumn, direction, goodness, number
from experiments.report.paired_tests import holm, paired_tests
from experiments.report.tables import Cell, ResultTable, begin_blocks

MIN_PAIRS = 6
"""With fewer pairs, a two-sided Wilcoxon test cannot be below 0.05 (2 / 2**5 = 0.0625), so no p-value is given."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method compared with the chosen one by one metric.

    `difference`: the mean over pairs of (value of the chosen method - value of the other). `wins`: pairs in which the
    chosen method is better; `losses`: pairs in which it is worse. The p-values are Holm-corrected within the metric; if
    they are NaN, `note` says why.
    """

    measure: str
    label: str
    pairs: int
    difference: float = math.nan
    wins: int = 0
    losses: int = 0
    wilcoxon: float = math.nan
    t_test: float = math.nan
    note: str = ""


def compare(values: pd.DataFrame, against: str, measures: Iterable[MetricColumn]) -> list[Comparison]:
    """The label `against` compared with every other by each metric; `values` from `labelled_results.measured`.

    A pair is a (dataset, seed) for which both have a value, with the same rows. Anchors and older code are left out. If
    neither end of a metric is good, distances to its ideal are compared; metrics without a direction are left out.
    """
    found = []
    for measure in measures:
        rows = measure.of(values).dropna(subset="value")
        if rows.empty:
            continue
        higher, ideal = direction(rows)
        if goodness(0.0, higher, ideal) is None:
            continue
        table = rows.pivot(index=["dataset", "seed", "data"], columns="label", values="value")
        if against not in table:
            continue
        anchors = set(rows["label"][rows["unranked"]])
        batch = [
            _compare(measure.title, label, table[[against, label]].dropna(), higher, ideal)
            for label in table.columns
            if label != against and label not in anchors
        ]
        found += _corrected(batch)
    return found


def _compare(title: str, label: str, pairs: pd.DataFrame, higher: bool | None, ideal: float) -> Comparison:
    chosen, other = pairs.to_numpy(dtype=np.float64).T
    good = np.array([[goodness(value, higher, ideal) for value in side] for side in (chosen, other)], dtype=float)
    wins, losses = int((good[0] > good[1]).sum()), int((good[0] < good[1]).sum())
    tested = np.abs(np.stack([chosen, other]) - ideal) if higher is None else np.stack([chosen, other])
    difference = float((chosen - other).mean()) if len(pairs) else math.nan
    untested = Comparison(title, label, len(pairs), difference, wins, losses)
    if len(pairs) < MIN_PAIRS:
        return replace(untested, note=f"too few pairs: {len(pairs)}, of {MIN_PAIRS} needed")
    if np.array_equal(tested[0], tested[1]):
        return replace(untested, note="no difference in any pair")
    wilcoxon, t_test = paired_tests(tested[0], tested[1])
    return replace(untested, wilcoxon=wilcoxon, t_test=t_test)


def _corrected(batch: list[Comparison]) -> list[Comparison]:
    wilcoxon, t_test = holm([c.wilcoxon for c in batch]), holm([c.t_test for c in batch])
    return [replace(c, wilcoxon=w, t_test=t) for c, w, t in zip(batch, wilcoxon, t_test, strict=True)]


def significance_table(values: pd.DataFrame, against: str, measures: Iterable[MetricColumn]) -> ResultTable | None:
    """`compare` as a table; None if there is nothing to compare."""
    comparisons = compare(values, against, measures)
    if not comparisons:
        return None
    rows = [_row(comparison) for comparison in comparisons]
    header = ["metric", "compared with", "pairs", "difference", "better : worse", "p, Wilcoxon", "p, paired t"]
    notes = [
        f"{against} compared with each other method, in pairs of the same dataset, seed and rows; difference: mean "
        f"over pairs of {against} - the other; better : worse: number of pairs in which {against} is better and worse.",
        "Two-sided, Holm-corrected over the methods of a metric; bold below 0.05. Seeds share one table, so the pairs "
        "of a dataset are not fully independent.",
    ]
    return ResultTable("significance", f"Is {against} different?", header, begin_blocks(rows), notes)


def _row(comparison: Comparison) -> list[Cell]:
    pairs, difference = str(comparison.pairs), _signed(comparison.difference)
    texts = [comparison.measure, comparison.label, pairs, difference, f"{comparison.wins} : {comparison.losses}"]
    if comparison.note:
        return [*map(Cell, texts), Cell(comparison.note, quiet=True), Cell("")]
    return [*map(Cell, texts), _p_value(comparison.wilcoxon), _p_value(comparison.t_test)]


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else ("+" if value > 0 else "") + number(value)


def _p_value(p: float) -> Cell:
    if math.isnan(p):
        return Cell("–")
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", best=p < 0.05)
