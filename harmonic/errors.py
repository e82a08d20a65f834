"""Errors that a user can fix. Each says which setting is wrong, what is wrong with it, and what to do.

The form of a message is `key=value: problem`, and on the next line `fix: what to do`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HarmonicError(Exception):
    """Base class of all errors that come from the input, not from the program."""


class ConfigError(HarmonicError):
    """An invalid setting: its key, its value, the problem and the fix."""

    def __init__(self, key: str, value: object, problem: str, fix: str) -> None:
        self.key = key
        self.value = value
        super().__init__(f"{key}={value}: {problem}\n  fix: {fix}")


class DataError(HarmonicError):
    """An invalid table. The message names the column or the row, and the fix."""


class SamplingError(HarmonicError):
    """Sampling ended with too few rows. The message counts the rejected answers."""


def unknown(key: str, value: object, what: str, known: Iterable[str], *, name: str | None = None) -> ConfigError:
    """The error for a name that does not exist: "dataset.target=aeg: unknown column", and a suggestion.

    what: what the name should be, such as "column". known: the names that exist. name: the wrong name, if it is only a
    part of the value; it is then shown, too.
    """
    problem = f"unknown {what}" if name is None else f"unknown {what} {name!r}"
    return ConfigError(key, value, problem, suggest(str(value) if name is None else name, known))


class OverTimeError(HarmonicError):
    """Fitting or drawing did not end within the time that it was given."""


class LockLostError(HarmonicError):
    """Another process took over the work, since this one stood still for too long (harmonic.locks)."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """The known names that are similar to `wrong`; all of them if none is."""
    known = sorted(known)
    if not known:
        return "leave it out: there are none here"
    near = get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(known)
