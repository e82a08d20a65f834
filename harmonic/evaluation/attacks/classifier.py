"""Membership by a classifier that is trained to tell synthetic rows from real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.comparison.boosting import boosted_trees, tree_matrix


def classifier_attack(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """A classifier's log-odds that a row is synthetic and not real, (n,).

    It learns to tell the synthetic rows from the reference rows; both have the same total weight. This is the black-box
    form of LOGAN (Hayes et al. 2019, arXiv 1705.07663), with trees. It is a weak attack: on copies of the training rows
    of Diabetes, German and Abalone its AUC is about .6. Raises DataError without reference rows.
    """
    if len(attacker.reference) == 0:
        raise DataError("needs reference rows (half of the validation rows): there are none")
    rows = np.vstack([tree_matrix(frame, attacker.encoder) for frame in (attacker.reference, attacker.synthetic)])
    label = np.repeat([0, 1], [len(attacker.reference), len(attacker.synthetic)])
    model = boosted_trees(attacker.encoder, seed=attacker.seed, min_samples_leaf=5, class_weight="balanced")
    return np.asarray(model.fit(rows, label).decision_function(tree_matrix(candidates, attacker.encoder)))
