"""PrivBayes: a Bayesian network, chosen and counted under differential privacy, and rows drawn from it.

Zhang, Cormode, Procopiuc, Srivastava, Xiao, ACM TODS 42(4), 2017, doi 10.1145/3134428: algorithms 2 and 4, the score R
for columns of many values, and theta-usefulness for how many cells a table of counts may have. Written from the paper.

synthcity 0.2.16's own plugin `privbayes` is not used, because its promise does not hold: it adds noise for shares to
counts, which is n times too little, and none to the combinations that no row has; it treats each distinct number as a
category; and it compares mutual information with a threshold without noise.

The guarantee: epsilon-differential privacy for one row replaced by another; the number of rows counts as known. A
share of the budget goes to choosing the network (the exponential mechanism), the rest to its counts (the Laplace
mechanism). Codes of values depend only on the schema, see domain.py.
The conditions are in conf/generator/privbayes.yaml.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from baselines.private_marginals.domain import Codes, Domain
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.settings import Between, Natural, Positive
from harmonic.tables.splits import Splits

Edge = tuple[int, tuple[int, ...]]
"""A column and its parents, by their positions."""

_NETWORK, _COUNTS = "network.json", "counts.npz"


@dataclass(kw_only=True)
class PrivBayesGenerator(Generator):
    """PrivBayes.

    epsilon: of the guarantee. bins: see Domain. degree: the most parents of a column. network_share: share of the
    budget for choosing the network. usefulness: how much larger a count should be than its noise, on average (theta in
    the paper); a column does not get parents that would make its counts smaller.
    """

    takes_gaps: ClassVar[bool] = (
        True  # missing values have a code: filling them from other rows would break the guarantee
    )
    versions: ClassVar[Versions] = Versions()

    epsilon: Positive = 1.0
    bins: Annotated[int, Ge(2)] = 16
    degree: Natural = 3
    network_share: Between = 0.3
    usefulness: Positive = 4.0

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Choose the network, count with noise, and keep both. Facts: the network's edges."""
        domain = Domain(splits.schema, self.bins)
        codes, sizes = domain.encode(splits.train.frame), domain.sizes
        random = np.random.default_rng(derive(seed, "privbayes"))
        with Progress("fit", len(sizes), "columns") as progress:
            network = _network(codes, sizes, self, random, progress)
        counts = _noisy_counts(codes, sizes, network, self.epsilon * (1 - self.network_share), random)
        (directory / _NETWORK).write_text(json.dumps(network), encoding="utf-8")
        np.savez(directory / _COUNTS, *counts)
        return {"edges": float(sum(len(parents) for _, parents in network))}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the network and its counts back."""
        self._domain = Domain(splits.schema, self.bins)
        found = json.loads((directory / _NETWORK).read_text(encoding="utf-8"))
        self._network: list[Edge] = [(column, tuple(parents)) for column, parents in found]
        with np.load(directory / _COUNTS) as counts:
            self._counts = [counts[f"arr_{place}"] for place in range(len(found))]

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows, column by column in the network's order."""
        random = np.random.default_rng(derive(seed, "privbayes", "sample"))
        codes = np.zeros((n, len(self._network)), dtype=np.int64)
        for (column, parents), counts in zip(self._network, self._counts, strict=True):
            rows = np.ravel_multi_index(codes[:, parents].T, counts.shape[:-1]) if parents else np.zeros(n, np.int64)
            ends = _chances(counts).reshape(-1, counts.shape[-1]).cumsum(axis=1)[rows]
            codes[:, column] = np.minimum((ends < random.random((n, 1))).sum(axis=1), counts.shape[-1] - 1)
        return Sample(self._domain.decode(codes, random))


def _network(
    codes: Codes, sizes: Sequence[int], settings: PrivBayesGenerator, random: np.random.Generator, progress: Progress
) -> list[Edge]:
    """Columns with their parents, parents first: the paper's algorithm 4 (GreedyBayes with maximal parent sets)."""
    rows, columns = codes.shape
    counting = settings.epsilon * (1 - settings.network_share)
    most = rows * counting / (2 * columns * settings.usefulness)  # cells of a table that is useful
    scale = max(columns - 1, 1) * sensitivity(rows) / (settings.epsilon * settings.network_share)
    network: list[Edge] = [(int(random.integers(columns)), ())]
    known: dict[Edge, float] = {}
    progress.advance()
    while len(network) < columns:
        chosen = sorted(column for column, _ in network)
        left = [column for column in range(columns) if column not in chosen]
        candidates = [
            (column, parents)
            for column in left
            for parents in parent_sets(chosen, sizes, most / sizes[column], settings.degree)
        ]
        for edge in candidates:
            if edge not in known:
                known[edge] = relation(codes, sizes, edge)
        scores = np.array([known[edge] for edge in candidates])
        weights = np.exp((scores - scores.max()) / (2 * scale))
        network.append(candidates[int(random.choice(len(candidates), p=weights / weights.sum()))])
        progress.advance()
    return network


def parent_sets(columns: Sequence[int], sizes: Sequence[int], most: float, degree: int) -> list[tuple[int, ...]]:
    """The sets of at most `degree` columns that have few enough cells, and to which no further column can be added.

    Only the empty set if no column fits.
    """
    fitting = [
        chosen
        for size in range(min(degree, len(columns)) + 1)
        for chosen in itertools.combinations(columns, size)
        if math.prod(sizes[column] for column in chosen) <= most
    ]
    inside = {smaller for chosen in fitting for smaller in _one_less(chosen)}
    return [chosen for chosen in fitting if chosen not in inside] or [()]


def _one_less(chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return (chosen[:place] + chosen[place + 1 :] for place in range(len(chosen)))


def relation(codes: Codes, sizes: Sequence[int], edge: Edge) -> float:
    """R of the paper, in [0, 1]: half the distance between the joint shares and those of independent columns."""
    column, parents = edge
    if not parents:
        return 0.0
    shares = _counts(codes, sizes, edge).reshape(-1, sizes[column]) / len(codes)
    alone = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    return float(np.abs(shares - alone).sum() / 2)


def sensitivity(rows: int) -> float:
    """How much R can change when one of this number of rows is replaced."""
    return 3 / rows + 2 / rows**2


def _noisy_counts(
    codes: Codes, sizes: Sequence[int], network: Sequence[Edge], epsilon: float, random: np.random.Generator
) -> list[NDArray[np.float64]]:
    """The counts of each column by its parents, (parents' sizes …, size), every cell with noise, and at least 0.

    A row that is replaced moves two cells of each table by one: together the tables cost epsilon.
    """
    scale = 2 * len(network) / epsilon
    tables = [_counts(codes, sizes, edge) for edge in network]
    return [np.maximum(table + random.laplace(0, scale, table.shape), 0) for table in tables]


def _counts(codes: Codes, sizes: Sequence[int], edge: Edge) -> NDArray[np.float64]:
    column, parents = edge
    shape = tuple(sizes[one] for one in (*parents, column))
    cells = np.ravel_multi_index(codes[:, [*parents, column]].T, shape)
    return np.bincount(cells, minlength=math.prod(shape)).astype(np.float64).reshape(shape)


def _chances(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares within each combination of parents; all equal if nothing was counted."""
    totals = counts.sum(axis=-1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), 1 / counts.shape[-1])
