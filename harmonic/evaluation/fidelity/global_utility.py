"""Can each column be predicted from the others as well as in the real table? Global utility.

Jiang et al. 2026, TabStruct (arXiv 2509.11950): machine-learning efficacy with each column in turn as the target,
relative to real rows. No column is special, and no causal graph is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.boosting import boosted_trees, tree_matrix
from harmonic.evaluation.comparison.encoding import Encoder, category_codes, subsample, usable_rows
from harmonic.progress import Progress
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Table

_LEAST_ERROR = 0.01


@dataclass(frozen=True, slots=True)
class GlobalUtility(Evaluator):
    """Mean over columns of the score of boosted trees trained on synthetic rows over that trained on real ones.

    Tested on `splits.test`. The score of a category is balanced accuracy; that of a number is 1 / root mean squared
    error. Errors below 1% of the column's standard deviation count as 1%, so that a column that can be predicted
    exactly does not outweigh all others. Columns are left out if they are constant in the training rows, or if the
    model of the real rows predicts no test row right. Both models get the same number of rows, at most `max_rows`.
    `iterations`: number of boosting rounds. The paper tunes an ensemble of models; a ratio of two scores needs less.
    """

    max_rows: Count = 2000
    iterations: Count = 40

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "global_utility", True, 0, ideal=1, shown=(Shown("fidelity", "global utility", 80),),
            meaning="each column predicted from the others: synthetic / real",
        ),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Train on `synthetic` and on `splits.train`, test on `splits.test`; `scorer` is not used.

        `series["global_utility"]` has the ratios of the columns that vary, in the schema's order; NaN if left out.
        """
        measures = Measures()
        try:
            rows = usable_rows(synthetic, splits.schema)
            varying = [c for c in splits.schema.columns if splits.train.frame[c.name].nunique() > 1]
            if len(splits.test) == 0 or len(splits.schema.columns) < 2 or not varying:
                raise DataError("needs test rows, and at least two columns, one of which varies in the training rows")
        except DataError as error:
            measures.unavailable("global_utility", str(error))
            return measures
        size = min(len(splits.train), len(rows), self.max_rows)
        real = splits.train.frame.iloc[subsample(len(splits.train), size, seed)]
        made = rows.iloc[subsample(len(rows), size, seed)]
        ratios = []
        with Progress("global utility", len(varying), "columns") as progress:
            for target in varying:
                ceiling, reached = (self._score(splits, rows, target, seed) for rows in (real, made))
                ratios.append(reached / ceiling if ceiling > 0 else np.nan)
                progress.advance()
        measures.series["global_utility"] = np.array(ratios)
        if np.isnan(ratios).all():
            measures.unavailable("global_utility", "no column can be predicted from the real rows")
        else:
            measures["global_utility"] = float(np.nanmean(ratios))
        return measures

    def _score(self, splits: Splits, rows: pd.DataFrame, target: Column, seed: int) -> float:
        """Score on the test rows of trees trained on `rows`, >= 0."""
        others = [column for column in splits.schema.columns if column.name != target.name]
        features = Encoder.fit(splits.train, others)
        known, truth = (_values(frame, target, splits.train) for frame in (rows, splits.test.frame))
        if np.ptp(known) == 0:  # nothing to learn
            predicted = np.full(len(truth), known[0])
        else:
            model = boosted_trees(
                features, classify=not target.is_numeric, seed=seed, max_iter=self.iterations, max_leaf_nodes=15
            )
            model.fit(tree_matrix(rows, features), known)
            predicted = model.predict(tree_matrix(splits.test.frame, features))
        if target.is_numeric:
            return float(1 / max(np.sqrt(((predicted - truth) ** 2).mean()), _LEAST_ERROR))
        return balanced_accuracy(truth, predicted)


def balanced_accuracy(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Mean over the classes in `truth` of the share that is predicted right, in [0, 1]."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def _values(rows: pd.DataFrame, target: Column, train: Table) -> NDArray[Any]:
    """The target column, (n,): numbers standardised by the training rows, or category positions."""
    if target.is_numeric:
        return Encoder.fit(train, [target]).numbers(rows)[:, 0]
    return category_codes(rows, (target,))[:, 0]
