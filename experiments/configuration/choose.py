"""The settings of experiment=choose, and their allowed values."""

from __future__ import annotations

from typing import Annotated, TypedDict

from annotated_types import Ge, Le

from harmonic.settings import Between, Positive


class Choose(TypedDict):
    """The settings of experiment=choose.

    minutes: the time limit for everything. risk: the largest accepted AUC of an attack, mia/worst (None: methods are
    accepted if no attack found traces of their training rows). validation: the share of all rows on which methods are
    compared; no method learns from these.
    """

    minutes: Positive
    risk: Annotated[float, Ge(0.5), Le(1)] | None
    validation: Between
