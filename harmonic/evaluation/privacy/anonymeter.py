"""Singling out, linkability and inference: the three risks of anonymous data, measured with real attacks.

Giomi et al. 2023 (PoPETs; arXiv 2211.10459), after opinion 05/2014 of the European data protection authorities. Each
attack uses the synthetic rows. It is made against training rows (main), against test rows, which the generator never
saw (control), and by guessing (naive). Successes against test rows show what the data teach about anyone. The risk is
the share of the other attacks that succeed only because a row was learnt:

    risk = (main - control) / (1 - control)

with Wilson's rates and intervals, and propagated errors. This is our own code, compared with the authors' library
(anonymeter 1.1.0), which needs NumPy 1. Differences: columns are scaled by the ranges of the training rows; impossible
attacks do not count as failures; a guessed number must also be near the true one compared with the column's range;
singling out compares equal numbers of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown, check_confidence, check_names
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.evaluation.comparison.gower import Gower
from harmonic.evaluation.privacy.singling_out import singling_out
from harmonic.randomness import derive
from harmonic.settings import Between, Count, Text
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Table

log = logging.getLogger(__name__)

ATTACKS = ("singling_out", "linkability", "inference")
MAX_PAIRS = 10**9  # of an attacked row and a synthetic row: 2,000 attacks with 500,000 rows
TOLERANCE = 0.05  # largest error of a guessed number, as a share of the number, and of its column's range
_KEY = "evaluator.anonymeter"
_LEAST = 0.05  # smallest distance between control and ceiling with which a risk can be measured


@dataclass(frozen=True, slots=True)
class Outcome:
    """Successes of an attack against training rows, against test rows, and by guessing, each among `attacks` attacks.

    `ceiling`: the share of attacks on training rows that would succeed with perfect knowledge.
    """

    main: float
    control: float
    naive: float
    attacks: int
    ceiling: float = 1.0


def _declared(name: str, meaning: str, *shown: Shown) -> tuple[Metric, ...]:
    path = f"anonymeter/{name}"
    return (
        Metric(path, False, 0, 1, 0, f"risk that {meaning}, beyond what the data teach about anyone", shown),
        Metric(f"{path}/low", False, 0, 1, meaning="above 0: training rows are at a higher risk than other rows"),
        Metric(f"{path}/high", None, 0, 1, meaning=f"upper end of the interval of {path}"),
        Metric(f"{path}/main", None, 0, 1, meaning="share of attacks on training rows that succeed"),
        Metric(f"{path}/control", None, 0, 1, meaning="share of attacks on test rows that succeed"),
        Metric(f"{path}/naive", None, 0, 1, meaning="share of guesses at training rows that are right"),
    )


@dataclass(frozen=True, slots=True)
class Anonymeter(Evaluator):
    """The risks of singling out, linkability and inference, each in [0, 1]. 0: the attack shows no risk.

    `attacks`: names in ATTACKS. There are as many attacks of each kind as test rows, at most `max_attacks`, and at most
    as many as make `max_pairs` pairs with the synthetic rows (None: MAX_PAIRS).

    Singling out: a predicate over `columns` columns fits exactly one synthetic row; the guess is that it fits exactly
    one real row. Linkability: the columns are split in two at random (seeded); the halves of a row are linked if the
    same synthetic row is nearest to both. Inference: the synthetic row that is nearest by all other columns gives the
    value of one column. `secret` names this column; None: a random column for each row (seeded). Distances are Gower's.

    An attack that is no better than guessing is too weak to show a risk; `notes` says so. If there are more training
    rows than test rows, singling out uses only as many of them (harmonic.evaluation.privacy.singling_out), and `main`
    is at most that share.
    """

    attacks: list[str] = field(default_factory=lambda: list(ATTACKS))
    max_attacks: Count | None = 2000
    max_pairs: Count | None = None
    columns: Count = 3
    secret: Text | None = None
    confidence: Between = 0.95

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        *_declared(
            "singling_out", "a predicate found in the synthetic rows fits one training row alone",
            Shown("privacy", "singling out", 110), Shown("summary", place=140),
        ),
        *_declared(
            "linkability", "two halves of a training row are put together", Shown("privacy", "linkability", 120),
            Shown("cards", "linkability", 100), Shown("summary", place=150),
        ),
        *_declared(
            "inference", "a training row's value is inferred from its other values", Shown("privacy", "inference", 130),
            Shown("cards", "inference", 110), Shown("summary", place=160),
        ),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Attack the rows of `splits` with the help of `synthetic`; `scorer` is not used.

        `notes["anonymeter/<attack>"]` gives the three rates. Raises ConfigError if a setting is invalid.
        """
        self._check(splits)
        measures = Measures()
        allowed = max((self.max_pairs or MAX_PAIRS) // max(len(synthetic), 1), 2)
        size = min(len(splits.members), len(splits.test), self.max_attacks or len(splits.test), allowed)
        made: dict[str, Callable[[], Outcome]] = {
            "singling_out": lambda: self._singling_out(splits, rows, size, derive(seed, "singling_out")),
            "linkability": lambda: self._linkability(splits, rows, size, derive(seed, "linkability")),
            "inference": lambda: self._inference(splits, rows, size, derive(seed, "inference")),
        }
        try:
            if size < 2:
                raise DataError("needs at least two training rows and two test rows")
            rows = usable_rows(synthetic, splits.schema)
        except DataError as error:
            for name in self.attacks:
                _unavailable(measures, name, str(error))
            return measures
        for name in self.attacks:
            try:
                self._measure(measures, name, made[name]())
            except DataError as error:
                _unavailable(measures, name, str(error))
            except Exception as error:  # strange rows may break anything
                log.warning("anonymeter/%s could not be computed: %s: %s", name, type(error).__name__, error)
                _unavailable(measures, name, f"{type(error).__name__}: {error}")
        return measures

    def _check(self, splits: Splits) -> None:
        check_names(f"{_KEY}.attacks", self.attacks, ATTACKS)
        if self.max_attacks is not None and self.max_attacks < 2:
            raise ConfigError(f"{_KEY}.max_attacks", self.max_attacks, "must be at least 2", f"{_KEY}.max_attacks=2000")
        if self.columns < 1:
            raise ConfigError(f"{_KEY}.columns", self.columns, "must be at least 1", f"{_KEY}.columns=3")
        if self.secret is not None and self.secret not in splits.schema.names:
            raise unknown(f"{_KEY}.secret", self.secret, "column", splits.schema.names)
        check_confidence(_KEY, self.confidence)

    def _singling_out(self, splits: Splits, rows: pd.DataFrame, size: int, seed: int) -> Outcome:
        frames = (rows, splits.members.frame, splits.test.frame)
        columns = min(self.columns, len(splits.schema.columns))
        found = singling_out(*frames, splits.schema, size, columns, np.random.default_rng(derive(seed, "predicates")))
        if found.ceiling - found.control / found.attacks < _LEAST:
            raise DataError("too few test rows: predicates succeed among them as often as they can among training rows")
        return Outcome(found.main, found.control, found.naive, found.attacks, found.ceiling)

    def _linkability(self, splits: Splits, rows: pd.DataFrame, size: int, seed: int) -> Outcome:
        if len(splits.schema.columns) < 2:
            raise DataError("needs at least two columns")
        order = np.random.default_rng(derive(seed, "halves")).permutation(len(splits.schema.columns))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        gower = Gower.fit(splits.train)

        def links(table: Table) -> float:
            targets = table.frame.iloc[subsample(len(table), size, seed)]
            one, other = (gower.nearest(targets, rows, part.tolist()) for part in halves)
            return float((one == other).sum())

        # Two rows drawn independently are the same with probability 1 / rows.
        return Outcome(links(splits.members), links(splits.test), size / len(rows), size)

    def _inference(self, splits: Splits, rows: pd.DataFrame, size: int, seed: int) -> Outcome:
        columns = splits.schema.columns
        if len(columns) < 2:
            raise DataError("needs at least two columns")
        draw = np.random.default_rng(derive(seed, "secrets"))
        names = splits.schema.names
        secrets = draw.integers(len(columns), size=size) if self.secret is None else names.index(self.secret)
        secrets, guesses = np.broadcast_to(secrets, size), draw.integers(len(rows), size=size)
        gower = Gower.fit(splits.train)

        def inferred(table: Table, naive: bool = False) -> float:
            targets = table.frame.iloc[subsample(len(table), size, seed)]
            right = 0
            for secret in np.unique(secrets):
                mine = np.flatnonzero(secrets == secret)
                known = [place for place in range(len(columns)) if place != secret]
                chosen = guesses[mine] if naive else gower.nearest(targets.iloc[mine], rows, known)
                column = columns[secret]
                values = rows[column.name].to_numpy()[chosen]
                right += int(_equal(values, targets[column.name].to_numpy()[mine], column, gower.span[secret]).sum())
            return float(right)

        return Outcome(inferred(splits.members), inferred(splits.test), inferred(splits.members, naive=True), size)

    def _measure(self, measures: Measures, name: str, outcome: Outcome) -> None:
        path = f"anonymeter/{name}"
        measures[path], measures[f"{path}/low"], measures[f"{path}/high"] = risk(outcome, self.confidence)
        shares = {key: getattr(outcome, key) / outcome.attacks for key in ("main", "control", "naive")}
        measures.update({f"{path}/{key}": share for key, share in shares.items()})
        note = "{main:.1%} succeed, {control:.1%} on unseen rows, {naive:.1%} by guessing".format(**shares)
        if outcome.main <= outcome.naive:
            note += ": the attack is too weak to show a risk"
        measures.notes[path] = note


def risk(outcome: Outcome, confidence: float) -> tuple[float, float, float]:
    """Risk and its interval, in [0, 1].

    (main - control) / (ceiling - control): the share of attacks that hit a training row because it was learnt, if all
    other attacks succeed as often as on control rows.
    """
    main, reach = _wilson(outcome.main, outcome.attacks, confidence)
    control, other_reach = _wilson(outcome.control, outcome.attacks, confidence)
    room = outcome.ceiling - control
    value = (main - control) / room
    reach = np.hypot(reach / room, other_reach * (outcome.ceiling - main) / room**2)
    low, found, high = np.clip([value - reach, value, value + reach], 0, 1)
    return float(found), float(low), float(high)


def _wilson(successes: float, attacks: int, confidence: float) -> tuple[float, float]:
    """Center and half width of Wilson's interval of a rate."""
    from scipy.stats import norm

    z = norm.ppf((1 + confidence) / 2)
    center = (successes + z**2 / 2) / (attacks + z**2)
    reach = z / (attacks + z**2) * np.sqrt(successes * (attacks - successes) / attacks + z**2 / 4)
    return float(center), float(reach)


def _equal(guesses: NDArray, secrets: NDArray, column: Column, span: float) -> NDArray[np.bool_]:
    """Which guesses are right."""
    if not column.is_numeric:
        return np.asarray(guesses == secrets, dtype=bool)
    # Also as a share of the range: five percent of a year, or of a date, would allow anything.
    allowed = TOLERANCE * np.minimum(np.abs(secrets.astype(np.float64)), span)
    with np.errstate(over="ignore"):
        return np.abs(guesses.astype(np.float64) - secrets.astype(np.float64)) <= allowed


def _unavailable(measures: Measures, name: str, reason: str) -> None:
    for key in ("", "/low", "/high", "/main", "/control", "/naive"):
        measures.unavailable(f"anonymeter/{name}{key}", reason)
