"""The k nearest other rows of every training row, and the label filter (paper, section 3.1).

Four metrics, all with the target among the columns:

- `mixed` (default): HEOM, Wilson & Martinez 1997, "Improved Heterogeneous Distance Functions", eq. 3-5: the root of the
  sum over columns of d², with d = |x - y| / range for a numeric column (0 if it is constant), and d = 0 or 1 for equal
  or different categories.
- `same_label`: `mixed` among the rows of the same label. For a label with at most k rows, and for a numeric target, it
  is `mixed`. If many columns agree, the nearest rows by `mixed` often have another label.
- `reference`: as in the published code: numeric columns min-max scaled, categories as label-encoder codes (unscaled, so
  that their alphabetical order matters), the target unchanged, Euclidean distance.
- `random`: k random other rows, without any distance (the ablation without nearest neighbours).

Ties: of rows at the same distance, the one with the lower index is nearer. For `mixed`, squared distances that differ
by less than about 1e-12 count as equal, so that rounding in the last bits decides nothing. A row is never its own
neighbour; a duplicate of it is an ordinary neighbour at distance 0.

The distance of every pair of rows is too much for a large table. So only the rows that prompts need are searched for,
and above a number of pairs `mixed` and `same_label` are approximate (harmonic.prompts.near_clusters).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NotRequired, TypedDict, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, unknown
from harmonic.prompts.heom_search import Search
from harmonic.prompts.near_clusters import approximate
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.table import Table

Metric = Literal["mixed", "same_label", "reference", "random"]


class Neighbors(TypedDict):
    """generator.neighbors: the number of examples in a prompt, and the metric for nearness."""

    k: Count
    metric: NotRequired[Metric]


EXACT_PAIRS = 2 * 10**10
"""The most pairs of rows that are compared, about half a minute of one core; beyond, neighbours are approximate."""


def nearest(
    table: Table, k: int, metric: Metric = "mixed", seed: int = 0, of: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The k nearest other rows of every row, nearest first: (n, k) positions in [0, n).

    `of`: positions of the rows whose neighbours are wanted, (m,), in any order; the result is then (m, k), and equal
    to these rows of the whole result, unless one of the two is approximate. Only `random` uses the seed; the neighbours
    of row i then depend on (seed, i) and n alone. Raises ConfigError if k is below 1, if the table has fewer than k + 1
    rows, or for an unknown metric.
    """
    return NearestRows(table, k, metric, seed).of(np.arange(len(table)) if of is None else of)


def check_neighbors(n: int, k: int, metric: str) -> None:
    """Raise ConfigError unless each of n rows can have k other rows by this metric."""
    if metric not in get_args(Metric):
        raise unknown("generator.neighbors.metric", metric, "metric of neighbours", get_args(Metric))
    if k < 1:
        raise ConfigError("generator.neighbors.k", k, "a prompt needs at least one example", "set it to 1 or more")
    if n < k + 1:
        problem = f"the training split has {n} rows, so no row has {k} others"
        raise ConfigError("generator.neighbors.k", k, problem, f"set it to {max(n - 1, 1)} or less, or use more rows")


def label_filter(table: Table, neighbors: NDArray[np.int64], threshold: int) -> NDArray[np.bool_]:
    """Which rows to keep, (n,): those whose label more than `threshold` neighbours share.

    Works for any number of classes. Raises ConfigError if no row is left.
    """
    labels = pd.factorize(table.target)[0]
    agreeing = (labels[neighbors] == labels[:, None]).sum(axis=1)
    keep = agreeing > threshold
    if not keep.any():
        problem = f"no row has more than {threshold} of its {neighbors.shape[1]} neighbours with its own label"
        fix = f"set it below {agreeing.max(initial=0)}" if agreeing.any() else "set generator.filter=false"
        raise ConfigError("generator.filter_threshold", threshold, problem, fix)
    return keep


