"""The frame of runs as the paper's tables: datasets by generators, mean ± standard deviation over seeds.

Bold is what a paired test over seeds bears out. Anchors (real, copy, holdout, marginals) show whether a metric is in
place; they are in every table and never ranked. Nor are runs of older code, which are rows of their own.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.shown_metrics import (
    EFFICIENCY,
    SECONDS,
    Measure,
    arrow,
    columns,
    direction,
    number,
    spread,
)
from experiments.report.paired_tests import FEWEST_SEEDS, LEVEL, borne_out
from harmonic.evaluation.base import Metric

ANCHORS = ("real", "copy", "holdout", "marginals")
MISSING = "–"
NOTED = "°"
TITLES = {"main": "Main results", "fidelity": "Fidelity, further measures", "privacy": "Privacy"}
ABLATED = r"(.+?)_no_."
"""What an ablation is called: its generator, and what it does without."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table: its text, whether it is bold, and whether it is only for orientation."""

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
    """One cell's values over seeds. `std` is the sample's (n - 1); NaN for one value. `note`: on one of them."""

    mean: float = math.nan
    std: float = math.nan
    n: int = 0
    reason: str = ""
    note: str = ""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Pooled:
        """Pool the rows of one metric of one generator on one dataset, one a seed."""
        values = rows["value"].dropna().to_numpy()
        if len(values) == 0:
            return cls(reason=next((reason for reason in rows["reason"] if reason), "no finished run"))
        note = next((note for note in rows["note"] if note), "")
        std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        return cls(float(values.mean()), std, len(values), note=note)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """What tables are made of: finished runs on test rows, one row a (dataset, label, seed, metric).

    Adds "anchor", "unranked", "usual" and "label": the generator, and what tells runs apart that must not be averaged:
    other settings (`variant`), older code (`outdated`), and LLM, scale and number of rows where they are not those of
    most runs, which "usual" says. Unranked are anchors and what older code made.
    Of several runs of the same, the latest that has the metric counts.
    """
    results = (frame["status"] == "done") & (frame["evaluated_on"] == "test") & ~frame["superseded"]
    done = frame[results & frame["metric"].notna()].copy()
    drawn = ["as training" if pd.isna(n) else str(n) for n in done["n_samples"]]
    told = pd.DataFrame({"llm": done["llm"], "scale": done["scale"], "rows": drawn}, index=done.index)
    runs = told[~done["folder"].duplicated()]
    usual = {name: runs[name].mode().iloc[0] for name in told} if len(runs) else {}
    labels = []
    names = zip(done["generator"], done["variant"], done["outdated"], told.to_dict("records"), strict=True)
    for generator, variant, outdated, said in names:
        parts = [f"{name}={value}" for name, value in said.items() if value != usual[name]]
        parts += [variant] if variant else []
        labels.append(", ".join([generator, *parts, *([f"outdated: {outdated}"] if outdated else [])]))
    done["label"], done["anchor"] = labels, done["generator"].isin(ANCHORS)
    done["unranked"] = done["anchor"] | (done["outdated"] != "")
    done["usual"] = ", ".join(f"{name}={value}" for name, value in usual.items())
    done["_known"] = done["value"].notna()
    done = done.sort_values(["_known", "finished"], kind="stable")
    return done.drop_duplicates(["dataset", "label", "seed", "metric"], keep="last").drop(columns="_known")


def ordered(values: pd.DataFrame, first: str) -> list[tuple[str, bool]]:
    """(label, is not ranked): those of the generator `first` on top, what is not ranked at the bottom."""
    known = values.drop_duplicates("label")
    found = sorted(
        zip(known["unranked"], known["generator"] != first, known["label"], strict=True), key=lambda each: each
    )
    return [(label, unranked) for unranked, _, label in found]


