"""Does the generator repeat what it was shown? Copies of a prompt's own rows, over what chance would bring.

A prompt that shows training rows hands them to whoever writes the answer: a model that repeats one publishes it,
though it may have learnt nothing by heart. The samplers of HARMONIC (arXiv 2408.02927, section 3.3) show k random
training rows, so that the same count against the other training rows says what an honest answer scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, TokenScorer, check_confidence
from harmonic.evaluation.comparison.encoding import usable_rows
from harmonic.randomness import derive
from harmonic.settings import Between, Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

CELLS_AT_A_TIME = 1 << 22
"""Cells of prompts held in memory at once."""


@dataclass(frozen=True, slots=True)
class PromptCopy(Evaluator):
    """Share of synthetic rows, and of numeric cells, that stand in their own prompt, less the share by chance.

    A row stands there if one of the prompt's rows equals it in every column, a cell if one of them has the same
    number in the same column; missing values are no numbers. Chance is the exact probability that k random training
    rows from outside of the prompt would hold it: a table of few values is full of it.

    Intervals at `confidence`, a prompt and all that came from it being one observation. Of the rows: Clopper and
    Pearson's around the share, chance taken as known. Of the cells: the percentile bootstrap's over `resamples`
    draws, or the former where all of the cells or none were copied, of which a bootstrap would be certain.
    """

    confidence: Between = 0.95
    resamples: Count = 1000

    version: ClassVar[int] = 1
    takes_gaps: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("prompt_copy/rows", False, -1, 1, 0, "share of rows that equal a row of their prompt, less chance"),
        Metric("prompt_copy/rows/low", None, -1, 1, meaning="lower end of the interval of prompt_copy/rows"),
        Metric("prompt_copy/rows/high", None, -1, 1, meaning="upper end of the interval of prompt_copy/rows"),
        Metric("prompt_copy/cells", False, -1, 1, 0, "share of numbers that their prompt's rows hold, less chance"),
        Metric("prompt_copy/cells/low", None, -1, 1, meaning="lower end of the interval of prompt_copy/cells"),
        Metric("prompt_copy/cells/high", None, -1, 1, meaning="upper end of the interval of prompt_copy/cells"),
    )

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare each row of `synthetic` with the training rows that `scorer.shown` names for it.

        `notes` tell either share with the one by chance. Raises ConfigError for settings that cannot be.
        """
        self._check()
        measures = Measures()
        try:
            rows = usable_rows(synthetic, splits.schema)
            shown = _shown(scorer, len(rows))
            learnt = _learnt(splits, shown)
        except DataError as error:
            for metric in self.metrics:
                measures.unavailable(metric.name, str(error))
            return measures
        train, answers = _codes(learnt, rows, splits.schema.names)
        prompts = np.unique(np.sort(shown, axis=1), axis=0, return_inverse=True)[1].ravel()
        whole = _numbered(train, answers)
        self._measure(measures, "rows", _held(*whole, shown), _chance(*whole, shown), prompts, seed)
        numeric = [splits.schema.names.index(name) for name in splits.schema.numeric]
        numbers = train[:, numeric], answers[:, numeric]
        given = rows[splits.schema.numeric].notna().to_numpy()
        held, chance = (np.where(given, part(*numbers, shown), np.nan) for part in (_held, _chance))
        self._measure(measures, "cells", held, chance, prompts, seed)
        return measures

    def _check(self) -> None:
        key = "evaluator.prompt_copy"
        check_confidence(key, self.confidence)
        if self.resamples < 2:
            raise ConfigError(f"{key}.resamples", self.resamples, "must be at least 2", f"{key}.resamples=1000")

    def _measure(
        self,
        measures: Measures,
        name: str,
        held: NDArray[np.float64],
        chance: NDArray[np.float64],
        prompts: NDArray[np.int64],
        seed: int,
    ) -> None:
        """Record the excess of `held` over `chance`, (n, columns), NaN where there is nothing to compare."""
        name = f"prompt_copy/{name}"
        counted = np.bincount(prompts, np.isfinite(held).sum(axis=1)).astype(np.float64)
        if counted.sum() == 0:
            for key in (name, f"{name}/low", f"{name}/high"):
                measures.unavailable(key, "there are no numbers in the synthetic rows")
            return
        copied, expected = (np.bincount(prompts, np.nansum(part, axis=1)).astype(np.float64) for part in (held, chance))
        share, by_chance = copied.sum() / counted.sum(), expected.sum() / counted.sum()
        low, high = _exact_interval(share, int((counted > 0).sum()), self.confidence) - by_chance
        if held.shape[1] > 1 and 0 < share < 1:  # else one yes or no a row, or all alike
            low, high = self._bootstrap_interval(copied - expected, counted, seed)
        measures[name] = float(share - by_chance)
        measures[f"{name}/low"], measures[f"{name}/high"] = max(float(low), -1.0), min(float(high), 1.0)
        measures.notes[name] = f"{share:.2%} equal, {by_chance:.2%} by chance"

    def _bootstrap_interval(
        self, excess: NDArray[np.float64], counted: NDArray[np.float64], seed: int
    ) -> NDArray[np.float64]:
        """Of the total excess over the total count, the prompts resampled."""
        generator = np.random.default_rng(derive(seed, "prompt_copy"))
        drawn = np.empty(self.resamples)
        for draw in range(self.resamples):
            chosen = generator.integers(len(excess), size=len(excess))
            drawn[draw] = excess[chosen].sum() / max(counted[chosen].sum(), 1)
        return np.quantile(drawn, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])


