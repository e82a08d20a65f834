"""Boosted trees that tell two tables apart: as an attack, and as a measure of fidelity.

The trees take rows as they are, standardised numbers and category positions; a category is a category where
trees can hold it as one (up to 255 values), else its position counts as a number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.randomness import derive

_MOST_CATEGORIES = 255


def tree_matrix(rows: pd.DataFrame, encoder: Encoder) -> NDArray[np.float64]:
    """Standardised numbers beside category positions, (n, columns)."""
    return np.hstack([encoder.numbers(rows), encoder.codes(rows)])


def boosted_trees(encoder: Encoder, *, classify: bool = True, seed: int, **settings: Any) -> Any:
    """An unfitted scikit-learn classifier (or regressor) over `tree_matrix`, without early stopping."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    categorical = [False] * len(encoder.numeric)
    categorical += [len(column.categories) <= _MOST_CATEGORIES for column in encoder.categorical]
    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    drawn = derive(seed, "boosted trees")
    return kind(categorical_features=categorical, early_stopping=False, random_state=drawn, **settings)


def classifier_attack(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """Log-odds that a classifier gives a row for being synthetic rather than real, (n,).

    Trained on the synthetic rows against the reference rows, both kinds weighing the same (the black-box form
    of LOGAN, Hayes et al. 2019, arXiv 1705.07663, with trees). Members move the border only a little: on
    copies of the training rows of Diabetes, German and Abalone its AUC is about .6. Raises DataError without
    reference rows.
    """
    if len(attacker.reference) == 0:
        raise DataError("needs reference rows (half of the validation rows): there are none")
    rows = np.vstack([tree_matrix(frame, attacker.encoder) for frame in (attacker.reference, attacker.synthetic)])
    label = np.repeat([0, 1], [len(attacker.reference), len(attacker.synthetic)])
    model = boosted_trees(attacker.encoder, seed=attacker.seed, min_samples_leaf=5, class_weight="balanced")
    return np.asarray(model.fit(rows, label).decision_function(tree_matrix(candidates, attacker.encoder)))