def result_table(
    name: str, title: str, values: pd.DataFrame, measures: Iterable[Measure], first: str = "harmonic",
    beside: Iterable[Measure] = (),
) -> Table | None:  # fmt: skip
    """Datasets × generators by measures, from `measured(…)`; None if none of the measures has a value.

    `beside` are measures that stand at the end, and are never bold. A measure without any value is left out, and the
    notes say why; so do they for each single cell without.
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
    aside = [(measure, rows, *direction(rows)) for measure in beside if (rows := measure.of(values))["value"].any()]
    index = [
        (str(dataset), label, anchor)
        for dataset, part in values.groupby("dataset", sort=True)
        for label, anchor in ordered(part, first)
    ]
    columns: list[tuple[list[Pooled], list[bool], list[tuple[float, ...]]]] = []
    missing: dict[tuple[str, str], set[str]] = defaultdict(set)  # (title, reason) to labels
    said: dict[tuple[str, str], set[str]] = defaultdict(set)  # (title, note) to labels
    for measure, rows, higher, ideal in [*shown, *aside]:
        pooled = _pooled(rows)
        column = [pooled.get((dataset, label), Pooled(reason="not measured")) for dataset, label, _ in index]
        for (_, label, _), cell in zip(index, column, strict=True):
            if cell.n == 0:
                missing[measure.title, cell.reason].add(label)
            elif measure.noted and cell.note:
                said[measure.title, cell.note].add(label)
        if not measure.noted:
            column = [replace(cell, note="") for cell in column]
        bold = borne_out(rows, higher, ideal) if len(columns) < len(shown) else set()
        ends = [_pooled(measure.of(values, end)) if measure.interval else {} for end in ("/low", "/high")]
        intervals = [tuple(found.get((dataset, label), Pooled()).mean for found in ends) for dataset, label, _ in index]
        columns.append((column, [(dataset, label) in bold for dataset, label, _ in index], intervals))
    usual = Counter(cell.n for column, *_ in columns for cell in column if cell.n).most_common(1)[0][0]
    cells = [[_cell(*parts, usual) for parts in zip(*column, strict=True)] for column in columns]
    body = [
        [Cell(dataset), Cell(label, quiet=anchor), *(replace(cell, quiet=anchor) for cell in row)]
        for (dataset, label, anchor), row in zip(index, zip(*cells, strict=True), strict=True)
    ]
    with_interval = [measure.title for measure, *_ in shown if measure.interval]
    notes = [
        _about_seeds(usual),
        *_about_intervals(with_interval),
        f"Unless a label says otherwise: {values['usual'].iloc[0]}.",
        *notes,
    ]
    notes += [*_explained(MISSING, missing), *_explained(NOTED, said)]
    header = [
        "dataset",
        "generator",
        *(measure.title + arrow(higher, ideal) for measure, _, higher, ideal in [*shown, *aside]),
    ]
    return Table(name, title, header, begin_blocks(body), notes)


def _pooled(rows: pd.DataFrame) -> dict[tuple[str, str], Pooled]:
    """Of one metric's rows, by dataset and label."""
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
        f"Mean{spreads} over {seeds}, another number is in brackets. Bold: better than every other of its dataset in a "
        f"paired t test over seeds ({FEWEST_SEEDS} at least), Holm-corrected, p < {LEVEL}; anchors not ranked."
    )


def _about_intervals(titles: Sequence[str]) -> list[str]:
    if not titles:
        return []
    return [f"{', '.join(titles)}: in parentheses the ends of the 95% interval, what other test rows would do alone."]


def _explained(mark: str, missing: Mapping[tuple[str, str], set[str]]) -> list[str]:
    """What a mark means: a note a reason and set of labels, with the titles that it holds for."""
    titles: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (title, reason), labels in missing.items():
        titles[reason, tuple(sorted(labels))].append(title)
    return [f"{mark} {', '.join(named)}: {why} ({_listed(where)})." for (why, where), named in titles.items()]


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


def all_tables(values: pd.DataFrame, first: str = "harmonic", declared: Sequence[Metric] | None = None) -> list[Table]:
    """Every table that these runs have a value for: main results, fidelity, privacy, ablations, cost.

    Their columns are those that the `declared` metrics say; None: those of harmonic.
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
