"""Can planted rows be found again? The exposure of canaries (Carlini et al. 2019, arXiv 1802.08232).

Canaries are `canaries.count` made-up rows, each `canaries.repeats` times, among the training rows before the generator
is fitted (harmonic.tables.canaries). So the audit covers everything after that: how the generator selects its examples,
learns and samples. It needs no held-out rows. Canaries are more unusual than real rows, and so easier to remember.

Each canary is ranked among decoys, rows of the same kind that were not planted, by a signal, the smallest first:

- `model`: its negative log-likelihood under the generator itself, if it is a language model, as in the paper. This is
  an audit by the model's owner.
- `lle`: the negative log-likelihood of its label, given its features, under the language model that LLM Effectiveness
  tunes on the synthetic rows. Everyone who has the synthetic rows can do this. At small scale this model hardly learns,
  and the signal shows nothing.
- `nearest`: its distance to the closest synthetic row. Everyone who has the synthetic rows can do this, too.

    exposure = log2 |R| - log2 rank,   R: the decoys and the canary

If nothing is remembered, the rank is uniform, and the mean exposure is 1/ln 2 = 1.44 bits. If a canary can be told from
all decoys, its exposure is log2 |R|: 9.97 bits with 1,000 decoys. The AUC says the same without logarithms: P(a canary
ranks before a decoy), 0.5 if nothing is remembered.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.evaluation.attacks import roc
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown, check_confidence, check_names
from harmonic.evaluation.comparison.encoding import Encoder, usable_rows
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.evaluation.llm_effectiveness.answering import answer_losses, in_all_tokens, tuned_on
from harmonic.evaluation.llm_effectiveness.row_lists import FORMS, ListedModel, Lists
from harmonic.evaluation.llm_effectiveness.wording import Wording, whole_target
from harmonic.llm.language_model import LanguageModel
from harmonic.randomness import derive
from harmonic.settings import Between, Count, Fields, Text
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tuning.settings import Tuning

log = logging.getLogger(__name__)

SIGNALS = ("model", "lle", "nearest")
CHANCE = 1 / np.log(2)
"""Bits: the mean exposure of rows that were not planted, among many others."""

_NONE = "no canaries were planted: add canaries.count=20 (this fits the run again, with made-up rows in its table)"
_KEY = "evaluator.canary_exposure"


def _declared(path: str, signal: str, bits: tuple[Shown, ...] = (), area: tuple[Shown, ...] = ()) -> tuple[Metric, ...]:
    """The metrics of one signal, or of the best; where the exposure and the area are shown."""
    return (
        Metric(
            f"{path}/exposure", False, 0, ideal=CHANCE, shown=bits,
            meaning=f"mean exposure of a canary in bits; {signal}",
        ),
        Metric(f"{path}/exposure/low", None, 0, meaning=f"lower end of the interval of {path}/exposure"),
        Metric(f"{path}/exposure/high", None, 0, meaning=f"upper end of the interval of {path}/exposure"),
        Metric(f"{path}/exposure_max", False, 0, meaning=f"largest exposure of a canary in bits; {signal}"),
        Metric(f"{path}/auc", None, 0, 1, 0.5, f"P(a canary ranks before a row that was not planted); {signal}", area),
        Metric(f"{path}/auc/low", None, 0, 1, meaning=f"lower end of the interval of {path}/auc"),
        Metric(f"{path}/auc/high", None, 0, 1, meaning=f"upper end of the interval of {path}/auc"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryExposure(Evaluator):
    """Exposure and AUC of the planted rows, by each signal, and by the strongest one.

    `signals`: names in SIGNALS. `llm`, `tuning`, `task_sentence`, `labels`, `words`, `form` and `lists` are those of
    LanguageModelEffectiveness: if they are equal, the model is tuned once for both. `max_scored_decoys`: most decoys
    that language models read (None: all); with fewer, the largest possible exposure is smaller. `confidence`: of the
    intervals. `resamples`: bootstrap draws for the intervals of the exposures.

    `canary/*` repeats the signal with the largest AUC, which `notes` names, with intervals at confidence
    1 - (1 - confidence) / signals (Bonferroni), since the largest of several is high by chance. So is `exposure_max`:
    the largest exposure of 20 rows that were not planted is 5.2 bits on average.
    """

    llm: LanguageModel
    tuning: Annotated[dict[str, Any], Fields(Tuning)] = field(default_factory=dict)
    task_sentence: str | None = None
    labels: dict[Text, Text] | None = None
    words: dict[Text, dict[Text, Text]] | None = None
    form: str = "question"
    lists: Annotated[dict[str, Any], Fields(Lists)] = field(default_factory=dict)
    signals: list[str] = field(default_factory=lambda: list(SIGNALS))
    max_scored_decoys: Count | None = 300
    confidence: Between = 0.95
    resamples: Count = 2000

    version: ClassVar[int] = 2
    takes_gaps: ClassVar[bool] = True

    metrics: ClassVar[tuple[Metric, ...]] = (
        *_declared("canary/*", "one signal"),
        *_declared(
            "canary", "the signal with the largest AUC", (Shown("privacy", "canary", 100),),
            (Shown("cards", "canary AUC", 90), Shown("summary", place=130)),
        ),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Rank `splits.learnt_canaries` among `splits.decoys`; `scorer` is the signal "model".

        `series` has "canary/<signal>/exposures", (canaries,). Raises ConfigError if a setting is invalid.
        """
        self._check()
        measures, seen = Measures(), {}
        for name in self.signals:
            try:
                seen[name] = self._losses(name, splits, synthetic, seed, scorer)
            except DataError as error:
                self._unavailable(measures, f"canary/{name}", str(error))
            except Exception as error:  # other libraries may fail on strange rows
                if isinstance(error, ConfigError) and error.key != "llm.context":
                    raise
                log.warning("canary/%s could not be computed: %s: %s", name, type(error).__name__, error)
                self._unavailable(measures, f"canary/{name}", f"{type(error).__name__}: {error}")
            else:
                self._measure(measures, f"canary/{name}", *seen[name], seed, self.confidence)
                measures.series[f"canary/{name}/exposures"] = exposures(*seen[name])
        if not seen:
            reasons = {measures.reasons[f"canary/{name}/auc"] for name in self.signals}
            self._unavailable(measures, "canary", reasons.pop() if len(reasons) == 1 else "no signal could be computed")
            return measures
        worst = max(seen, key=lambda name: measures[f"canary/{name}/auc"])
        self._measure(measures, "canary", *seen[worst], seed, 1 - (1 - self.confidence) / len(seen))
        measures.notes["canary/exposure"] = measures.notes["canary/auc"] = worst
        return measures

    def _check(self) -> None:
        check_names(f"{_KEY}.signals", self.signals, SIGNALS)
        check_confidence(_KEY, self.confidence)
        if self.form not in FORMS:
            raise unknown(f"{_KEY}.form", self.form, "choice", FORMS)
        Lists(**self.lists).check(_KEY)
        for key, least in (("max_scored_decoys", 2), ("resamples", 2)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise ConfigError(f"{_KEY}.{key}", value, f"must be at least {least}", f"{_KEY}.{key}=300")

    def _losses(
        self, name: str, splits: Splits, synthetic: Table, seed: int, scorer: Scorer | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The signal of each canary and of each decoy; small if a row looks like a planted one."""
        canaries = splits.learnt_canaries
        if canaries is None or splits.decoys is None:
            raise DataError(_NONE)
        if len(canaries) < 2:
            raise DataError(f"{len(canaries)} of {len(splits.canaries or ())} planted rows were learnt: two are needed")
        decoys = splits.decoys.frame
        if name != "nearest":
            decoys = decoys.iloc[: self.max_scored_decoys]
        rows = pd.concat([canaries.frame, decoys], ignore_index=True)
        if name == "model":
            if scorer is None:
                raise DataError("needs a language generator: this one has no likelihoods")
            losses = np.asarray(scorer(rows), dtype=np.float64)
        elif name == "lle":
            losses = self._answer_losses(splits, usable_rows(synthetic, splits.schema), rows, seed)
        else:
            imputation = Imputation.of(splits.train)
            drawn = imputation.frame(usable_rows(synthetic, splits.schema))
            losses = nearest_distances(imputation.frame(rows), drawn, Encoder.fit(imputation.table(splits.train)))[:, 0]
        if np.isnan(losses).any():
            raise DataError(f"{int(np.isnan(losses).sum())} of {len(losses)} rows have no signal")
        return losses[: len(canaries)], losses[len(canaries) :]

    def _answer_losses(
        self, splits: Splits, synthetic: pd.DataFrame, rows: pd.DataFrame, seed: int
    ) -> NDArray[np.float64]:
        whole = whole_target(splits.train)
        wording = Wording(whole.imputed, self.task_sentence, self.labels, self.words)
        wording.check_for(whole.splits(splits))
        if self.form == "list":
            tuning, lists = Tuning(**self.tuning), Lists(**self.lists)
            train, drawn = whole.table(splits.train), whole.frame(synthetic)
            return ListedModel.of(train, wording, drawn, self.llm, tuning, lists, seed).losses(whole.frame(rows))
        taught, asked = wording.examples(whole.frame(synthetic)), wording.examples(whole.frame(rows))
        model, chat, _ = tuned_on(taught, self.llm, in_all_tokens(Tuning(**self.tuning)), seed=seed)
        return answer_losses(model, chat, asked, self.llm.max_tokens(model.config))

    def _measure(
        self,
        measures: Measures,
        path: str,
        canaries: NDArray[np.float64],
        decoys: NDArray[np.float64],
        seed: int,
        confidence: float,
    ) -> None:
        """Record exposures and AUC, from a signal's values for canaries and decoys."""
        found = exposures(canaries, decoys)
        measures[f"{path}/exposure"], measures[f"{path}/exposure_max"] = float(found.mean()), float(found.max())
        measures[f"{path}/exposure/low"], measures[f"{path}/exposure/high"] = mean_interval(
            found, np.log2(len(decoys) + 1), confidence, resamples=self.resamples, seed=seed
        )
        measures[f"{path}/auc"] = roc.area(-canaries, -decoys)
        interval = roc.area_interval(-canaries, -decoys, confidence)
        measures[f"{path}/auc/low"], measures[f"{path}/auc/high"] = interval

    @staticmethod
    def _unavailable(measures: Measures, path: str, reason: str) -> None:
        for key in ("exposure", "exposure/low", "exposure/high", "exposure_max", "auc", "auc/low", "auc/high"):
            measures.unavailable(f"{path}/{key}", reason)


def exposures(canaries: NDArray[np.float64], decoys: NDArray[np.float64]) -> NDArray[np.float64]:
    """log2 |R| - log2 rank of each canary, (canaries,), bits in [0, log2(decoys + 1)].

    R: the decoys and that canary. Equal losses get the mean of their ranks.
    """
    ascending = np.sort(decoys)
    below, at_most = (np.searchsorted(ascending, canaries, side=side) for side in ("left", "right"))
    return np.log2(len(decoys) + 1) - np.log2(1 + (below + at_most) / 2)


def mean_interval(
    values: NDArray[np.float64], limit: float, confidence: float, *, resamples: int, seed: int
) -> tuple[float, float]:
    """Two-sided interval of the mean of at least two exposures in [0, limit].

    Exposures of rows that were not planted are nearly exponential, and their mean follows a Gamma distribution. Each
    end is the wider one of its interval and of the bootstrap's (percentiles), which is wider if only some canaries are
    remembered. The bootstrap alone, at 95%, covers the 1.44 bits of 20 rows that were not planted in 88% of cases.
    """
    from scipy.stats import bootstrap, chi2

    tails = np.array([(1 + confidence) / 2, (1 - confidence) / 2])
    low, high = values.mean() * 2 * len(values) / chi2.ppf(tails, 2 * len(values))
    if np.ptp(values) > 0:
        drawn = bootstrap(
            (values,), np.mean, n_resamples=resamples, method="percentile", confidence_level=confidence,
            rng=np.random.default_rng(derive(seed, "canary")),
        ).confidence_interval  # fmt: skip
        low, high = min(low, drawn.low), max(high, drawn.high)
    return float(low), float(min(high, limit))
