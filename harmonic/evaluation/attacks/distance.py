"""Membership by distance: is a synthetic row close to the candidate, or are many?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.comparison.nearest import POINTS_AT_A_TIME, blocks, nearest_distances

_SLACK = 1e-6  # error of distances that are computed with a matrix product
_MEMORY_MB = 128


def closest_record(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """Minus the distance to the closest synthetic row, (n,) <= 0 (Chen et al. 2020, arXiv 1909.03935).

    Standardised numbers, one-hot categories, Euclidean: the distance of `dcr/*`.
    """
    return -nearest_distances(candidates, attacker.synthetic, attacker.encoder)[:, 0]


def monte_carlo(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """Share of the synthetic rows within a radius of the candidate, (n,) in [0, 1].

    Hilprecht et al. 2019 (arXiv 1906.03006), section 4.1, with their median heuristic: the radius is the median,
    over all candidates, of the distance to the closest synthetic row.
    """
    from sklearn.metrics import pairwise_distances_chunked

    nearest = nearest_distances(candidates, attacker.synthetic, attacker.encoder)[:, 0]
    radius = float(np.median(nearest)) + _SLACK
    points, near = attacker.encoder.dense(candidates, one=0.5**0.5), np.zeros(len(candidates), dtype=np.int64)
    for some in blocks(attacker.synthetic, POINTS_AT_A_TIME):
        counts = pairwise_distances_chunked(
            points,
            attacker.encoder.dense(some, one=0.5**0.5),
            reduce_func=lambda distances, _: (distances <= radius).sum(axis=1),
            working_memory=_MEMORY_MB,
        )
        near += np.concatenate(list(counts))
    return near / len(attacker.synthetic)
