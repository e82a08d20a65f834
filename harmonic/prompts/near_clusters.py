"""Approximate nearest rows of a large table: each row is compared with the rows of the clusters around its own.

The distances are exact (harmonic.prompts.heom_search.Search), but not every row is compared. A log line says which
share of the true neighbours was found, measured on a sample.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from harmonic.prompts.heom_search import Search
from harmonic.prompts.row_clusters import RowClusters
from harmonic.randomness import derive

logger = logging.getLogger(__name__)

_ROWS = 1000  # in a cluster, on average
_AROUND = 16  # clusters whose rows are compared
_MEASURED = 200  # rows whose true neighbours are searched for


def approximate(search: Search, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest rows of the wanted ones, (m, k), as `Search.nearest` gives them, except that some are missed.

    A missed neighbour is replaced by one that is a little farther away.
    """
    found = _nearest(search, wanted)
    recall = measured_recall(search, wanted, found)
    words = "neighbours of %d rows among %d are approximate: %.1f%% of the true ones found (of %d rows)"
    logger.info(words, len(wanted), len(search.searched), 100 * recall, min(_MEASURED, len(wanted)))
    return found


def measured_recall(search: Search, wanted: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """The share of found neighbours that are no farther than the true k-th one, for a sample of the wanted rows."""
    some = np.random.default_rng(derive(0, "measured neighbors")).permutation(len(wanted))[:_MEASURED]
    rows, exact = wanted[some], search.nearest(wanted[some])
    farthest = search.squared(rows, exact[:, -1])
    distances = search.squared(rows.repeat(search.k), found[some].ravel()).reshape(len(some), -1)
    return float((distances <= farthest[:, None] + 1e-9).mean())


def _nearest(search: Search, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    from threadpoolctl import threadpool_limits

    searched = search.searched
    clusters = RowClusters.of(search.numbers, search.codes, max(len(searched) // _ROWS, 2))
    members = _members(clusters.labels[searched], len(clusters.centers))
    asked = _members(clusters.labels[wanted], len(clusters.centers))
    halves = np.square(clusters.centers).sum(axis=1) / 2
    order = (halves - clusters.centers @ clusters.centers.T).argsort(axis=1)
    found = np.empty((len(wanted), search.k), dtype=np.int64)

    def fill(cluster: int) -> None:
        rows = wanted[asked[cluster]]
        count = _AROUND
        near = [members[other] for other in order[cluster, :count]]
        while sum(map(len, near)) <= search.k and count < len(members):
            count *= 2
            near = [members[other] for other in order[cluster, :count]]
        compared = searched[np.concatenate(near)]
        all_rows = np.union1d(compared, rows)  # the rows themselves may be duplicates that nobody searches for
        part = search.among(all_rows, np.isin(all_rows, compared))
        found[asked[cluster]] = all_rows[part.part(np.searchsorted(all_rows, rows))]

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(fill, [cluster for cluster, rows in enumerate(asked) if len(rows)]))
    return found


def _members(labels: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """The positions in each of `count` clusters."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])
