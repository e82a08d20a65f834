"""SMOTE and FW-SMOTE: new rows between a training row and one of its nearest neighbours of the same class.

SMOTE: Chawla, Bowyer, Hall, Kegelmeyer, JAIR 16, 2002 (with SMOTE-NC for mixed and SMOTE-N for categorical columns,
section 6). Code: imbalanced-learn, MIT. It generates whole tables as in TabDDPM's comparison (Kotelnikov et al., arXiv
2209.15421): every class is oversampled, only the new rows are kept, and numbers are min-max scaled for the distances. A
regression is split into classes at the quantiles of its target (TabDDPM: the median), and the target is interpolated
like a feature.

FW-SMOTE: Maldonado, Vairetti, Fernández, Herrera, Pattern Recognition 124, 2022 (108511). The neighbours come from a
weighted Minkowski distance. The weights depend on the features' relevance to the target, by an induced OWA operator;
features with small weights may be left out of the distance. No code was published. This is our own implementation with
imbalanced-learn, and simpler: one measure of relevance (mutual information of single features, so redundancy is not
penalised), one quantifier (Q(r) = r^exponent), distances of order 2, and weights for the whole table, not for a
minority class.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.rounding import rounded
from baselines.smote.encoding import Encoding
from baselines.smote.neighborhood import relevance_weights, weighted_neighbors
from harmonic.errors import ConfigError, DataError
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

logger = logging.getLogger(__name__)

_MIN_CLASS = 2  # a row and a neighbour


@dataclass(kw_only=True)
class SmoteGenerator(Generator):
    """Interpolates between training rows.

    k: neighbours to choose from; a class with fewer rows uses all of them, and a class with one row is left out.
    balance: uniform shares of the classes, not those of the training rows. target_bins: classes that a regression is
    split into. weights: null for SMOTE; {"exponent": a in (0, 1], "threshold": in [0, 1)} for FW-SMOTE. With a smaller
    exponent, the most relevant feature counts more (1: all are equal). Weights add up to 1, and features with a weight
    below the threshold are left out of the distance.
    """

    versions: ClassVar[Versions] = Versions()

    k: Count = 5
    balance: bool = False
    target_bins: Count = 2
    weights: dict[str, float] | None = None

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Weigh the features; write weights.json, {column: weight} (empty for SMOTE).

        Raises ConfigError if a setting is invalid, and DataError if there are no rows to interpolate between.
        """
        self._check(splits.train)
        found = {} if self.weights is None else self._weigh(splits.train, seed)
        (directory / "weights.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
        self.load(splits, prepared=prepared, directory=directory)
        return {}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read weights.json."""
        self._table = splits.train
        self._weights: dict[str, float] = json.loads((directory / "weights.json").read_text(encoding="utf-8"))

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Interpolate n rows, in random order. Class shares are exact up to rounding."""
        encoding = Encoding.of(self._table, with_target=self._is_regression)
        rows, labels = encoding.encode(self._table.frame), class_labels(self._table, self.target_bins)
        wanted = rows_per_class(labels, n, balance=self.balance)
        # imbalanced-learn takes no newer generator; one for all classes, so that their draws differ
        random = np.random.RandomState(derive(seed, "smote"))
        new, classes = [], []
        for k, group in self._by_neighbors(labels, wanted).items():
            drawn, drawn_labels = self._oversample(rows, labels, group, k, encoding, random)
            new.append(drawn)
            classes.append(drawn_labels)
        order = random.permutation(n)
        frame = encoding.decode(np.concatenate(new)[order])
        if not self._is_regression:
            names = np.unique(self._table.target.to_numpy())
            frame[self._table.schema.target] = names[np.concatenate(classes)[order]]
        return Sample(rounded(frame, self._table.schema))

    def _by_neighbors(self, labels: NDArray[np.int64], wanted: NDArray[np.int64]) -> dict[int, dict[int, int]]:
        """{neighbours: {class: rows to draw}}: small classes have fewer than k neighbours."""
        groups: dict[int, dict[int, int]] = {}
        for label, (rows, count) in enumerate(zip(np.bincount(labels), wanted, strict=True)):
            if count:
                groups.setdefault(min(self.k, int(rows) - 1), {})[label] = int(count)
        return groups

    def _oversample(
        self, rows: NDArray[np.float64], labels: NDArray[np.int64], wanted: dict[int, int], k: int,
        encoding: Encoding, random: np.random.RandomState,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # fmt: skip
        """The new rows, encoded, and their classes."""
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        sizes = np.bincount(labels)
        settings: dict[str, Any] = {
            "sampling_strategy": {label: int(sizes[label]) + count for label, count in wanted.items()},
            "random_state": random,
            "k_neighbors": weighted_neighbors(encoding.expand(self._weights), k) if self._weights else k,
        }
        if not encoding.categorical:
            sampler = SMOTE(**settings)
        elif not encoding.numeric:
            sampler = SMOTEN(**settings)
        else:
            sampler = SMOTENC(categorical_features=encoding.categorical_positions, **settings)
        resampled, classes = sampler.fit_resample(rows, labels)
        return resampled[len(rows) :], classes[len(rows) :]

    def _weigh(self, table: Table, seed: int) -> dict[str, float]:
        settings = {"exponent": 0.5, "threshold": 0.0, **(self.weights or {})}
        return relevance_weights(table, **settings, seed=derive(seed, "relevance"))

    def _check(self, table: Table) -> None:
        regression = not table.schema.task.is_classification
        if self.k < 1:
            raise ConfigError("generator.k", self.k, "a row needs at least one neighbour", "generator.k=5")
        if regression and self.target_bins < 2:
            raise ConfigError(
                "generator.target_bins", self.target_bins, "must be at least 2", "generator.target_bins=2"
            )
        if self.weights is not None and not Encoding.of(table, with_target=regression).numeric:
            problem = "weighs a Minkowski distance, and the table has no numeric column"
            raise ConfigError("generator", "fw_smote", problem, "generator=smote")
        rows_per_class(class_labels(table, self.target_bins), 1, balance=self.balance)  # raises its errors
        alone = [str(name) for name, count in table.target.value_counts().items() if count < _MIN_CLASS]
        if alone and not regression:
            logger.warning("classes with a single training row have no neighbour and are left out: %s", alone[:5])

    @property
    def _is_regression(self) -> bool:
        return not self._table.schema.task.is_classification


def class_labels(table: Table, bins: int) -> NDArray[np.int64]:
    """The classes to oversample, (n,) in 0 … : the target's values, or `bins` groups of a regression's target.

    The groups are cut at quantiles. Ties may reduce their number, but never to one. Raises DataError if the target has
    only one value.
    """
    values = table.target.to_numpy()
    names, codes = np.unique(values, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"target {table.schema.target!r} has one value in the training rows; fix: give more rows")
    if table.schema.task.is_classification:
        return codes.astype(np.int64)
    cuts = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    cuts[cuts >= names[-1]] = names[-2]  # a cut at the maximum would leave no row above it
    return np.unique(np.searchsorted(np.unique(cuts), values), return_inverse=True)[1].astype(np.int64)


def rows_per_class(labels: NDArray[np.int64], n: int, *, balance: bool) -> NDArray[np.int64]:
    """How many of n rows each class gets, (classes,): as in `labels` or uniformly; largest remainders are rounded up.

    Classes with one row get none. Raises DataError if there are no other classes.
    """
    sizes = np.bincount(labels)
    usable = sizes >= _MIN_CLASS
    if not usable.any():
        raise DataError("no class has two training rows to interpolate between; fix: give more rows of each class")
    share = usable.astype(np.float64) if balance else np.where(usable, sizes, 0).astype(np.float64)
    exact = n * share / share.sum()
    counts = np.floor(exact).astype(np.int64)
    remainder = np.where(usable, exact - counts, -1.0)
    counts[np.argsort(-remainder, kind="stable")[: n - int(counts.sum())]] += 1
    return counts
