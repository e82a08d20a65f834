"""What an attacker has who wants to know which rows a synthetic table was made from, and the type of an attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.tables.table import Schema


@dataclass(frozen=True, slots=True)
class Attacker:
    """The synthetic rows, other real rows (`reference`, neither members nor non-members), and how rows are encoded.

    Both frames conform to the schema. `seed` is for attacks that draw at random.
    """

    synthetic: pd.DataFrame
    reference: pd.DataFrame
    schema: Schema
    encoder: Encoder
    seed: int = 0


Attack = Callable[[pd.DataFrame, Attacker], NDArray[np.float64]]
"""A function from candidate rows to scores, (n,): higher means more likely a member. Raises DataError if impossible.

An attack that looks at all candidates at once (for the radius of `monte_carlo`) treats members and others alike.
"""
