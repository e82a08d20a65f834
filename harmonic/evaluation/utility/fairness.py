"""Is the synthetic table less useful for some groups? Machine-learning efficacy for each group.

Learners trained on the synthetic rows are tested on the real test rows, as in harmonic.evaluation.utility.efficacy, and
scored for each group separately, because a mean over all rows may hide bad results for a small group. The synthetic
rows do not cause a gap that learners trained on real rows show, too (`gap_real`), or that groups of these sizes show by
chance (`gap_by_chance`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.evaluation.utility.efficacy import (
    MAX_ROWS,
    MAX_TEST_ROWS,
    SCORES,
    MachineLearningEfficacy,
    part_used,
    some_rows,
)
from harmonic.evaluation.utility.group_scores import group_numbers, group_scores
from harmonic.evaluation.utility.learners import CLASSIFIERS, Problem
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Schema, Table

log = logging.getLogger(__name__)

FEW = 10
"""A column with up to this number of values has a group for each; a number with more is split at its median."""

_KEY = "evaluator.fairness"
_OF_LABELS, _OF_NUMBERS = ("f1_macro", "accuracy"), ("mae", "rmse")

Groups = dict[str, NDArray[np.bool_]]
"""The test rows of each group, by its name."""
Predictions = list[NDArray[np.float64]]
"""For each learner its predictions: label positions, or numbers in the target's unit, (test rows,)."""


