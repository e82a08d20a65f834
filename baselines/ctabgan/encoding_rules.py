"""How CTAB-GAN+ encodes each column: by rules over the training values, or as the user says.

The papers (arXiv 2102.08369, 2204.00401) leave the choice of the encodings to the user. Here the data decides, by the
rules of `EncodingRules`. The encodings themselves are in baselines/ctabgan/mode_encoding.py.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.ctabgan.mode_encoding import ColumnCode, Floats, RowEncoding
from harmonic.errors import ConfigError, DataError, suggest, unknown
from harmonic.randomness import derive
from harmonic.settings import Count, Natural, NotNegative, Text
from harmonic.tables.table import Table

TRANSFORMS = ("one_hot", "modes", "log_modes", "min_max")
MIXTURE_ROWS = 10_000
"""The most rows that a mixture is fitted on: more rows change its modes little and take long."""
LEVEL_ROWS = 10
"""With this many rows per distinct value, on average, the values of a number may be categories."""

MIN_WIDTH = 1e-3
"""Added to the standard deviation of a mode, because a mode may be a single value. In deviations of the column."""


@dataclass(frozen=True, kw_only=True)
class EncodingRules:
    """How each column is encoded.

    max_modes: of a mixture; modes with a weight below min_weight are dropped (10 and .005 as in the paper).
    max_categories: a categorical column with more values is coded by position, except the target of a classification.
    max_levels: a number with at most this many distinct values, and ten rows each on average, is coded as a category.
    special_share, special_ratio: a value is special if it takes at least this share of the rows, and at least
    special_ratio times its share if all distinct values were equally frequent. min_skewness: the other values are coded
    by their logarithms if they are non-negative, at least this skewed, and at most half as skewed as logarithms.
    A remaining column is simple if it looks normal: |skewness| < .5 and |excess kurtosis| < 1.

    special_values {numeric column: its special values} and transforms {column: one of TRANSFORMS} override the rules.
    """

    max_modes: Count = 10
    min_weight: NotNegative = 0.005
    max_categories: Count = 100
    max_levels: Natural = 20
    special_share: NotNegative = 0.02
    special_ratio: NotNegative = 10.0
    min_skewness: float = 2.0
    special_values: dict[Text, list[float]] = field(default_factory=dict)
    transforms: dict[Text, str] = field(default_factory=dict)

    def check(self, table: Table) -> None:
        """Raise ConfigError if a number is invalid, or if a setting does not fit a column of the table."""
        for name in ("max_modes", "max_categories"):
            if getattr(self, name) < 1:
                key = f"generator.encoding.{name}"
                raise ConfigError(key, getattr(self, name), "must be at least 1", f"{key}=10")
        schema = table.schema
        for name, transform in self.transforms.items():
            key = f"generator.encoding.transforms.{name}"
            if name not in schema.names:
                raise unknown(key, transform, "column", schema.names, name=name)
            known = list(TRANSFORMS) if schema[name].is_numeric else ["one_hot", "min_max"]
            if name == schema.target and schema.task.is_classification:
                known = ["one_hot"]
            if transform not in known:
                raise ConfigError(key, transform, "cannot encode this column", suggest(transform, known))
        for name, values in self.special_values.items():
            if name not in schema.numeric:
                key = f"generator.encoding.special_values.{name}"
                raise unknown(key, values, "numeric column", schema.numeric, name=name)


def fit_encoding(table: Table, rules: EncodingRules, seed: int) -> RowEncoding:
    """Learn the code of every column. Raises ConfigError if a rule is invalid, and DataError if no column varies."""
    rules.check(table)
    codes = []
    for column in table.schema.columns:
        values = table.frame[column.name].to_numpy()
        transform = rules.transforms.get(column.name)
        if column.name == table.schema.target and table.schema.task.is_classification:
            transform = "one_hot"
        if column.is_numeric:
            special = rules.special_values.get(column.name)
            numbers = values.astype(np.float64)
            code = number_code(column.name, numbers, rules, transform, special, derive(seed, column.name))
        else:
            code = category_code(column.name, values, rules, transform)
        codes.append(code)
    encoding = RowEncoding(codes)
    if not encoding.width:
        raise DataError("every column has only one value in the training rows; fix: give rows that differ")
    return encoding


def category_code(name: str, values: NDArray[Any], rules: EncodingRules, transform: str | None) -> ColumnCode:
    """One-hot, or, if there are too many values, the scaled position among the sorted values ("min_max")."""
    names = np.unique(values.astype(str)).tolist()
    last = float(len(names) - 1)
    if transform == "min_max" or (transform is None and len(names) > rules.max_categories):
        # half a position of room on both sides, so that the first and the last value are rounded like the others
        return ColumnCode(name=name, low=0.0, high=last, centres=[last / 2], spreads=[last / 2 + 0.5], names=names)
    return ColumnCode(name=name, low=0.0, high=last, levels=np.arange(len(names), dtype=float).tolist(), names=names)


def number_code(
    name: str, numbers: Floats, rules: EncodingRules, transform: str | None, special: list[float] | None, seed: int
) -> ColumnCode:
    """The code of a numeric column with training values `numbers`, (n,). special: the user's special values or None."""
    low, high = float(numbers.min()), float(numbers.max())
    distinct = np.unique(numbers)
    few = len(distinct) <= rules.max_levels and len(distinct) * LEVEL_ROWS <= len(numbers)
    if transform == "one_hot" or len(distinct) == 1 or (transform is None and special is None and few):
        return ColumnCode(name=name, low=low, high=high, levels=distinct.tolist())
    if special is None:
        special = special_values(numbers, rules).tolist() if transform != "min_max" else []
    levels = np.intersect1d(special, distinct)
    ordinary = numbers[~np.isin(numbers, levels)]
    if len(np.unique(ordinary)) < 2:
        return ColumnCode(name=name, low=low, high=high, levels=distinct.tolist())
    shift = None
    if transform == "log_modes" or (transform is None and goes_by_logarithm(ordinary, rules)):
        # CTAB-GAN, section 3.2: log x if all are positive, else log(x - lowest + 1)
        shift = 0.0 if ordinary.min() > 0 else 1.0 - float(ordinary.min())
    scaled = ordinary if shift is None else np.log(ordinary + shift)
    if transform == "min_max" or (transform is None and shift is None and not len(levels) and looks_normal(ordinary)):
        return ColumnCode(name=name, low=low, high=high, centres=[(low + high) / 2], spreads=[(high - low) / 2])
    centres, spreads, weights = (found.tolist() for found in gaussian_modes(scaled, rules, seed))
    return ColumnCode(
        name=name, low=low, high=high, levels=levels.tolist(), centres=centres, spreads=spreads, weights=weights,
        shift=shift,
    )  # fmt: skip


