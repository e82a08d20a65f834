"""A sentence about privacy, and how serious it is."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How serious a sentence is."""

    NOTHING = 0  # tested, and nothing found
    SIGN = 1  # may be chance, or reveal nothing about a person
    FOUND = 2


class Sentence(NamedTuple):
    """A sentence of the reading."""

    level: Level
    words: str
