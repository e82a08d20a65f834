"""What the generator is asked for: one value of one column; and the real rows that have it.

Training by sampling: CTGAN (arXiv 1907.00503), section 4.3; the modes of continuous and mixed columns take part since
CTAB-GAN (arXiv 2102.08369, section 3.3). Own code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Conditions:
    """Draws what to ask for.

    counts: per selector (one-hot part of an encoded row) how many training rows took each option. Options are numbered
    through all selectors; a condition vector holds them all, with a 1 at the one asked for. Where there is no
    selector, it has width 0 and asks for nothing.
    """

    counts: list[list[int]]

    @classmethod
    def of(cls, rows: NDArray[np.float32], selectors: list[slice]) -> Conditions:
        """Count the options of encoded rows, (n, width)."""
        return cls([np.count_nonzero(rows[:, selector], axis=0).tolist() for selector in selectors])

    @property
    def width(self) -> int:
        return sum(len(counts) for counts in self.counts)

    def draw(self, n: int, random: np.random.Generator, *, logarithmic: bool) -> Integers:
        """Options, (n,): first a selector, all alike, then an option of it. Needs a selector.

        An option's probability goes with its count or, in training, with log(1 + count): so rare ones are seen too.
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
        """Condition vectors by the training rows' own shares, (n, width)."""
        if not self.counts:
            return np.zeros((n, 0), dtype=np.float32)
        return self.vectors(self.draw(n, random, logarithmic=False))


@dataclass(frozen=True)
class TrainingSampler:
    """Draws conditions, and real rows that meet them. `order`: the rows' positions, option after option."""

    conditions: Conditions
    order: Integers

    @classmethod
    def of(cls, rows: NDArray[np.float32], selectors: list[slice]) -> TrainingSampler:
        """From the encoded training rows, (n, width)."""
        order = [np.nonzero(rows[:, selector].T)[1] for selector in selectors] or [np.arange(len(rows))]
        return cls(Conditions.of(rows, selectors), np.concatenate(order))

    def draw(self, n: int, random: np.random.Generator) -> tuple[NDArray[np.float32], Integers, Integers]:
        """Condition vectors (n, width), their options (n,), and for each a row that has it, (n,) positions."""
        if not self.conditions.counts:
            nothing = np.zeros((n, 0), dtype=np.float32)
            return nothing, np.zeros(n, dtype=np.int64), random.integers(len(self.order), size=n)
        options = self.conditions.draw(n, random, logarithmic=True)
        counts = np.concatenate(self.conditions.counts)
        starts = np.cumsum(counts) - counts
        places = starts[options] + (random.random(n) * counts[options]).astype(np.int64)
        return self.conditions.vectors(options), options, self.order[places]
