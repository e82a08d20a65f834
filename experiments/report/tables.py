"""Tables of results, as in the paper: datasets by generators, mean ± standard deviation over seeds.

Bold results are significantly better by a paired test over seeds. Anchors (real, copy, holdout, marginals) show whether
a metric works; they are in every table and never ranked. Runs of older code have separate rows and are not ranked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pandas as pd

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.shown_metrics import (
    EFFICIENCY,
    SECONDS,
    MetricColumn,
    arrow,
    columns,
    direction,
    number,
    spread,
)
from experiments.report.labelled_results import Pooled, ordered
from experiments.report.paired_tests import FEWEST_SEEDS, LEVEL, borne_out
from harmonic.evaluation.base import Metric

MISSING = "–"
NOTED = "°"
TITLES = {"main": "Main results", "fidelity": "Fidelity, further metrics", "privacy": "Privacy"}
ABLATED = r"(.+?)_no_."
"""The name of an ablation: its generator, and what is left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, whether it is bold, and whether it is only for orientation."""

    text: str
    best: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of results. A row with text in its first cell begins a block. `name`: a key without special letters."""

    name: str
    title: str
    header: list[str]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)


def result_table(
    name: str, title: str, values: pd.DataFrame, measures: Iterable[MetricColumn], first: str = "harmonic",
    beside: Iterable[MetricColumn] = (),
) -> ResultTable | None:  # fmt: skip
    """A table with a row for each dataset and generator, and a column for each metric; None if there are no values.

    `values`: from `measured`. `beside`: columns at the end that are never bold. A metric without any value is left out;
    the notes say why, and why single cells are empty.
    """
    shown, notes = _with_values(values, measures)
    if not shown:
        return None
    chosen = [*shown, *(one for one in _with_values(values, beside)[0] if one.rows["value"].any())]
    index = [
        (str(dataset), label, anchor)
        for dataset, part in values.groupby("dataset", sort=True)
        for label, anchor in ordered(part, first)
    ]
    pooled = [_pooled_by(index, column.rows) for column in chosen]
    usual = Counter(cell.n for column in pooled for cell in column if cell.n).most_common(1)[0][0]
    cells = []
    for place, (column, values_of) in enumerate(zip(chosen, pooled, strict=True)):
        best = borne_out(column.rows, column.higher, column.ideal) if place < len(shown) else set()
        cells.append(_cells(column, values_of, index, values, best, usual))
    body = [
        [Cell(dataset), Cell(label, quiet=anchor), *(replace(cell, quiet=anchor) for cell in row)]
        for (dataset, label, anchor), row in zip(index, zip(*cells, strict=True), strict=True)
    ]
    notes = [
        _about_seeds(usual),
        *_about_intervals([column.measure.title for column in shown if column.measure.interval]),
        f"Unless a label says otherwise: {values['usual'].iloc[0]}.",
        *notes,
        *_about_marks(chosen, pooled, index),
    ]
    titles = [column.measure.title + arrow(column.higher, column.ideal) for column in chosen]
    return ResultTable(name, title, ["dataset", "generator", *titles], begin_blocks(body), notes)


class _Column(NamedTuple):
    """A column of a table: its metric's rows, and the metric's direction and ideal."""

    measure: MetricColumn
    rows: pd.DataFrame
    higher: bool | None
    ideal: float


Index = Sequence[tuple[str, str, bool]]
"""The rows of a table: dataset, label, and whether it is unranked."""


def _with_values(values: pd.DataFrame, measures: Iterable[MetricColumn]) -> tuple[list[_Column], list[str]]:
    """The columns with at least one value, and for each without one a note that says why."""
    found, notes = [], []
    for measure in measures:
        rows = measure.of(values)
        if rows["value"].notna().any():
            found.append(_Column(measure, rows, *direction(rows)))
        elif len(rows):
            notes.append(f"{measure.title}: {Pooled.of(rows).reason}.")
    return found, notes


def _pooled_by(index: Index, rows: pd.DataFrame) -> list[Pooled]:
    """The values of one metric for each row of the table."""
    found = _pooled(rows)
    return [found.get((dataset, label), Pooled(reason="not measured")) for dataset, label, _ in index]


