"""Which rows sampling prompts show: random rows, the neighbours of a row, or none (paper, section 3.3, and beyond).

The shown rows decide how useful the new rows are, and how much they leak. The paper shows random rows. The neighbours
of a row, without the row itself, say most about how such a row looks; each row of the table is the centre in turn.
`synthetic` shows neighbours among rows drawn before (harmonic.method.second_round), so that prompts show no real row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.published_rows import published_rows
from harmonic.randomness import derive
from harmonic.tables.table import Table

Context = Literal["random", "neighbors", "synthetic", "none"]

Nearest = NDArray[np.int64] | Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""The neighbours of every row, (n, k) positions, or a function that finds them for the rows at some positions."""

_REDRAWS = 1000
_PARTS = 10  # of the rows, in the order of a numeric target


class RandomRows:
    """k random rows per prompt, never the same set as in a tuning prompt of `exclude`.

    rows: positions of the rows that may be shown. Prompt i depends on (seed, i), the rows and `exclude`, not on the
    number of prompts. With the metric "reference", rows are chosen as in the published code
    (harmonic.prompts.published_rows). among: positions of rows to show before any others; if there are fewer than k,
    others are added.
    """

    def __init__(
        self, rows: NDArray[np.int64], k: int, seed: int, *, metric: Metric = "mixed", exclude: Iterable[Prompt] = (),
        among: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        self.rows, self.k, self.seed, self.metric, self.among = rows, k, seed, metric, among
        self._taken = {_set_of(prompt.rows) for prompt in exclude}

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, (k,), and the generator for its further draws.

        Raises ConfigError if no new set of rows is found.
        """
        generator = np.random.default_rng(derive(self.seed, "random context", place))
        draws: Iterator[NDArray[np.int64]] = self._draws(generator)
        if self.metric == "reference" and self.among is None:
            draws = chain([published_rows(self.rows, self.k, self.seed, place)], draws)
        for rows in draws:
            if _set_of(rows) not in self._taken:
                return rows, generator
        problem = f"tuning prompts already show nearly every set of {self.k} of the {len(self.rows)} training rows"
        raise ConfigError("generator.neighbors.k", self.k, problem, "lower it, or use more training rows")

    def expect(self, places: range) -> None:
        """Do nothing: no prompt needs anything."""

    def center(self, place: int) -> None:
        """None: there is no central row."""

    def _draws(self, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """New random sets of k rows: from `among` as far as possible, and finally from all rows."""
        if self.among is not None:
            others = np.setdiff1d(self.rows, self.among)
            for _ in range(_REDRAWS if len(self.among) else 0):
                first = generator.choice(self.among, size=min(self.k, len(self.among)), replace=False)
                rest = generator.choice(others, size=self.k - len(first), replace=False)
                yield generator.permutation(np.concatenate([first, rest]))
        for _ in range(_REDRAWS):
            yield generator.choice(self.rows, size=self.k, replace=False)


def _set_of(rows: Sequence[int] | NDArray[np.int64]) -> bytes:
    """The same for the same rows in any order; a tenth of the memory of a frozenset."""
    return np.sort(np.asarray(rows, dtype=np.int64)).tobytes()


def near(nearest: Nearest, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The neighbours of the rows at these positions, (m, k)."""
    return nearest[rows] if isinstance(nearest, np.ndarray) else nearest(rows)


def spread(
    places: NDArray[np.int64], groups: NDArray[np.int64] | None, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The places in a random order, with the members of each group evenly far apart. groups: of each place, by place.

    So every part of the order has members of all groups in their shares.
    """
    order = generator.permutation(places)
    if groups is None:
        return order
    own = pd.Series(groups[order])
    sizes = own.groupby(own).transform("size").to_numpy()
    start = pd.Series(generator.random(len(order))).groupby(own).transform("first").to_numpy()
    return order[np.argsort((own.groupby(own).cumcount().to_numpy() + start) / sizes, kind="stable")]


class NeighborRows:
    """k of the nearest rows of a central row, in random order, without the row itself.

    nearest: (n, k) positions, or more columns, of which k are drawn; or a function that finds them for the rows at some
    positions, for which `expect` must be called first. Each row is the centre once, in a seeded order, before any row
    is a second time. centers: positions of possible centres (None: all). weights: how often each is the
    centre, instead of equally often. groups: the number of each row's group, (n,); each part of a turn has centres of
    all groups in their shares.
    """

    def __init__(
        self, nearest: Nearest, k: int, seed: int, *, centers: NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None, groups: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        self.nearest, self.k, self.seed, self.weights, self.groups = nearest, k, seed, weights, groups
        self.centers: NDArray[np.int64] = _all(nearest) if centers is None else centers
        self._turns: dict[int, NDArray[np.int64]] = {}
        self._found: dict[int, NDArray[np.int64]] = {}

    def expect(self, places: range) -> None:
        """Find the neighbours for the prompts with these numbers, and forget others; nothing if they are known."""
        if isinstance(self.nearest, np.ndarray):
            return
        centers = {self.center(place) for place in places}
        if not centers <= self._found.keys():
            ordered = np.array(sorted(centers))
            self._found = dict(zip(ordered.tolist(), near(self.nearest, ordered), strict=True))

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, (k,), and the generator for its further draws."""
        generator = np.random.default_rng(derive(self.seed, "neighbor context", place))
        center = self.center(place)
        found = self.nearest[center] if isinstance(self.nearest, np.ndarray) else self._found[center]
        return generator.permutation(found)[: self.k], generator

    def center(self, place: int) -> int:
        """The central row of prompt number `place`."""
        turn, within = divmod(place, len(self.centers))
        if turn not in self._turns:
            generator = np.random.default_rng(derive(self.seed, "centers", turn))
            self._turns[turn] = self._order(generator)
        return int(self.centers[self._turns[turn][within]])

    def _order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """The centres of a turn: each once, or as often as its weight says, rounded to a whole number."""
        count = len(self.centers)
        if self.weights is None:
            return self._spread(np.arange(count), generator)
        # Systematic sampling: a row of weight w comes floor(w) or ceil(w) times in a turn.
        shuffled = generator.permutation(count)
        edges = np.cumsum(self.weights[shuffled]) / self.weights.sum() * count
        points = np.arange(count) + generator.random()
        return self._spread(shuffled[np.minimum(np.searchsorted(edges, points), count - 1)], generator)

    def _spread(self, centers: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """The centres in a random order, with the rows of each group evenly far apart."""
        return spread(centers, None if self.groups is None else self.groups[self.centers], generator)


def _all(nearest: Nearest) -> NDArray[np.int64]:
    """The positions of all rows, where the neighbours of all are known."""
    assert isinstance(nearest, np.ndarray)
    return np.arange(len(nearest))


class NoRows:
    """Prompts show no rows: the model uses only what it has learnt."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def expect(self, places: range) -> None:
        """Do nothing: no prompt needs anything."""

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """No rows, and the generator for the prompt's further draws."""
        return np.zeros(0, dtype=np.int64), np.random.default_rng(derive(self.seed, "no context", place))

    def center(self, place: int) -> None:
        """None: there is no central row."""


class Contexts(Protocol):
    """Chooses the rows that prompts show."""

    def expect(self, places: range) -> None:
        """Get ready for the prompts with these numbers."""

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, and the generator for its further draws."""

    def center(self, place: int) -> int | None:
        """The central row of prompt number `place`; None if there is none."""


def target_groups(table: Table) -> NDArray[np.int64] | None:
    """Each row's group by its target, (n,): its label, or its tenth of the rows in order; None without a target."""
    if not table.schema.has_target:
        return None
    codes, labels = pd.factorize(table.target, sort=True, use_na_sentinel=False)
    if table.schema.task.is_classification or len(labels) <= _PARTS:
        return codes.astype(np.int64)
    place = np.empty(len(codes), dtype=np.int64)
    place[np.argsort(codes, kind="stable")] = np.arange(len(codes))
    return place * _PARTS // len(codes)
