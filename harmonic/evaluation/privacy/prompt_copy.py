"""Does the generator repeat the rows that its prompts show? Copies of a prompt's own rows, compared with chance.

If a prompt shows training rows and the model repeats one, the synthetic table contains it, even if the model itself
remembers nothing. HARMONIC's prompts (arXiv 2408.02927, section 3.3) show k random training rows. The same count
against the other training rows shows how many copies to expect by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown, TokenScorer, check_confidence
from harmonic.evaluation.comparison.encoding import usable_rows
from harmonic.randomness import derive
from harmonic.settings import Between, Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

CELLS_AT_A_TIME = 1 << 22
"""Cells of prompts in memory at once."""


_SHOWN = (Shown("privacy", "prompt copy", 80), Shown("cards", "prompt copies", 70), Shown("summary", place=110))


@dataclass(frozen=True, slots=True)
class PromptCopy(Evaluator):
    """Share of synthetic rows, and of numeric cells, that are in their own prompt, minus the share by chance.

    A row is in the prompt if one of the prompt's rows equals it in every column; a cell, if one of them has the same
    number in the same column (missing values are no numbers). Chance is the exact probability that k random training
    rows outside the prompt contain it; it is high in a table with few different values.

    Intervals are at `confidence`; a prompt and all rows from it are one observation. For rows: Clopper and Pearson's
    interval of the share, with chance taken as known. For cells: the percentile bootstrap over `resamples` draws, or
    Clopper and Pearson's if all cells were copied, or none, since the bootstrap then has no width.
    """

    confidence: Between = 0.95
    resamples: Count = 1000

    version: ClassVar[int] = 1
    takes_gaps: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "prompt_copy/rows", False, -1, 1, 0, shown=_SHOWN,
            meaning="share of rows that equal a row of their prompt, minus chance",
        ),
        Metric("prompt_copy/rows/low", None, -1, 1, meaning="lower end of the interval of prompt_copy/rows"),
        Metric("prompt_copy/rows/high", None, -1, 1, meaning="upper end of the interval of prompt_copy/rows"),
        Metric(
            "prompt_copy/cells", False, -1, 1, 0, shown=(Shown("privacy", "prompt numbers", 90),),
            meaning="share of numbers that are in their prompt's rows, minus chance",
        ),
        Metric("prompt_copy/cells/low", None, -1, 1, meaning="lower end of the interval of prompt_copy/cells"),
        Metric("prompt_copy/cells/high", None, -1, 1, meaning="upper end of the interval of prompt_copy/cells"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare each row of `synthetic` with the training rows that `scorer.shown` names for it.

        `notes` give each share and the share by chance. Raises ConfigError if a setting is invalid.
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
        """Record how much `held` exceeds `chance`, (n, columns); NaN where there is nothing to compare."""
        name = f"prompt_copy/{name}"
        counted = np.bincount(prompts, np.isfinite(held).sum(axis=1)).astype(np.float64)
        if counted.sum() == 0:
            for key in (name, f"{name}/low", f"{name}/high"):
                measures.unavailable(key, "there are no numbers in the synthetic rows")
            return
        copied, expected = (np.bincount(prompts, np.nansum(part, axis=1)).astype(np.float64) for part in (held, chance))
        share, by_chance = copied.sum() / counted.sum(), expected.sum() / counted.sum()
        low, high = _exact_interval(share, int((counted > 0).sum()), self.confidence) - by_chance
        if held.shape[1] > 1 and 0 < share < 1:  # otherwise each row is one yes or no, or all are alike
            low, high = self._bootstrap_interval(copied - expected, counted, seed)
        measures[name] = float(share - by_chance)
        measures[f"{name}/low"], measures[f"{name}/high"] = max(float(low), -1.0), min(float(high), 1.0)
        measures.notes[name] = f"{share:.2%} equal, {by_chance:.2%} by chance"

    def _bootstrap_interval(
        self, excess: NDArray[np.float64], counted: NDArray[np.float64], seed: int
    ) -> NDArray[np.float64]:
        """Interval of the total excess over the total count; prompts are resampled."""
        generator = np.random.default_rng(derive(seed, "prompt_copy"))
        drawn = np.empty(self.resamples)
        for draw in range(self.resamples):
            chosen = generator.integers(len(excess), size=len(excess))
            drawn[draw] = excess[chosen].sum() / max(counted[chosen].sum(), 1)
        return np.quantile(drawn, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])


def _shown(scorer: Scorer | None, n: int) -> NDArray[np.int64]:
    """The training rows in each row's prompt, (n, k). Raises DataError if there are none."""
    shown = scorer.shown(n) if isinstance(scorer, TokenScorer) else None
    if shown is None:
        raise DataError("needs a generator with prompts that show training rows: this one has no such prompts")
    if shown.shape[1] == 0:
        raise DataError("the prompts do not say which training rows they show: prepare them again")
    return shown


def _learnt(splits: Splits, shown: NDArray[np.int64]) -> pd.DataFrame:
    """The rows that prompts were made of: the training rows, followed by planted rows.

    Raises DataError if a prompt shows more than half of them.
    """
    frames = [splits.train.frame]
    missing = shown.max(initial=0) + 1 - len(splits.train)
    if missing > 0 and splits.canaries is not None:
        frames += [splits.canaries.frame] * -(-missing // len(splits.canaries))  # as often as prompts show them
    learnt = pd.concat(frames, ignore_index=True)
    if len(learnt) < 2 * shown.shape[1]:
        raise DataError(f"{len(learnt)} training rows are too few: a prompt shows {shown.shape[1]} of them")
    return learnt


def _codes(train: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of both frames as numbers, equal for equal values of a column: (rows, columns) each."""
    both = pd.concat([train[names], rows[names]], ignore_index=True)
    codes = [pd.factorize(both[name], use_na_sentinel=False)[0] for name in names]
    stacked = np.column_stack(codes).astype(np.int64)
    return stacked[: len(train)], stacked[len(train) :]


def _numbered(train: NDArray[np.int64], answers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole rows as one number each, equal for equal rows: (rows, 1) each."""
    numbers = np.unique(np.vstack([train, answers]), axis=0, return_inverse=True)[1].reshape(-1, 1)
    return numbers[: len(train)], numbers[len(train) :]


def _held(train: NDArray[np.int64], answers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 if a row of the prompt has the answer's value in the same column, else 0: (n, columns)."""
    return (_equal(train, answers, shown) > 0).astype(np.float64)


def _chance(train: NDArray[np.int64], answers: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability that k random training rows outside the prompt have the answer's value, (n, columns).

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
    """Clopper and Pearson's interval of a share of `trials`; the number of successes need not be whole."""
    from scipy.stats import beta

    tail, successes = (1 - confidence) / 2, share * trials
    low = beta.ppf(tail, successes, trials - successes + 1) if share > 0 else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if share < 1 else 1.0
    return np.array([low, high])
