"""Times of day written as whole numbers, 517 for 5:17. Their last two digits are never above 59."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_TIME = re.compile(r"\d{1,4}")
_LEAST = 20  # different times from which it is no chance that minutes are never above 59
_SPREAD = 10  # different minutes: prices that end in 00 and 50 have fewer
_NAMED = re.compile(r"(?i)time|hour|clock|uhr|zeit|heure|hora|hhmm|depart|arriv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpelling:
    """Hours and minutes in one number, mapped to minutes since midnight. `width`: its least digits, 1 or 4."""

    width: int = 1

    @property
    def is_plain(self) -> bool:
        """Never: 560 is not a time, although it is between 559 and 600."""
        return False

    def __str__(self) -> str:
        return "times of day, hmm" if self.width == 1 else "times of day, hhmm"

    def read(self, text: str) -> str:
        """The plain text, minutes. Raises ValueError if the text is not written in this way."""
        if not _TIME.fullmatch(text) or int(text[-2:]) > 59 or int(text) > 2400:
            raise ValueError(f"{text!r} is not a time of day")
        plain = str(int(text[:-2] or 0) * 60 + int(text[-2:]))
        if self.write(plain) != text:
            raise ValueError(f"{text!r} is not written as {self}")
        return plain

    def write(self, plain: str) -> str:
        """The text of minutes since midnight; numbers outside of the day become its first or last minute."""
        hours, minutes = divmod(min(max(int(float(plain)), 0), 24 * 60), 60)
        return f"{hours * 100 + minutes:0{self.width}d}"


def find_clock(name: str, values: Collection[str]) -> ClockSpelling | None:
    """The spelling in which all distinct texts are times of day; None if there is none, or if it may be chance.

    name: of the column, which must be that of a time.
    """
    if not _NAMED.search(name) or len(values) < _LEAST or max(map(len, values)) < 3:
        return None
    spelling = ClockSpelling(width=4 if all(len(text) == 4 for text in values) else 1)
    try:
        minutes = {int(spelling.read(text)) % 60 for text in values}
    except ValueError:
        return None
    return spelling if len(minutes) >= _SPREAD else None
