"""Does the tuned language model reveal its training rows? The Data Leakage Test of arXiv 2408.02927.

The perplexity of a row is exp(mean negative log-likelihood of its tokens), natural base (the published code takes
2**nats). That of a table is the mean over its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

_HOLDOUT = (
    Shown("privacy", "DLT holdout", 50, ablated=True), Shown("cards", "dlt_holdout", 80), Shown("summary", place=120),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataLeakageTest(Evaluator):
    """Perplexities of training, held-out and synthetic rows under the fitted generator.

    Training and synthetic rows are subsampled to the number of held-out rows (`splits.test`), and all three to
    `max_rows` (None: no limit). `resamples`: bootstrap draws for the 95% intervals.

    `dlt` is high if the synthetic rows are likely ones, for example with a low sampling temperature, even if the model
    remembers nothing. `dlt_holdout` compares real rows with real rows.
    """

    max_rows: Count | None = 1000
    resamples: Count = 2000

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "dlt", True, shown=(Shown("privacy", "DLT", 40, ablated=True),),
            meaning="PPL(train) - PPL(synthetic): the paper's Data Leakage Test",
        ),
        Metric("dlt/low", None, meaning="lower end of the 95% bootstrap interval of dlt"),
        Metric("dlt/high", None, meaning="upper end of the 95% bootstrap interval of dlt"),
        Metric(
            "dlt_holdout", False, ideal=0, shown=_HOLDOUT,
            meaning="PPL(held out) - PPL(train): above 0 if the model remembers",
        ),
        Metric("dlt_holdout/low", None, meaning="lower end of the 95% bootstrap interval of dlt_holdout"),
        Metric("dlt_holdout/high", None, meaning="upper end of the 95% bootstrap interval of dlt_holdout"),
        Metric("perplexity/train", None, 1, meaning="mean perplexity of training rows"),
        Metric("perplexity/holdout", None, 1, meaning="mean perplexity of held-out rows"),
        Metric("perplexity/synthetic", None, 1, meaning="mean perplexity of synthetic rows"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compute perplexities with `scorer`; without one every metric is NaN.

        `series` has the rows' perplexities: "perplexity/train", "perplexity/holdout" and "perplexity/synthetic".
        """
        measures = Measures()
        if scorer is None:
            for metric in self.metrics:
                measures.unavailable(metric.name, "needs a language generator: this one has no likelihoods")
            return measures
        size = len(splits.test) if self.max_rows is None else min(len(splits.test), self.max_rows)
        train = self._perplexity(measures, "perplexity/train", splits.members.frame, size, seed, scorer)
        holdout = self._perplexity(measures, "perplexity/holdout", splits.test.frame, size, seed, scorer)
        try:
            rows = usable_rows(synthetic, splits.schema)
        except DataError as error:
            measures.unavailable("perplexity/synthetic", str(error))
            made = np.empty(0)
        else:
            made = self._perplexity(measures, "perplexity/synthetic", rows, size, seed, scorer)
        _difference(measures, "dlt", "perplexity/train", "perplexity/synthetic")
        _difference(measures, "dlt_holdout", "perplexity/holdout", "perplexity/train")
        for name, first, second in (("dlt", train, made), ("dlt_holdout", holdout, train)):
            try:
                low, high = bootstrap_interval(first, second, resamples=self.resamples, seed=seed)
                measures[f"{name}/low"], measures[f"{name}/high"] = low, high
            except ValueError as error:
                measures.unavailable(f"{name}/low", str(error))
                measures.unavailable(f"{name}/high", str(error))
        return measures

    def _perplexity(
        self, measures: Measures, name: str, rows: pd.DataFrame, size: int, seed: int, scorer: Scorer
    ) -> NDArray[np.float64]:
        """Record the mean perplexity of `size` of the rows. Returns the perplexity of each."""
        rows = rows.iloc[subsample(len(rows), size, seed)].reset_index(drop=True)
        if rows.empty:
            measures.unavailable(name, "no rows to score")
            return np.empty(0)
        values = perplexities(scorer(rows))
        measures.series[name] = values
        if np.isfinite(values).all():
            measures[name] = float(values.mean())
        else:
            count = int((~np.isfinite(values)).sum())
            measures.unavailable(name, f"{count} of {len(values)} rows have no finite perplexity")
        return values


def perplexities(nll: NDArray[np.float64]) -> NDArray[np.float64]:
    """Perplexities from negative log-likelihoods in nats per token, (n,); inf if it overflows."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(nll, dtype=np.float64))


def bootstrap_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], *, resamples: int, seed: int
) -> tuple[float, float]:
    """95% percentile interval of mean(first) - mean(second), each resampled separately.

    Raises ValueError if a sample has fewer than two values, or one that is not finite.
    """
    from scipy.stats import bootstrap

    if min(len(first), len(second)) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("an interval needs at least two rows of each kind, all with finite perplexities")
    interval = bootstrap(
        (first, second),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        n_resamples=resamples,
        batch=100,  # bounds the memory: 100 x rows at a time
        method="percentile",
        rng=np.random.default_rng(derive(seed, "perplexities")),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _difference(measures: Measures, name: str, minuend: str, subtrahend: str) -> None:
    """Record minuend - subtrahend, or the reason why one of them is missing."""
    for part in (minuend, subtrahend):
        if part in measures.reasons:
            measures.unavailable(name, f"{part}: {measures.reasons[part]}")
            return
    measures[name] = measures[minuend] - measures[subtrahend]
