"""Can a classifier tell synthetic rows from real rows? The classifier two-sample test.

Lopez-Paz and Oquab 2017 (arXiv 1610.06545), in the form that benchmarks of tables report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.boosting import boosted_trees, tree_matrix
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Separability(Evaluator):
    """C2ST of the synthetic rows against as many real rows that no generator has seen (`splits.test`).

    `max_rows`: most rows of each kind.
    """

    max_rows: Count = 5000

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "c2st", True, 0, 1, 1, shown=(Shown("fidelity", "C2ST", 70), Shown("summary", place=70)),
            meaning="1 - |2 AUC - 1| of boosted trees that tell synthetic from unseen real rows",
        ),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare `synthetic` with `splits.test`; `scorer` is not used."""
        measures = Measures()
        try:
            rows = usable_rows(synthetic, splits.schema)
            size = min(len(splits.test), len(rows), self.max_rows)
            real = splits.test.frame.iloc[subsample(len(splits.test), size, seed)]
            made = rows.iloc[subsample(len(rows), size, seed)]
            measures["c2st"] = c2st(real, made, Encoder.fit(splits.train), seed=seed)
        except DataError as error:
            measures.unavailable("c2st", str(error))
        return measures


def c2st(first: pd.DataFrame, second: pd.DataFrame, encoder: Encoder, *, seed: int) -> float:
    """1 - |2 AUC - 1| of boosted trees between two tables, cross-validated in 5 folds, in [0, 1]; 1: inseparable.

    Raises DataError if a table has fewer than 5 rows.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(first), len(second)) < _FOLDS:
        raise DataError(f"needs {_FOLDS} rows of each kind: there are {len(first)} and {len(second)}")
    label = np.repeat([0, 1], [len(first), len(second)])
    scores = cross_val_predict(
        boosted_trees(encoder, seed=seed),
        np.vstack([tree_matrix(rows, encoder) for rows in (first, second)]),
        label,
        cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=derive(seed, "folds")),
        method="decision_function",
    )
    return float(1 - abs(2 * roc_auc_score(label, scores) - 1))
