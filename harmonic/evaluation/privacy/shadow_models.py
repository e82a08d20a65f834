"""What can an attacker find out who fits the same generator many times? Membership inference with shadow models.

The attacker knows the generator and its settings, all training rows except the candidates, and the candidates
themselves; half of these were learnt. Shadow models learn from the known rows and a random half of the candidates: as
many rows as the attacked generator. From their synthetic rows a classifier learns to recognize members
(harmonic.evaluation.attacks.shadow). This attacker knows more than others will: it is for an audit. What it cannot find
out, attackers who know less can hardly find out. It is not part of `mia/worst`, and needs `models` fits.
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
from harmonic.evaluation.attacks.results import RATES, declared, measure, put
from harmonic.evaluation.attacks.shadow import halves, shadow_attack
from harmonic.evaluation.base import (
    Measures,
    Metric,
    Refit,
    RefittingEvaluator,
    Scorer,
    Shown,
    check_confidence,
    check_names,
)
from harmonic.evaluation.comparison.encoding import Encoder, subsample, usable_rows
from harmonic.evaluation.privacy.membership import ON_ROWS, attacked
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.settings import Count
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

log = logging.getLogger(__name__)

MAX_PAIRS = 5 * 10**9
"""Most pairs of a candidate and a synthetic row, over all models."""

_KEY = "evaluator.shadow_models"
_LEAST = 4


@dataclass(frozen=True, slots=True)
class ShadowModels(RefittingEvaluator):
    """Area and true-positive rates of one attack with `models` shadow models (even).

    `attacks`: names in membership.ON_ROWS; the classifier sees their scores. `max_rows`: most members, and most
    non-members (None: as many as test rows). `max_pairs`: most pairs of one of them and a synthetic row of the run or
    of a shadow model (None: MAX_PAIRS); if there are more, fewer rows are attacked. If the fits would take more than
    `seconds`, estimated from the run's own fit, none is started. `confidence` and `resamples` as in
    MembershipInference.
    """

    attacks: list[str] = field(default_factory=lambda: ["dcr", "mc", "domias", "gen_lra"])
    models: int = 16
    max_rows: int | None = 500
    max_pairs: Count | None = None
    seconds: float = 600.0
    confidence: float = 0.95
    resamples: int = 1000

    version: ClassVar[int] = 2

    metrics: ClassVar[tuple[Metric, ...]] = declared("shadow", (Shown("cards", "shadow models, AUC", 40),))

    def evaluate(
        self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None, refit: Refit | None = None
    ) -> Measures:
        """Tell `splits.members` from `splits.test`; `scorer` is not used. ConfigError if a setting is invalid."""
        self._check()
        measures = Measures()
        drawn, most = (self.models + 1) * len(synthetic), self.max_pairs or MAX_PAIRS
        size = attacked(splits, drawn, self.max_rows, most, _LEAST)
        try:
            if refit is None:
                raise DataError("needs a generator that can be fitted again")
            if size < _LEAST:
                raise DataError(f"needs at least {_LEAST} rows that were learnt and {_LEAST} test rows")
            if refit.seconds * self.models > self.seconds:
                raise DataError(
                    f"{self.models} fits at {refit.seconds:.0f} s each would take more than {self.seconds:.0f} s: "
                    f"raise {_KEY}.seconds"
                )
            scores = self._attacked(splits, usable_rows(synthetic, splits.schema), size, refit, seed)
        except DataError as error:
            self._unavailable(measures, str(error))
        except Exception as error:  # other libraries may fail on strange rows
            log.warning("shadow/auc could not be computed: %s: %s", type(error).__name__, error)
            self._unavailable(measures, f"{type(error).__name__}: {error}")
        else:
            members, others = np.split(scores, 2)
            measure(
                measures, "shadow", members, others,
                confidence=self.confidence, resamples=self.resamples, seed=derive(seed, "shadow", "rates"),
            )  # fmt: skip
        return measures

    def _check(self) -> None:
        check_names(f"{_KEY}.attacks", self.attacks, ON_ROWS)
        if self.models < 4 or self.models % 2:
            raise ConfigError(f"{_KEY}.models", self.models, "must be even, and at least 4", f"{_KEY}.models=16")
        check_confidence(_KEY, self.confidence)
        for key, value, least in (("max_rows", self.max_rows, _LEAST), ("resamples", self.resamples, 2)):
            if value is not None and value < least:
                raise ConfigError(
                    f"{_KEY}.{key}", value, f"must be at least {least}", f"{_KEY}.{key}={max(least, 500)}"
                )

    def _attacked(
        self, splits: Splits, synthetic: pd.DataFrame, size: int, refit: Refit, seed: int
    ) -> NDArray[np.float64]:
        """The attack's scores of `size` members, followed by those of `size` non-members."""
        chosen = subsample(len(splits.members), size, derive(seed, "shadow", "members"))
        others = subsample(len(splits.test), size, derive(seed, "shadow", "non_members"))
        known = splits.members.frame.iloc[np.setdiff1d(np.arange(len(splits.members)), chosen)]
        parts = [splits.members.frame.iloc[chosen], splits.test.frame.iloc[others]]
        candidates = pd.concat(parts, ignore_index=True)
        learnt = halves(len(candidates), self.models, seed)
        encoder, shadows = Encoder.fit(splits.train), []
        with Progress("shadow models", self.models, "models") as progress:
            for model, inside in enumerate(learnt):
                train = Table(pd.concat([known, candidates[inside]], ignore_index=True), splits.schema)
                release = refit.draw(train, len(synthetic), derive(seed, "shadow", model))
                rows = usable_rows(release, splits.schema)
                shadows.append(self._scores(candidates, rows, splits, encoder, derive(seed, "shadow", "attack", model)))
                progress.advance()
        target = self._scores(candidates, synthetic, splits, encoder, derive(seed, "shadow target"))
        return shadow_attack(target, np.stack(shadows), learnt)

    def _scores(
        self, candidates: pd.DataFrame, release: pd.DataFrame, splits: Splits, encoder: Encoder, seed: int
    ) -> NDArray[np.float64]:
        """Every attack's scores of the candidates against these synthetic rows, (candidates, attacks)."""
        attacker = Attacker(release, splits.reference.frame, splits.schema, encoder, seed)
        found = np.column_stack([ON_ROWS[name](candidates, attacker) for name in self.attacks])
        if not np.isfinite(found).all():
            raise DataError(f"{int((~np.isfinite(found)).any(axis=1).sum())} rows have no score")
        return found

    @staticmethod
    def _unavailable(measures: Measures, reason: str) -> None:
        for key in ("auc", *RATES):
            put(measures, f"shadow/{key}", reason)
