"""What an evaluator is: it reads the splits and the synthetic rows, and returns named numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, suggest
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

Scorer = Callable[[pd.DataFrame], NDArray[np.float64]]
"""Rows to their negative log-likelihoods, (n,), nats per token: `LanguageGenerator.nll`."""


@dataclass(frozen=True, slots=True)
class TokenScorer:
    """A Scorer that also takes a row's likelihood apart, and tells what the prompts showed.

    `rows` is the Scorer. `tokens` gives, for each row, the negative log-likelihoods of its tokens in nats, under
    the tuned model, or under the base model that it was tuned from; None where the generator has no such
    thing: `LanguageGenerator.token_nll`. `shown` gives, for each of the first n synthetic rows, the training rows
    that its prompt showed, (n, k) positions in the table; None without such prompts: `LanguageGenerator.shown`.
    """

    rows: Scorer
    tokens: Callable[[pd.DataFrame, bool], list[NDArray[np.float64]] | None]
    shown: Callable[[int], NDArray[np.int64] | None] = lambda n: None

    def __call__(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.rows(rows)

    def after(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> TokenScorer:
        """The same for rows that `change` turns into those that the generator knows."""
        return TokenScorer(
            lambda rows: self.rows(change(rows)), lambda rows, base: self.tokens(change(rows), base), self.shown
        )


@dataclass(frozen=True, slots=True)
class Refit:
    """The run's generator, ready to be fitted to other rows.

    `draw` takes training rows, the number of rows to draw and a seed, and gives rows of the generator fitted anew to
    these training rows; what the run itself has fitted stays as it is. `seconds`: what fitting and drawing took in
    the run, for who wants to do it often.
    """

    draw: Callable[[Table, int, int], Table]
    seconds: float

    def between(self, before: Callable[[Table], Table], after: Callable[[Table], Table]) -> Refit:
        """The same for training rows that `before` turns into those it knows; `after` turns its rows back."""
        return Refit(lambda train, n, seed: after(self.draw(before(train), n, seed)), self.seconds)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's direction and range, declared beside the code that computes it.

    `name` may hold `*` for one path segment: "mle/*/f1_macro". `higher_is_better` is None where
    neither end is good (the ideal lies between, or the number only describes).
    `table` and `column`: a report's table that has a column of it, "main", "fidelity" or "privacy", and the column's
    title; "" for none. (The columns of harmonic's own metrics, in their order: experiments/report/shown_metrics.py.)
    """

    name: str
    higher_is_better: bool | None
    minimum: float = float("-inf")
    maximum: float = float("inf")
    ideal: float | None = None
    meaning: str = ""
    table: str = ""
    column: str = ""


class Measures(dict[str, float]):
    """Flat {metric: value}. `reasons` says why a value is NaN, `notes` what else a reader of it wants to know.

    `series` holds arrays for plots.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.series: dict[str, NDArray[np.float64]] = {}

    def unavailable(self, name: str, reason: str) -> None:
        """Record that a metric could not be computed, and why."""
        self[name] = float("nan")
        self.reasons[name] = reason

    def merge(self, other: Measures) -> None:
        self.update(other)
        self.reasons.update(other.reasons)
        self.notes.update(other.notes)
        self.series.update(other.series)


class Evaluator(ABC):
    """Answers one question about a synthetic table. Constructors only store their arguments.

    One that `takes_gaps` is given tables with missing values and dates as they are; the others get imputed ones
    (harmonic.tables.missing_values). One that `needs_target` is not asked about a table without one.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    version: ClassVar[int]
    """Of the evaluator's code: raised by whoever changes what it makes of the same rows. Stands in its own class."""
    takes_gaps: ClassVar[bool] = False
    needs_target: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Measure `synthetic` against `splits`.

        `scorer` is the fitted language generator's `nll`, or None for other generators. A metric that
        cannot be computed is reported as NaN with its reason; bad synthetic data never raises.
        """


class RefittingEvaluator(Evaluator):
    """One that also fits the generator to other rows; who calls it hands it the means, `refit`."""

    @abstractmethod
    def evaluate(
        self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None, refit: Refit | None = None
    ) -> Measures:
        """As `Evaluator.evaluate`; `refit` None: the generator cannot be fitted anew."""


def check_names(key: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Raise ConfigError unless each of the names, one at least, is known. key: where they stand, "….attacks"."""
    kind = key.rpartition(".")[2].removesuffix("s")
    choices = list(known)
    if not names:
        raise ConfigError(key, names, f"names no {kind}", f"name some of {', '.join(choices)}")
    for name in names:
        if name not in choices:
            raise ConfigError(key, name, f"there is no such {kind}", suggest(name, choices))


def check_confidence(key: str, confidence: float) -> None:
    """Raise ConfigError, naming `key`.confidence, unless an interval can have this confidence."""
    if not 0 < confidence < 1:
        raise ConfigError(f"{key}.confidence", confidence, "must lie between 0 and 1", f"{key}.confidence=0.95")
