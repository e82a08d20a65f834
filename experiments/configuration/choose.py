"""What the settings of experiment=choose may be."""

from __future__ import annotations

from typing import Annotated, TypedDict

from annotated_types import Ge, Le

from harmonic.settings import Between, Positive


class Choose(TypedDict):
    """The settings of experiment=choose.

    minutes: all that trying and judging may take. risk: the largest AUC of an attack (mia/worst) that is accepted
    (None: methods of whose training rows no attack found traces). validation: the share of all rows that methods are
    judged by, and that none of them learns from.
    """

    minutes: Positive
    risk: Annotated[float, Ge(0.5), Le(1)] | None
    validation: Between
