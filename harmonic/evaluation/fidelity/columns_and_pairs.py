"""How close is the synthetic table to the training rows: each column, each pair of columns, the whole table?

Sources: synthcity (Qian et al. 2023, arXiv 2301.07573) for data mismatch and the joint Wasserstein distance; SDMetrics
for column shapes, correlations and contingencies.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.encoding import category_codes, subsample, usable_rows
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table

TOO_FAR = "a synthetic value is too large to compute its distance"


@dataclass(frozen=True, slots=True)
class Fidelity(Evaluator):
    """Distances and similarities between the training rows and the synthetic rows.

    `max_rows`: most rows of each table for the joint Wasserstein distance; its time and memory grow with the square
    (2,000 rows: 2 to 5 s, 0.25 GB). Two finite samples of one distribution have a distance above 0, which shrinks with
    more rows: compare only values for the same number of rows.
    """

    max_rows: Count = 2000

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "data_mismatch", False, 0, 1, 0, shown=(Shown("main", "DM", 10),),
            meaning="columns with another type than in the schema / (columns + 1)",
        ),
        Metric(
            "wasserstein", False, 0, ideal=0, shown=(Shown("main", "WD", 20),),
            meaning="joint Sinkhorn distance of the min-max scaled tables",
        ),
        Metric(
            "wasserstein_marginal", False, 0, ideal=0, shown=(Shown("fidelity", "WD, marginal", 30),),
            meaning="mean distance of single numeric columns, scaled",
        ),
        Metric(
            "correlation_similarity", True, 0, 1, 1, shown=(Shown("main", "CS", 30), Shown("summary", place=50)),
            meaning="agreement of Pearson's r, mean over numeric pairs",
        ),
        Metric(
            "contingency_similarity", True, 0, 1, 1,
            shown=(Shown("fidelity", "contingency", 20), Shown("summary", place=60)),
            meaning="agreement of joint shares, mean over category pairs",
        ),
        Metric(
            "column_shapes", True, 0, 1, 1, shown=(Shown("fidelity", "column shapes", 10), Shown("summary", place=40)),
            meaning="agreement of single columns, mean over all columns",
        ),
        Metric("column_shapes/numeric", True, 0, 1, 1, "KSComplement, mean over numeric columns"),
        Metric("column_shapes/categorical", True, 0, 1, 1, "TVComplement, mean over category columns"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Compare `synthetic` with `splits.train`; `scorer` is not used."""
        schema, real = splits.schema, splits.train.frame
        measures = Measures()
        measures["data_mismatch"] = data_mismatch(real, synthetic.frame)
        try:
            rows = usable_rows(synthetic, schema)
        except DataError as error:
            for metric in self.metrics[1:]:
                measures.unavailable(metric.name, str(error))
            return measures
        numeric, categorical = column_shapes(real, rows, schema)
        values = {
            "wasserstein": (self._wasserstein(real, rows, schema, seed), TOO_FAR),
            "wasserstein_marginal": (
                marginal_wasserstein(real, rows, schema),
                TOO_FAR if schema.numeric else "no numeric column",
            ),
            "correlation_similarity": (
                correlation_similarity(real[schema.numeric], rows[schema.numeric]),
                "fewer than two numeric columns that vary in the training rows",
            ),
            "contingency_similarity": (
                contingency_similarity(real[schema.categorical], rows[schema.categorical]),
                "fewer than two category columns",
            ),
            "column_shapes": (_mean([*numeric, *categorical]), "no column"),
            "column_shapes/numeric": (_mean(numeric), "no numeric column"),
            "column_shapes/categorical": (_mean(categorical), "no category column"),
        }
        for name, (value, reason) in values.items():
            if np.isfinite(value):
                measures[name] = value
            else:
                measures.unavailable(name, reason)
        return measures

    def _wasserstein(self, real: pd.DataFrame, rows: pd.DataFrame, schema: Schema, seed: int) -> float:
        size = min(len(real), len(rows), self.max_rows)
        return joint_wasserstein(
            real.iloc[subsample(len(real), size, seed)],
            rows.iloc[subsample(len(rows), size, seed)],
            schema,
            fitted_on=real,
        )


