"""A generator that cannot handle missing values, given tables without them; its rows get missing values again.

See harmonic.tables.missing_values for how values are imputed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.generators.base import Generator, LanguageGenerator
from harmonic.generators.sample import Sample
from harmonic.progress import History
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits


class Imputed(Generator):
    """A generator that is given imputed tables, and whose rows get missing values again. `imputed` makes one."""

    def __init__(self, generator: Generator, imputation: Imputation, whole: Imputation) -> None:
        """`imputation`: of the training rows. `whole`: the same for rows with values that no training row has."""
        self.generator, self.imputation, self.whole = generator, imputation, whole

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        self.generator.prepare(self._given(splits), n, seed=seed, directory=directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        return self.generator.fit(self._given(splits), seed=seed, prepared=prepared, directory=directory)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self.generator.load(self._given(splits), prepared=prepared, directory=directory)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        sample = self.generator.sample(n, seed=seed, directory=directory)
        return Sample(self.imputation.restore(sample.frame), sample.validity)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        return self.generator.learnt_rows(rows, seed=seed, prepared=prepared, directory=directory)

    def _given(self, splits: Splits) -> Splits:
        return replace(self.whole.splits(splits), train=self.imputation.table(splits.train, drawn=True))


class ImputedLanguage(Imputed, LanguageGenerator):
    """The same for a language generator, which also scores rows."""

    generator: LanguageGenerator

    @property
    def history(self) -> History | None:
        return self.generator.history

    @history.setter
    def history(self, history: History | None) -> None:
        self.generator.history = history

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.generator.nll(self.whole.frame(rows))

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        return self.generator.token_nll(self.whole.frame(rows), base=base)

    def unload(self) -> None:
        self.generator.unload()


def imputed(generator: Generator, splits: Splits) -> Generator:
    """The generator itself if it takes missing values, or the training rows have none; else one that imputes them."""
    imputation = Imputation.of(splits.train)
    if generator.takes_gaps or not imputation.needed:
        return generator
    kind = ImputedLanguage if isinstance(generator, LanguageGenerator) else Imputed
    return kind(generator, imputation, imputation.reaching(splits.whole_schema))