def special_values(numbers: Floats, rules: EncodingRules) -> Floats:
    """The values that are a category of their own, such as many zeros, sorted; possibly none."""
    distinct, counts = np.unique(numbers, return_counts=True)
    share = counts / len(numbers)
    return distinct[(share >= rules.special_share) & (share * len(distinct) >= rules.special_ratio)]


def goes_by_logarithm(ordinary: Floats, rules: EncodingRules) -> bool:
    """Whether these values have a long tail that is short on a logarithmic scale."""
    skewness = _moments(ordinary)[0]
    if ordinary.min() < 0 or skewness < rules.min_skewness:
        return False
    logarithms = np.log(ordinary) if ordinary.min() > 0 else np.log1p(ordinary)
    return abs(_moments(logarithms)[0]) <= skewness / 2


def looks_normal(ordinary: Floats) -> bool:
    """Whether one normal distribution describes these values about as well as several."""
    skewness, kurtosis = _moments(ordinary)
    return abs(skewness) < 0.5 and abs(kurtosis) < 1


def _moments(values: Floats) -> tuple[float, float]:
    """Skewness and excess kurtosis; 0 for values that do not vary."""
    centred = values - values.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    if deviation <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return 0.0, 0.0
    centred = centred / deviation
    return float((centred**3).mean()), float((centred**4).mean()) - 3


def gaussian_modes(scaled: Floats, rules: EncodingRules, seed: int) -> tuple[Floats, Floats, Floats]:
    """Means, four times the standard deviations, and weights of a variational Gaussian mixture, (modes,) each.

    scaled: (n,) with at least two distinct values. The prior is a Dirichlet process of concentration .001, as CTGAN's.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    random = np.random.default_rng(derive(seed, "rows of the mixture"))
    if len(scaled) > MIXTURE_ROWS:
        scaled = random.choice(scaled, MIXTURE_ROWS, replace=False)
    mean, deviation = float(scaled.mean()), float(scaled.std())  # because the mixture's tolerances are absolute
    standard = ((scaled - mean) / deviation)[:, None]
    mixture = BayesianGaussianMixture(
        n_components=min(rules.max_modes, len(np.unique(scaled))),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        random_state=derive(seed, "mixture"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after 100 iterations it is good enough
        mixture.fit(standard)
    shares = mixture.predict_proba(standard)
    used = np.bincount(shares.argmax(axis=1), minlength=shares.shape[1]) > 0
    shares = shares[:, used & (shares.mean(axis=0) >= rules.min_weight)]
    # Means and widths from the values themselves, because the mixture's own are drawn to a prior as wide as the column.
    weights = shares.sum(axis=0)
    centres = (standard * shares).sum(axis=0) / weights
    widths = np.sqrt(((standard - centres) ** 2 * shares).sum(axis=0) / weights) + MIN_WIDTH
    return centres * deviation + mean, 4 * widths * deviation, weights / weights.sum()
