"""What someone holds who wants to know which rows a synthetic table was made from, and the form of an attack."""

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
    """The synthetic rows, real rows of the same kind that took no part (`reference`), and the way to encode rows.

    Both frames conform to the schema. `seed` fixes what an attack draws.
    """

    synthetic: pd.DataFrame
    reference: pd.DataFrame
    schema: Schema
    encoder: Encoder
    seed: int = 0


Attack = Callable[[pd.DataFrame, Attacker], NDArray[np.float64]]
"""Candidate rows to scores, (n,): the higher, the more of a member. Raises DataError where it cannot be made.

An attack that needs one pass over all candidates (the radius of `monte_carlo`) treats them alike.
"""
