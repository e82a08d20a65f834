"""Attacks on rows that sampling prompts showed, and on rows that they did not: what do the prompts reveal?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harmonic.evaluation.attacks.results import put, put_worst, with_interval
from harmonic.evaluation.base import Measures, Metric, Scorer, TokenScorer
from harmonic.evaluation.comparison.encoding import subsample
from harmonic.tables.splits import Splits

FEWEST = 20  # members of a kind; with fewer an area says nothing
PARTS = {"shown": True, "not_shown": False}
METRICS: tuple[Metric, ...] = tuple(
    metric
    for name, words in (("shown", "showed"), ("not_shown", "did not show"))
    for metric in with_interval(f"mia/worst_{name}", f"mia/worst of the members that sampling prompts {words}", 0.5)
)


def measure_shown(
    measures: Measures, splits: Splits, attacks: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], *,
    rows: int, scorer: Scorer | None, seed: int, confidence: float,
) -> None:  # fmt: skip
    """Record the worst area for members that the prompts of the synthetic rows showed, and for the other members.

    `attacks`: scores of members and non-members by attack; the members are drawn from `splits.members` by `subsample`
    with this seed. `rows`: number of synthetic rows. Both parts are compared with all non-members.
    """
    shown = scorer.shown(rows) if isinstance(scorer, TokenScorer) else None
    if shown is None or not attacks:
        reason = "needs a generator with prompts that show training rows: this one has no such prompts"
        for name in PARTS:
            put(measures, f"mia/worst_{name}", reason if attacks else "no attack was possible")
        return
    known = np.arange(len(splits.train)) if splits.learnt is None else splits.learnt
    for name, wanted in PARTS.items():
        parts = {}
        for attack, (members, others) in attacks.items():
            places = known[subsample(len(known), len(members), seed)]
            parts[attack] = members[np.isin(places, shown) == wanted], others
        least = min(len(members) for members, _ in parts.values())
        if least < FEWEST:
            put(measures, f"mia/worst_{name}", f"{least} of the members compared are of this kind: too few")
            continue
        put_worst(measures, f"mia/worst_{name}", parts, confidence)
