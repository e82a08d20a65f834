"""Settings that have a new name: an old name gives an error with the new one."""

from __future__ import annotations

import re
from typing import Any

from harmonic.errors import ConfigError
from harmonic.shell import override

MOVED = (
    (r"scale\.deep\.(tvae|ctgan|tabddpm)", "generator.settings"),
    (r"scale\.deep\.ctabgan", "generator.training"),
    (r"scale\.deep\.tabsyn", "generator"),
    (r"scale\.deep", "generator.settings"),
    (r"scale\.dense\.rows_per_prompt", "generator.sampling.rows_per_prompt"),
    (r"scale\.(great|realtabformer)\.seconds", "generator.sampling.seconds"),
    (r"scale\.(great|realtabformer)\.tuning", "generator.tuning"),
    (r"scale\.(tuning|dense|great|realtabformer)", "generator.tuning"),
)
"""The beginning of an old key, and its replacement. The first match counts."""


def new_key(key: str) -> str | None:
    """The new key of the setting; None if it did not move."""
    for old, new in MOVED:
        if found := re.match(rf"{old}(?=\.|$)", key):
            return new + key[found.end() :]
    return None


def check_moved(key: str, value: Any) -> None:
    """Raise ConfigError, with the new key, if the key is an old one."""
    if (now := new_key(key)) is not None:
        raise ConfigError(key, value, "has moved to the generator's settings", override(now, value))
