"""New identifiers that look like the real ones, but are not among them."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

_MOST_SHAPES = 50
_TRIES = 100
_COUNTED = 9  # numbers with fewer digits go on counting from the largest one


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIdentifiers:
    """How to make new identifiers.

    Numbers count from `start`, or are drawn from `span`, both ends included; `tail` is after them (".0"). Others have
    `shapes`, such as "AA-000", with their counts, between a common `prefix` and `suffix`. Their digits and letters are
    drawn from `alphabets`; the last one is for letters beyond ASCII, which shapes mark by "é". `octets`: four numbers
    below 256, as in IP addresses. `taken`: the real ones. `repeats`: in how many rows each of these is, if some are in
    several.
    """

    start: int | None = None
    span: tuple[int, int] | None = None
    tail: str = ""
    prefix: str = ""
    suffix: str = ""
    shapes: tuple[tuple[str, int], ...] = ()
    alphabets: tuple[str, str, str, str] = ("0", "a", "A", "é")
    octets: bool = False
    repeats: tuple[int, ...] = ()
    taken: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    @property
    def is_number(self) -> bool:
        """Whether the identifiers are whole numbers."""
        return self.start is not None or self.span is not None

    def draw(self, n: int, draw: np.random.Generator, after: int = 0) -> list[str]:
        """Make n different new ones. `after`: how many numbers were given out before."""
        if self.start is not None:
            return [f"{self.start + after + row}{self.tail}" for row in range(n)]
        if self.span is not None:
            return self._numbers(n, draw)
        shapes, weights = [shape for shape, _ in self.shapes], np.array([count for _, count in self.shapes], float)
        made: dict[str, None] = {}
        for shape in draw.choice(len(shapes), size=n, p=weights / weights.sum()):
            text = self._fill(shapes[shape], draw)
            for attempt in range(_TRIES):
                if text not in made and text not in self.taken:
                    break
                # The shape does not allow so many: make it longer.
                text = self._fill(shapes[shape] + "0" * (attempt // 10), draw)
            while text in made or text in self.taken:
                text = f"{text}-{len(made)}"
            made[text] = None
        return list(made)

    def _numbers(self, n: int, draw: np.random.Generator) -> list[str]:
        """Numbers from the span; beyond it if it is too small."""
        assert self.span is not None
        low, high = self.span
        if high - low + 1 < 4 * (n + len(self.taken)):
            high = low + 8 * (n + len(self.taken))
        spin = random.Random(int(draw.integers(2**62)))  # draws numbers of any length
        made: dict[str, None] = {}
        while len(made) < n:
            text = f"{spin.randint(low, high)}{self.tail}"
            if text not in self.taken:
                made[text] = None
        return list(made)

    def _fill(self, shape: str, draw: np.random.Generator) -> str:
        if self.octets:
            return ".".join(map(str, draw.integers(1, 255, 4)))
        places = dict(zip("0aAé", self.alphabets, strict=True))
        inner = "".join(places[mark][draw.integers(len(places[mark]))] if mark in places else mark for mark in shape)
        return self.prefix + inner + self.suffix


def new_identifiers(known: pd.Series) -> NewIdentifiers:
    """How to make identifiers like these texts."""
    values = [str(value) for value in known.unique()]
    counts = known.value_counts()
    repeats = tuple(sorted(map(int, counts))) if len(counts) and counts.max() > 1 else ()
    if values and all(re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.0+)?", text) for text in values):
        numbers = [int(text.partition(".")[0]) for text in values]
        point, zeros = max((text.partition(".")[1:] for text in values), key=len)
        counted = len(str(max(map(abs, numbers)))) < _COUNTED
        return NewIdentifiers(
            start=max(numbers) + 1 if counted else None, span=None if counted else (min(numbers), max(numbers)),
            tail=point + zeros, repeats=repeats, taken=frozenset(values),
        )  # fmt: skip
    prefix, suffix = _common_ends(values)
    rests = [value[len(prefix) : len(value) - len(suffix)] for value in values] or ["000"]
    shapes = Counter(re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]", "0", _plain(rest)))) for rest in rests)
    seen = "".join(rests)
    alphabets = tuple(
        "".join(sorted({mark for mark in seen if re.fullmatch(group, mark)})) or first
        for group, first in (("[0-9]", "0"), ("[a-z]", "a"), ("[A-Z]", "A"), (r"[^\W\x00-\x7f]", "é"))
    )
    octets = all(re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", text) for text in values) and bool(values)
    return NewIdentifiers(
        octets=octets, prefix=prefix, suffix=suffix, shapes=tuple(shapes.most_common(_MOST_SHAPES)),
        alphabets=(alphabets[0], alphabets[1], alphabets[2], alphabets[3]), repeats=repeats, taken=frozenset(values),
    )  # fmt: skip


def _common_ends(values: list[str]) -> tuple[str, str]:
    """What all values begin and end with, without digits; nothing if there is only one value."""
    if len(values) < 2:
        return "", ""
    prefix = os.path.commonprefix(values).rstrip("0123456789")  # noqa: RUF071 (of texts)
    rests = [value[len(prefix) :] for value in values]
    suffix = os.path.commonprefix([rest[::-1] for rest in rests])[::-1].lstrip("0123456789")  # noqa: RUF071
    return prefix, suffix


def _plain(text: str) -> str:
    """The text with "é" for every letter and digit beyond ASCII: a shape must not name anyone."""
    return "".join("é" if mark.isalnum() and not mark.isascii() else mark for mark in text)
