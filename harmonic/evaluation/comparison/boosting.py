"""Boosted trees over the rows of a table, for metrics and for an attack.

They get standardised numbers and category positions. A column with up to 255 categories is categorical for the trees;
with more, its positions count as numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
