"""Settings as a user types them in a shell, so that the advice of a message can be pasted.

After the shell, Hydra reads `harmonic key=value`, and YAML reads `harmonic-sample … key=value`. Names of columns may
have any character (quotes, colons, umlauts, "${"); both must read them unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*( [A-Za-z0-9_]+)*")  # keys of a mapping that Hydra reads without quotes
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")  # texts that both read without quotes
_OTHER = re.compile(r"(?i:null|true|false|nan|inf)")  # texts that Hydra reads as something else
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")  # words that no shell changes


def override(key: str, value: object) -> str:
    """`key=value` for `harmonic`, quoted for Hydra and for the shell.

    A mapping with keys that Hydra cannot read becomes a text in JSON: settings such as `dataset.kinds` accept both.
    """
    return quoted(hydra_word(key, value))


def hydra_word(key: str, value: object) -> str:
    """The same for Hydra alone, as one word of a list of words that no shell sees."""
    return f"{key}={_hydra(value)}"


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
    r"""The text in single quotes. Before a quote or the end, Hydra reads \\ as one backslash; "${" is escaped, too."""
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
