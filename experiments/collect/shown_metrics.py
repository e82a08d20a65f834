"""Which metrics the tables show, under which titles, and how a number is written there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True)
class Measure:
    """A column: its title, and the metric in it. "{headline}" is the dataset's headline score, f1_macro or r2.

    `interval`: the metric's own, <metric>/low and <metric>/high, stands beside it. `noted`: a value of which its
    evaluator says something is marked, and what it says stands below.
    """

    title: str
    metric: str
    interval: bool = False
    noted: bool = False

    def of(self, frame: pd.DataFrame, end: str = "") -> pd.DataFrame:
        """The rows of this metric; of the `end` of its interval, "/low" or "/high"."""
        names = [self.metric.format(headline=headline) + end for headline in frame["headline"]]
        return frame[frame["metric"] == pd.Series(names, index=frame.index, dtype=object)]


MAIN = (
    Measure("DM", "data_mismatch"),
    Measure("WD", "wasserstein"),
    Measure("CS", "correlation_similarity"),
    Measure("MLE", "mle/{headline}", interval=True),
    Measure("LLE", "lle/{headline}", noted=True),
)


FIDELITY = (
    Measure("column shapes", "column_shapes"),
    Measure("contingency", "contingency_similarity"),
    Measure("WD, marginal", "wasserstein_marginal"),
    Measure("α-precision", "alpha_precision"),
    Measure("β-recall", "beta_recall"),
    Measure("authenticity", "authenticity"),
    Measure("C2ST", "c2st"),
    Measure("global utility", "global_utility"),
)


PRIVACY = (
    Measure("NRS", "nrs"),
    Measure("DCR", "dcr/mean"),
    Measure("DCR share", "dcr/share"),
    Measure("DLT", "dlt"),
    Measure("DLT holdout", "dlt_holdout"),
    Measure("MIA worst", "mia/worst", interval=True),
    Measure("ε, at least", "epsilon"),
    Measure("prompt copy", "prompt_copy/rows"),
    Measure("prompt numbers", "prompt_copy/cells"),
    Measure("canary", "canary/exposure"),
    Measure("singling out", "anonymeter/singling_out"),
    Measure("linkability", "anonymeter/linkability"),
    Measure("inference", "anonymeter/inference"),
)


ABLATION = (*MAIN, *PRIVACY[:6])


HEADLINES = (
    "mle/{headline}", "lle/{headline}", "mle/class_balance_gap", "column_shapes", "correlation_similarity",
    "contingency_similarity", "c2st", "nrs", "dcr/share", "mia/worst", "prompt_copy/rows", "dlt_holdout", "canary/auc",
    "anonymeter/singling_out", "anonymeter/linkability", "anonymeter/inference",
)  # fmt: skip
"""What a run shows at its end, the first MOST_HEADLINES that it has a value of."""
MOST_HEADLINES = 12


SECONDS = (
    Measure("fit, s", "time/fit_s"),
    Measure("sample, s", "time/sample_s"),
)
"""What a score took, beside it."""


EFFICIENCY = (
    *SECONDS,
    Measure("rows/s", "sample/rows_per_s"),
    Measure("memory, MB", "peak_rss_mb"),
    Measure("valid answers", "validity/raw"),
)


def headline_of(report: Mapping[str, Any]) -> str:
    """The score of learners to look at first: the dataset's, else r2 for a numeric target and f1_macro for classes."""
    regression = any(name.endswith("/r2") for name in report["metrics"])
    return str((report["config"].get("dataset") or {}).get("headline") or ("r2" if regression else "f1_macro"))


def headlines(metrics: Mapping[str, float | None], headline: str) -> list[str]:
    """Names of the metrics to look at first: those of HEADLINES that have a value; all where there are few."""
    ends = ("/low", "/high")
    whole = [name for name, value in metrics.items() if value is not None and not name.endswith(ends)]
    if len(whole) <= MOST_HEADLINES:
        return whole
    wanted = [name.format(headline=headline) for name in HEADLINES]
    found = [name for name in wanted if metrics.get(name) is not None]
    return (found or whole)[:MOST_HEADLINES]


def number(value: float) -> str:
    """Three decimals, fewer for large and more for small values."""
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.01 or size == 0 else 4
    return f"{value + 0.0:.{digits}f}".replace("-0.0000", "0.0000")


def goodness(value: float, higher_is_better: bool | None, ideal: float) -> float | None:
    """The larger the better; nothing is better than the ideal. None where no direction is declared."""
    if higher_is_better is None:
        return None if math.isnan(ideal) else -abs(value - ideal)
    if higher_is_better:
        return value if math.isnan(ideal) else min(value, ideal)
    return -value if math.isnan(ideal) else -max(value, ideal)


def direction(rows: pd.DataFrame) -> tuple[bool | None, float]:
    """(higher is better, ideal) of a metric's rows."""
    higher, ideal = rows["higher_is_better"].iloc[0], rows["ideal"].iloc[0]
    return None if pd.isna(higher) else bool(higher), float(ideal)


def arrow(higher_is_better: bool | None, ideal: float) -> str:
    """How a column's title says what is good."""
    if higher_is_better is None:
        return "" if math.isnan(ideal) else f" → {ideal:g}"
    return " ↑" if higher_is_better else " ↓"


def spread(mean: float, std: float) -> str:
    """The mean ± std, with as many decimals as the mean has."""
    text = number(mean)
    return text if np.isnan(std) else f"{text} ± {std:.{len(text.partition('.')[2])}f}"
