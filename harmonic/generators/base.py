"""What every generator offers: prepare, fit, load, sample; a language generator also scores rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.generators.rejection import draw_by_rejection
from harmonic.generators.sample import Sample
from harmonic.tables.conditions import Conditions
from harmonic.tables.splits import Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Of the code behind each stage of a generator.

    A number is raised by whoever changes what that stage makes of the same inputs: results of the older code are then
    computed anew, and those of the stages before are kept.
    """

    prompts: int = 1
    fit: int = 1
    sample: int = 1


class Generator(ABC):
    """Learns from the training rows, then draws new ones.

    Constructors only store their arguments. `fit` writes what it has learnt into `directory`; `load` reads it
    back, in this process or a later one, and comes before `sample`. One that `takes_gaps` is given tables with
    missing values, dates, or no target as they are; the others get imputed ones (harmonic.tables.missing_values).
    One that `gives_real_rows`, as an anchor of the measures does, gives them as they are, whatever rules they break.
    """

    takes_gaps: ClassVar[bool] = False
    gives_real_rows: ClassVar[bool] = False
    versions: ClassVar[Versions] = Versions()

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:  # noqa: B027 (optional)
        """Write what `fit` and `sample` will read, such as prompts. Nothing, unless overridden."""

    @abstractmethod
    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Learn from `splits.train` and its schema alone; write the learnt state into `directory`.

        Returns facts for the report, such as {"tokens_per_s": …}; may be empty.
        """

    @abstractmethod
    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Restore what `fit` wrote."""

    @abstractmethod
    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw exactly n rows. `directory` is for progress that survives a kill.

        Raises SamplingError when n rows cannot be had.
        """

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """Draw exactly n rows that satisfy the conditions, beyond those of `sample`.

        By rejection, unless overridden: at most `budget` rows are drawn (None: 100 for each one wanted). Raises
        SamplingError where they do not suffice.
        """
        if not conditions:
            return self.sample(n, seed=seed, directory=directory)
        return draw_by_rejection(self.sample, n, seed=seed, directory=directory, conditions=conditions, budget=budget)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """Positions of the training rows that `fit` uses, of so many: ascending. All, unless overridden.

        `directory` is where `fit` wrote what it has learnt; `load` need not come before.
        """
        return np.arange(rows)

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        """What `fit` and `sample` will take, in words, from what `prepare` wrote. Nothing, unless overridden."""
        return []


class LanguageGenerator(Generator):
    """A generator whose model gives a row's text a likelihood.

    `history`, where it is set, receives points of the tuning as they come: ({"train/loss": …}, step).
    """

    history: Callable[[dict[str, float], int], None] | None = None

    @abstractmethod
    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Negative log-likelihood of each row under the fitted model: (n,), nats per token.

        Rows conform to `Splits.whole_schema`: they may hold what no training row has, and have a finite value still.
        """

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        """Negative log-likelihood of each token of each row: (tokens,) a row, nats; None where it cannot be had.

        `base`: under the model that the fitted one was tuned from. None, unless overridden.
        """
        return None

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        """The training rows that the prompt of each of the first n sampled rows shows: (n, k) positions.

        From what `prepare` wrote; `load` need not come before. None, as here, where prompts show no training rows.
        """
        return None

    def unload(self) -> None:
        """Give the model's memory back; `load` restores it. Nothing, unless overridden."""
