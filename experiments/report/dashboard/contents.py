"""What a dashboard shows of some runs: metrics in four sections, utility against the worst attack, and what varied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from experiments.collect.declared_metrics import declaration_of, declared_metrics, families
from experiments.collect.record import RunRecord
from experiments.collect.shown_metrics import EFFICIENCY, MetricColumn, arrow, columns, direction
from experiments.report.labelled_results import Pooled, ordered
from harmonic.runs.identity import NOT_IDENTITY

SECTIONS = ("Utility", "Privacy", "Fidelity", "Cost")
UTILITY, ATTACK = "mle/{headline}", "mia/worst"
NAMED = {"generator": "run.generator", "dataset": "run.dataset", "llm": "llm.name", "scale": "scale.name"}
"""Choices of a command and where W&B has their names; harmonic.tracking adds "run" to every configuration."""
UNSHOWN = NOT_IDENTITY | {"evaluator", "experiment", "experiment_name", "canaries"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of each run: its title, and its name on W&B."""

    title: str
    key: str


@dataclass(frozen=True, slots=True)
class Contents:
    """`sections`: the numbers of each; `scatters`: (utility, attack); `varied`: (title, key of the configuration)."""

    sections: dict[str, list[Quantity]]
    scatters: list[tuple[Quantity, Quantity]] = field(default_factory=list)
    varied: list[tuple[str, str]] = field(default_factory=list)


def contents_of(records: Sequence[RunRecord], values: pd.DataFrame) -> Contents:
    """Everything that the runs have values of. `values`: from `labelled_results.measured`."""
    declared, about = declared_metrics(records), families(records)
    sections: dict[str, list[Quantity]] = {name: [] for name in SECTIONS}
    for column in (*columns(declared, "main", "fidelity", "privacy"), *EFFICIENCY):
        for key, title in _keys(column, values):
            known = declaration_of(key, declared)
            family = about[known.name] if known else "cost"
            sections[family.capitalize()].append(Quantity(title, key))
    known_titles = {one.key: one for found in sections.values() for one in found}
    scatters = [
        (known_titles[key], known_titles[ATTACK])
        for key, _ in _keys(MetricColumn("MLE", UTILITY), values)
        if key in known_titles and ATTACK in known_titles
    ]
    return Contents({name: found for name, found in sections.items() if found}, scatters, varied(records))


def _keys(column: MetricColumn, values: pd.DataFrame) -> list[tuple[str, str]]:
    """(name on W&B, title) of the metrics in a column; several if the datasets have different headline scores."""
    rows = column.of(values).dropna(subset="value")
    found = list(dict.fromkeys(rows["metric"]))
    titles = [column.title if len(found) == 1 else f"{column.title}, {key.rpartition('/')[2]}" for key in found]
    return [
        (key, title + arrow(*direction(rows[rows["metric"] == key]))) for key, title in zip(found, titles, strict=True)
    ]


def varied(records: Iterable[RunRecord]) -> list[tuple[str, str]]:
    """What differs between the results: (title, key of the configuration on W&B), by records and command lines."""
    results = [record for record in records if record.is_result]
    given = [_given(record) for record in results]
    keys = [*NAMED, "seed", "n_samples"]
    keys += [key for key in dict.fromkeys(key for one in given for key in one) if key not in {*keys, *UNSHOWN}]
    differing = [key for key in keys if len({one.get(key) for one in given}) > 1]
    return [(key, NAMED.get(key, key)) for key in differing]


def _given(record: RunRecord) -> dict[str, str]:
    """The settings that the command gave, and the names of the run."""
    named = {"generator": record.generator, "dataset": record.dataset, "llm": record.llm, "scale": record.scale}
    return record.given | named | {"seed": str(record.seed), "n_samples": str(record.n_samples)}


def mean_table(values: pd.DataFrame, quantities: Sequence[Quantity]) -> pd.DataFrame:
    """Mean and standard deviation over seeds: a row for each number, dataset and label, with the ends of mean ± std.

    W&B averages groups, but has no deviation of a number in them. With one seed the deviation is missing.
    """
    rows = []
    for quantity in quantities:
        measured = values[values["metric"] == quantity.key].dropna(subset="value")
        for dataset, part in measured.groupby("dataset", sort=True):
            for label, _ in ordered(part, "harmonic"):
                pooled = Pooled.of(part[part["label"] == label])
                half = 0.0 if pd.isna(pooled.std) else pooled.std
                rows.append(
                    (quantity.title, str(dataset), label, f"{label} · {dataset}", pooled.mean, pooled.std,
                     pooled.mean - half, pooled.mean + half, pooled.n)
                )  # fmt: skip
    names = ["metric", "dataset", "generator", "name", "mean", "deviation", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=names)
