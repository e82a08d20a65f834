"""What a generator promises by construction: differential privacy, if its file in conf/generator says so.

Such a file has `_guarantee_`: epsilon, delta, the unit (the difference between two tables that cannot be
distinguished), and the conditions ("provided"). The numbers refer to the settings that they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.card.numbers import Report, measured

ONE_MORE = "one row more or less"
"""The unit of guarantees that hold twice over for a row that is replaced by another: one less, and one more."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """(epsilon, delta)-differential privacy of `unit`, if all of `provided` holds."""

    epsilon: float
    delta: float
    unit: str
    provided: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = f"({self.epsilon:g}, {self.delta:g})" if self.delta else f"{self.epsilon:g}"
        return f"{kind}-differential privacy ({self.unit})"


def guarantee(report: Report) -> Guarantee | None:
    """The generator's guarantee; None if it has none."""
    found: dict[str, Any] | None = (report["config"].get("generator") or {}).get("_guarantee_")
    if not found:
        return None
    return Guarantee(found["epsilon"], found["delta"], found["unit"], tuple(found.get("provided", ())))


def told(report: Report) -> list[str]:
    """The guarantee as a line of the card, and a line for each of its conditions."""
    promise = guarantee(report)
    if promise is None:
        return []
    return [f"By construction: {promise}, provided that:", *promise.provided]


def refuted(report: Report) -> Iterator[str]:
    """A warning if the measured epsilon, which is for a replaced row, contradicts the guarantee."""
    promise, bound = guarantee(report), measured(report, "epsilon")
    if promise is None or bound is None:
        return
    most = promise.epsilon * (2 if promise.unit.startswith(ONE_MORE) else 1)
    if bound.value > most:
        yield (
            f"An epsilon of at least {bound.value:.2f} was measured, and the guarantee by construction leaves "
            f"{most:g} for a row that is replaced: it does not hold here."
        )
