"""Can anyone tell which rows the generator learnt from? Membership inference, one attack after the other.

Members are training rows, non-members test rows, as many of the one as of the other; the attacker holds the
synthetic rows and real rows that are neither (`splits.reference`). An attack gives each candidate a score,
and is measured by how well the scores tell the two kinds apart.
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
from harmonic.evaluation.attacks.apart import real_rows, standing_apart
from harmonic.evaluation.attacks.attacker import Attack, Attacker
from harmonic.evaluation.attacks.density import domias, gen_lra
from harmonic.evaluation.attacks.distance import closest_record, monte_carlo
from harmonic.evaluation.attacks.likelihood import TokenLosses, calibrated_loss, min_k
from harmonic.evaluation.attacks.results import RATES, declared, measure, put, put_worst, with_interval
from harmonic.evaluation.attacks.shown import METRICS as SHOWN_METRICS
from harmonic.evaluation.attacks.shown import PARTS, measure_shown
from harmonic.evaluation.attacks.text import levatt, levatt_digits
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, TokenScorer, check_confidence, check_names
from harmonic.evaluation.comparison.boosting import classifier_attack
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
"""Attacks with the synthetic rows in hand."""

ON_LIKELIHOODS = ("loss", "min_k")
"""Attacks with the language generator's likelihoods in hand."""


@dataclass(frozen=True, slots=True)
class MembershipInference(Evaluator):
    """Area under the ROC curve, and true-positive rates at low false-positive rates, of each attack.

    `attacks` are names in ON_ROWS and ON_LIKELIHOODS. `max_rows` caps the members, and the non-members, to be
    told apart (None: as many as test rows), `max_scored_rows` those that a language model has to read, twice each;
    all synthetic rows are used. `confidence` is that of the intervals, `resamples` the bootstrap draws behind
    those of the true-positive rates (see harmonic/evaluation/roc.py).

    `mia/worst` is the largest area of an attack or of its reverse, in [0.5, 1] (see `roc.worst_area` on why it is
    two-sided), and the largest of many is above 0.5 by chance alone. Its interval, from the single ones at confidence
    1 - (1 - confidence) / attacks (Bonferroni), holds for all attacks at once: rows that give nothing away have
    `mia/worst/low` above 0.5 in at most 1 - confidence of cases. `mia/<attack>/auc` is as it is, 0.3 is 0.3.

    `mia/*/apart` is the area among the candidates that stand apart, the share `apart` of them that is farthest from its
    neighbours (harmonic/evaluation/attacks/apart.py), and `mia/worst_apart` the largest of these, with an interval like
    that of `mia/worst`. They are few, and the intervals wide.

    A row that is in the training and the test split alike is a member and a non-member: with many of them, no
    attack reaches 1.
    """

    attacks: list[str] = field(default_factory=lambda: [*ON_LIKELIHOODS, *ON_ROWS])
    max_rows: Count | None = 2000
    max_scored_rows: Count | None = 500
    confidence: Between = 0.95
    resamples: Count = 1000
    apart: float = 0.1

    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        *declared("mia/*"),
        *with_interval("mia/*/apart", "the AUC among rows that stand apart from all others", 0.5, None),
        *with_interval(
            "mia/worst_apart", "largest AUC of an attack, or of its reverse, among rows that stand apart", 0.5
        ),
        *SHOWN_METRICS,
        Metric("mia/worst", False, 0.5, 1, 0.5, "largest AUC of an attack, or of its reverse"),
        Metric("mia/worst/low", False, 0.5, 1, meaning="above 0.5: members can be told, whichever attack was tried"),
        Metric("mia/worst/high", None, 0.5, 1, meaning="no attack's AUC is above, for all attacks at once"),
    )

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Attack `synthetic`, and through a TokenScorer the language generator itself.

        `notes["mia/worst"]` names the attack that tells most, and whether it is reversed; `series` holds the scores,
        "mia/<attack>/members" and "mia/<attack>/non_members", for plots. Raises ConfigError for settings
        that cannot be.
        """
        self._check()
        measures = Measures()
        size = min(len(splits.members), len(splits.test), self.max_rows or len(splits.test))
        try:
            if size < 2:
                raise DataError("needs two rows that were learnt and two test rows at least")
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
            try:
                scores = losses.attack(name) if name in ON_LIKELIHOODS else ON_ROWS[name](candidates, attacker)
                if np.isnan(scores).any():
                    raise DataError(f"{int(np.isnan(scores).sum())} of {len(scores)} rows have no score")
            except DataError as error:
                self._unavailable(measures, name, str(error))
            except Exception as error:  # foreign libraries, and rows that may be anything
                log.warning("mia/%s could not be computed: %s: %s", name, type(error).__name__, error)
                self._unavailable(measures, name, f"{type(error).__name__}: {error}")
            else:
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
        """Record the area among the rows that stand apart."""
        few, fewer = (scores[chosen] for scores, chosen in zip((members, others), np.split(apart, 2), strict=True))
        if min(len(few), len(fewer)) < 2:
            reason = f"needs two rows of either kind that stand apart: there are {len(few)} and {len(fewer)}"
            put(measures, f"mia/{name}/apart", reason)
            return
        measures.series[f"mia/{name}/apart/members"], measures.series[f"mia/{name}/apart/non_members"] = few, fewer
        interval = roc.area_interval(few, fewer, self.confidence)
        put(measures, f"mia/{name}/apart", roc.area(few, fewer), interval)

    def _worst_apart(self, measures: Measures) -> None:
        """Record the largest area among the rows that stand apart, as `_worst` does that of all rows."""
        kinds = ("members", "non_members")
        seen = self._made(measures, "/apart")
        if not seen:
            self._unavailable(measures, "worst_apart", "no attack could be made on rows that stand apart")
            return
        worst = put_worst(measures, "mia/worst_apart", seen, self.confidence)
        measures.update(
            {f"mia/worst_apart/{kind}": float(len(part)) for kind, part in zip(kinds, seen[worst], strict=True)}
        )

    def _made(self, measures: Measures, part: str = "") -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The scores of members and non-members of each attack that could be made; part "/apart": on rows apart."""
        return {
            name: (measures.series[f"mia/{name}{part}/members"], measures.series[f"mia/{name}{part}/non_members"])
            for name in self.attacks
            if f"mia/{name}{part}/members" in measures.series
        }

    def _worst(self, measures: Measures) -> None:
        """Record the largest area, its attack, and the interval that holds for all attacks at once."""
        made = self._made(measures)
        if not made:
            self._unavailable(measures, "worst", "no attack could be made")
            return
        put_worst(measures, "mia/worst", made, self.confidence)

    @staticmethod
    def _unavailable(measures: Measures, name: str, reason: str) -> None:
        """Record why an attack, "worst" or "worst_apart", has no numbers."""
        for key in [""] if name.startswith("worst") else ["/auc", "/apart", *(f"/{rate}" for rate in RATES)]:
            put(measures, f"mia/{name}{key}", reason)


