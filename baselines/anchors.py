"""Sanity anchors: rows with known scores. If an anchor gets another score, a metric is broken.

`real` and `copy` are the training rows themselves: the highest utility, and the worst privacy. `holdout` are fresh real
rows that no generator, attacker or test has seen: the scores of rows that reveal nothing. `marginals` keeps every
column and breaks all relations between columns: the lowest utility.

This is our own code. Nothing is learnt and nothing is written: the rows come from the splits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import unknown
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.randomness import derive
from harmonic.tables.splits import Splits

logger = logging.getLogger(__name__)


def shuffled(rows: int, n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Positions of n out of `rows` rows, (n,), in random order; no row comes twice before each has come once."""
    rounds = -(-n // rows)
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:n]


@dataclass(kw_only=True)
class RealRows(Generator):
    """Real rows instead of synthetic ones. rows: "train" or "holdout".

    If there are at least n rows, each comes at most once. Else they repeat equally often (up to one), with a warning:
    the holdout is half of the validation rows, and often smaller than n.
    """

    gives_real_rows: ClassVar[bool] = True
    versions: ClassVar[Versions] = Versions(sample=2)

    rows: str = "train"

    SOURCES: ClassVar[tuple[str, ...]] = ("train", "holdout")

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Keep the rows. Raises ConfigError for an unknown `rows`."""
        self.load(splits, prepared=prepared, directory=directory)
        return {}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        if self.rows not in self.SOURCES:
            raise unknown("generator.rows", self.rows, "part of the data", self.SOURCES)
        self._table = splits.train if self.rows == "train" else splits.holdout

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """The rows in an order drawn from `seed`."""
        if n > len(self._table):
            logger.warning("%s has %d rows, %d are asked for: rows repeat", self.rows, len(self._table), n)
        positions = shuffled(len(self._table), n, np.random.default_rng(derive(seed, self.rows)))
        return Sample(self._table.take(positions).frame)


@dataclass(kw_only=True)
class Marginals(Generator):
    """Each column of the training rows, shuffled separately: true marginals, independent columns."""

    versions: ClassVar[Versions] = Versions()

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Keep the training rows."""
        self.load(splits, prepared=prepared, directory=directory)
        return {}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self._table = splits.train

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw every column without replacement; for more rows than training rows, in several rounds."""
        random = np.random.default_rng(derive(seed, "marginal"))
        frame = self._table.take(shuffled(len(self._table), n, random)).frame
        for column in self._table.schema.columns:
            values = self._table.frame[column.name].to_numpy()
            frame[column.name] = values[shuffled(len(values), n, random)]
        return Sample(frame)
