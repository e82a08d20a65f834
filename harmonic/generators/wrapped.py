"""A generator around another one: it gives it other tables than its own, and makes whole rows of the drawn ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.generators.base import Generator, LanguageGenerator, Parts
from harmonic.generators.sample import Sample
from harmonic.progress import History
from harmonic.tables.conditions import Conditions
from harmonic.tables.splits import Splits


@dataclass(frozen=True)
class RestoredParts:
    """Parts of the table that the generator within draws, as parts of the whole table."""

    inner: Parts
    restored: Callable[[Sample], Sample]

    def draw(self, rows: range, *, directory: Path) -> Sample:
        """The rows with these numbers."""
        return self.restored(self.inner.draw(rows, directory=directory))

    def close(self) -> None:
        """Give back the memory of what draws them."""
        self.inner.close()


class Wrapped(Generator):
    """Passes everything on to `generator`, the one within."""

    generator: Generator

    @abstractmethod
    def _given(self, splits: Splits) -> Splits:
        """The tables that the generator within learns."""

    @abstractmethod
    def _restored(self, sample: Sample) -> Sample:
        """Rows of the generator within as rows of the whole table."""

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        self.generator.prepare(self._given(splits), n, seed=seed, directory=directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        return self.generator.fit(self._given(splits), seed=seed, prepared=prepared, directory=directory)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self.generator.load(self._given(splits), prepared=prepared, directory=directory)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        return self._restored(self.generator.sample(n, seed=seed, directory=directory))

    def parts(self, *, seed: int, conditions: Conditions) -> Parts:
        return RestoredParts(self.generator.parts(seed=seed, conditions=conditions), self._restored)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        return self.generator.learnt_rows(rows, seed=seed, prepared=prepared, directory=directory)

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        return self.generator.estimate(self._given(splits), n, prepared=prepared)


class WrappedLanguage(Wrapped, LanguageGenerator):
    """The same for a language generator, which also scores rows."""

    generator: LanguageGenerator

    @abstractmethod
    def _scored(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of the whole table as rows that the generator within scores."""

    @property
    def history(self) -> History | None:
        return self.generator.history

    @history.setter
    def history(self, history: History | None) -> None:
        self.generator.history = history

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.generator.nll(self._scored(rows))

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        return self.generator.token_nll(self._scored(rows), base=base)

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        return self.generator.shown(n, prepared=prepared)

    def unload(self) -> None:
        self.generator.unload()
