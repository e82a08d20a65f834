"""How choosing divides the time, and the rows."""

from __future__ import annotations

import math
from typing import Any

from harmonic.time_limit import LENIENCY

SHARE = 0.2
"""The share of the whole time for fitting one method; drawing may take the same."""
STEPS = 4
"""When little time is left, the limit is a whole number of quarters, so that cached results can be found again."""


def allowance(minutes: float, left: float) -> float | None:
    """Minutes for fitting the next method, given the minutes that are left in all; None: no time for another method.

    Fitting and drawing may each take this time, and LENIENCY more.
    """
    whole = minutes * SHARE
    quarters = min(math.floor(STEPS * left / (2 * LENIENCY * whole)), STEPS)
    return whole * quarters / STEPS if quarters >= 1 else None


def choosing_split(own: dict[str, Any], validation: float) -> dict[str, float]:
    """The fractions of rows while choosing: the test rows of the dataset's `own` split, and more validation rows."""
    test = float(own["test"])
    return {"train": round(1 - test - validation, 6), "val": validation, "test": test}
