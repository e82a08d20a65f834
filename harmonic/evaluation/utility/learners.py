"""The five learners of machine-learning efficacy, with one encoding of features and target.

Each list of settings begins with a usual one, so that its first entry alone gives a fair model.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder, category_codes
from harmonic.evaluation.comparison.resampling import label_scores, value_scores
from harmonic.randomness import derive
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column

Candidate = dict[str, Any]

CLASSIFIERS: dict[str, tuple[Candidate, ...]] = {
    "linear": ({"C": 1.0}, {"C": 0.1}, {"C": 10.0}),
    "svm": ({"C": 1.0}, {"C": 10.0}),
    "random_forest": ({"min_samples_leaf": 1}, {"min_samples_leaf": 5}),
    "xgboost": ({"max_depth": 6, "learning_rate": 0.3}, {"max_depth": 3, "learning_rate": 0.1}),
    "catboost": ({"depth": 6, "learning_rate": 0.1}, {"depth": 4, "learning_rate": 0.05}),
}
"""Settings to choose from for a classification target; "linear" is logistic regression."""

REGRESSORS: dict[str, tuple[Candidate, ...]] = {
    **CLASSIFIERS,
    "linear": ({"alpha": 1.0}, {"alpha": 0.01}, {"alpha": 100.0}),
}
"""Settings to choose from for a regression target; "linear" is least squares with an L2 penalty."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows ready for learning.

    `dense` (n, width): standardised numbers and one-hot categories. `native` (n, features): the same numbers and
    category positions, for CatBoost. `target` (n,): label positions, or standardised values.
    """

    dense: NDArray[np.float64]
    native: pd.DataFrame
    target: NDArray[Any]

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """The examples at these positions."""
        return Examples(self.dense[rows], self.native.iloc[rows], self.target[rows])

    @property
    def teach_nothing(self) -> bool:
        """Whether the target, or every feature, is constant."""
        return bool(np.ptp(self.target) == 0 or (np.ptp(self.dense, axis=0) == 0).all())


Predict = Callable[[Examples], NDArray[np.float64]]
"""A fitted learner: a function from examples to scores of each label (n, labels), or to standardised targets (n,)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is predicted from which columns. The encoding is fitted once, on the training rows, for all tables.

    `center` and `scale` standardise a regression target.
    """

    encoder: Encoder
    target: Column
    classify: bool
    center: float
    scale: float

    @classmethod
    def of(cls, splits: Splits, features: Sequence[Column] | None = None) -> Problem:
        """The problem of the schema: predict its target. `features`: those to encode; None: all."""
        schema, classify = splits.schema, splits.schema.task.is_classification
        center, scale = 0.0, 1.0
        if not classify:
            target = Encoder.fit(splits.train, [schema[schema.target]])
            center, scale = float(target.center[0]), float(target.scale[0])
        encoder = Encoder.fit(splits.train, list(schema.features if features is None else features))
        return cls(encoder, schema[schema.target], classify, center, scale)

    @property
    def score_names(self) -> list[str]:
        """The names of the scores that `scores` returns."""
        if not self.classify:
            return ["r2", "rmse", "mae"]
        binary = ["f1_binary"] if len(self.target.categories) == 2 else []
        return ["f1_macro", "f1_weighted", *binary, "accuracy", "mcc", "roc_auc"]

    def label_shares(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Share of each label, (labels,)."""
        codes = category_codes(frame, (self.target,))[:, 0]
        return np.bincount(codes, minlength=len(self.target.categories)) / max(len(frame), 1)

    def examples(self, frame: pd.DataFrame) -> Examples:
        """Encode rows that conform to the schema."""
        native = pd.DataFrame(self.encoder.numbers(frame)).join(pd.DataFrame(self.encoder.codes(frame)), rsuffix="c")
        if self.classify:
            target = category_codes(frame, (self.target,))[:, 0]
        else:
            values = frame[self.target.name].to_numpy(dtype=np.float64)
            target = np.clip((values - self.center) / self.scale, -1e6, 1e6)
        return Examples(self.encoder.dense(frame), native, target)

    def constant(self, train: Examples) -> Predict:
        """The prediction from rows that teach nothing: label shares as scores, or the mean."""
        if not self.classify:
            return lambda examples: np.full(len(examples), train.target.mean())
        shares = np.bincount(train.target, minlength=len(self.target.categories)) / len(train)
        return lambda examples: np.tile(shares, (len(examples), 1))

    def fit(self, name: str, candidate: Candidate, train: Examples, *, seed: int) -> Predict:
        """Train one learner, on one core. Labels that `train` lacks get the lowest score of all."""
        from sklearn.exceptions import ConvergenceWarning

        width = len(self.encoder.numeric)
        categorical = list(range(width, width + len(self.encoder.categorical)))
        model = _build(name, candidate, self.classify, categorical, seed)

        def features(examples: Examples) -> Any:
            return examples.native if name == "catboost" else examples.dense

        # The learners need labels 0, 1, ... without gaps.
        known, target = np.unique(train.target, return_inverse=True) if self.classify else (None, train.target)
        with warnings.catch_warnings():
            # 2,000 iterations are enough for real rows. Strange synthetic rows may never converge; that is their score.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features(train), target)
        if known is None:
            return lambda examples: np.asarray(model.predict(features(examples)), dtype=np.float64)

        def predict(examples: Examples) -> NDArray[np.float64]:
            if name == "svm":
                margins = model.decision_function(features(examples))
                known_scores = np.column_stack([-margins, margins]) if margins.ndim == 1 else margins
            else:
                known_scores = model.predict_proba(features(examples))
            scores = np.full((len(examples), len(self.target.categories)), known_scores.min() - 1.0)
            scores[:, known] = known_scores
            return scores

        return predict

    def scores(self, examples: Examples, predicted: NDArray[np.float64]) -> dict[str, float]:
        """Compare a prediction with the truth; NaN if a score is undefined. Names: `score_names`."""
        return self._label_scores(examples, predicted) if self.classify else self._value_scores(examples, predicted)

    def resampled_scores(
        self, examples: Examples, predicted: NDArray[np.float64], counts: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """`scores` with examples repeated as each row of `counts` (resamples, examples) says: (resamples,) by name."""
        if self.classify:
            return label_scores(examples.target, predicted, counts)
        return value_scores(examples.target * self.scale, predicted * self.scale, counts)

    def _label_scores(self, examples: Examples, scores: NDArray[np.float64]) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score

        truth, labels = examples.target, scores.argmax(axis=1)
        separable = [label for label in np.unique(truth) if (truth != label).any()]
        areas = [roc_auc_score(truth == label, scores[:, label]) for label in separable]
        values = {
            "f1_macro": f1_score(truth, labels, average="macro", zero_division=0),
            "f1_weighted": f1_score(truth, labels, average="weighted", zero_division=0),
            "accuracy": accuracy_score(truth, labels),
            "mcc": matthews_corrcoef(truth, labels),
            "roc_auc": np.mean(areas) if areas else np.nan,
        }
        if "f1_binary" in self.score_names:
            values["f1_binary"] = f1_score(truth == 1, labels == 1, zero_division=0)
        return {name: float(value) for name, value in values.items()}

    def _value_scores(self, examples: Examples, predicted: NDArray[np.float64]) -> dict[str, float]:
        errors = (predicted - examples.target) * self.scale
        spread = ((examples.target - examples.target.mean()) ** 2).sum() * self.scale**2
        return {
            "r2": float(1 - (errors**2).sum() / spread) if spread > 0 else float("nan"),
            "rmse": float(np.sqrt((errors**2).mean())),
            "mae": float(np.abs(errors).mean()),
        }


def _build(name: str, candidate: Candidate, classify: bool, categorical: list[int], seed: int) -> Any:
    """An unfitted estimator; `categorical` are the positions of the category columns in `Examples.native`."""
    if name == "linear":
        from sklearn.linear_model import LogisticRegression, Ridge

        # "svd" works with one-hot columns, which are linearly dependent.
        return LogisticRegression(max_iter=2000, **candidate) if classify else Ridge(solver="svd", **candidate)
    if name == "svm":
        from sklearn.svm import SVC, SVR

        return (SVC if classify else SVR)(kernel="rbf", cache_size=500, **candidate)
    if name == "random_forest":
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        forest = RandomForestClassifier if classify else RandomForestRegressor
        return forest(n_estimators=100, random_state=derive(seed, name), n_jobs=1, **candidate)
    if name == "xgboost":
        from xgboost import XGBClassifier, XGBRegressor

        boosted = XGBClassifier if classify else XGBRegressor
        return boosted(n_estimators=100, random_state=derive(seed, name), n_jobs=1, verbosity=0, **candidate)
    if name == "catboost":
        from catboost import CatBoostClassifier, CatBoostRegressor

        trees = CatBoostClassifier if classify else CatBoostRegressor
        return trees(
            iterations=200,
            random_seed=derive(seed, name),
            thread_count=1,
            cat_features=categorical,
            allow_writing_files=False,
            logging_level="Silent",
            **candidate,
        )
    raise ValueError(f"no learner {name!r}")
