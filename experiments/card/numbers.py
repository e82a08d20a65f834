"""Numbers of a report for the privacy card: values with intervals, attacks, sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

from experiments.collect.shown_metrics import number

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Number:
    """A metric of the report with its interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return number(self.value) + self.interval()

    def interval(self, write: Callable[[float], str] = number) -> str:
        """The interval after a space, as in "0.5 [0.4, 0.6]", or an empty text."""
        return "" if self.low is None or self.high is None else f" [{write(self.low)}, {write(self.high)}]"


def rate_text(rate: float) -> str:
    """A round rate: "0.1%", "10%"."""
    return f"{100 * rate:g}%"


def percent(share: float) -> str:
    """A share with one decimal of a percent."""
    return f"{share:.1%}"


def measured(report: Report, name: str) -> Number | None:
    """The metric; None if it is not in the report or could not be computed."""
    metrics = report["metrics"]
    value = metrics.get(name)
    return None if value is None else Number(value, metrics.get(f"{name}/low"), metrics.get(f"{name}/high"))


def attacks_made(report: Report) -> list[str]:
    """Names of the membership attacks with a result, the strongest first, in either direction."""
    parts = [(name.split("/"), value) for name, value in report["metrics"].items() if value is not None]
    areas = {part[1]: value for part, value in parts if len(part) == 3 and (part[0], part[2]) == ("mia", "auc")}
    return sorted(areas, key=lambda name: -abs(areas[name] - 0.5))


def worst_attack(report: Report) -> str | None:
    """The strongest attack."""
    named = worst_named(report)
    return named.partition(",")[0] if named else None


def worst_named(report: Report) -> str | None:
    """The strongest attack, with ", reversed" if it is reversed."""
    attacks = attacks_made(report)
    return report.get("notes", {}).get("mia/worst", attacks[0]) if attacks else None


def candidates(report: Report, attack: str) -> tuple[int, int] | None:
    """The numbers of members and non-members in the attack; None if the report does not say."""
    members, others = (report["metrics"].get(f"mia/{attack}/{kind}") for kind in ("members", "non_members"))
    return None if members is None or others is None else (int(members), int(others))


def setting(report: Report, evaluator: str, name: str, default: float) -> float:
    """A number from the configuration of an evaluator."""
    settings = (report["config"].get("evaluator") or {}).get(evaluator) or {}
    return float(settings.get(name, default))


def confidence(report: Report) -> float:
    """The confidence of the attacks' intervals."""
    return setting(report, "membership_inference", "confidence", 0.95)


def least_visible(report: Report) -> float | None:
    """An attack with a smaller AUC would more likely be missed than found; None if the report lacks the sizes.

    For the attack with the fewest rows, at the confidence for all attacks at once (Bonferroni, as for mia/worst). If
    scores say nothing, the variance of the AUC is (m + n + 1) / 12mn (Mann and Whitney 1947).
    """
    attacks = attacks_made(report)
    sizes = [size for name in attacks if (size := candidates(report, name))]
    if not attacks or len(sizes) < len(attacks):
        return None
    reach = NormalDist().inv_cdf(1 - (1 - confidence(report)) / len(attacks) / 2)
    return min(1.0, 0.5 + reach * max(sqrt((m + n + 1) / (12 * m * n)) for m, n in sizes))
