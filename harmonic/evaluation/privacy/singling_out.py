"""Singling out: predicates that fit exactly one synthetic row, tried on real rows (arXiv 2211.10459).

A predicate combines conditions on a few columns: the value of a category, or a number at least as extreme as that of a
synthetic row, on the side with fewer rows. Rows that are equal in all columns count as one.

With more rows, more fit by chance. So training and control rows are compared in equal numbers: as an expectation over
all subsets of the larger table, in closed form. (The paper instead extrapolates the successes in the smaller table,
with a model of the predicates' weights.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.comparison.encoding import category_codes
from harmonic.tables.table import Column, Schema

_FEW = 1000
_ATTEMPTS = 100  # predicates tried for each one wanted
_RELATIONS = (np.equal, np.not_equal, np.greater, np.less, np.greater_equal, np.less_equal)
_EQUAL, _UNEQUAL, _ABOVE, _BELOW = 0, 1, 4, 5


@dataclass(frozen=True, slots=True)
class Predicate:
    """Holds if the column at each `places[i]` is in `relations[i]` (a position in _RELATIONS) to `values[i]`."""

    places: tuple[int, ...]
    relations: tuple[int, ...]
    values: tuple[float, ...]

    def fits(self, cells: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of `cells` (columns, rows) it fits."""
        found = np.ones(cells.shape[1], dtype=bool)
        for place, relation, value in zip(self.places, self.relations, self.values, strict=True):
            found &= _RELATIONS[relation](cells[place], value)
        return found


@dataclass(frozen=True, slots=True)
class Successes:
    """How many of `attacks` predicates single out a row among training rows, and among as many control rows.

    `main`, `control`, and `naive` (for random predicates): expected counts over all subsets of that size. `ceiling`:
    the share of training rows in such a subset, which is the success rate of predicates known to fit one training row.
    """

    main: float
    control: float
    naive: float
    attacks: int
    ceiling: float


def singling_out(
    synthetic: pd.DataFrame,
    train: pd.DataFrame,
    control: pd.DataFrame,
    schema: Schema,
    attacks: int,
    columns: int,
    draw: np.random.Generator,
) -> Successes:
    """Try predicates found in the synthetic rows. Raises DataError if none singles out a synthetic row."""
    rows, main, other = (_cells(frame, schema.columns) for frame in (synthetic, train, control))
    predicates = find_predicates(rows, schema.columns, attacks, columns, draw)
    if not predicates:
        raise DataError(f"no predicate over {columns} columns fits exactly one synthetic row")
    values = [np.unique(cells) for cells in rows]
    naive = [_random_predicate(values, schema.columns, columns, draw) for _ in predicates]
    size = min(main.shape[1], other.shape[1])
    return Successes(
        main=_successes(predicates, main, size),
        control=_successes(predicates, other, size),
        naive=_successes(naive, main, size),
        attacks=len(predicates),
        ceiling=size / main.shape[1],
    )


def find_predicates(
    cells: NDArray[np.float64], kinds: Sequence[Column], wanted: int, columns: int, draw: np.random.Generator
) -> list[Predicate]:
    """Up to `wanted` different predicates, each of which fits exactly one row of `cells` (columns, rows)."""
    middle = np.median(cells, axis=1)
    few = cells[:, draw.permutation(cells.shape[1])[:_FEW]]
    found: dict[Predicate, None] = {}
    for _ in range(_ATTEMPTS * wanted):
        row = cells[:, draw.integers(cells.shape[1])]
        places = np.sort(draw.choice(len(kinds), size=columns, replace=False)).tolist()
        relations = [
            (_ABOVE if row[place] > middle[place] else _BELOW) if kinds[place].is_numeric else _EQUAL
            for place in places
        ]
        predicate = Predicate(tuple(places), tuple(relations), tuple(row[places].tolist()))
        # Most predicates fit many rows; a few rows are enough to see this.
        if np.count_nonzero(predicate.fits(few)) > 1 or predicate in found:
            continue
        if np.count_nonzero(predicate.fits(cells)) == 1:
            found[predicate] = None
            if len(found) == wanted:
                break
    return list(found)


def _cells(frame: pd.DataFrame, columns: tuple[Column, ...]) -> NDArray[np.float64]:
    """The different rows as numbers, with category positions: (columns, rows)."""
    cells = [
        frame[column.name].to_numpy(dtype=np.float64) if column.is_numeric else category_codes(frame, (column,))[:, 0]
        for column in columns
    ]
    return np.unique(np.stack(cells).astype(np.float64), axis=1)


def _random_predicate(
    values: Sequence[NDArray[np.float64]], kinds: Sequence[Column], columns: int, draw: np.random.Generator
) -> Predicate:
    """A predicate with random columns, relations and values."""
    places = np.sort(draw.choice(len(kinds), size=columns, replace=False)).tolist()
    relations = [int(draw.integers(len(_RELATIONS) if kinds[place].is_numeric else _UNEQUAL + 1)) for place in places]
    return Predicate(tuple(places), tuple(relations), tuple(float(draw.choice(values[place])) for place in places))


def _successes(predicates: Sequence[Predicate], cells: NDArray[np.float64], size: int) -> float:
    """Expected number of predicates that fit exactly one of `size` rows drawn from `cells` (columns, rows)."""
    from scipy.stats import hypergeom

    counts = [np.count_nonzero(predicate.fits(cells)) for predicate in predicates]
    return float(hypergeom.pmf(1, cells.shape[1], counts, size).sum())
