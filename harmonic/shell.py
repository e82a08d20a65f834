"""Settings as they are typed in a shell, so that what a message advises can be pasted.

Two readers stand behind the shell: Hydra's, for `harmonic key=value`, and YAML's, for `harmonic-sample … key=value`.
Names of columns may hold anything that a header can (quotes, colons, umlauts, "${"); each reader gets them whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*( [A-Za-z0-9_]+)*")  # what Hydra reads as a mapping's key, unquoted
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")  # what both read as a text, unquoted
_OTHER = re.compile(r"(?i:null|true|false|nan|inf)")  # texts that Hydra reads as something else
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")  # words that no shell changes


def override(key: str, value: object) -> str:
    """`key=value` for `harmonic`, quoted for Hydra and for the shell.

    A mapping whose keys Hydra cannot read is written as a text that holds it in JSON: `dataset.kinds` and the like
    take both.
    """
    return quoted(f"{key}={_hydra(value)}")


def setting(key: str, value: object) -> str:
    """`key=value` for `harmonic-sample`, quoted for YAML and for the shell."""
    return quoted(f"{key}={_yaml(value)}")


def quoted(word: str) -> str:
    """One word of a POSIX shell's command line."""
    if _BARE.fullmatch(word):
        return word
    if "'" not in word:
        return f"'{word}'"
    if not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _hydra(value: object) -> str:
    if isinstance(value, Mapping):
        if all(_reads_as_key(str(name)) for name in value):
            return "{" + ", ".join(f"{name}: {_hydra(inner)}" for name, inner in value.items()) + "}"
        return _hydra_text(json.dumps({str(name): _simple(inner) for name, inner in value.items()}, ensure_ascii=False))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_hydra, value)) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and not _OTHER.fullmatch(value) else _hydra_text(value)
    return json.dumps(value, default=str)


def _reads_as_key(name: str) -> bool:
    return bool(_KEY.fullmatch(name)) and not _OTHER.fullmatch(name)


def _hydra_text(text: str) -> str:
    """In single quotes. A backslash counts as one unless a quote, or the end, follows it; "${" must not interpolate."""
    text = re.sub(r"(\\*)'", lambda found: found[1] * 2 + "\\'", text)
    text = re.sub(r"\\+$", lambda found: found[0] * 2, text)
    return "'" + text.replace("${", "\\${") + "'"


def _yaml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml(str(name))}: {_yaml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, str):
        safe = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*( [A-Za-z0-9_.+-]+)*", value)
        return value if safe else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, default=str)


def _simple(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _simple(inner) for name, inner in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