@dataclass
class NearestRows:
    """Finds neighbours as `nearest` does, and keeps what it has computed of the table for the next rows."""

    table: Table
    k: int
    metric: Metric = "mixed"
    seed: int = 0
    _searches: dict[int | None, tuple[NDArray[np.int64], Search]] = field(default_factory=dict, init=False, repr=False)

    def of(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """The nearest other rows of the rows at these positions, (m, k)."""
        check_neighbors(len(self.table), self.k, self.metric)
        if not len(wanted):
            return np.empty((0, self.k), dtype=np.int64)
        if self.metric == "random":
            return self._random_others(wanted)
        if self.metric == "reference":
            return self._reference(wanted)
        if self.metric == "same_label" and self.table.schema.task.is_classification:
            return self._same_label(wanted)
        return self._mixed(wanted)

    def _random_others(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn = np.empty((len(wanted), self.k), dtype=np.int64)
        for place, row in enumerate(wanted.tolist()):
            generator = np.random.default_rng(derive(self.seed, "random neighbors", row))
            others = generator.choice(len(self.table) - 1, size=self.k, replace=False)
            drawn[place] = others + (others >= row)  # skip the row itself
        return drawn

    def _reference(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        model, points = self._published
        found = model.kneighbors(points[wanted], return_distance=False)
        # The published code drops the first neighbour, as the row itself. Among duplicates the first can be another
        # row: drop the row itself wherever it is, which leaves the same texts and never shows the answer.
        own = found == wanted[:, None]
        own[~own.any(axis=1), 0] = True
        return found[~own].reshape(len(wanted), self.k).astype(np.int64)

    def _same_label(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """HEOM among the rows of the same label; for a label with at most k rows, among all rows."""
        found = np.empty((len(wanted), self.k), dtype=np.int64)
        own = self._labels[wanted]
        rare = np.bincount(self._labels)[own] <= self.k
        if rare.any():
            found[rare] = self._mixed(wanted[rare])
        for label in np.unique(own[~rare]).tolist():
            mine = ~rare & (own == label)
            found[mine] = self._mixed(wanted[mine], label)
        return found

    def _mixed(self, wanted: NDArray[np.int64], label: int | None = None) -> NDArray[np.int64]:
        """HEOM among all rows, or those of one label."""
        if label not in self._searches:
            rows = np.arange(len(self.table)) if label is None else np.flatnonzero(self._labels == label)
            self._searches[label] = rows, Search.of(self.table, rows, self.k)
        rows, search = self._searches[label]
        places = np.searchsorted(rows, wanted)
        exact = len(wanted) * len(search.searched) <= EXACT_PAIRS
        return rows[search.nearest(places) if exact else approximate(search, places)]

    @cached_property
    def _labels(self) -> NDArray[np.int64]:
        """The label of each row as a number, (n,)."""
        return pd.factorize(self.table.target)[0].astype(np.int64)

    @cached_property
    def _published(self) -> tuple[Any, NDArray[np.float64]]:
        """The search of the published code, with the same parts of scikit-learn, so that ties are broken as there."""
        from sklearn.neighbors import NearestNeighbors
        from sklearn.preprocessing import LabelEncoder, MinMaxScaler

        encoded = []
        for column in self.table.schema.features:
            values = self.table.frame[column.name].to_numpy()
            if column.is_numeric:
                encoded.append(MinMaxScaler().fit_transform(values.astype(np.float64)[:, None])[:, 0])
            else:
                encoded.append(LabelEncoder().fit_transform(values))
        target = self.table.target
        labels = pd.to_numeric(target, errors="coerce").to_numpy(np.float64)  # "0" and "1" are numbers in the CSV
        encoded.append(labels if np.isfinite(labels).all() else LabelEncoder().fit_transform(target))
        points = np.column_stack(encoded).astype(np.float64)
        return NearestNeighbors(n_neighbors=self.k + 1).fit(points), points
