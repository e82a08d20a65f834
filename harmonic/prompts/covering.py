"""Tuning on a part of a large table: which rows are taken so that they represent it, and how well they do.

With at most LARGE training rows every possible tuning prompt is written, and tuning takes the first ones. For a larger
table only as many are written as tuning uses. The rows at their centres are a stratified sample: they have the label
(or tenth of a numeric target) and the cluster of similar rows (harmonic.prompts.row_clusters) in the table's shares.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.prompts.contexts import target_groups
from harmonic.prompts.heom_search import codes_of, numbers_of
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_clusters import RowClusters
from harmonic.storage import write_json
from harmonic.tables.missing_values import Imputation
from harmonic.tables.table import Table

logger = logging.getLogger(__name__)

LARGE = 50_000
"""Training rows above which a table is large."""

VERSION = 1
"""Part of the key of a large table's prompts. Raise it when they change."""

FILE = "coverage.json"

_CLUSTERS = 64
_BINS = 20  # of a numeric column with more values


def strata(table: Table) -> NDArray[np.int64]:
    """The stratum of each row, (n,): its label or tenth of the target, and its cluster."""
    whole = Imputation.of(table).table(table)
    rows = np.arange(len(table))
    clusters = RowClusters.of(numbers_of(whole, rows), codes_of(whole, rows), min(_CLUSTERS, len(table))).labels
    groups = target_groups(table)
    return clusters if groups is None else groups * _CLUSTERS + clusters


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well some rows represent a table.

    rows: how many there are; of: rows of the table. seen: by column, the share of the table's rows whose value (or
    twentieth, of numbers) some of these rows have. apart: by column, the total variation distance of the shares of the
    values, in [0, 1]. Rows drawn at random would be about as far apart as `chance` says.
    """

    rows: int
    of: int
    seen: dict[str, float]
    apart: dict[str, float]
    chance: dict[str, float]

    @classmethod
    def of_rows(cls, table: Table, rows: NDArray[np.int64]) -> Coverage:
        """Of these rows of the table, which may repeat."""
        seen, apart, chance = {}, {}, {}
        for name in table.schema.names:
            codes = _codes(table.frame[name])
            whole = np.bincount(codes) / len(codes)
            part = np.bincount(codes[rows], minlength=len(whole)) / max(len(rows), 1)
            seen[name] = round(float(whole[part > 0].sum()), 6)
            apart[name] = round(float(np.abs(whole - part).sum() / 2), 4)
            # The mean absolute deviation of a share p among m rows is near sqrt(2 p (1 - p) / (pi m)).
            spread = np.sqrt(2 * whole * (1 - whole) / (np.pi * max(len(rows), 1)))
            chance[name] = round(float(spread.sum() / 2), 4)
        return cls(len(np.unique(rows)), len(table), seen, apart, chance)

    def note(self) -> str:
        """The coverage in words."""
        least, most = min(self.seen, key=lambda n: self.seen[n]), max(self.apart, key=lambda n: self.apart[n])
        return (
            f"tuning is on the rows around {self.rows:,} of {self.of:,} training rows, which have the values of at "
            f"least {self.seen[least]:.2%} of the rows in every column (least in {least!r}); shares differ most in "
            f"{most!r}, by {self.apart[most]:.1%} ({self.chance[most]:.1%} for rows drawn at random)"
        )


def tell(table: Table, prompts: Iterable[Prompt], directory: Path) -> None:
    """Log how well the rows that these tuning prompts were made for represent the table, and write coverage.json."""
    rows = np.fromiter((row for prompt in prompts for row in prompt.drawn_rows), dtype=np.int64)
    found = Coverage.of_rows(table, rows)
    logger.info("%s", found.note())
    write_json(directory / FILE, asdict(found))


def _codes(values: pd.Series) -> NDArray[np.int64]:
    """The value of each row as a number, or its bin if there are many numbers."""
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    if not pd.api.types.is_numeric_dtype(values) or len(distinct) <= _BINS:
        return codes.astype(np.int64)
    numbers = values.to_numpy(np.float64)
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="right"))
