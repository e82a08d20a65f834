"""Singling out, linkability and inference: the three risks that anonymous data must not carry, attacked for real.

Giomi et al. 2023 (PoPETs; arXiv 2211.10459), after the European data protection authorities' opinion 05/2014. Each
attack is made with the synthetic rows in hand, against the training rows (main), against test rows, which the generator
never saw (control), and by guessing (naive). What succeeds against test rows, too, is what the data teach about
anyone; the risk is the share of the rest that succeeds against training rows alone:

    risk = (main - control) / (1 - control)

with rates and intervals after Wilson, errors propagated. Own code, compared with the authors' library (anonymeter
1.1.0), which wants NumPy 1. Differences: columns are scaled by the training rows' ranges; attacks that could not be
made do not count as failed; a guess of a number must also be near it in terms of the column's range; and singling out
compares equal numbers of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, check_confidence, check_names
from harmonic.evaluation.comparison.encoding import subsample, usable_rows
from harmonic.evaluation.comparison.gower import Gower
from harmonic.evaluation.privacy.singling_out import singling_out
from harmonic.randomness import derive
from harmonic.settings import Between, Count, Text
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Table

log = logging.getLogger(__name__)

ATTACKS = ("singling_out", "linkability", "inference")
TOLERANCE = 0.05  # how far off the guess of a number may be, as a share of the number, and of its column's range
_KEY = "evaluator.anonymeter"
_LEAST = 0.05  # room between control and ceiling without which a risk says nothing


@dataclass(frozen=True, slots=True)
class Outcome:
    """Successes of an attack against training rows, test rows, and by guessing; and how many attacks each had.

    `ceiling`: the share of attacks on training rows that can succeed if all is known about them.
    """

    main: float
    control: float
    naive: float
    attacks: int
    ceiling: float = 1.0


def _declared(name: str, meaning: str) -> tuple[Metric, ...]:
    path = f"anonymeter/{name}"
    return (
        Metric(path, False, 0, 1, 0, f"risk that {meaning}, beyond what the data teach about anyone"),
        Metric(f"{path}/low", False, 0, 1, meaning="above 0: training rows are at a risk that others are not"),
        Metric(f"{path}/high", None, 0, 1, meaning=f"upper end of the interval of {path}"),
        Metric(f"{path}/main", None, 0, 1, meaning="share of attacks on training rows that succeed"),
        Metric(f"{path}/control", None, 0, 1, meaning="share of attacks on test rows that succeed"),
        Metric(f"{path}/naive", None, 0, 1, meaning="share of guesses at training rows that are right"),
    )


@dataclass(frozen=True, slots=True)
class Anonymeter(Evaluator):
    """The risks of singling out, linkability and inference, each in [0, 1] (0: none that the attack can show).

    `attacks` are names in ATTACKS. As many attacks of each kind are made as there are test rows, `max_attacks` at most.

    Singling out: a predicate over `columns` columns that fits exactly one synthetic row is guessed to fit exactly one
    real row. Linkability: the columns are parted in two by a seeded draw; a row's halves are linked if the same
    synthetic row is nearest to both. Inference: a row's nearest synthetic row, by all columns but one, tells the
    one; `secret` names it, None: another column for each row, by a seeded draw. Nearest is by Gower's distance.

    An attack that does no better than guessing was too weak to show a risk; `notes` says so. Where training rows
    outnumber test rows, singling out is tried among as many of them (harmonic/evaluation/privacy/singling_out.py), and
    `main` is at most that share.
    """

    attacks: list[str] = field(default_factory=lambda: list(ATTACKS))
    max_attacks: Count | None = 2000
    columns: Count = 3
    secret: Text | None = None
    confidence: Between = 0.95

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        *_declared("singling_out", "a predicate found in the synthetic rows fits one training row alone"),
        *_declared("linkability", "two halves of a training row are put together"),
        *_declared("inference", "a training row's value is told from its others"),
    )

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Attack the rows of `splits` with `synthetic` in hand; `scorer` is not used.

        `notes["anonymeter/<attack>"]` tells the three rates. Raises ConfigError for settings that cannot be.
        """
        self._check(splits)
        measures = Measures()
        size = min(len(splits.members), len(splits.test), self.max_attacks or len(splits.test))
        made: dict[str, Callable[[], Outcome]] = {
            "singling_out": lambda: self._singling_out(splits, rows, size, derive(seed, "singling_out")),
            "linkability": lambda: self._linkability(splits, rows, size, derive(seed, "linkability")),
            "inference": lambda: self._inference(splits, rows, size, derive(seed, "inference")),
        }
        try:
            if size < 2:
                raise DataError("needs two training rows and two test rows at least")
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
            except Exception as error:  # rows that may be anything
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
            raise ConfigError(f"{_KEY}.secret", self.secret, "is no column", suggest(self.secret, splits.schema.names))
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
            raise DataError("one column cannot be parted in two")
        order = np.random.default_rng(derive(seed, "halves")).permutation(len(splits.schema.columns))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        gower = Gower.fit(splits.train)

        def links(table: Table) -> float:
            targets = table.frame.iloc[subsample(len(table), size, seed)]
            one, other = (gower.nearest(targets, rows, part.tolist()) for part in halves)
            return float((one == other).sum())

        # Two rows drawn independently are the same one once in as many cases as there are rows.
        return Outcome(links(splits.members), links(splits.test), size / len(rows), size)

    def _inference(self, splits: Splits, rows: pd.DataFrame, size: int, seed: int) -> Outcome:
        columns = splits.schema.columns
        if len(columns) < 2:
            raise DataError("one column has no others to be told from")
        draw = np.random.default_rng(derive(seed, "secrets"))
        names = splits.schema.names
        secrets = draw.integers(len(columns), size=size) if self.secret is None else names.index(self.secret)
        secrets, guesses = np.broadcast_to(secrets, size), draw.integers(len(rows), size=size)
        gower = Gower.fit(splits.train)

        def told(table: Table, naive: bool = False) -> float:
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

        return Outcome(told(splits.members), told(splits.test), told(splits.members, naive=True), size)

    def _measure(self, measures: Measures, name: str, outcome: Outcome) -> None:
        path = f"anonymeter/{name}"
        measures[path], measures[f"{path}/low"], measures[f"{path}/high"] = risk(outcome, self.confidence)
        shares = {key: getattr(outcome, key) / outcome.attacks for key in ("main", "control", "naive")}
        measures.update({f"{path}/{key}": share for key, share in shares.items()})
        note = "{main:.1%} succeed, {control:.1%} on rows never seen, {naive:.1%} by guessing".format(**shares)
        if outcome.main <= outcome.naive:
            note += ": too weak an attack to show a risk"
        measures.notes[path] = note


def risk(outcome: Outcome, confidence: float) -> tuple[float, float, float]:
    """Risk and its interval, in [0, 1].

    (main - control) / (ceiling - control): the share of attacks that hit a training row because it was learnt, if the
    others succeed as often as they do on control rows.
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
    # Of the range, too: five percent of a year, or of a date, are anything.
    allowed = TOLERANCE * np.minimum(np.abs(secrets.astype(np.float64)), span)
    with np.errstate(over="ignore"):
        return np.abs(guesses.astype(np.float64) - secrets.astype(np.float64)) <= allowed


def _unavailable(measures: Measures, name: str, reason: str) -> None:
    for key in ("", "/low", "/high", "/main", "/control", "/naive"):
        measures.unavailable(f"anonymeter/{name}{key}", reason)
