"""A generator's settings, and a language model, from the files in conf, for programs that run without Hydra."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from importlib.resources import files
from typing import Any

from harmonic.errors import unknown
from harmonic.llm.language_model import LanguageModel

_AT_SCALE = re.compile(r"\$\{at_scale:(\{.*\})\}")


def settings_of(generator: str, scale: str = "quick") -> dict[str, Any]:
    """The settings in conf/generator/<generator>.yaml at a scale, without the language model.

    Raises ConfigError for an unknown name.
    """
    _read("scale", scale)

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(one) for key, one in value.items()}
        sizes = at_scales(value)
        return value if sizes is None else sizes[scale]

    return {key: resolved(value) for key, value in _composed("generator", generator).items() if key != "llm"}


def at_scales(value: Any) -> dict[str, Any] | None:
    """Return the value at each scale if a file says `${at_scale:{paper:1000, quick:300, smoke:3}}`, else None.

    Hydra reads it through the resolver in conf/__init__.py.
    """
    import yaml

    found = _AT_SCALE.fullmatch(value) if isinstance(value, str) else None
    return dict(yaml.safe_load(found[1].replace(":", ": "))) if found else None


def language_model(name: str) -> LanguageModel:
    """The language model of conf/llm/<name>.yaml. Raises ConfigError for an unknown name."""
    model: LanguageModel = built(_read("llm", name))
    return model


def built(settings: dict[str, Any], **more: Any) -> Any:
    """The object of the class `_target_`, with the other settings and `more`."""
    given = {key: value for key, value in settings.items() if not key.startswith("_")}
    module, _, kind = str(settings["_target_"]).rpartition(".")
    return getattr(importlib.import_module(module), kind)(**given | more)


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The first settings, overridden by the second ones, also inside mappings."""
    found = dict(first)
    for key, value in second.items():
        known = found.get(key)
        found[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def _composed(group: str, name: str) -> dict[str, Any]:
    """A file's settings, over those of the files in its defaults list."""
    own = _read(group, name)
    bases = [_composed(group, base) for base in own.pop("defaults", []) if base != "_self_"]
    return reduce(merged, [*bases, own], {})


def _read(group: str, name: str) -> dict[str, Any]:
    import yaml

    folder = files("conf").joinpath(group)
    known = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    if name not in known:
        raise unknown(group, name, f"file in conf/{group}", known)
    found: dict[str, Any] = yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    return found
