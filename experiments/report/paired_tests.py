"""Paired tests over seeds, and their correction for several comparisons."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.collect.shown_metrics import goodness

FEWEST_SEEDS = 3
"""With fewer seeds, no difference counts as significant."""
LEVEL = 0.05


def paired_tests(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """Two-sided p-values of SciPy's Wilcoxon signed-rank and paired t test, uncorrected."""
    from scipy.stats import ttest_rel, wilcoxon

    with warnings.catch_warnings():  # if all differences are equal, the t test's p is 0, which is right
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(wilcoxon(first, second).pvalue), float(ttest_rel(first, second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the given order. NaN stays NaN and does not count."""
    valid = sorted((p, position) for position, p in enumerate(p_values) if not math.isnan(p))
    corrected, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, position) in enumerate(valid):
        highest = max(highest, min(1.0, (len(valid) - rank) * p))
        corrected[position] = highest
    return corrected


def borne_out(rows: pd.DataFrame, higher: bool | None, ideal: float) -> set[tuple[str, str]]:
    """(dataset, label) of labels that are significantly better than every other ranked label of their dataset.

    A paired t test over the seeds that both have, on the same rows, Holm-corrected over the comparisons. (With three
    seeds, Wilcoxon's test cannot be significant.) Needs at least FEWEST_SEEDS.
    """
    found: set[tuple[str, str]] = set()
    if goodness(0.0, higher, ideal) is None:
        return found
    ranked = rows[~rows["unranked"]].dropna(subset="value")
    for dataset, part in ranked.groupby("dataset"):
        good = part.assign(value=part["value"].map(lambda value: goodness(value, higher, ideal)))
        table = good.pivot(index=["seed", "data"], columns="label", values="value").astype(float)
        top = table.mean().idxmax()
        pairs = [table[[top, other]].dropna().to_numpy().T for other in table.columns if other != top]
        if pairs and all(len(best) >= FEWEST_SEEDS and (best != other).any() for best, other in pairs):
            p_values = holm([paired_tests(best, other)[1] for best, other in pairs])
            if max(p_values) < LEVEL and all(best.mean() > other.mean() for best, other in pairs):
                found.add((str(dataset), str(top)))
    return found
