"""The frame of runs as the paper's tables: datasets by generators, mean ± standard deviation over seeds, best in bold.

Anchors (real, copy, holdout, marginals) show whether a metric is in place; they are in every table and never ranked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from experiments.shown_metrics import (
    ABLATION,
    EFFICIENCY,
    FIDELITY,
    MAIN,
    PRIVACY,
    Measure,
    arrow,
    direction,
    goodness,
    number,
    spread,
)

ANCHORS = ("real", "copy", "holdout", "marginals")
MISSING = "–"
ABLATED = r"(.+?)_no_."
"""What an ablation is called: its generator, and what it does without."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table: its text, whether it is the best, and whether it is only for orientation."""

    text: str
    best: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be typeset. A row whose first cell has text begins a block; `name` is its file-safe key."""

    name: str
    title: str
    header: list[str]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pooled:
    """One cell's values over seeds. `std` is the sample's (n - 1); NaN for one value."""

    mean: float = math.nan
    std: float = math.nan
    n: int = 0
    reason: str = ""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Pooled:
        """Pool the rows of one metric of one generator on one dataset, one a seed."""
        values = rows["value"].dropna().to_numpy()
        if len(values) == 0:
            return cls(reason=next((reason for reason in rows["reason"] if reason), "no finished run"))
        return cls(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan, len(values))


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """What tables are made of: finished runs on test rows, one row a (dataset, label, seed, metric).

    Adds "anchor", "usual" and "label": the generator, and what tells runs apart that must not be averaged: other
    settings (`variant`), and LLM, scale and number of rows where they are not those of most runs, which "usual" says.
    Of several runs of the same, the latest that has the metric counts.
    """
    results = (frame["status"] == "done") & (frame["evaluated_on"] == "test") & ~frame["superseded"]
    done = frame[results & frame["metric"].notna()].copy()
    drawn = ["as training" if pd.isna(n) else str(n) for n in done["n_samples"]]
    told = pd.DataFrame({"llm": done["llm"], "scale": done["scale"], "rows": drawn}, index=done.index)
    runs = told[~done["folder"].duplicated()]
    usual = {name: runs[name].mode().iloc[0] for name in told} if len(runs) else {}
    labels = []
    for generator, variant, said in zip(done["generator"], done["variant"], told.to_dict("records"), strict=True):
        parts = [f"{name}={value}" for name, value in said.items() if value != usual[name]]
        labels.append(", ".join([generator, *parts, *([variant] if variant else [])]))
    done["label"], done["anchor"] = labels, done["generator"].isin(ANCHORS)
    done["usual"] = ", ".join(f"{name}={value}" for name, value in usual.items())
    done["_known"] = done["value"].notna()
    done = done.sort_values(["_known", "finished"], kind="stable")
    return done.drop_duplicates(["dataset", "label", "seed", "metric"], keep="last").drop(columns="_known")


def ordered(values: pd.DataFrame, first: str) -> list[tuple[str, bool]]:
    """(label, is an anchor): those of the generator `first` on top, the anchors at the bottom."""
    known = values.drop_duplicates("label")
    found = sorted(
        zip(known["anchor"], known["generator"] != first, known["label"], strict=True), key=lambda each: each
    )
    return [(label, anchor) for anchor, _, label in found]


def result_table(
    name: str, title: str, values: pd.DataFrame, measures: Iterable[Measure], first: str = "harmonic"
) -> Table | None:
    """Datasets × generators by measures, from `measured(…)`; None if none of the measures has a value.

    A measure without any value is left out, and the notes say why; so do they for each single cell without.
    """
    shown, notes = [], []
    for measure in measures:
        rows = measure.of(values)
        if rows["value"].notna().any():
            shown.append((measure, rows, *direction(rows)))
        elif len(rows):
            notes.append(f"{measure.title}: {Pooled.of(rows).reason}.")
    if not shown:
        return None
    index = [
        (str(dataset), label, anchor)
        for dataset, part in values.groupby("dataset", sort=True)
        for label, anchor in ordered(part, first)
    ]
    columns = []
    missing: dict[tuple[str, str], set[str]] = defaultdict(set)  # (title, reason) to labels
    for measure, rows, higher, ideal in shown:
        pooled = {(dataset, label): Pooled.of(part) for (dataset, label), part in rows.groupby(["dataset", "label"])}
        column = [pooled.get((dataset, label), Pooled(reason="not measured")) for dataset, label, _ in index]
        for (_, label, _), cell in zip(index, column, strict=True):
            if cell.n == 0:
                missing[measure.title, cell.reason].add(label)
        columns.append((column, _best(index, column, higher, ideal)))
    usual = Counter(cell.n for column, _ in columns for cell in column if cell.n).most_common(1)[0][0]
    cells = [[_cell(pooled, best, usual) for pooled, best in zip(*column, strict=True)] for column in columns]
    body = [
        [Cell(dataset), Cell(label, quiet=anchor), *(replace(cell, quiet=anchor) for cell in row)]
        for (dataset, label, anchor), row in zip(index, zip(*cells, strict=True), strict=True)
    ]
    notes = [_about_seeds(usual), f"Unless a label says otherwise: {values['usual'].iloc[0]}.", *notes]
    notes += _why_missing(missing)
    header = ["dataset", "generator", *(measure.title + arrow(higher, ideal) for measure, _, higher, ideal in shown)]
    return Table(name, title, header, begin_blocks(body), notes)


def _best(
    index: Sequence[tuple[str, str, bool]], column: Sequence[Pooled], higher: bool | None, ideal: float
) -> list[bool]:
    """Which cells are the best of their dataset: all that print alike, unless every ranked one does."""
    ranked: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (dataset, _, anchor), cell in zip(index, column, strict=True):
        good = goodness(cell.mean, higher, ideal) if cell.n else None
        if good is not None and not anchor:
            ranked[dataset].append((good, number(cell.mean)))
    best = {}
    for dataset, found in ranked.items():
        top = max(good for good, _ in found)
        texts = {text for good, text in found if good == top}
        best[dataset] = texts if any(text not in texts for _, text in found) else set()
    return [
        bool(cell.n) and not anchor and number(cell.mean) in best.get(dataset, ())
        for (dataset, _, anchor), cell in zip(index, column, strict=True)
    ]


def _cell(pooled: Pooled, best: bool, usual: int) -> Cell:
    if pooled.n == 0:
        return Cell(MISSING)
    return Cell(spread(pooled.mean, pooled.std) + (f" [{pooled.n}]" if pooled.n != usual else ""), best)


def _about_seeds(usual: int) -> str:
    seeds = "one seed" if usual == 1 else f"{usual} seeds"
    spreads = "" if usual == 1 else " ± standard deviation"
    return f"Mean{spreads} over {seeds}, another number is in brackets. Bold: best of its dataset; anchors not ranked."


def _why_missing(missing: Mapping[tuple[str, str], set[str]]) -> list[str]:
    """A note a reason and set of labels, with the titles that it holds for."""
    titles: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (title, reason), labels in missing.items():
        titles[reason, tuple(sorted(labels))].append(title)
    return [f"{MISSING} {', '.join(named)}: {why} ({_listed(where)})." for (why, where), named in titles.items()]


def _listed(labels: Sequence[str], most: int = 8) -> str:
    more = f"; and {len(labels) - most} more" if len(labels) > most else ""
    return "; ".join(labels[:most]) + more


def begin_blocks(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows with the first cell's text kept only where it changes."""
    kept, last = [], None
    for row in rows:
        kept.append([Cell(""), *row[1:]] if row[0].text == last else row)
        last = row[0].text
    return kept


def all_tables(values: pd.DataFrame, first: str = "harmonic") -> list[Table]:
    """Every table that these runs have a value for: main results, fidelity, privacy, ablations, cost."""
    bases = [re.match(ABLATED, name) for name in values["generator"]]
    ablated = pd.Series([found is not None for found in bases], index=values.index)
    whole = values[~ablated]
    found = [
        result_table("main", "Main results", whole, MAIN, first),
        result_table("fidelity", "Fidelity, further measures", whole, FIDELITY, first),
        result_table("privacy", "Privacy", whole, PRIVACY, first),
    ]
    for base in sorted({found[1] for found in bases if found}):
        family = values[values["generator"].str.fullmatch(rf"{re.escape(base)}(_no_.+)?") | values["anchor"]]
        found.append(result_table(f"ablation_{base}", f"Ablation of {base}", family, ABLATION, base))
    found.append(result_table("cost", "Time and memory", whole, EFFICIENCY, first))
    return [table for table in found if table is not None]
