"""The errors a user can mend: each says what was given, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HarmonicError(Exception):
    """Base of every error that is the input's fault, not the program's."""


class ConfigError(HarmonicError):
    """A configuration value that cannot work: names the key, the value and the fix."""

    def __init__(self, key: str, value: object, problem: str, fix: str) -> None:
        self.key = key
        self.value = value
        super().__init__(f"{key}={value}: {problem}\n  fix: {fix}")


class DataError(HarmonicError):
    """A table that cannot be used: names the column or the row and the fix."""


class SamplingError(HarmonicError):
    """Sampling ended short of the rows asked for; the message counts the rejected answers."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Say which known names are near `wrong`, or list them all when none is."""
    known = sorted(known)
    near = get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(known)
