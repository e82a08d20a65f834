"""The rows that a generator drew, and what it took to draw them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, slots=True)
class Sample:
    """What a generator's `sample` returns.

    frame: exactly the rows asked for; they conform to the schema. validity: counts of answers, such as {"raw": accepted
    share of all answers in [0, 1], "rejected/<reason>": answers}; empty for a generator whose answers are always valid.
    """

    frame: pd.DataFrame
    validity: dict[str, float] = field(default_factory=dict)