@dataclass(frozen=True, slots=True)
class Fairness(Evaluator):
    """Scores by group, and the largest gap between two groups, for each of `columns`.

    `columns`: features or the target; None: every feature with 2 to FEW values. `score`: f1_macro (the default for
    classes) or accuracy; mae (the default for numbers) or rmse. It is a mean over `models`; their settings are chosen
    as in MachineLearningEfficacy. `max_rows`: most synthetic rows, and most real rows, to train on; `max_test_rows`:
    most test rows, and most validation rows (None: as there). Of more rows, some are chosen at random (seeded), and
    `notes["fairness/gap"]` says how many. Groups with fewer than `min_rows` test rows are left out, and the notes say
    so.
    `shuffles`: how often rows are shuffled between groups for `gap_by_chance`, the gap that 1 in 20 shuffles exceeds.
    """

    columns: list[str] | None = None
    score: str | None = None
    models: list[str] = field(default_factory=lambda: list(CLASSIFIERS))
    max_candidates: int | None = None
    max_rows: Count | None = None
    max_test_rows: Count | None = None
    min_rows: int = 20
    shuffles: int = 200

    needs_target: ClassVar[bool] = True
    version: ClassVar[int] = 1

    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            Metric(
                f"fairness/*/*/{s.name}", s.higher_is_better, s.minimum, s.maximum, s.ideal, f"{s.meaning}; one group"
            )
            for s in SCORES
            if s.name in (*_OF_LABELS, *_OF_NUMBERS)
        ),
        Metric("fairness/*/gap", False, 0, ideal=0, meaning="best minus worst group, trained on synthetic rows"),
        Metric("fairness/*/gap_real", None, 0, meaning="the same, trained on real rows"),
        Metric("fairness/*/gap_by_chance", None, 0, meaning="the gap that 1 in 20 shuffles of the groups exceeds"),
        Metric("fairness/gap", False, 0, ideal=0, meaning="largest gap between two groups of a column"),
    )

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Train on `synthetic` and on `splits.train`, test on `splits.test`; `scorer` is not used.

        `notes["fairness/<column>/gap"]` names the groups. Raises ConfigError if a setting is invalid.
        """
        columns, score = self._checked(splits.schema)
        measures, given = Measures(), splits
        most = self.max_test_rows or MAX_TEST_ROWS
        val, test = (part.take(subsample(len(part), most, seed)) for part in (splits.val, splits.test))
        splits = replace(splits, val=val, test=test)
        try:
            rows = usable_rows(synthetic, splits.schema)
            if not columns:
                raise DataError(
                    f"no feature has 2 to {FEW} values: name some, {_KEY}.columns=[{splits.schema.names[0]}]"
                )
            groups = {column.name: self._groups(column, splits, measures) for column in columns}
            if not any(groups.values()):
                raise DataError(f"no two groups of a column have {self.min_rows} test rows each")
            taught = [some_rows(frame, self.max_rows or MAX_ROWS, seed) for frame in (rows, splits.train.frame)]
            made, real = (self._predictions(splits, frame, seed) for frame in taught)
        except DataError as error:
            for name in ["", *(f"/{_segment(column.name)}" for column in columns)]:
                measures.unavailable(f"fairness{name}/gap", str(error))
            return measures
        truth = _truth(splits)
        for name, parts in groups.items():
            self._measure(measures, name, parts, score, truth, (made, real), seed)
        gaps = {name: measures.get(f"fairness/{_segment(name)}/gap", np.nan) for name in groups}
        worst = max(gaps, key=lambda name: -1.0 if np.isnan(gaps[name]) else gaps[name])
        measures["fairness/gap"] = gaps[worst]
        measures.notes["fairness/gap"] = f"{worst}: {measures.notes[f'fairness/{_segment(worst)}/gap']}"
        if used := part_used(taught[0], rows, test.frame, given.test.frame):
            measures.notes["fairness/gap"] += f"; {used}"
        return measures

    def _checked(self, schema: Schema) -> tuple[list[Column], str]:
        """The columns with the groups, and the score."""
        for name in self.columns or []:
            if name not in schema.names:
                raise unknown(f"{_KEY}.columns", name, "column", schema.names)
        known = _OF_LABELS if schema.task.is_classification else _OF_NUMBERS
        score = self.score or known[0]
        if score not in known:
            raise unknown(f"{_KEY}.score", score, f"score for {schema.task}", known)
        for key, value, least in (("min_rows", self.min_rows, 2), ("shuffles", self.shuffles, 20)):
            if value < least:
                raise ConfigError(f"{_KEY}.{key}", value, f"must be at least {least}", f"{_KEY}.{key}={least}")
        if self.columns is not None:
            return [schema[name] for name in self.columns], score
        return [column for column in schema.features if 2 <= len(column.categories) <= FEW], score

    def _groups(self, column: Column, splits: Splits, measures: Measures) -> Groups:
        """The groups with enough test rows, if there are at least two; notes say what is left out."""
        values, known = splits.test.frame[column.name].to_numpy(), splits.train.frame[column.name]
        if column.is_numeric and known.nunique() > FEW:
            cut = column.format(round(float(known.median()), column.decimals))
            low = values <= float(known.median())
            found = {f"up to {cut}": low, f"above {cut}": ~low}
        else:
            found = {column.format(value): values == value for value in sorted(set(known))}
        kept = {name: rows for name, rows in found.items() if rows.sum() >= self.min_rows}
        path = f"fairness/{_segment(column.name)}/gap"
        if small := [f"{name} ({rows.sum()})" for name, rows in found.items() if name not in kept]:
            measures.notes[path] = f"left out, with fewer than {self.min_rows} test rows: {', '.join(small)}"
        if len(kept) < 2:
            measures.unavailable(path, f"no two groups of {column.name!r} have {self.min_rows} test rows each")
            return {}
        return kept

    def _predictions(self, splits: Splits, frame: pd.DataFrame, seed: int) -> Predictions:
        """Predictions for the test rows by each learner trained on these rows. Raises DataError if all fail."""
        from threadpoolctl import threadpool_limits

        problem = Problem.of(splits)
        train, val, test = (problem.examples(part) for part in (frame, splits.val.frame, splits.test.frame))
        efficacy = MachineLearningEfficacy(self.models, self.max_candidates)
        found, reasons = [], []
        for model in self.models:
            try:
                with threadpool_limits(1):
                    predicted = efficacy.tuned(model, problem, train, val, seed)(test)
            except Exception as error:  # other libraries may fail on strange rows
                log.warning("fairness is measured without %s: %s: %s", model, type(error).__name__, error)
                reasons.append(f"{model}: {type(error).__name__}: {error}")
            else:
                found.append(_in_units(problem, predicted))
        if not found:
            raise DataError(f"no learner could be trained: {'; '.join(reasons)}")
        return found

    def _measure(
        self, measures: Measures, column: str, groups: Groups, score: str, truth: NDArray[np.float64],
        predictions: tuple[Predictions, Predictions], seed: int,
    ) -> None:  # fmt: skip
        """Record each group's score and the gaps, trained on synthetic and on real rows, and by chance."""
        if not groups:
            return
        path, made, real = f"fairness/{_segment(column)}", *predictions
        numbers = group_numbers(list(groups.values()))
        scores = dict(zip(groups, group_scores(score, truth, made, numbers).tolist(), strict=True))
        for name, value in scores.items():
            measures[f"{path}/{_segment(name)}/{score}"] = value
        draw, gaps = np.random.default_rng(derive(seed, "fairness", column)), []
        for _ in range(self.shuffles):
            gaps.append(np.ptp(group_scores(score, truth, made, numbers[draw.permutation(len(truth))])))
        measures[f"{path}/gap"] = float(np.ptp(list(scores.values())))
        measures[f"{path}/gap_real"] = float(np.ptp(group_scores(score, truth, real, numbers)))
        measures[f"{path}/gap_by_chance"] = float(np.quantile(gaps, 0.95))
        listed = ", ".join(f"{name} {scores[name]:.3f}" for name in sorted(scores, key=scores.__getitem__))
        left_out = measures.notes.get(f"{path}/gap")
        measures.notes[f"{path}/gap"] = f"{score}: {listed}{f'; {left_out}' if left_out else ''}"


def _segment(name: str) -> str:
    """A name as one part of a metric name."""
    return name.replace("/", "_")


def _truth(splits: Splits) -> NDArray[np.float64]:
    """The test rows' targets: label positions, or numbers in the target's unit, (test rows,)."""
    problem = Problem.of(splits)
    target = problem.examples(splits.test.frame).target
    return np.asarray(target, dtype=np.float64) if problem.classify else target * problem.scale + problem.center


def _in_units(problem: Problem, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    if problem.classify:
        return predicted.argmax(axis=1).astype(np.float64)
    return predicted * problem.scale + problem.center
