"""A lower bound on epsilon of (epsilon, delta)-differential privacy, from an attack's hits and false alarms.

Under (epsilon, delta)-differential privacy the probability of a hit is at most exp(epsilon) times that of a false
alarm, plus delta, for every attack and for its reverse (Kairouz et al. 2015, arXiv 1311.0776). With Clopper and
Pearson's intervals of both rates this bounds epsilon from below (Nasr et al. 2021, arXiv 2101.04535).

All rows are from one run, so they depend on each other. The bound still holds if rows became members or non-members
at random. Take the rows in pairs of a member and a non-member: a fair coin decided which is which. Under
epsilon-differential privacy (one row replaced), the synthetic rows and all other coins leave odds of at most
exp(epsilon) for each coin (Steinke et al. 2023, arXiv 2305.08846). Among the pairs in which the attack takes exactly
one row for a member, the number of right answers is therefore at most Binomial with p = 1 / (1 + exp(-epsilon)),
whatever the dependence. A test goes through all possible counts: the bound exceeds epsilon with a probability of at
most (1 - confidence) / 2. With a delta, terms of the size (pairs x delta) must be added; they are small for a small
delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""An attack's scores of members and of non-members."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Takes rows with a score of at least the threshold for members; with `reverse`, rows with at most that score.

    `reverse` is for attacks that are wrong more often than right.
    """

    attack: str
    threshold: float
    reverse: bool = False

    def hits(self, scores: NDArray[np.float64]) -> int:
        """How many of the rows it takes for members."""
        return int((scores <= self.threshold if self.reverse else scores >= self.threshold).sum())


def log_ratio(
    hits: ArrayLike, members: int, alarms: ArrayLike, others: int, *, delta: float, confidence: float
) -> NDArray[np.float64]:
    """Lower bound of the larger log ratio of rates, for counts of hits and false alarms, in nats; may be negative.

    Each rate has Clopper and Pearson's interval at `confidence`. The bound on epsilon is this number, or 0 if negative.
    """
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    hits, alarms = np.asarray(hits, dtype=np.float64), np.asarray(alarms, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(hits == 0, 0.0, beta.ppf(tail, hits, members - hits + 1))
        high = np.where(alarms == others, 1.0, beta.isf(tail, alarms + 1, others - alarms))
        found = np.log(np.clip(low - delta, 0, None)) - np.log(high)
        missed = np.log(np.clip(1 - high - delta, 0, None)) - np.log(1 - low)
    return np.maximum(found, missed)


def largest_bound(members: int, others: int, *, delta: float, confidence: float) -> float:
    """The bound on epsilon that an attack without a mistake would give with this number of rows."""
    return max(0.0, float(log_ratio(members, members, 0, others, delta=delta, confidence=confidence)))


def best_rule(scores: Mapping[str, Scores], *, delta: float, confidence: float) -> Rule:
    """The rule with the largest bound on these rows, the first if several are equal.

    Its bound on these rows is too large, because it is the best of many: evaluate it on other rows.
    """
    found: list[tuple[float, Rule]] = []
    for attack, (members, others) in scores.items():
        for reverse in (False, True):
            sign = -1.0 if reverse else 1.0
            thresholds = np.unique(np.concatenate([sign * members, sign * others]))
            hits, alarms = (
                len(part) - np.searchsorted(np.sort(sign * part), thresholds, side="left") for part in (members, others)
            )
            bounds = log_ratio(hits, len(members), alarms, len(others), delta=delta, confidence=confidence)
            best = int(bounds.argmax())
            found.append((float(bounds[best]), Rule(attack, float(sign * thresholds[best]), reverse)))
    return max(found, key=lambda one: one[0])[1]
