"""The interface of evaluators: they read the splits and the synthetic rows, and return named numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, unknown
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

Scorer = Callable[[pd.DataFrame], NDArray[np.float64]]
"""A function from rows to their negative log-likelihoods, (n,), nats per token: `LanguageGenerator.nll`."""


@dataclass(frozen=True, slots=True)
class TokenScorer:
    """A Scorer that also gives the likelihood of each token, and the training rows that the prompts showed.

    `rows` is the Scorer. `tokens` gives, for each row, the negative log-likelihoods of its tokens in nats, under the
    tuned model, or (second argument True) under the base model that it was tuned from; None if the generator cannot
    give them: `LanguageGenerator.token_nll`. `shown` gives, for each of the first n synthetic rows, the training rows
    that its prompt showed, (n, k) positions in the table; None if the prompts show no rows: `LanguageGenerator.shown`.
    """

    rows: Scorer
    tokens: Callable[[pd.DataFrame, bool], list[NDArray[np.float64]] | None]
    shown: Callable[[int], NDArray[np.int64] | None] = lambda n: None

    def __call__(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.rows(rows)

    def after(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> TokenScorer:
        """A scorer for rows in another form: `change` turns them into the form that the generator knows."""
        return TokenScorer(
            lambda rows: self.rows(change(rows)), lambda rows, base: self.tokens(change(rows), base), self.shown
        )


@dataclass(frozen=True, slots=True)
class Refit:
    """The run's generator, ready to be fitted to other rows.

    `draw` takes training rows, the number of rows to draw, and a seed. It fits a copy of the generator to these rows
    and draws from it; the run's own generator does not change. `seconds`: how long fitting and drawing took in the
    run, to estimate how long it takes many times.
    """

    draw: Callable[[Table, int, int], Table]
    seconds: float

    def between(self, before: Callable[[Table], Table], after: Callable[[Table], Table]) -> Refit:
        """A refit for rows in another form: `before` turns training rows into the known form, `after` turns back."""
        return Refit(lambda train, n, seed: after(self.draw(before(train), n, seed)), self.seconds)


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a metric is shown.

    `table`: "main", "fidelity" or "privacy", the tables of a report; "summary", the metrics at the end of a run;
    "card", the rows of a privacy card; "cards", the table of several cards. `title`: of the column. `place`: columns
    are in the order of these numbers; those without one come last. `interval`: <metric>/low and <metric>/high are
    shown, too. `noted`: a value that has a note is marked, and the note is below the table. `ablated`: the column is
    in the tables of ablations, too; those of "main" always are.

    Metrics with the same title share a column, which shows the one that ends with the dataset's headline score.
    """

    table: Literal["main", "fidelity", "privacy", "summary", "card", "cards"]
    title: str = ""
    place: int = 1000
    interval: bool = False
    noted: bool = False
    ablated: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's direction and range, and where it is shown, declared beside the code that computes it.

    `name` may have `*` for one part of the path: "mle/*/f1_macro". `higher_is_better` is None if neither end is good:
    the ideal is between them, or the number only describes.
    """

    name: str
    higher_is_better: bool | None
    minimum: float = float("-inf")
    maximum: float = float("inf")
    ideal: float | None = None
    meaning: str = ""
    shown: tuple[Shown, ...] = ()


class Measures(dict[str, float]):
    """Flat {metric: value}. `reasons` says why a value is NaN, `notes` explains values, `series` has plot data."""

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

    With `takes_gaps` an evaluator gets tables with missing values and dates in them; without it, they are imputed
    first (harmonic.tables.missing_values). With `needs_target` it is left out for tables without a target.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    version: ClassVar[int]
    """Version of the evaluator's code. Raise it when the same rows get other numbers. Each class has its own."""
    takes_gaps: ClassVar[bool] = False
    needs_target: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Measure `synthetic` against `splits`.

        `scorer` is the `nll` of the fitted language generator; None for other generators. A metric that cannot be
        computed is NaN, with a reason. Bad synthetic data never raises an error.
        """


class RefittingEvaluator(Evaluator):
    """An evaluator that also fits the generator to other rows, with the `refit` that its caller passes."""

    @abstractmethod
    def evaluate(
        self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None, refit: Refit | None = None
    ) -> Measures:
        """As `Evaluator.evaluate`. `refit` None: the generator cannot be fitted again."""


def check_names(key: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Raise ConfigError if a name is unknown, or if there is none. `key`: their setting, "….attacks"."""
    kind = key.rpartition(".")[2].removesuffix("s")
    choices = list(known)
    if not names:
        raise ConfigError(key, names, f"is empty: at least one {kind} is needed", f"choose from {', '.join(choices)}")
    for name in names:
        if name not in choices:
            raise unknown(key, name, kind, choices)


def check_confidence(key: str, confidence: float) -> None:
    """Raise ConfigError for the setting `key`.confidence if it is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ConfigError(f"{key}.confidence", confidence, "must be between 0 and 1", f"{key}.confidence=0.95")
