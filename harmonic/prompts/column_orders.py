"""The order of columns in prompts: a new one for each row, a new one for each prompt, or that of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import unknown
from harmonic.prompts.prompt import Order
from harmonic.tables.table import Schema

Permutation = Literal["row", "prompt", "none"]
TargetPlace = Literal["anywhere", "first", "last"]

PERMUTATIONS: dict[Any, Permutation] = {True: "row", False: "none", **{name: name for name in get_args(Permutation)}}
"""The values of `generator.permutation`; true is the paper's."""


@dataclass(frozen=True, slots=True)
class ColumnOrders:
    """Draws orders. columns: their number. target: the position of the target, None if it may be anywhere."""

    permutation: Permutation
    columns: int
    target: int | None = None
    place: TargetPlace = "anywhere"

    @classmethod
    def of(cls, schema: Schema, permutation: bool | str, place: str = "anywhere") -> ColumnOrders:
        """The orders for rows of this schema. Raises ConfigError if a setting is invalid."""
        if permutation not in PERMUTATIONS:
            raise unknown("generator.permutation", permutation, "order of columns", get_args(Permutation))
        if place not in get_args(TargetPlace):
            raise unknown("generator.target", place, "place of the target column", get_args(TargetPlace))
        target = schema.names.index(schema.target) if schema.has_target and place != "anywhere" else None
        return cls(PERMUTATIONS[permutation], len(schema.columns), target, place)  # type: ignore[arg-type]

    def draw(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """`count` independent orders: (count, columns)."""
        keys = np.tile(np.arange(self.columns, dtype=np.float64), (count, 1))
        if self.permutation != "none":
            keys = generator.random((count, self.columns))
        if self.target is not None:
            keys[:, self.target] = -1 if self.place == "first" else self.columns
        return keys.argsort(axis=1)

    def one(self, generator: np.random.Generator) -> Order:
        """One order."""
        return tuple(self.draw(generator, 1)[0].tolist())
