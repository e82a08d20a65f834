"""Are the synthetic rows realistic, do they cover the real rows, and are they new?

Alaa et al. 2022, "How Faithful is your Synthetic Data?" (arXiv 2102.08921), without its embedding network: distances
are those of the features, as in the "naive" variant of synthcity's AlphaPrecision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.boosting import tree_matrix
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

_LEVELS = np.linspace(0, 1, 30)


@dataclass(frozen=True, slots=True)
class SampleQuality(Evaluator):
    """Alpha-precision, beta-recall and authenticity of the synthetic rows against as many training rows.

    The features (without the target, as in synthcity) are min-max scaled by the training rows; a category counts as its
    position. `max_rows`: most rows of each table.
    """

    max_rows: Count = 5000

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "alpha_precision", True, 0, 1, 1, shown=(Shown("fidelity", "α-precision", 40),),
            meaning="how well synthetic rows stay where the real rows are",
        ),
        Metric(
            "beta_recall", True, 0, 1, 1, shown=(Shown("fidelity", "β-recall", 50),),
            meaning="how well synthetic rows cover the real rows",
        ),
        Metric(
            "authenticity", True, 0, 1, shown=(Shown("fidelity", "authenticity", 60),),
            meaning="share of synthetic rows that are no noisy copy of a real row",
        ),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare `synthetic` with `splits.train`; `scorer` is not used."""
        measures = Measures()
        try:
            rows = usable_rows(synthetic, splits.schema)
            size = min(len(splits.train), len(rows), self.max_rows)
            if size < 2:
                raise DataError("needs at least two training rows and two synthetic rows")
            if not splits.schema.features:
                raise DataError("the table has only one column")
        except DataError as error:
            for metric in self.metrics:
                measures.unavailable(metric.name, str(error))
            return measures
        encoder = Encoder.fit(splits.train, splits.schema.features)
        train = tree_matrix(splits.train.frame, encoder)
        low, span = train.min(axis=0), np.ptp(train, axis=0)
        span[span == 0] = 1.0
        real = (train[subsample(len(train), size, seed)] - low) / span
        made = (tree_matrix(rows.iloc[subsample(len(rows), size, seed)], encoder) - low) / span
        measures["alpha_precision"], measures["beta_recall"] = alpha_precision(real, made), beta_recall(real, made)
        measures["authenticity"] = authenticity(real, made)
        return measures


def alpha_precision(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """1 - 2 times the area between the curve of P_alpha and the diagonal, in [0, 1].

    P_alpha is the share of synthetic rows (m, d) in the ball around the mean of the real rows (n, d) that contains a
    share alpha of the real rows.
    """
    center = real.mean(axis=0)
    radii = np.quantile(np.linalg.norm(real - center, axis=1), _LEVELS)
    inside = np.linalg.norm(synthetic - center, axis=1)
    return _closeness_to_diagonal((inside[:, None] <= radii).mean(axis=0))


def beta_recall(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """The same for R_beta, the share of real rows that the ball with a share beta of the synthetic rows covers.

    A real row is covered if its closest synthetic row is at least as near as its closest other real row, and is in the
    ball around the mean of the synthetic rows. The radius is a quantile over these closest rows, as in synthcity.
    """
    distances, closest = _nearest(real, synthetic, 1)
    near = distances[:, 0] <= _nearest(real, real, 2)[0][:, 1]
    from_center = np.linalg.norm(synthetic[closest[:, 0]] - synthetic.mean(axis=0), axis=1)
    radii = np.quantile(from_center, _LEVELS)
    return _closeness_to_diagonal((near[:, None] & (from_center[:, None] <= radii)).mean(axis=0))


def authenticity(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """Share of synthetic rows that are farther from their closest real row than this row's closest other real row is.

    A nearer row counts as a copy with noise. In [0, 1]: 0 for copies, about 0.5 for fresh real rows. (synthcity looks
    up the real rows' distances by the positions of synthetic rows, which gives another number.)
    """
    distances, closest = _nearest(synthetic, real, 1)
    return float((distances[:, 0] > _nearest(real, real, 2)[0][closest[:, 0], 1]).mean())


def _nearest(
    queries: NDArray[np.float64], points: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances to the closest points, and their positions, (queries, count)."""
    from sklearn.neighbors import NearestNeighbors

    # A tree compares the rows themselves: the distance between equal rows is exactly 0.
    return NearestNeighbors(n_neighbors=count, algorithm="kd_tree").fit(points).kneighbors(queries)


def _closeness_to_diagonal(curve: NDArray[np.float64]) -> float:
    return float(1 - np.abs(_LEVELS - curve).sum() / _LEVELS.sum())
