"""Which method is chosen: the most useful one with an accepted risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.collect.shown_metrics import headline_of
from experiments.report.labelled_results import ANCHORS

Report = dict[str, Any]

RISK = "mia/worst"
GUESSING = 0.5
LEARNING = ("prompts", "fit", "sample")


@dataclass(frozen=True, slots=True)
class Value:
    """A measured number with its 95% interval; NaN if there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)

    @classmethod
    def of(cls, report: Report, name: str) -> Value:
        found = [report["metrics"].get(f"{name}{end}") for end in ("", "/low", "/high")]
        return cls(*(math.nan if number is None else float(number) for number in found))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method that was tried: how useful its rows are, what they reveal, and the seconds of learning and drawing.

    `why` says why it has no numbers; "" if it has.
    """

    generator: str
    utility: Value = Value()
    risk: Value = Value()
    seconds: float = math.nan
    why: str = ""

    @property
    def is_anchor(self) -> bool:
        return self.generator in ANCHORS

    @property
    def traced(self) -> bool:
        """Whether attacks found traces of training rows: the interval of the strongest one excludes guessing."""
        return not self.risk.low <= GUESSING

    @property
    def counts(self) -> bool:
        """Whether it can be chosen."""
        return not self.is_anchor and self.utility.known and self.risk.known


@dataclass(frozen=True, slots=True)
class Choice:
    """The methods that were tried, how they were compared, the limit, and the chosen method, if any.

    limit: the largest accepted AUC of an attack; None: methods without traces of training rows are accepted.
    """

    candidates: tuple[Candidate, ...]
    measure: str
    limit: float | None
    taken: Candidate | None

    @property
    def allowed(self) -> list[Candidate]:
        """The methods within the limit, the most useful first; of equally useful ones, the one that reveals less."""
        within = [one for one in self.candidates if one.counts and self._accepts(one)]
        return sorted(within, key=lambda one: (-one.utility.value, one.risk.value))

    def _accepts(self, one: Candidate) -> bool:
        return not one.traced if self.limit is None else one.risk.value <= self.limit

    @property
    def front(self) -> list[Candidate]:
        """The methods that no other one beats in both numbers, the most useful first."""
        known = [one for one in self.candidates if one.counts]
        beaten = [any(_beats(other, one) for other in known) for one in known]
        found = [one for one, lost in zip(known, beaten, strict=True) if not lost]
        return sorted(found, key=lambda one: -one.utility.value)

    @property
    def rivals(self) -> list[Candidate]:
        """The other methods within the limit with an interval of utility that reaches the chosen one's utility."""
        taken = self.taken
        if taken is None:
            return []
        return [one for one in self.allowed if one is not taken and one.utility.high >= taken.utility.value]


def candidate(generator: str, report: Report, measure: str) -> Candidate:
    """The candidate from the report of a finished run."""
    utility, risk = Value.of(report, measure), Value.of(report, RISK)
    lacking = [name for name, one in ((measure, utility), (RISK, risk)) if not one.known]
    why = "; ".join(f"{name}: {report['unavailable'].get(name, 'not measured')}" for name in lacking)
    seconds = sum(float(stage["seconds"]) for name, stage in report["stages"].items() if name in LEARNING)
    return Candidate(generator, utility, risk, seconds, why)


def measure_of(reports: Sequence[Report]) -> str:
    """The metric to compare methods by: the learners' headline score, or relations of columns without a target."""
    for report in reports:
        for name in (f"mle/{headline_of(report)}", "correlation_similarity", "contingency_similarity", "column_shapes"):
            if report["metrics"].get(name) is not None:
                return name
    return "mle/f1_macro"


def decide(candidates: Sequence[Candidate], measure: str, risk: float | None) -> Choice:
    """Choose the most useful accepted method; see Choice.limit for `risk`."""
    found = Choice(tuple(candidates), measure, risk, None)
    return replace(found, taken=next(iter(found.allowed), None))


def _beats(one: Candidate, other: Candidate) -> bool:
    pairs = ((one.utility.value, other.utility.value), (-one.risk.value, -other.risk.value))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
