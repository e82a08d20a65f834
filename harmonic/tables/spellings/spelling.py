"""What a spelling is: one way in which a file writes the values of a column."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Spelling(Protocol):
    """Maps the file's texts to plain ones, which the rest of the program knows, and back."""

    @property
    def is_plain(self) -> bool:
        """Whether the file's texts are plain already."""

    def read(self, text: str) -> str:
        """The plain text. Raises ValueError if the text is not written in this way."""

    def write(self, plain: str) -> str:
        """The file's text of a plain one."""


def fits(spelling: Spelling, text: str) -> bool:
    """Whether a text is written in this way."""
    try:
        spelling.read(text)
    except (ValueError, ArithmeticError):
        return False
    return True


def count_fitting(spelling: Spelling, texts: Collection[str]) -> int:
    """How many of the texts are written in this way."""
    return sum(fits(spelling, text) for text in texts)
