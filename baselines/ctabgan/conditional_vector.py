"""Condition vectors: one value of one column that the generator is asked for, and real rows with this value.

Training by sampling: CTGAN (arXiv 1907.00503), section 4.3; the modes of continuous and mixed columns take part since
CTAB-GAN (arXiv 2102.08369, section 3.3). Own code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ConditionVectors:
    """Draws condition vectors.

    counts: for each selector (one-hot part of an encoded row), how many training rows have each option. Options are
    numbered through all selectors. A condition vector has an entry for each option, with a 1 at the wanted one. Without
    a selector, it has the width 0 and asks for nothing.
    """

    counts: list[list[int]]

    @classmethod
    def of(cls, rows: NDArray[np.float32], selectors: list[slice]) -> ConditionVectors:
        """Count the options of encoded rows, (n, width)."""
        return cls([np.count_nonzero(rows[:, selector], axis=0).tolist() for selector in selectors])

    @property
    def width(self) -> int:
        return sum(len(counts) for counts in self.counts)

    def draw(self, n: int, random: np.random.Generator, *, logarithmic: bool) -> Integers:
        """Options, (n,): first a selector, with equal chances, then one of its options. Needs at least one selector.

        The probability of an option is proportional to its count or, in training, to log(1 + count), so that rare ones
        are seen, too.
        """
        weights = np.zeros((len(self.counts), max(len(counts) for counts in self.counts)))
        for selector, counts in enumerate(self.counts):
            weights[selector, : len(counts)] = np.log1p(counts) if logarithmic else counts
        bounds = weights.cumsum(axis=1)
        selected = random.integers(len(self.counts), size=n)
        drawn = random.random(n) * bounds[selected, -1]
        starts = np.cumsum([0, *(len(counts) for counts in self.counts)])
        return starts[selected] + (bounds[selected] <= drawn[:, None]).sum(axis=1)

    def vectors(self, options: Integers) -> NDArray[np.float32]:
        """(n,) options to (n, width) condition vectors."""
        encoded = np.zeros((len(options), self.width), dtype=np.float32)
        encoded[np.arange(len(options)), options] = 1
        return encoded

    def sampled(self, n: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Condition vectors by the shares of the training rows, (n, width)."""
        if not self.counts:
            return np.zeros((n, 0), dtype=np.float32)
        return self.vectors(self.draw(n, random, logarithmic=False))


@dataclass(frozen=True)
class TrainingSampler:
    """Draws condition vectors, and real rows that satisfy them. order: the positions of the rows, option by option."""

    conditions: ConditionVectors
    order: Integers

    @classmethod
    def of(cls, rows: NDArray[np.float32], selectors: list[slice]) -> TrainingSampler:
        """From the encoded training rows, (n, width)."""
        order = [np.nonzero(rows[:, selector].T)[1] for selector in selectors] or [np.arange(len(rows))]
        return cls(ConditionVectors.of(rows, selectors), np.concatenate(order))

    def draw(self, n: int, random: np.random.Generator) -> tuple[NDArray[np.float32], Integers, Integers]:
        """Condition vectors (n, width), their options (n,), and the position of a row with each option, (n,)."""
        if not self.conditions.counts:
            nothing = np.zeros((n, 0), dtype=np.float32)
            return nothing, np.zeros(n, dtype=np.int64), random.integers(len(self.order), size=n)
        options = self.conditions.draw(n, random, logarithmic=True)
        counts = np.concatenate(self.conditions.counts)
        starts = np.cumsum(counts) - counts
        places = starts[options] + (random.random(n) * counts[options]).astype(np.int64)
        return self.conditions.vectors(options), options, self.order[places]
