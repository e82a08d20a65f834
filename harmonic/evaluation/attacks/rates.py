"""What the rates of an attack's hits and false alarms say about (epsilon, delta): a lower bound, with confidence.

Under (epsilon, delta)-differential privacy no rule takes a member for a member with a probability above
exp(epsilon) times that of a false alarm, plus delta, nor the other way round (Kairouz et al. 2015, arXiv 1311.0776).
With the interval of Clopper and Pearson for either rate this bounds epsilon from below (Nasr et al. 2021, arXiv
2101.04535).

The rows are those of one run, and what happens to one depends on the others. The bound holds all the same where chance
parted the rows into members and non-members: seen in pairs of one and the other, a fair coin said which is which, and
under epsilon-differential privacy (one row replaced) the synthetic rows and all other coins leave odds of
exp(epsilon) at most for any one of them (Steinke et al. 2023, arXiv 2305.08846). Of the pairs with a single row taken
for a member, the right ones are therefore at most Binomial with p = 1 / (1 + exp(-epsilon)), however the rows depend on
each other; gone through for every possible count (tests), the bound is then above epsilon with a probability of at most
(1 - confidence) / 2. With a delta there are terms in (pairs x delta) to add, which are small for a small delta.
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
    """Takes rows whose score is at least the threshold for members; with `reverse`, rows whose score is at most that.

    An attack that is wrong more often than not is told by its reverse.
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
    """Lower bound of the larger log ratio of rates, for counts of hits and false alarms, in nats; any sign.

    Either rate has the interval of Clopper and Pearson at `confidence`. The bound on epsilon is this, or 0.
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
    """The bound on epsilon that an attack without a mistake would give with so many rows."""
    return max(0.0, float(log_ratio(members, members, 0, others, delta=delta, confidence=confidence)))


def best_rule(scores: Mapping[str, Scores], *, delta: float, confidence: float) -> Rule:
    """The rule that gives the largest bound on these rows; of equal ones the first.

    What it gives here is too large, as the best of many always is: judge it on other rows.
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
