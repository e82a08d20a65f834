"""The weighted neighbours of FW-SMOTE: from the relevance of features to weights, and from weights to distances.

Maldonado et al., Pattern Recognition 124, 2022. See baselines/smote/generator.py for the simplifications.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.smote.encoding import Encoding
from harmonic.errors import ConfigError
from harmonic.randomness import derive
from harmonic.tables.table import Table


def relevance_weights(table: Table, *, exponent: float, threshold: float, seed: int) -> dict[str, float]:
    """{column: weight} of every feature. Weights are at least 0 and add up to 1, before small ones become 0.

    The features are ordered by their mutual information with the target. The feature at position j of d has the weight
    Q(j/d) - Q((j-1)/d), with Q(r) = r^exponent, so only the order counts. The target of a regression is interpolated,
    too, and has the weight of the best feature. Raises ConfigError if exponent or threshold is invalid.
    """
    if not 0 < exponent <= 1:
        problem = "must be above 0 and at most 1, so that relevant features do not count less than others"
        raise ConfigError("generator.weights.exponent", exponent, problem, "generator.weights.exponent=0.5")
    scores = mutual_information(table, seed)
    count = len(scores)
    shares = np.diff((np.arange(count + 1) / count) ** exponent)
    if threshold < 0 or threshold > shares[0]:
        problem = f"must be between 0 and the largest weight, {shares[0]:.3g}, or no feature remains"
        raise ConfigError("generator.weights.threshold", threshold, problem, "generator.weights.threshold=0")
    ranked = sorted(scores, key=lambda name: -scores[name])  # stable: equal scores keep the schema's order
    weights = {name: float(share) if share >= threshold else 0.0 for name, share in zip(ranked, shares, strict=True)}
    if not table.schema.task.is_classification:
        weights[table.schema.target] = max(weights.values())
    return weights


def mutual_information(table: Table, seed: int) -> dict[str, float]:
    """{feature: mutual information with the target, nats, at least 0}."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    encoding = Encoding.of(table, with_target=False)
    names = [*encoding.numeric, *encoding.categorical]
    discrete = np.array([name in encoding.categorical for name in names])
    measure = mutual_info_classif if table.schema.task.is_classification else mutual_info_regression
    target = table.target.to_numpy()
    if table.schema.task.is_classification:
        target = np.unique(target, return_inverse=True)[1]
    drawn = derive(seed, "mutual information")
    scores = measure(encoding.encode(table.frame), target, discrete_features=discrete, random_state=drawn)
    found = dict(zip(names, scores.tolist(), strict=True))
    return {column.name: found[column.name] for column in table.schema.features}


def weighted_neighbors(weights: NDArray[np.float64], k: int) -> Any:
    """A search for nearest neighbours for imbalanced-learn, with a weighted Euclidean distance.

    weights: (encoded columns,), at least 0. One is added to k, because a row is its own nearest neighbour.
    """
    from scipy import sparse
    from sklearn.neighbors import NearestNeighbors

    class WeightedNeighbors(NearestNeighbors):
        """scikit-learn's weighted metric does not take sparse rows, which SMOTENC passes."""

        def __init__(self, weights: Any = None, n_neighbors: int = 5) -> None:
            super().__init__(n_neighbors=n_neighbors)
            self.weights = weights

        def fit(self, rows: Any, y: Any = None) -> Any:
            return super().fit(self._scaled(rows))

        def kneighbors(self, rows: Any, return_distance: bool = True) -> Any:
            return super().kneighbors(self._scaled(rows), return_distance=return_distance)

        def _scaled(self, rows: Any) -> NDArray[np.float64]:
            dense = rows.toarray() if sparse.issparse(rows) else np.asarray(rows)
            return dense * np.sqrt(self.weights)

    return WeightedNeighbors(weights, k + 1)
