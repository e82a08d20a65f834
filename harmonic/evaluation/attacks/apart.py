"""Rows that stand apart from all others: who is unlike everyone else has the most to lose.

An average over all rows hides what happens to a few (Meeus et al. 2023, arXiv 2306.10308, whose vulnerable records
are those with the largest mean distance to their closest neighbours; Stadler et al. 2022, arXiv 2011.07018).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.privacy.nearness import nearest_distances
from harmonic.tables.splits import Splits

NEIGHBORS = 5


def real_rows(splits: Splits) -> pd.DataFrame:
    """All real rows, members or not."""
    return pd.concat([part.frame for part in (splits.train, splits.val, splits.test)], ignore_index=True)


def standing_apart(rows: pd.DataFrame, real: pd.DataFrame, encoder: Encoder, share: float) -> NDArray[np.bool_]:
    """Whether a row is among the `share` of rows farthest from their NEIGHBORS nearest real rows on average, (n,).

    `rows` are among the `real` ones, each of which is no neighbour of itself; one that occurs twice is. Members and
    non-members are looked at alike. Distances are those of `dcr/*`. ceil(share n) rows, at least one.
    """
    distances = nearest_distances(rows, real, encoder, neighbors=NEIGHBORS + 1)[:, 1:].mean(axis=1)
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[np.argsort(-distances, kind="stable")[: math.ceil(share * len(rows) - 1e-9)]] = True
    return chosen
