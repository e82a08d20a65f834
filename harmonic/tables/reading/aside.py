"""A column that no generator sees, and what the synthetic file has in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmonic.tables.column_types.role import Role
from harmonic.tables.new_identifiers import NewIdentifiers


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One column that no generator sees, and what is written in its place.

    `written`: whether the column is in the synthetic file. `value`: every cell of a constant or blank column. `new`:
    how new identifiers are made. `gap`: the text of a missing identifier, and the share of missing ones.
    """

    name: str
    role: Role
    written: bool = True
    value: str = ""
    new: NewIdentifiers | None = None
    gap: tuple[str, float] = ("", 0.0)

    def cells(
        self, n: int, draw: np.random.Generator, after: int = 0, people: Sequence[int] | None = None
    ) -> list[str]:
        """Texts for n rows. `after`: new numbers given out before. `people`: the person of each row, as a number."""
        if self.new is None:
            return [self.value] * n
        if people is None:
            made = self.new.draw(n, draw, after)
        else:
            some = self.new.draw(max(people, default=-1) + 1, draw, after)
            made = [some[person] for person in people]
        text, share = self.gap
        return [text if gap else one for one, gap in zip(made, draw.random(n) < share, strict=True)] if share else made
