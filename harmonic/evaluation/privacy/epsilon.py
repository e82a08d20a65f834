"""How far are the synthetic rows from differential privacy, at least? An empirical epsilon from rows alone.

Members are the training rows that were learnt, non-members are test rows; the split between them was random. Each
attack gives each row a score, and a threshold makes a rule of it. The attack and its threshold are chosen on one half
of the rows, and the rule is evaluated on the other half, since the best of many rules looks too good on the rows that
it was chosen on. No model is trained, and the generator is not used (as in arXiv 2606.16952).

harmonic.evaluation.attacks.rates says what is bounded, and why the bound holds for a single run. The unit of privacy is
one row, replaced by another. A bound of 0 means that these attacks, with this number of rows, refute nothing. It never
means that a generator is private.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.rates import Scores, best_rule, largest_bound, log_ratio
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown, check_confidence, check_names
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.evaluation.privacy.membership import MAX_PAIRS, ON_ROWS, attacked
from harmonic.randomness import derive
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

log = logging.getLogger(__name__)

_KEY = "evaluator.empirical_epsilon"
_LEAST = 4  # rows of each kind: two to choose the rule, two to evaluate it


@dataclass(frozen=True, slots=True)
class EmpiricalEpsilon(Evaluator):
    """A lower bound on the epsilon of (epsilon, `delta`)-differential privacy, at `confidence`.

    `attacks`: names in membership.ON_ROWS. `max_rows`: most members, and most non-members (None: as many as test rows);
    half of each are used to choose the rule. `max_pairs`: most pairs of a member or non-member and a synthetic row
    (None: membership.MAX_PAIRS). Attacks are tried in both directions.
    """

    attacks: list[str] = field(default_factory=lambda: list(ON_ROWS))
    max_rows: int | None = 2000
    max_pairs: int | None = None
    delta: float = 1e-5
    confidence: float = 0.95

    version: ClassVar[int] = 1

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "epsilon", False, 0, ideal=0,
            shown=(Shown("privacy", "ε, at least", 70), Shown("cards", "epsilon, at least", 30)),
            meaning="differential privacy with a smaller epsilon is refuted",
        ),
        Metric("epsilon/largest", None, 0, meaning="the bound that an attack without a mistake would give"),
        Metric("epsilon/tpr", None, 0, 1, meaning="share of members that the chosen rule takes for members"),
        Metric("epsilon/fpr", None, 0, 1, meaning="share of non-members that the chosen rule takes for members"),
        Metric("epsilon/members", None, 2, meaning="number of training rows that the rule was evaluated on"),
        Metric("epsilon/non_members", None, 2, meaning="number of unseen rows that the rule was evaluated on"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Tell `splits.members` from `splits.test` with the help of `synthetic`; `scorer` is not used.

        `notes["epsilon"]` describes the rule. Raises ConfigError if a setting is invalid.
        """
        self._check()
        measures = Measures()
        size = attacked(splits, len(synthetic), self.max_rows, self.max_pairs, _LEAST)
        try:
            if size < _LEAST:
                raise DataError(f"needs at least {_LEAST} rows that were learnt and {_LEAST} test rows")
            rows = usable_rows(synthetic, splits.schema)
            drawn = [
                table.frame.iloc[subsample(len(table), size, derive(seed, "epsilon candidates", name))]
                for name, table in (("members", splits.members), ("non_members", splits.test))
            ]
            encoder = Encoder.fit(splits.train)
            attacker = Attacker(rows, splits.reference.frame, splits.schema, encoder, derive(seed, "epsilon"))
            scores = self._scores(pd.concat(drawn, ignore_index=True), attacker)
        except DataError as error:
            for metric in self.metrics:
                measures.unavailable(metric.name, str(error))
            return measures
        self._measure(measures, scores, seed)
        return measures

    def _check(self) -> None:
        check_names(f"{_KEY}.attacks", self.attacks, ON_ROWS)
        check_confidence(_KEY, self.confidence)
        if not 0 <= self.delta < 1:
            raise ConfigError(f"{_KEY}.delta", self.delta, "must be at least 0 and below 1", f"{_KEY}.delta=1e-5")
        for key, value, usual in (("max_rows", self.max_rows, 2000), ("max_pairs", self.max_pairs, MAX_PAIRS)):
            if value is not None and value < _LEAST:
                raise ConfigError(f"{_KEY}.{key}", value, f"must be at least {_LEAST}", f"{_KEY}.{key}={usual}")

    def _scores(self, candidates: pd.DataFrame, attacker: Attacker) -> dict[str, NDArray[np.float64]]:
        """Each attack's scores of the candidates, members first; impossible attacks are left out.

        Raises DataError if no attack is possible.
        """
        found, reasons = {}, []
        for name in self.attacks:
            try:
                scores = ON_ROWS[name](candidates, attacker)
            except DataError as error:
                reasons.append(f"{name}: {error}")
            except Exception as error:  # other libraries may fail on strange rows
                log.warning("epsilon is bounded without %s: %s: %s", name, type(error).__name__, error)
                reasons.append(f"{name}: {type(error).__name__}: {error}")
            else:
                if np.isnan(scores).any():
                    reasons.append(f"{name}: {int(np.isnan(scores).sum())} of {len(scores)} rows have no score")
                else:
                    found[name] = np.asarray(scores, dtype=np.float64)
        if not found:
            raise DataError(f"no attack was possible: {'; '.join(reasons)}")
        return found

    def _measure(self, measures: Measures, scores: dict[str, NDArray[np.float64]], seed: int) -> None:
        """Choose the rule on one half of the rows, and evaluate it on the other half."""
        kinds = {name: np.split(values, 2) for name, values in scores.items()}
        size = len(next(iter(kinds.values()))[0])
        order = [np.random.default_rng(derive(seed, "epsilon halves", kind)).permutation(size) for kind in range(2)]
        level = {"delta": self.delta, "confidence": self.confidence}
        half = size // 2

        def part(name: str, rows: slice) -> Scores:
            members, others = kinds[name]
            return members[order[0][rows]], others[order[1][rows]]

        rule = best_rule({name: part(name, slice(half)) for name in kinds}, **level)
        members, others = part(rule.attack, slice(half, None))
        hits, alarms = rule.hits(members), rule.hits(others)
        bound = max(0.0, float(log_ratio(hits, len(members), alarms, len(others), **level)))
        measures["epsilon"] = bound
        measures["epsilon/largest"] = largest_bound(len(members), len(others), **level)
        measures["epsilon/tpr"], measures["epsilon/fpr"] = hits / len(members), alarms / len(others)
        measures["epsilon/members"], measures["epsilon/non_members"] = float(len(members)), float(len(others))
        measures.notes["epsilon"] = (
            f"{rule.attack}{', reversed' if rule.reverse else ''}: takes {hits} of {len(members)} members and "
            f"{alarms} of {len(others)} others for members; without a mistake: {measures['epsilon/largest']:.2f}"
        )
