"""The results published with HARMONIC beside ours: for orientation, not for ranking.

They come from another model (LLaMA-2-7b-chat) at full scale, with the paper's own splits and definitions.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.collect.shown_metrics import MetricColumn, spread
from experiments.report.labelled_results import Pooled, ordered
from experiments.report.tables import MISSING, Cell, ResultTable, begin_blocks

BESIDE = {
    "mle": MetricColumn("MLE", "mle/{headline}"),
    "lle": MetricColumn("LLE", "lle/{headline}"),
    "correlation_similarity": MetricColumn("CS", "correlation_similarity"),
    "wasserstein": MetricColumn("WD", "wasserstein"),
    "nrs": MetricColumn("NRS", "nrs"),
    "dcr": MetricColumn("DCR", "dcr/mean"),
    "dlt": MetricColumn("DLT", "dlt"),
}
"""The paper's metrics, and the most similar one of ours."""


def published_figures() -> pd.DataFrame:
    """dataset, metric, generator, mean, std as published in arXiv 2408.02927; see the first lines of the file."""
    return pd.read_csv(Path(__file__).with_name("paper_tables.csv"), comment="#")


def published_table(values: pd.DataFrame, first: str = "harmonic") -> ResultTable | None:
    """Ours and theirs side by side, for the datasets that both have; None if there is none."""
    theirs = published_figures()
    shared = sorted(set(values["dataset"]) & set(theirs["dataset"]))
    if not shared:
        return None
    keys = ["dataset", "generator", "metric"]
    printed = {key: _as_printed(part) for key, part in theirs.groupby(keys)}
    ours = {
        (dataset, label, metric): Pooled.of(part)
        for metric, measure in BESIDE.items()
        for (dataset, label), part in measure.of(values).groupby(["dataset", "label"])
    }
    rows = []
    for dataset in shared:
        here = values[values["dataset"] == dataset]
        generators = dict(zip(here["label"], here["generator"], strict=True))
        known = set(theirs["generator"][theirs["dataset"] == dataset])
        lacking = sorted(known - set(generators.values()))
        labels = [label for label, anchor in ordered(here, first) if not anchor or generators[label] in known]
        for label in [*labels, *lacking]:
            row = [Cell(dataset), Cell(label, quiet=label in lacking)]
            for metric in BESIDE:
                pooled = ours.get((dataset, label, metric), Pooled())
                row.append(Cell(spread(pooled.mean, pooled.std) if pooled.n else MISSING))
                row.append(Cell(printed.get((dataset, generators.get(label, label), metric), MISSING), quiet=True))
            rows.append(row)
    titles = [text for measure in BESIDE.values() for text in (measure.title, f"{measure.title} †")]
    notes = [
        "† as published in arXiv 2408.02927: LLaMA-2-7b-chat, full scale, the paper's own splits and definitions. "
        "Not comparable cell by cell with the column to its left, and not ranked.",
        "Ours: MLE and LLE are the dataset's headline score (macro F1, for regression R²), CS correlation_similarity, "
        "WD wasserstein, NRS nrs, DCR dcr/mean, DLT dlt with natural logarithms.",
        f"{MISSING}: we have no such run, or the number was not published or could not be read with certainty.",
    ]
    return ResultTable(
        "published", "Published figures beside ours", ["dataset", "generator", *titles], begin_blocks(rows), notes
    )


def _as_printed(figure: pd.DataFrame) -> str:
    """Two decimals, as in the paper."""
    mean, std = figure[["mean", "std"]].to_numpy(dtype="float64")[0]
    return f"{mean:.2f}" if std != std else f"{mean:.2f} ± {std:.2f}"
