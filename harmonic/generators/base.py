"""The interface of every generator: prepare, fit, load, sample. A language generator also scores rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.generators.rejection import draw_by_rejection
from harmonic.generators.sample import Sample
from harmonic.progress import History
from harmonic.tables.conditions import Conditions
from harmonic.tables.splits import Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The version of the code of each stage of a generator.

    Raise a number if a change of the code gives other results for the same inputs. Results of the older code are then
    computed again, and those of earlier stages are kept.
    """

    prompts: int = 1
    fit: int = 1
    sample: int = 1


class Parts(Protocol):
    """Draws parts of a table of new rows, in any order."""

    def draw(self, rows: range, *, directory: Path) -> Sample:
        """The rows with these numbers. directory: for progress that survives a kill, one for each part."""

    def close(self) -> None:
        """Give back the memory of what draws them."""


class Generator(ABC):
    """Learns from the training rows, then draws new ones.

    Constructors only store their arguments. `fit` writes what it has learnt into `directory`. `load` reads it, in this
    process or a later one, and must come before `sample`. takes_gaps: the generator can handle tables with missing
    values, dates, or no target; other generators get imputed tables (harmonic.tables.missing_values). gives_real_rows:
    the generator returns real rows, as some anchors do, even if they break the rules of the table.
    """

    takes_gaps: ClassVar[bool] = False
    gives_real_rows: ClassVar[bool] = False
    versions: ClassVar[Versions] = Versions()

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:  # noqa: B027 (optional)
        """Write what `fit` and `sample` will read, such as prompts. By default nothing."""

    @abstractmethod
    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Learn from `splits.train` and its schema alone; write the learnt state into `directory`.

        Returns facts for the report, such as {"tokens_per_s": …}, possibly none.
        """

    @abstractmethod
    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read what `fit` wrote."""

    @abstractmethod
    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw exactly n rows. directory: for progress that survives a kill.

        Raises SamplingError if it cannot draw n rows.
        """

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """Draw exactly n rows that satisfy the conditions, in addition to those of `sample`.

        By default with rejection: at most `budget` rows are drawn (None: 100 for each wanted row, and at least 2,000).
        Raises SamplingError if they are not enough.
        """
        if not conditions:
            return self.sample(n, seed=seed, directory=directory)
        return draw_by_rejection(self.sample, n, seed=seed, directory=directory, conditions=conditions, budget=budget)

    def parts(self, *, seed: int, conditions: Conditions) -> Parts:
        """What draws any part of the rows that `draw` draws with this seed, so that several processes can share them.

        A generator that can only draw a whole table raises ConfigError, as here.
        """
        problem = f"{type(self).__name__} draws whole tables, and no parts of one"
        raise ConfigError("shards", "given", problem, "leave shards out, or use a run of generator=harmonic_dense")

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """Positions of the training rows that `fit` uses, in ascending order. By default all.

        rows: the number of training rows. directory: where `fit` wrote its state. `load` is not needed before.
        """
        return np.arange(rows)

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        """The time and memory that `fit` and `sample` will need, in words, by what `prepare` wrote. By default none."""
        return []


class LanguageGenerator(Generator):
    """A generator with a model that gives a likelihood to the text of a row.

    history: if it is set, it is called with each point of the tuning: ({"train/loss": …}, step).
    """

    history: History | None = None

    @abstractmethod
    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Negative log-likelihood of each row under the fitted model: (n,), nats per token.

        Rows conform to `Splits.whole_schema`: they may have values that no training row has. The result is always
        finite.
        """

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        """Negative log-likelihood of each token of each row: (tokens,) per row, nats; None if it is not available.

        base: under the model before tuning. By default None.
        """
        return None

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        """The training rows that the prompt of each of the first n sampled rows shows: (n, k) positions.

        Read from what `prepare` wrote; `load` is not needed before. None, as here, if prompts show no training rows.
        """
        return None

    def unload(self) -> None:
        """Free the model's memory; `load` restores it. By default nothing."""
