"""How useful is the synthetic table for training? Machine-learning efficacy: train on it, test on real rows.

The protocol of arXiv 2408.02927 (MLE): each learner's settings are chosen by its score on real validation rows (half of
them, `Splits.reference`), and the chosen model is tested on the real test rows. The same learners trained on the real
training rows show the best possible scores.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown, check_confidence, check_names
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.evaluation.comparison.resampling import resamples_of
from harmonic.evaluation.utility.learners import CLASSIFIERS, REGRESSORS, Examples, Predict, Problem
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

log = logging.getLogger(__name__)

PARALLEL_ROWS = 5000
"""With at least this number of synthetic rows, training several models at once is faster."""

MAX_ROWS = 64_000
"""Most rows to train on: the training rows of a table of 100,000."""
MAX_TEST_ROWS = 20_000
"""Most rows to test on: the test rows of a table of 100,000."""

SCORES = (
    Metric("f1_macro", True, 0, 1, 1, "F1, mean over labels"),
    Metric("f1_weighted", True, 0, 1, 1, "F1, mean over labels by their share of the test rows"),
    Metric("f1_binary", True, 0, 1, 1, "two labels: F1 of the last one in sorted order"),
    Metric("accuracy", True, 0, 1, 1, "share of test rows with the right label"),
    Metric("mcc", True, -1, 1, 1, "Matthews correlation coefficient"),
    Metric("roc_auc", True, 0, 1, 1, "area under the ROC curve, mean of one against the rest"),
    Metric("r2", True, maximum=1, ideal=1, meaning="coefficient of determination"),
    Metric("rmse", False, 0, ideal=0, meaning="root mean squared error, in the target's unit"),
    Metric("mae", False, 0, ideal=0, meaning="mean absolute error, in the target's unit"),
)
"""Scores of a learner: the first six for a classification target, the last three for a regression target."""


_ENDS = tuple(
    Metric(f"mle/{s.name}/{end}", None, s.minimum, s.maximum, meaning=f"{words} end of the interval of mle/{s.name}")
    for s in SCORES
    for end, words in (("low", "lower"), ("high", "upper"))
)


def _under(prefix: str, note: str, *shown: Shown) -> tuple[Metric, ...]:
    return tuple(
        Metric(prefix + s.name, s.higher_is_better, s.minimum, s.maximum, s.ideal, f"{s.meaning}; {note}", shown)
        for s in SCORES
    )


@dataclass(frozen=True, slots=True)
class MachineLearningEfficacy(Evaluator):
    """Scores of learners trained on the synthetic rows and tested on `splits.test`.

    `models`: names in `learners.CLASSIFIERS`. `max_candidates`: most settings tried for each (1: no tuning).
    `max_rows`: most synthetic rows to train on (None: MAX_ROWS); `svm_max_rows`: most for the SVM, since its time grows
    with the square (None: as many). `max_test_rows`: most test rows, and most validation rows (None: MAX_TEST_ROWS). Of
    more rows, some are chosen at random (seeded), and `notes` say how many. `confidence`: of the intervals of the means
    over learners. They show how much the scores of the same models would change with other test rows, from `resamples`
    bootstrap draws of the test rows (percentiles; each draw has the same rows for all learners). `n_jobs`: models
    trained at once, each on one core, so that the scores do not depend on it. None: one for each core of this process,
    from PARALLEL_ROWS synthetic rows on.

    Labels that the synthetic rows lack cannot be predicted, and count as errors. If the rows teach nothing (one label,
    or no feature that varies), the prediction is constant: their most frequent label, or their mean.
    """

    models: list[str] = field(default_factory=lambda: list(CLASSIFIERS))
    max_candidates: Count | None = None
    max_rows: Count | None = None
    svm_max_rows: Count | None = 5000
    max_test_rows: Count | None = None
    n_jobs: Count | None = None
    confidence: float = 0.95
    resamples: int = 1000

    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        *_under("mle/*/", "one learner"),
        *_under("mle/", "mean over learners", Shown("main", "MLE", 40, interval=True), Shown("summary", "MLE", 10)),
        *_ENDS,
        Metric(
            "mle/class_balance_gap", False, 0, 1, 0, shown=(Shown("summary", place=30),),
            meaning="total variation of label shares, synthetic against training",
        ),
        Metric("mle/labels_missing", False, 0, ideal=0, meaning="labels in the test rows that no synthetic row has"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Train on `synthetic`, tune on `splits.reference`, test on `splits.test`; `scorer` is not used.

        Raises ConfigError if a setting is invalid.
        """
        self._check()
        measures = Measures()
        problem = Problem.of(splits)
        try:
            rows = usable_rows(synthetic, splits.schema)
            if len(splits.test) == 0:
                raise DataError("the test split is empty")
        except DataError as error:
            balance = ["class_balance_gap", "labels_missing"] if problem.classify else []
            per_model = [f"{model}/{name}" for model in self.models for name in problem.score_names]
            ends = [f"{name}/{end}" for name in problem.score_names for end in ("low", "high")]
            for name in [*problem.score_names, *per_model, *ends, *balance]:
                measures.unavailable(f"mle/{name}", str(error))
            return measures
        if problem.classify:
            _measure_labels(measures, problem, splits, rows)
        taught = some_rows(rows, self.max_rows or MAX_ROWS, seed)
        train = problem.examples(taught)
        if train.teach_nothing:
            log.warning("mle: the synthetic target, or all features, are constant, and so are the predictions")
        tested = some_rows(splits.test.frame, self.max_test_rows or MAX_TEST_ROWS, seed)
        validated = some_rows(splits.reference.frame, self.max_test_rows or MAX_TEST_ROWS, seed)
        val, test = problem.examples(validated), problem.examples(tested)
        found = self._trained(problem, train, val, test, seed)
        predicted = [given for _, given, _ in found if given is not None]
        self._measure(measures, found, problem.score_names, self._intervals(problem, test, predicted, seed))
        if note := part_used(taught, rows, tested, splits.test.frame):
            measures.notes.update({f"mle/{name}": note for name in problem.score_names})
        return measures

    def _measure(
        self, measures: Measures, found: Sequence[_Tested], names: Sequence[str],
        intervals: dict[str, NDArray[np.float64]],
    ) -> None:  # fmt: skip
        """Record each model's scores, their means, and the intervals of the means."""
        for model, (scores, _, reason) in zip(self.models, found, strict=True):
            for name in names:
                _put(measures, f"mle/{model}/{name}", scores.get(name, float("nan")), reason)
        for name in names:
            each = {model: measures[f"mle/{model}/{name}"] for model in self.models}
            missing = [model for model, score in each.items() if np.isnan(score)]
            why = f"missing for {', '.join(missing)}"
            _put(measures, f"mle/{name}", float(np.mean(list(each.values()))), why)
            for end, value in zip(("low", "high"), intervals.get(name, (np.nan, np.nan)), strict=True):
                _put(measures, f"mle/{name}/{end}", float("nan") if missing else float(value), why)

    def _check(self) -> None:
        check_names("evaluator.machine_learning_efficacy.models", self.models, CLASSIFIERS)
        if self.n_jobs is not None and self.n_jobs < 1:
            key = "evaluator.machine_learning_efficacy.n_jobs"
            raise ConfigError(key, self.n_jobs, "must be at least 1", f"{key}=null")
        check_confidence("evaluator.machine_learning_efficacy", self.confidence)
        if self.resamples < 2:
            key = "evaluator.machine_learning_efficacy.resamples"
            raise ConfigError(key, self.resamples, "must be at least 2", f"{key}=1000")

    def _intervals(
        self, problem: Problem, test: Examples, predicted: Sequence[NDArray[np.float64]], seed: int
    ) -> dict[str, NDArray[np.float64]]:
        """Ends of the interval of each score's mean over the learners, (2,); empty if there is no prediction."""
        drawn: dict[str, list[NDArray[np.float64]]] = {}
        draw = np.random.default_rng(derive(seed, "mle test rows"))
        for counts in resamples_of(len(test), self.resamples, draw) if predicted else ():
            scores = [problem.resampled_scores(test, given, counts) for given in predicted]
            for name in scores[0]:
                drawn.setdefault(name, []).append(np.mean([one[name] for one in scores], axis=0))
        ends = [(1 - self.confidence) / 2, (1 + self.confidence) / 2]
        pooled = {name: np.concatenate(parts) for name, parts in drawn.items()}
        return {name: np.nanquantile(values, ends) for name, values in pooled.items() if np.isfinite(values).any()}

    def _trained(self, problem: Problem, train: Examples, val: Examples, test: Examples, seed: int) -> list[_Tested]:
        """The result of each model on the test rows."""
        from joblib import Parallel, delayed

        jobs = self.n_jobs or (given_cores() if len(train) >= PARALLEL_ROWS else 1)
        work = [delayed(self._test_scores)(model, problem, train, val, test, seed) for model in self.models]
        return list(Parallel(n_jobs=min(jobs, len(work)))(work))

    def _test_scores(
        self, model: str, problem: Problem, train: Examples, val: Examples, test: Examples, seed: int
    ) -> _Tested:
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(1):  # the learners' linear algebra would start threads of its own
                predicted = self.tuned(model, problem, train, val, seed)(test)
                scores = problem.scores(test, predicted)
            return scores, predicted, "undefined on these test rows: they are too few or all alike"
        except Exception as error:  # other libraries may fail on strange rows
            reason = f"{model}: {type(error).__name__}: {error}"
            log.warning("mle could not be computed for %s", reason)
            return {}, None, reason

    def tuned(self, model: str, problem: Problem, train: Examples, val: Examples, seed: int) -> Predict:
        """The learner with the best settings on the validation rows, the first if several are equal."""
        if model == "svm" and self.svm_max_rows is not None:
            train = train.take(subsample(len(train), self.svm_max_rows, seed))
        if train.teach_nothing:
            return problem.constant(train)
        grid = (CLASSIFIERS if problem.classify else REGRESSORS)[model][: self.max_candidates]
        fits = [problem.fit(model, candidate, train, seed=seed) for candidate in grid]
        if len(fits) == 1 or len(val) == 0:
            return fits[0]
        scores = [problem.scores(val, predict(val)) for predict in fits]
        quality = [score["f1_macro"] if problem.classify else -score["rmse"] for score in scores]
        return fits[int(np.argmax(quality))]


