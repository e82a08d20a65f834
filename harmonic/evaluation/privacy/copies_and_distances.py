"""Are there copies of training rows in the synthetic table, and is it closer to training rows than to other real rows?

Copies as in SDMetrics' NewRowSynthesis; distances to the closest record as in the literature (Zhao et al. 2021, arXiv
2102.08369). Distances only describe: they do not follow the risk of membership inference (arXiv 2505.01524).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.evaluation.comparison.matching import matching_rows
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.randomness import derive
from harmonic.settings import Count, NotNegative
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

MAX_PAIRS = 10**10
"""Pairs of a synthetic and a training row whose distances are computed: 100,000 rows of each; one or two minutes."""

_COPIES = (Shown("privacy", "NRS", 10, ablated=True), Shown("cards", "nrs", 50), Shown("summary", place=80))
_SHARE = (Shown("privacy", "DCR share", 30, ablated=True), Shown("cards", "dcr/share", 60), Shown("summary", place=90))


@dataclass(frozen=True, slots=True)
class Privacy(Evaluator):
    """Copied rows and distances to the closest real row.

    `tolerance`: how much the numbers of matching rows may differ, as a share of the synthetic value. `max_pairs`: most
    pairs of a synthetic row and a training row whose distances are computed (None: MAX_PAIRS). If there are more, the
    distances are those of fewer synthetic rows, chosen at random (seeded), to all training rows. Copies are looked for
    among all rows.
    """

    tolerance: NotNegative = 0.01
    max_pairs: Count | None = None

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("nrs", True, 0, 1, 1, shown=_COPIES, meaning="share of synthetic rows that match no training row"),
        Metric(
            "dcr/mean", True, 0, shown=(Shown("privacy", "DCR", 20, ablated=True),),
            meaning="mean distance from a synthetic row to its closest training row",
        ),
        Metric("dcr/median", True, 0, meaning="median of those distances"),
        Metric("dcr/p5", True, 0, meaning="5th percentile of those distances"),
        Metric(
            "dcr/share", None, 0, 1, 0.5, shown=_SHARE,
            meaning="share of synthetic rows closer to training than to held-out rows",
        ),
        Metric("nndr", True, 0, 1, meaning="mean ratio of the distances to the closest and second training row"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare `synthetic` with `splits.train` and, for `dcr/share`, with `splits.test`.

        `series["dcr"]` has each synthetic row's distance to its closest training row, and `notes` say if not all rows
        are used; `scorer` is not used.
        """
        measures = Measures()
        try:
            rows = usable_rows(synthetic, splits.schema)
        except DataError as error:
            for metric in self.metrics:
                measures.unavailable(metric.name, str(error))
            return measures
        matches = matching_rows(splits.train.frame, rows, splits.schema, self.tolerance)
        measures["nrs"] = float(1 - matches.mean())
        most = max((self.max_pairs or MAX_PAIRS) // max(len(splits.train), 1), 1)
        chosen = subsample(len(rows), most, derive(seed, "distances"))
        self._measure_distances(measures, splits, rows.iloc[chosen], seed)
        if len(chosen) < len(rows):
            note = f"of {len(chosen):,} of {len(rows):,} synthetic rows (max_pairs)"
            measures.notes.update({name: note for name in measures if name != "nrs"})
        return measures

    def _measure_distances(self, measures: Measures, splits: Splits, rows: pd.DataFrame, seed: int) -> None:
        """Record the distances to training rows and to held-out rows."""
        encoder = Encoder.fit(splits.train)
        # The training rows in two parts, the first as large as the held-out rows. Each pair of rows is then compared
        # only once for all of the distances.
        size = min(len(splits.train), len(splits.test))
        some = subsample(len(splits.train), size, seed)
        rest = np.setdiff1d(np.arange(len(splits.train)), some)
        near_some, near_rest = (
            nearest_distances(rows, splits.train.frame.iloc[part], encoder, neighbors=2) for part in (some, rest)
        )
        distances = np.sort(np.hstack([near_some, near_rest]), axis=1)[:, :2]
        closest = distances[:, 0]
        measures.series["dcr"] = closest
        measures["dcr/mean"] = float(closest.mean())
        measures["dcr/median"] = float(np.median(closest))
        measures["dcr/p5"] = float(np.percentile(closest, 5))
        if len(splits.train) > 1:
            measures["nndr"] = float(distance_ratios(distances).mean())
        else:
            measures.unavailable("nndr", "needs two training rows")
        if size > 0:
            holdout = splits.test.frame.iloc[subsample(len(splits.test), size, seed)]
            near_holdout = nearest_distances(rows, holdout, encoder)
            measures["dcr/share"] = share_closer(near_some[:, 0], near_holdout[:, 0])
        else:
            measures.unavailable("dcr/share", "needs held-out rows: the test split is empty")


def share_closer(to_train: NDArray[np.float64], to_holdout: NDArray[np.float64]) -> float:
    """P(to_train < to_holdout), ties count half; distances that differ only by rounding are ties."""
    ties = np.isclose(to_train, to_holdout, rtol=1e-9, atol=0)
    return float(np.mean(np.where(ties, 0.5, to_train < to_holdout)))


def distance_ratios(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest over second nearest distance, (n, 2) -> (n,), in [0, 1].

    0 for a copy, even if the training row occurs twice.
    """
    first, second = distances.T
    return np.divide(first, second, out=np.zeros_like(first), where=second > 0)