def _candidates(splits: Splits, size: int, seed: int) -> pd.DataFrame:
    """So many rows that were learnt, and behind them as many test rows, (2 size, columns)."""
    drawn = [table.frame.iloc[subsample(len(table), size, seed)] for table in (splits.members, splits.test)]
    return pd.concat(drawn, ignore_index=True)


class _Losses:
    """The candidates' token losses under the tuned and the base model, each asked for once, when first needed."""

    def __init__(self, candidates: pd.DataFrame, scorer: Scorer | None) -> None:
        self.candidates, self.scorer = candidates, scorer
        self._found: dict[bool, TokenLosses] = {}

    def attack(self, name: str) -> NDArray[np.float64]:
        """Scores of the attack, (n,). Raises DataError where the generator has no such likelihoods."""
        tuned = self._tokens(base=False)
        return min_k(tuned) if name == "min_k" else calibrated_loss(tuned, self._tokens(base=True))

    def _tokens(self, *, base: bool) -> TokenLosses:
        if self.scorer is None:
            raise DataError("needs a language generator: this one gives rows no likelihood")
        if base not in self._found:
            found = self.scorer.tokens(self.candidates, base) if isinstance(self.scorer, TokenScorer) else None
            if found is None:
                model = "the base model" if base else "the tuned model"
                raise DataError(f"needs the likelihood of each token under {model}, which this generator does not give")
            self._found[base] = found
        return self._found[base]