def _cells(
    column: _Column, pooled: Sequence[Pooled], index: Index, values: pd.DataFrame, best: set[tuple[str, str]],
    usual: int,
) -> list[Cell]:  # fmt: skip
    """The cells of one column."""
    ends = [_pooled(column.measure.of(values, end)) if column.measure.interval else {} for end in ("/low", "/high")]
    cells = []
    for (dataset, label, _), one in zip(index, pooled, strict=True):
        shown = one if column.measure.noted else replace(one, note="")
        interval = tuple(found.get((dataset, label), Pooled()).mean for found in ends)
        cells.append(_cell(shown, (dataset, label) in best, interval, usual))
    return cells


def _about_marks(columns: Sequence[_Column], pooled: Sequence[Sequence[Pooled]], index: Index) -> list[str]:
    """Notes on cells without a value, and on cells with a note of their evaluator."""
    missing: dict[tuple[str, str], set[str]] = defaultdict(set)  # (title, reason) to labels
    noted: dict[tuple[str, str], set[str]] = defaultdict(set)  # (title, note) to labels
    for column, cells in zip(columns, pooled, strict=True):
        for (_, label, _), cell in zip(index, cells, strict=True):
            if cell.n == 0:
                missing[column.measure.title, cell.reason].add(label)
            elif column.measure.noted and cell.note:
                noted[column.measure.title, cell.note].add(label)
    return [*_explained(MISSING, missing), *_explained(NOTED, noted)]


def _pooled(rows: pd.DataFrame) -> dict[tuple[str, str], Pooled]:
    """The values of one metric, by dataset and label."""
    return {
        (str(dataset), str(label)): Pooled.of(part) for (dataset, label), part in rows.groupby(["dataset", "label"])
    }


def _cell(pooled: Pooled, bold: bool, interval: tuple[float, ...], usual: int) -> Cell:
    if pooled.n == 0:
        return Cell(MISSING)
    ends = "" if any(math.isnan(end) for end in interval) else f" ({', '.join(map(number, interval))})"
    seeds, mark = f" [{pooled.n}]" if pooled.n != usual else "", NOTED if pooled.note else ""
    return Cell(spread(pooled.mean, pooled.std) + mark + ends + seeds, bold)


def _about_seeds(usual: int) -> str:
    seeds = "one seed" if usual == 1 else f"{usual} seeds"
    spreads = "" if usual == 1 else " ± standard deviation"
    return (
        f"Mean{spreads} over {seeds}; another number of seeds is in brackets. Bold: better than every other method on "
        f"the dataset, by paired t tests over at least {FEWEST_SEEDS} seeds, Holm-corrected, p < {LEVEL}. Anchors are "
        "not ranked."
    )


def _about_intervals(titles: Sequence[str]) -> list[str]:
    if not titles:
        return []
    return [f"{', '.join(titles)}: in parentheses the 95% interval over other test rows, with the same models."]


def _explained(mark: str, missing: Mapping[tuple[str, str], set[str]]) -> list[str]:
    """What a mark means: a note for each reason and set of labels, with the titles of the columns."""
    titles: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (title, reason), labels in missing.items():
        titles[reason, tuple(sorted(labels))].append(title)
    return [f"{mark} {', '.join(named)}: {why} ({_listed(where)})." for (why, where), named in titles.items()]


def _listed(labels: Sequence[str], most: int = 8) -> str:
    more = f"; and {len(labels) - most} more" if len(labels) > most else ""
    return "; ".join(labels[:most]) + more


def begin_blocks(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows, with the text of the first cell only where it changes."""
    kept, last = [], None
    for row in rows:
        kept.append([Cell(""), *row[1:]] if row[0].text == last else row)
        last = row[0].text
    return kept


def all_tables(
    values: pd.DataFrame, first: str = "harmonic", declared: Sequence[Metric] | None = None
) -> list[ResultTable]:
    """All tables that have values: main results, fidelity, privacy, ablations, cost.

    `declared`: the metrics, which declare their columns; None: those of harmonic.
    """
    declared = declared_metrics() if declared is None else declared
    bases = [re.match(ABLATED, name) for name in values["generator"]]
    ablated = pd.Series([found is not None for found in bases], index=values.index)
    whole = values[~ablated]
    found = [
        result_table(name, title, whole, columns(declared, name), first, SECONDS) for name, title in TITLES.items()
    ]
    chosen = columns(declared, "ablation")
    for base in sorted({found[1] for found in bases if found}):
        family = values[values["generator"].str.fullmatch(rf"{re.escape(base)}(_no_.+)?") | values["anchor"]]
        found.append(result_table(f"ablation_{base}", f"Ablation of {base}", family, chosen, base, SECONDS))
    found.append(result_table("cost", "Time and memory", whole, EFFICIENCY, first))
    return [table for table in found if table is not None]
