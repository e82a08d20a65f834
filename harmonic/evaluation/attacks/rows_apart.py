"""Rows that are unlike all others: they are at the highest risk.

An average over all rows hides what happens to a few (Stadler et al. 2022, arXiv 2011.07018). Which rows these are
follows Meeus et al. 2023 (arXiv 2306.10308): those with the largest mean distance to their closest neighbours.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.tables.splits import Splits

NEIGHBORS = 5


def real_rows(splits: Splits) -> pd.DataFrame:
    """All real rows: members and non-members."""
    return pd.concat([part.frame for part in (splits.train, splits.val, splits.test)], ignore_index=True)


def standing_apart(rows: pd.DataFrame, real: pd.DataFrame, encoder: Encoder, share: float) -> NDArray[np.bool_]:
    """Which rows are farthest, on average, from their NEIGHBORS nearest real rows: ceil(share n) are True, (n,).

    `rows` are part of `real`. A row is no neighbour of itself, but an equal row is. Members and non-members are
    treated alike. Distances are those of `dcr/*`.
    """
    distances = nearest_distances(rows, real, encoder, neighbors=NEIGHBORS + 1)[:, 1:].mean(axis=1)
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[np.argsort(-distances, kind="stable")[: math.ceil(share * len(rows) - 1e-9)]] = True
    return chosen
