"""Durations as people write them, such as "51:00:39", and as a number of their last unit: "183639"."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from harmonic.tables.spellings.spelling import count_fitting

_DURATION = re.compile(
    r"(?P<sign>-)?(?:(?P<count>\d+) (?P<word>days|day|d) )?(?P<clock>\d{1,5}(?::[0-5]\d){1,2}(?:\.\d{1,9})?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationSpelling:
    """Durations such as "51:00:39" or "2 days 05:00:00", mapped to a number of their last unit.

    `parts`: how many numbers are between colons; the first has no upper bound. `width`: its least digits. `days`: the
    word after a number of days, "" for none. `places`: decimals of the last number.
    """

    parts: int
    width: int
    days: str = ""
    places: int = 0

    @property
    def is_plain(self) -> bool:
        """Never: a duration is not a number."""
        return False

    def __str__(self) -> str:
        return "durations, " + ("days, " if self.days else "") + ("h:mm:ss" if self.parts == 3 else "0:00")

    def read(self, text: str) -> str:
        """The plain text, a number. Raises ValueError if the text is not written in this way."""
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a duration")
        pieces = found["clock"].split(":")
        total = Decimal(0)
        for piece in pieces:
            total = total * 60 + Decimal(piece)
        total += Decimal(found["count"] or 0) * 24 * 60 ** (len(pieces) - 1)
        plain = f"{-total if found['sign'] else total:.{self.places}f}"
        if self.write(plain) != text:
            raise ValueError(f"{text!r} is not written as {self}")
        return plain

    def write(self, plain: str) -> str:
        """The text of a number of the last unit."""
        number = Decimal(plain)
        rest, last = divmod(abs(round(number, self.places)), 60)
        pieces = [f"{last:0{3 + self.places if self.places else 2}.{self.places}f}"]
        for _ in range(self.parts - 2):
            rest, part = divmod(rest, 60)
            pieces.append(f"{int(part):02d}")
        days, first = divmod(int(rest), 24) if self.days else (0, int(rest))
        pieces.append(f"{first:0{self.width}d}")
        front = f"{days} {self.days} " if self.days else ""
        return ("-" if number < 0 else "") + front + ":".join(reversed(pieces))


def find_durations(values: Collection[str]) -> DurationSpelling | None:
    """The spelling of at least half of the distinct texts as durations; None if there is none."""
    found = [match for text in values if (match := _DURATION.fullmatch(text))]
    if len(found) * 2 < len(values) or not found:
        return None
    clocks = [match["clock"].split(":") for match in found]
    places = max(len(clock[-1].partition(".")[2]) for clock in clocks)
    width = 2 if all(len(clock[0]) >= 2 for clock in clocks) else 1
    word = next((match["word"] for match in found if match["word"]), "")
    spelling = DurationSpelling(parts=len(clocks[0]), width=width, days=word, places=places)
    return spelling if count_fitting(spelling, values) * 2 >= len(values) else None
