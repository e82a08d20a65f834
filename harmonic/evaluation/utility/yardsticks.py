"""Where are the synthetic rows between independent columns and real rows?

A score alone says little. It is between two ends: a table of independent columns, from which nothing can be learnt, and
as many real rows. All three tables are measured in the same, quick way: a few learners without tuning, column shapes,
correlations. The two ends do not depend on the generator, so runs that share a cache measure them once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, check_names
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.evaluation.fidelity.columns_and_pairs import column_shapes, contingency_similarity, correlation_similarity
from harmonic.evaluation.result_cache import cached_result
from harmonic.evaluation.utility.efficacy import SCORES, MachineLearningEfficacy
from harmonic.evaluation.utility.learners import CLASSIFIERS
from harmonic.randomness import derive
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

FORMAT = 1
"""Version of the cached scores of the two ends. Raise it when the same inputs get other scores."""

LIKENESS = ("column_shapes", "correlation_similarity", "contingency_similarity")
"""Metrics of likeness, as in the fidelity evaluator; the last one only if there are no two numeric columns."""
_KEY = "evaluator.yardsticks"
_MEANING = "of synthetic rows, of independent columns, and of as many real rows"


@dataclass(frozen=True, slots=True)
class Yardsticks(Evaluator):
    """Scores of the synthetic rows, of independent columns and of real rows: `yardstick/<table>/<score>`.

    `models`: names in `learners.CLASSIFIERS`, with their first settings. `score`: one of their scores (None: f1_macro,
    or r2 for a numeric target); a table without a target has none. `max_rows`: most rows of each table. The two ends
    are drawn `draws` times, and their scores are means, because one draw alone may be lucky.

    Independent columns are drawn from the values of the training rows, each column separately, with replacement. Real
    rows to learn from are training rows, each at most once. Real rows for likeness are drawn with replacement, as by a
    perfect generator, since all training rows together would be compared with themselves.
    """

    models: list[str] = field(default_factory=lambda: ["linear", "random_forest", "xgboost"])
    score: str | None = None
    draws: int = 5
    max_rows: int = 1000

    takes_gaps: ClassVar[bool] = True  # a completed table always has a target
    version: ClassVar[int] = 1

    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(f"yardstick/*/{score.name}", None, score.minimum, score.maximum, meaning=f"{score.meaning}; {_MEANING}")
        for score in SCORES
    ) + tuple(Metric(f"yardstick/*/{name}", None, 0, 1, meaning=f"likeness; {_MEANING}") for name in LIKENESS)

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Measure the three tables against `splits.train` and `splits.test`; `scorer` is not used.

        Raises ConfigError if a setting is invalid.
        """
        self._check()
        imputation, measures = Imputation.of(splits.train), Measures()
        whole, has_target = imputation.splits(splits), splits.schema.has_target
        try:
            given = imputation.frame(usable_rows(synthetic, splits.schema))
        except DataError as error:
            for name in [*([self._score(whole)] if has_target else []), *LIKENESS]:
                measures.unavailable(f"yardstick/synthetic/{name}", str(error))
            return measures
        rows = given.iloc[subsample(len(given), self.max_rows, seed)]
        table = Table(rows.reset_index(drop=True), whole.schema)
        found = self._scores(whole, [table], seed, has_target) | _likeness(whole, [table])
        self._note(measures, "synthetic", found)

        def build(_: Path) -> dict[str, Any]:
            return self._ends(whole, len(table), seed, has_target)

        inputs = {"format": FORMAT, "data": whole.fingerprint(), "target": has_target, "n": len(table), "seed": seed}
        with cached_result("yardsticks", {**inputs, "settings": asdict(self)}, build) as (_, ends):
            for name, found in ends.items():
                self._note(measures, name, found)
        return measures

    def _check(self) -> None:
        check_names(f"{_KEY}.models", self.models, CLASSIFIERS)
        names = [score.name for score in SCORES]
        if self.score is not None and self.score not in names:
            raise unknown(f"{_KEY}.score", self.score, "score", names)
        for key, value, least in (("draws", self.draws, 1), ("max_rows", self.max_rows, 2)):
            if value < least:
                raise ConfigError(f"{_KEY}.{key}", value, f"must be at least {least}", f"{_KEY}.{key}={least}")

    def _score(self, splits: Splits) -> str:
        return self.score or ("f1_macro" if splits.schema.task.is_classification else "r2")

    def _ends(self, splits: Splits, n: int, seed: int, has_target: bool) -> dict[str, dict[str, float]]:
        """Scores of independent columns and of real rows, by table."""
        count, random = len(splits.train), np.random.default_rng(derive(seed, "yardsticks"))
        independent = [_independent(splits.train, n, random) for _ in range(self.draws)]
        real = [splits.train.take(random.permutation(count)[:n]) for _ in range(self.draws)]
        again = [splits.train.take(random.integers(count, size=n)) for _ in range(self.draws)]
        return {
            "independent": self._scores(splits, independent, seed, has_target) | _likeness(splits, independent),
            "real": self._scores(splits, real, seed, has_target) | _likeness(splits, again),
        }

    def _scores(self, splits: Splits, tables: Sequence[Table], seed: int, has_target: bool) -> dict[str, float]:
        """The mean score of these tables; empty without a target."""
        if not has_target:
            return {}
        learners = MachineLearningEfficacy(
            models=self.models, max_candidates=1, max_test_rows=max(len(splits.test), 1), n_jobs=1,
            resamples=2,  # only for intervals, which are not needed: as few as can be
        )  # fmt: skip
        name = self._score(splits)
        found = [learners.evaluate(splits, table, seed=seed).get(f"mle/{name}", np.nan) for table in tables]
        return {name: float(np.mean(found))}

    def _note(self, measures: Measures, table: str, found: Mapping[str, float | None]) -> None:
        """Record the scores of one table; None, as in a cache entry, counts as NaN."""
        for name, value in found.items():
            if value is not None and np.isfinite(value):
                measures[f"yardstick/{table}/{name}"] = value
            elif name in LIKENESS:
                measures.unavailable(f"yardstick/{table}/{name}", "needs two columns of a kind that vary")
            else:
                reason = "undefined on these test rows: they are too few, all alike, or the target has no such score"
                measures.unavailable(f"yardstick/{table}/{name}", reason)


def _independent(train: Table, n: int, random: np.random.Generator) -> Table:
    """A table of `n` rows, with each column drawn independently."""
    columns = {name: train.frame[name].to_numpy()[random.integers(len(train), size=n)] for name in train.schema.names}
    return Table(pd.DataFrame(columns, columns=train.schema.names), train.schema)


def _likeness(splits: Splits, tables: Sequence[Table]) -> dict[str, float]:
    """The metrics in LIKENESS that apply, means over these tables; NaN if there are no two columns."""
    schema, real = splits.schema, splits.train.frame
    shapes = [[*numeric, *others] for numeric, others in (column_shapes(real, t.frame, schema) for t in tables)]
    found = {"column_shapes": float(np.mean(shapes))}
    for name, measure, columns in (
        ("correlation_similarity", correlation_similarity, schema.numeric),
        ("contingency_similarity", contingency_similarity, schema.categorical),
    ):
        found[name] = float(np.mean([measure(real[columns], table.frame[columns]) for table in tables]))
        if np.isfinite(found[name]):
            return found
    return found
