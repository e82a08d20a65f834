"""A second round of sampling: its prompts show rows of the first round, so they contain no real row.

Errors of the model add up from round to round. To keep the shares of values as they are, the central rows of the
prompts are weighted, so that their columns have the same shares as the training rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.prompts.contexts import NeighborRows, target_groups
from harmonic.prompts.neighbors import Metric, nearest
from harmonic.randomness import derive
from harmonic.tables.missing_values import Imputation
from harmonic.tables.table import Table

LEAST_ROWS = 256
"""The first round draws as many rows as there are training rows, at most this many, and at least as many as wanted."""

_BINS = 5  # of a numeric column
_SWEEPS = 50  # over all columns
_FARTHEST = 4.0  # a row's weight is at most this, and at least its inverse


def first_rows(n: int, training_rows: int) -> int:
    """How many rows the first round draws if the second draws n."""
    return max(n, min(training_rows, LEAST_ROWS))


def synthetic_context(drawn: Table, train: Table, *, k: int, pool: int, metric: Metric, seed: int) -> NeighborRows:
    """What prompts of the second round show: k of the `pool` nearest rows of a row, all from the first round."""
    around = nearest(Imputation.of(drawn).table(drawn), min(max(pool, k), len(drawn) - 1), metric, seed)
    weights, groups = balanced(drawn, train), target_groups(drawn)
    return NeighborRows(around, k, derive(seed, "second round"), weights=weights, groups=groups)


def balanced(drawn: Table, train: Table) -> NDArray[np.float64]:
    """Weights of the drawn rows, (n,), with mean 1, that give their columns the shares of the training rows.

    By raking (iterative proportional fitting, Deming & Stephan 1940) over the values of categories and fifths of
    numbers, with weights between a quarter and four.
    """
    groups = [_groups(drawn.frame[name], train.frame[name]) for name in drawn.schema.names]
    weights = np.ones(len(drawn))
    for _ in range(_SWEEPS):
        for members, shares in groups:
            held = np.bincount(members, weights=weights, minlength=len(shares)) / weights.sum()
            factor = np.divide(shares, held, out=np.ones(len(shares)), where=held > 0)
            weights = weights * factor[members]
        weights = np.clip(weights / weights.mean(), 1 / _FARTHEST, _FARTHEST)
    return weights / weights.mean()


def _groups(drawn: pd.Series, train: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The group of each drawn value, (n,), and the share of each group among the training values, (groups,)."""
    if pd.api.types.is_numeric_dtype(train) and train.nunique() > _BINS:
        edges = np.unique(np.nanquantile(train.to_numpy(np.float64), np.linspace(0, 1, _BINS + 1)[1:-1]))

        def number(values: pd.Series) -> pd.Series:
            found = pd.Series(np.searchsorted(edges, values.to_numpy(np.float64), side="right"))
            return found.where(values.notna().to_numpy(), -1)

        drawn, train = number(drawn), number(train)
    codes, _ = pd.factorize(pd.concat([train, drawn], ignore_index=True), use_na_sentinel=False)
    known, members = codes[: len(train)], codes[len(train) :]
    return members, np.bincount(known, minlength=codes.max() + 1) / len(train)
