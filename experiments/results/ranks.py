"""Do methods differ over several tables? Friedman's test over mean ranks, and Nemenyi's critical difference.

As Demšar (2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7) advises: a table is one
observation, the mean over its seeds, because seeds of one table are not independent. Lower ranks are better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEVEL = 0.05
FEWEST_TABLES, FEWEST_METHODS = 3, 3
"""Friedman's test is over three tables and three methods at least."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Mean ranks of methods by one metric, best first, and which of their differences are significant.

    `scores` are the means over seeds, (tables, methods), larger is better; `ranks` their ranks. `p_value`: for the
    hypothesis that all methods are equal (Friedman; NaN with too few tables or methods). `difference`: the least
    difference of two mean ranks that is significant (Nemenyi). `left_out`: methods that were not measured on every
    table.
    """

    title: str
    scores: pd.DataFrame
    ranks: pd.DataFrame
    p_value: float
    difference: float
    left_out: tuple[str, ...] = ()

    @property
    def methods(self) -> list[str]:
        return [str(name) for name in self.ranks.columns]

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean rank of each method, ascending."""
        return self.ranks.mean().to_numpy(dtype=np.float64)

    @property
    def groups(self) -> list[tuple[int, int]]:
        """First and last position of each longest run of two or more methods without a significant difference."""
        return groups_within(self.means, self.difference)

    @property
    def best(self) -> str | None:
        """The method that is better than every other, by Friedman's test and then Nemenyi's; None if there is none."""
        means = self.means
        apart = self.p_value < LEVEL and len(means) > 1 and means[1] - means[0] >= self.difference
        return self.methods[0] if apart else None


def ranking(title: str, scores: pd.DataFrame) -> Ranking | None:
    """Rank the methods of `scores`, (tables, methods), larger is better, NaN if not measured.

    Tables with only one measured method do not count. Methods without a score on one of the other tables are left out.
    None if fewer than two methods, or no table, remain.
    """
    from scipy.stats import friedmanchisquare, rankdata

    scores = scores[scores.notna().sum(axis=1) > 1].dropna(axis="columns", how="all")  # of one method there is no order
    whole = scores.columns[scores.notna().all()]
    left_out = tuple(str(name) for name in scores.columns if name not in whole)
    scores = scores[whole]
    tables, methods = scores.shape
    if tables == 0 or methods < 2:
        return None
    ranked = pd.DataFrame(rankdata(-scores.to_numpy(), axis=1), index=scores.index, columns=scores.columns)
    order = ranked.mean().sort_values(kind="stable").index
    p_value = math.nan
    if tables >= FEWEST_TABLES and methods >= FEWEST_METHODS and (scores.nunique(axis=1) > 1).any():
        p_value = float(friedmanchisquare(*scores.to_numpy().T).pvalue)
    difference = critical_difference(methods, tables) if tables > 1 else math.inf
    return Ranking(title, scores[order], ranked[order], p_value, difference, left_out)


def critical_difference(methods: int, tables: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks, for these numbers of methods and tables."""
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - level, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * tables))


def groups_within(means: Sequence[float] | NDArray[np.float64], difference: float) -> list[tuple[int, int]]:
    """First and last position of each longest run of ascending `means` that spans less than `difference`."""
    found: list[tuple[int, int]] = []
    for first in range(len(means)):
        last = max(place for place in range(first, len(means)) if means[place] - means[first] < difference)
        if last > first and not any(start <= first and last <= end for start, end in found):
            found.append((first, last))
    return found
