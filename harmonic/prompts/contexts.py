"""Which rows sampling prompts show: rows at random, the neighbours of a row, or none (paper, section 3.3, and beyond).

What a prompt shows decides between use and leak. Random rows are the paper's. The neighbours of a row, that row left
out, say most about what a row there looks like; each row of the table takes its turn as the centre. `synthetic` shows
neighbours among rows drawn before (harmonic.method.second_round), so that no real row stands in a prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

_REDRAWS = 1000
_PARTS = 10  # of the rows, in the order of a numeric target


class RandomRows:
    """k random rows a prompt, never the set of rows that a tuning prompt shows.

    rows: positions of those that may be shown. Prompt i depends on (seed, i), these and `exclude`, never on how many
    there are. With metric "reference" the draw is the published one (harmonic.prompts.published_rows).
    among: positions of rows to show before any others; where they are fewer than k, others join them.
    """

    def __init__(
        self, rows: NDArray[np.int64], k: int, seed: int, *, metric: Metric = "mixed", exclude: Iterable[Prompt] = (),
        among: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        self.rows, self.k, self.seed, self.metric, self.among = rows, k, seed, metric, among
        self._taken = {frozenset(prompt.rows) for prompt in exclude}

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, (k,), and what its further draws come from.

        Raises ConfigError where no new set of rows is found.
        """
        generator = np.random.default_rng(derive(self.seed, "random context", place))
        draws: Iterator[NDArray[np.int64]] = self._draws(generator)
        if self.metric == "reference" and self.among is None:
            draws = chain([published_rows(self.rows, self.k, self.seed, place)], draws)
        for rows in draws:
            if frozenset(rows.tolist()) not in self._taken:
                return rows, generator
        problem = f"of {len(self.rows)} training rows, nearly every set of {self.k} is shown by a tuning prompt already"
        raise ConfigError("generator.neighbors.k", self.k, problem, "lower it, or use more training rows")

    def center(self, place: int) -> None:
        """There is no row at the centre."""

    def _draws(self, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Sets of k rows to show, each drawn anew: of `among` as many as there are, and in the end of all rows."""
        if self.among is not None:
            others = np.setdiff1d(self.rows, self.among)
            for _ in range(_REDRAWS if len(self.among) else 0):
                first = generator.choice(self.among, size=min(self.k, len(self.among)), replace=False)
                rest = generator.choice(others, size=self.k - len(first), replace=False)
                yield generator.permutation(np.concatenate([first, rest]))
        for _ in range(_REDRAWS):
            yield generator.choice(self.rows, size=self.k, replace=False)


class NeighborRows:
    """k of the nearest rows of a row, in random order; the row itself is not shown.

    nearest: (n, k) positions, or more: then k of them are drawn. Rows take turns as the centre: in a seeded order, none
    a second time before all have had their first. centers: positions that may be one (None: all); weights: how often
    each is one, instead of turns. groups: a number for each row, (n,); each part of a turn has centres of all groups in
    their shares.
    """

    def __init__(
        self, nearest: NDArray[np.int64], k: int, seed: int, *, centers: NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None, groups: NDArray[np.int64] | None = None,
    ) -> None:  # fmt: skip
        self.nearest, self.k, self.seed, self.weights, self.groups = nearest, k, seed, weights, groups
        self.centers = np.arange(len(nearest)) if centers is None else centers
        self._turns: dict[int, NDArray[np.int64]] = {}

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, (k,), and what its further draws come from."""
        generator = np.random.default_rng(derive(self.seed, "neighbor context", place))
        return generator.permutation(self.nearest[self.center(place)])[: self.k], generator

    def center(self, place: int) -> int:
        """The row around which prompt number `place` shows rows."""
        turn, within = divmod(place, len(self.centers))
        if turn not in self._turns:
            generator = np.random.default_rng(derive(self.seed, "centers", turn))
            self._turns[turn] = self._order(generator)
        return int(self.centers[self._turns[turn][within]])

    def _order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """The centres of a turn: each once; with weights, as often as its weight says, to the nearest whole number."""
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
        order = generator.permutation(centers)
        if self.groups is None:
            return order
        groups = pd.Series(self.groups[self.centers[order]])
        sizes = groups.groupby(groups).transform("size").to_numpy()
        start = pd.Series(generator.random(len(order))).groupby(groups).transform("first").to_numpy()
        return order[np.argsort((groups.groupby(groups).cumcount().to_numpy() + start) / sizes, kind="stable")]


class NoRows:
    """Nothing is shown: a row is drawn from what the model has learnt alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """No rows, and what the prompt's further draws come from."""
        return np.zeros(0, dtype=np.int64), np.random.default_rng(derive(self.seed, "no context", place))

    def center(self, place: int) -> None:
        """There is no row at the centre."""


class Contexts(Protocol):
    """Chooses what prompts show."""

    def shown(self, place: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """The rows that prompt number `place` shows, and what its further draws come from."""

    def center(self, place: int) -> int | None:
        """The row around which prompt number `place` shows rows; None if there is none."""


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