def _shown(scorer: Scorer | None, n: int) -> NDArray[np.int64]:
    """The training rows in each row's prompt, (n, k). Raises DataError where there are none."""
    shown = scorer.shown(n) if isinstance(scorer, TokenScorer) else None
    if shown is None:
        raise DataError("needs a generator whose prompts show training rows: this one has no such prompts")
    if shown.shape[1] == 0:
        raise DataError("the prompts do not tell which training rows they show: prepare them anew")
    return shown


def _learnt(splits: Splits, shown: NDArray[np.int64]) -> pd.DataFrame:
    """The rows that prompts were made of: the training rows, and behind them what was planted.

    Raises DataError where a prompt shows more than half of them.
    """
    frames = [splits.train.frame]
    missing = shown.max(initial=0) + 1 - len(splits.train)
    if missing > 0 and splits.canaries is not None:
        frames += [splits.canaries.frame] * -(-missing // len(splits.canaries))  # as often as any prompt saw them
    learnt = pd.concat(frames, ignore_index=True)
    if len(learnt) < 2 * shown.shape[1]:
        raise DataError(f"{len(learnt)} training rows leave no {shown.shape[1]} others to compare with a prompt's")
    return learnt


def _codes(train: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Either frame's values as numbers, column by column, equal for equal values: (rows, columns)."""
    both = pd.concat([train[names], rows[names]], ignore_index=True)
    codes = [pd.factorize(both[name], use_na_sentinel=False)[0] for name in names]
    stacked = np.column_stack(codes).astype(np.int64)
    return stacked[: len(train)], stacked[len(train) :]


def _numbered(train: NDArray[np.int64], answers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole rows as one number each, equal for equal rows: (rows, 1)."""
    numbers = np.unique(np.vstack([train, answers]), axis=0, return_inverse=True)[1].reshape(-1, 1)
    return numbers[: len(train)], numbers[len(train) :]


def _held(train: NDArray[np.int64], answers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 where a row of the prompt has the answer's value in the same column, else 0: (n, columns)."""
    return (_equal(train, answers, shown) > 0).astype(np.float64)


def _chance(train: NDArray[np.int64], answers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability that k training rows drawn from outside of the prompt hold the answer's value, (n, columns).

    Hypergeometric: 1 - (others without it choose k) / (others choose k).
    """
    outside = np.empty(answers.shape)
    for column in range(answers.shape[1]):
        counts = np.bincount(train[:, column], minlength=answers[:, column].max(initial=0) + 1)
        outside[:, column] = counts[answers[:, column]]
    outside -= _equal(train, answers, shown)
    others, none = len(train) - shown.shape[1], np.ones(answers.shape)
    for drawn in range(shown.shape[1]):
        none *= np.maximum(others - outside - drawn, 0) / (others - drawn)
    return 1 - none


def _equal(train: NDArray[np.int64], answers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows of the prompt have the answer's value in the same column, (n, columns)."""
    found = np.empty(answers.shape, dtype=np.int64)
    block = max(CELLS_AT_A_TIME // max(shown.shape[1] * answers.shape[1], 1), 1)
    for start in range(0, len(answers), block):
        part = slice(start, start + block)
        found[part] = (train[shown[part]] == answers[part, None, :]).sum(axis=1)
    return found


def _exact_interval(share: float, trials: int, confidence: float) -> NDArray[np.float64]:
    """Clopper and Pearson's interval of a share among so many trials; the number of successes may be broken."""
    from scipy.stats import beta

    tail, successes = (1 - confidence) / 2, share * trials
    low = beta.ppf(tail, successes, trials - successes + 1) if share > 0 else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if share < 1 else 1.0
    return np.array([low, high])