def data_mismatch(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Number of columns of `real` that `synthetic` lacks or has in another dtype, over (columns + 1).

    This is synthcity's DataMismatchScore, with its denominator. It is 0 for every frame that conforms to the schema.
    """
    differing = sum(name not in synthetic or synthetic[name].dtype != real[name].dtype for name in real.columns)
    return differing / (len(real.columns) + 1)


def joint_wasserstein(
    real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema, fitted_on: pd.DataFrame | None = None
) -> float:
    """Sinkhorn divergence (half squared Euclidean cost, blur 0.05) of the min-max scaled tables, >= 0.

    For tables of equal size this is synthcity's `wasserstein_dist.joint`. For unequal sizes, synthcity pads the smaller
    table with zero rows; this function does not. A category counts as its position among the sorted categories. The
    tables are scaled by `fitted_on`, by default `real`. NaN if a value is extremely large.
    """
    # If KeOps is installed, it prints that it found no GPU; neither is needed here.
    os.environ.setdefault("KEOPS_VERBOSE", "0")
    import torch
    from geomloss import SamplesLoss

    anchor = _matrix(real if fitted_on is None else fitted_on, schema)
    low, span = anchor.min(axis=0), np.ptp(anchor, axis=0)
    span[span == 0] = 1.0
    with np.errstate(over="ignore"):
        first, second = ((_matrix(frame, schema) - low) / span for frame in (real, synthetic))
    if np.abs(second).max() > 1e100:  # its square is near the largest float64
        return float("nan")
    if (first == first[0]).all() and (second == first[0]).all():
        return 0.0  # all rows are equal, and the solver takes the logarithm of their distance
    # "auto" means "tensorized" up to 5,000 rows; with more rows it compiles KeOps kernels.
    solver = SamplesLoss("sinkhorn", backend="tensorized")
    return max(0.0, float(solver(torch.from_numpy(first), torch.from_numpy(second))))


def _matrix(frame: pd.DataFrame, schema: Schema) -> NDArray[np.float64]:
    """Numbers, not scaled, beside category positions, (n, columns)."""
    categorical = tuple(column for column in schema.columns if not column.is_numeric)
    numbers = frame[schema.numeric].to_numpy(dtype=np.float64)
    return np.hstack([numbers, category_codes(frame, categorical).astype(np.float64)])


def marginal_wasserstein(real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema) -> float:
    """Mean over numeric columns of the 1-Wasserstein distance, in units of the column's real range, >= 0.

    A column that is constant in `real` is not scaled. NaN if there is no numeric column, or if a distance overflows.
    """
    from scipy.stats import wasserstein_distance

    distances = []
    with np.errstate(over="ignore", invalid="ignore"):
        for name in schema.numeric:
            span = float(np.ptp(real[name].to_numpy())) or 1.0
            distances.append(wasserstein_distance(real[name] / span, synthetic[name] / span))
    return _mean(distances)


def correlation_similarity(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Mean over pairs of numeric columns of 1 - |r_real - r_synthetic| / 2, in [0, 1].

    This is SDMetrics' CorrelationSimilarity, which rejects constant columns. Here a pair is left out if a column is
    constant in `real`; if one is constant only in `synthetic`, r_synthetic is 0, because that column has lost its
    relations. NaN if there is no pair.
    """
    varying = [name for name in real.columns if real[name].min() != real[name].max()]
    if len(varying) < 2:
        return float("nan")
    pairs = np.triu_indices(len(varying), k=1)
    differences = np.abs(_correlations(real[varying])[pairs] - _correlations(synthetic[varying])[pairs])
    return float(np.mean(1 - differences / 2))


def _correlations(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Pearson's r of every pair of columns, 0 where one is constant, (columns, columns)."""
    values = frame.to_numpy(dtype=np.float64)
    # Within [-1, 1] squares do not overflow. A constant column becomes 1 or -1, and exactly 0 without its mean.
    values = values / np.maximum(np.abs(values).max(axis=0), np.finfo(float).tiny)
    values = values - values.mean(axis=0)
    norms = np.sqrt((values**2).sum(axis=0))
    values = values / np.where(norms == 0, 1.0, norms)
    return np.clip(values.T @ values, -1.0, 1.0)


def contingency_similarity(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Mean over pairs of category columns of SDMetrics' ContingencySimilarity, in [0, 1]; NaN if there is none."""
    from sdmetrics.column_pairs import ContingencySimilarity

    pairs = [list(pair) for pair in combinations(real.columns, 2)]
    return _mean([ContingencySimilarity.compute(real[pair], synthetic[pair]) for pair in pairs])


def column_shapes(real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema) -> tuple[list[float], list[float]]:
    """SDMetrics' KSComplement of each numeric column and TVComplement of each category column, in [0, 1]."""
    from sdmetrics.single_column import KSComplement, TVComplement

    # KSComplement rounds to 14 decimals; a huge value stays huge.
    with np.errstate(over="ignore"), warnings.catch_warnings():
        # For nearly equal columns the p-value, which is not used, may have no exact form.
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning)
        numeric = [float(KSComplement.compute(real[name], synthetic[name])) for name in schema.numeric]
    return numeric, [float(TVComplement.compute(real[name], synthetic[name])) for name in schema.categorical]


def _mean(values: list[float]) -> float:
    """The mean; NaN for an empty list."""
    return float(np.mean(values)) if values else float("nan")
