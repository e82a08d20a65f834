"""Can an attacker tell which rows the generator learnt from? Membership inference by several attacks.

Members are training rows, non-members are test rows, in equal numbers. The attacker has the synthetic rows, and real
rows that are neither (`splits.reference`). An attack gives each candidate a score; the metrics say how well the scores
tell members from non-members.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.attacks import roc
from harmonic.evaluation.attacks.attacker import Attack, Attacker
from harmonic.evaluation.attacks.classifier import classifier_attack
from harmonic.evaluation.attacks.density import domias, gen_lra
from harmonic.evaluation.attacks.distance import closest_record, monte_carlo
from harmonic.evaluation.attacks.likelihood import TokenLosses, calibrated_loss, min_k
from harmonic.evaluation.attacks.results import RATES, declared, measure, put, put_worst, with_interval
from harmonic.evaluation.attacks.rows_apart import real_rows, standing_apart
from harmonic.evaluation.attacks.shown_rows import METRICS as SHOWN_METRICS
from harmonic.evaluation.attacks.shown_rows import PARTS, measure_shown
from harmonic.evaluation.attacks.text import levatt, levatt_digits
from harmonic.evaluation.base import (
    Evaluator,
    Measures,
    Metric,
    Scorer,
    Shown,
    TokenScorer,
    check_confidence,
    check_names,
)
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.randomness import derive
from harmonic.settings import Between, Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

log = logging.getLogger(__name__)

ON_ROWS: dict[str, Attack] = {
    "dcr": closest_record,
    "mc": monte_carlo,
    "domias": domias,
    "gen_lra": gen_lra,
    "levatt": levatt,
    "levatt_digits": levatt_digits,
    "classifier": classifier_attack,
}
"""Attacks that use the synthetic rows."""

MAX_PAIRS = 5 * 10**8
"""Pairs of a member or non-member and a synthetic row that are compared: 2,000 of both with 125,000 rows."""

ON_LIKELIHOODS = ("loss", "min_k")
"""Attacks that use the likelihoods of a language generator."""


_WORST = (
    Shown("privacy", "MIA worst", 60, interval=True, ablated=True), Shown("cards", "worst attack, AUC", 10),
    Shown("summary", place=100),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MembershipInference(Evaluator):
    """Area under the ROC curve, and true-positive rates at low false-positive rates, of each attack.

    `attacks`: names in ON_ROWS and ON_LIKELIHOODS. `max_rows`: most members, and most non-members (None: as many as
    test rows). `max_scored_rows`: the same for attacks in which a language model reads each row twice. `confidence`: of
    the intervals. `resamples`: bootstrap draws for the intervals of the true-positive rates
    (harmonic.evaluation.attacks.roc).

    `max_pairs`: most pairs of a member or non-member and a synthetic row (None: MAX_PAIRS). If there are more, fewer
    members and non-members are attacked, and the intervals are wider. All synthetic rows are used, because an attacker
    with a part of them would find less.

    `mia/worst` is the largest area of an attack or of its reverse, in [0.5, 1] (`roc.worst_area` says why it is
    two-sided). The largest of many areas is above 0.5 by chance alone. Its interval therefore holds for all attacks at
    once: it comes from the single intervals at confidence 1 - (1 - confidence) / attacks (Bonferroni). If the rows
    reveal nothing, `mia/worst/low` is above 0.5 in at most 1 - confidence of cases. `mia/<attack>/auc` is one-sided: it
    may be below 0.5.

    `mia/*/apart` is the area among the candidates that are unlike all others: the share `apart` of them that is
    farthest from its neighbours (harmonic.evaluation.attacks.rows_apart). `mia/worst_apart` is the largest of these
    areas, with an interval like that of `mia/worst`. These rows are few, so the intervals are wide.

    A row that is both in the training and in the test split is a member and a non-member. With many such rows, no
    attack reaches 1.
    """

    attacks: list[str] = field(default_factory=lambda: [*ON_LIKELIHOODS, *ON_ROWS])
    max_rows: Count | None = 2000
    max_scored_rows: Count | None = 500
    max_pairs: Count | None = None
    confidence: Between = 0.95
    resamples: Count = 1000
    apart: float = 0.1

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        *declared("mia/*", rate=(Shown("cards", "its TPR at 1% FPR", 20),)),
        *with_interval("mia/*/apart", "the AUC among rows that are unlike all others", 0.5, None),
        *with_interval(
            "mia/worst_apart", "largest AUC of an attack, or of its reverse, among rows that are unlike all others",
            0.5,
        ),
        *SHOWN_METRICS,
        Metric("mia/worst", False, 0.5, 1, 0.5, shown=_WORST, meaning="largest AUC of an attack, or of its reverse"),
        Metric("mia/worst/low", False, 0.5, 1, meaning="above 0.5: members can be told from other rows"),
        Metric("mia/worst/high", None, 0.5, 1, meaning="upper end of the interval of mia/worst, for all attacks"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Attack `synthetic`, and with a TokenScorer also the language generator itself.

        `notes["mia/worst"]` names the strongest attack, and says if it is reversed. `series` has the scores for plots,
        "mia/<attack>/members" and "mia/<attack>/non_members". Raises ConfigError if a setting is invalid.
        """
        self._check()
        measures = Measures()
        size = attacked(splits, len(synthetic), self.max_rows, self.max_pairs, 2)
        try:
            if size < 2:
                raise DataError("needs at least two rows that were learnt and two test rows")
            rows = usable_rows(synthetic, splits.schema)
        except DataError as error:
            for name in [*self.attacks, "worst", "worst_apart", *(f"worst_{part}" for part in PARTS)]:
                self._unavailable(measures, name, str(error))
            return measures
        candidates = _candidates(splits, size, seed)
        attacker = Attacker(
            rows, splits.reference.frame, splits.schema, Encoder.fit(splits.train), derive(seed, "membership")
        )
        losses = _Losses(_candidates(splits, min(size, self.max_scored_rows or size), seed), scorer)
        real = real_rows(splits)
        apart = {
            len(rows): standing_apart(rows, real, attacker.encoder, self.apart)
            for rows in (candidates, losses.candidates)
        }
        for name in self.attacks:
            scores = _scores(name, candidates, attacker, losses)
            if isinstance(scores, str):
                self._unavailable(measures, name, scores)
                continue
            members, others = np.split(scores, 2)
            measure(
                measures, f"mia/{name}", members, others,
                confidence=self.confidence, resamples=self.resamples, seed=derive(seed, name),
            )  # fmt: skip
            self._measure_apart(measures, name, members, others, apart[len(scores)])
        self._worst(measures)
        self._worst_apart(measures)
        measure_shown(
            measures, splits, self._made(measures), rows=len(synthetic), scorer=scorer, seed=seed,
            confidence=self.confidence,
        )  # fmt: skip
        return measures

    def _check(self) -> None:
        key = "evaluator.membership_inference"
        check_names(f"{key}.attacks", self.attacks, [*ON_LIKELIHOODS, *ON_ROWS])
        check_confidence(key, self.confidence)
        for name in ("max_rows", "max_scored_rows"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise ConfigError(f"{key}.{name}", value, "must be at least 2", f"{key}.{name}=500")
        if self.resamples < 2:
            raise ConfigError(f"{key}.resamples", self.resamples, "must be at least 2", f"{key}.resamples=1000")
        if not 0 < self.apart <= 1:
            raise ConfigError(f"{key}.apart", self.apart, "must be above 0 and at most 1", f"{key}.apart=0.1")

    def _measure_apart(
        self, measures: Measures, name: str, members: NDArray[np.float64], others: NDArray[np.float64],
        apart: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Record the area among the rows that are unlike all others."""
        few, fewer = (scores[chosen] for scores, chosen in zip((members, others), np.split(apart, 2), strict=True))
        if min(len(few), len(fewer)) < 2:
            reason = f"needs two rows of each kind that are unlike all others: there are {len(few)} and {len(fewer)}"
            put(measures, f"mia/{name}/apart", reason)
            return
        measures.series[f"mia/{name}/apart/members"], measures.series[f"mia/{name}/apart/non_members"] = few, fewer
        interval = roc.area_interval(few, fewer, self.confidence)
        put(measures, f"mia/{name}/apart", roc.area(few, fewer), interval)

    def _worst_apart(self, measures: Measures) -> None:
        """Record the largest area among the rows that are unlike all others, as `_worst` does for all rows."""
        kinds = ("members", "non_members")
        seen = self._made(measures, "/apart")
        if not seen:
            self._unavailable(measures, "worst_apart", "no attack was possible on rows that are unlike all others")
            return
        worst = put_worst(measures, "mia/worst_apart", seen, self.confidence)
        measures.update(
            {f"mia/worst_apart/{kind}": float(len(part)) for kind, part in zip(kinds, seen[worst], strict=True)}
        )

    def _made(self, measures: Measures, part: str = "") -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The scores of members and non-members by each possible attack. part "/apart": only rows unlike all others."""
        return {
            name: (measures.series[f"mia/{name}{part}/members"], measures.series[f"mia/{name}{part}/non_members"])
            for name in self.attacks
            if f"mia/{name}{part}/members" in measures.series
        }

    def _worst(self, measures: Measures) -> None:
        """Record the largest area, its attack, and the interval for all attacks at once."""
        made = self._made(measures)
        if not made:
            self._unavailable(measures, "worst", "no attack was possible")
            return
        put_worst(measures, "mia/worst", made, self.confidence)

    @staticmethod
    def _unavailable(measures: Measures, name: str, reason: str) -> None:
        """Record why an attack has no numbers; `name` may also be "worst" or "worst_apart"."""
        for key in [""] if name.startswith("worst") else ["/auc", "/apart", *(f"/{rate}" for rate in RATES)]:
            put(measures, f"mia/{name}{key}", reason)


def attacked(splits: Splits, synthetic: int, max_rows: int | None, max_pairs: int | None, least: int) -> int:
    """How many members are attacked with so many synthetic rows, and as many non-members.

    At most `max_rows` (None: as many as test rows), and as `max_pairs` allows (None: MAX_PAIRS), but not below `least`.
    """
    allowed = max((max_pairs or MAX_PAIRS) // max(2 * synthetic, 1), least)
    return min(len(splits.members), len(splits.test), max_rows or len(splits.test), allowed)


def _candidates(splits: Splits, size: int, seed: int) -> pd.DataFrame:
    """`size` rows that were learnt, followed by `size` test rows, (2 size, columns)."""
    drawn = [table.frame.iloc[subsample(len(table), size, seed)] for table in (splits.members, splits.test)]
    return pd.concat(drawn, ignore_index=True)


def _scores(name: str, candidates: pd.DataFrame, attacker: Attacker, losses: _Losses) -> NDArray[np.float64] | str:
    """The attack's scores of the candidates, members first; or why it is not possible."""
    try:
        scores = losses.attack(name) if name in ON_LIKELIHOODS else ON_ROWS[name](candidates, attacker)
        if np.isnan(scores).any():
            raise DataError(f"{int(np.isnan(scores).sum())} of {len(scores)} rows have no score")
        return scores
    except DataError as error:
        return str(error)
    except Exception as error:  # other libraries may fail on strange rows
        log.warning("mia/%s could not be computed: %s: %s", name, type(error).__name__, error)
        return f"{type(error).__name__}: {error}"


class _Losses:
    """The candidates' token losses under the tuned and under the base model, each computed once when needed."""

    def __init__(self, candidates: pd.DataFrame, scorer: Scorer | None) -> None:
        self.candidates, self.scorer = candidates, scorer
        self._found: dict[bool, TokenLosses] = {}

    def attack(self, name: str) -> NDArray[np.float64]:
        """Scores of the attack, (n,). Raises DataError if the generator cannot give the likelihoods."""
        tuned = self._tokens(base=False)
        return min_k(tuned) if name == "min_k" else calibrated_loss(tuned, self._tokens(base=True))

    def _tokens(self, *, base: bool) -> TokenLosses:
        if self.scorer is None:
            raise DataError("needs a language generator: this one has no likelihoods")
        if base not in self._found:
            found = self.scorer.tokens(self.candidates, base) if isinstance(self.scorer, TokenScorer) else None
            if found is None:
                model = "the base model" if base else "the tuned model"
                raise DataError(f"needs the likelihood of each token under {model}, which this generator does not give")
            self._found[base] = found
        return self._found[base]
