"""From an attack's scores to metrics: area under the curve, rates, intervals, and numbers of rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harmonic.evaluation.attacks import roc
from harmonic.evaluation.base import Measures, Metric, Shown

RATES = {"tpr_at_0.1": 0.001, "tpr_at_1": 0.01, "tpr_at_10": 0.1}
"""False-positive rates at which true-positive rates are measured; the names are in percent."""


def with_interval(
    name: str,
    meaning: str,
    ideal: float | None = None,
    higher: bool | None = False,
    shown: tuple[Shown, ...] = (),
) -> tuple[Metric, ...]:
    """A share in [0, 1] and the ends of its interval; smaller is better unless `higher` says otherwise."""
    return (
        Metric(name, higher, 0, 1, ideal, meaning, shown),
        Metric(f"{name}/low", None, 0, 1, meaning=f"lower end of the interval of {name}"),
        Metric(f"{name}/high", None, 0, 1, meaning=f"upper end of the interval of {name}"),
    )


def declared(path: str, area: tuple[Shown, ...] = (), rate: tuple[Shown, ...] = ()) -> tuple[Metric, ...]:
    """What `measure` records under this path; where the area, and the rate at 1%, are shown."""
    return (
        *with_interval(f"{path}/auc", "P(the attack scores a member above a non-member)", 0.5, None, area),
        *with_interval(f"{path}/tpr_at_0.1", "members found where 0.1% of non-members are taken for members", 0.001),
        *with_interval(
            f"{path}/tpr_at_1",
            "members found where 1% of non-members are taken for members",
            0.01,
            shown=rate,
        ),
        *with_interval(f"{path}/tpr_at_10", "members found where 10% of non-members are taken for members", 0.1),
        Metric(f"{path}/members", None, 2, meaning="number of training rows in the attack"),
        Metric(f"{path}/non_members", None, 2, meaning="number of rows unseen in training in the attack"),
    )


def measure(
    measures: Measures, path: str, members: NDArray[np.float64], others: NDArray[np.float64], *,
    confidence: float, resamples: int, seed: int,
) -> None:  # fmt: skip
    """Record the metrics of an attack. `series` keeps its scores: "<path>/members" and "<path>/non_members"."""
    measures.series[f"{path}/members"], measures.series[f"{path}/non_members"] = members, others
    measures[f"{path}/members"], measures[f"{path}/non_members"] = float(len(members)), float(len(others))
    put(measures, f"{path}/auc", roc.area(members, others), roc.area_interval(members, others, confidence))
    shown = {key: rate for key, rate in RATES.items() if roc.resolves(len(others), rate)}
    for key in RATES.keys() - shown.keys():
        needed = round(1 / RATES[key])
        put(measures, f"{path}/{key}", f"needs {needed:,} non-members: there are {len(others):,}")
    if not shown:
        return
    rates = list(shown.values())
    found = roc.true_positive_rates(members, others, rates)
    intervals = roc.true_positive_intervals(
        members, others, rates, resamples=resamples, seed=seed, confidence=confidence
    )
    for key, value, interval in zip(shown, found, intervals, strict=True):
        put(measures, f"{path}/{key}", float(value), interval)


def put_worst(
    measures: Measures, name: str, scores: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    confidence: float,
) -> str:  # fmt: skip
    """Record the area of the strongest attack, with a note that names it and says if it is reversed. Returns its name.

    `scores`: those of members and of non-members, by attack.
    """
    worst, area, interval = roc.worst_area(scores, confidence)
    put(measures, name, area, interval)
    measures.notes[name] = f"{worst}, reversed" if roc.area(*scores[worst]) < 0.5 else worst
    return worst


def put(measures: Measures, name: str, value: float | str, interval: tuple[float, float] | None = None) -> None:
    """Record a value and its interval; a text instead of the value is the reason why they are missing."""
    if isinstance(value, str) or interval is None:
        for key in (name, f"{name}/low", f"{name}/high"):
            measures.unavailable(key, str(value))
    else:
        measures[name], measures[f"{name}/low"], measures[f"{name}/high"] = value, *interval