_Tested = tuple[dict[str, float], NDArray[np.float64] | None, str]
"""A model's test scores by name, its predictions for the test rows (None if it failed), and why scores are missing."""


def some_rows(frame: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """At most so many of the rows, in their order, chosen by the seed."""
    return frame.iloc[subsample(len(frame), most, seed)]


def part_used(taught: pd.DataFrame, rows: pd.DataFrame, tested: pd.DataFrame, test: pd.DataFrame) -> str:
    """How many of the synthetic rows, and of the test rows, are used, in words; "" if all are."""
    if len(taught) == len(rows) and len(tested) == len(test):
        return ""
    trained = f"trained on {len(taught):,} of {len(rows):,} synthetic rows"
    return f"{trained}, tested on {len(tested):,} of {len(test):,} test rows"


def given_cores() -> int:
    """Cores that this process may use: OMP_NUM_THREADS, which launchers of several jobs set, or all."""
    from joblib import cpu_count

    granted = os.environ.get("OMP_NUM_THREADS", "")
    return max(int(granted), 1) if granted.isdigit() else int(cpu_count())


def _measure_labels(measures: Measures, problem: Problem, splits: Splits, rows: pd.DataFrame) -> None:
    """Record how the shares of labels differ from the training rows, and how many labels are missing."""
    train, synthetic, test = (problem.label_shares(frame) for frame in (splits.train.frame, rows, splits.test.frame))
    measures["mle/class_balance_gap"] = float(np.abs(train - synthetic).sum() / 2)
    measures["mle/labels_missing"] = float(((test > 0) & (synthetic == 0)).sum())
    measures.notes["mle/class_balance_gap"] = _farthest(problem.target.categories, synthetic, train)


def _farthest(labels: Sequence[str], synthetic: NDArray[np.float64], train: NDArray[np.float64]) -> str:
    """The label with the largest difference in its share, in words."""
    place = int(np.abs(synthetic - train).argmax())
    return f"{labels[place]!r}: {synthetic[place]:.1%} of the synthetic rows, {train[place]:.1%} of the training rows"


def _put(measures: Measures, name: str, value: float, reason: str) -> None:
    """Record the value, or the reason if it is NaN."""
    if np.isfinite(value):
        measures[name] = value
    else:
        measures.unavailable(name, reason)
