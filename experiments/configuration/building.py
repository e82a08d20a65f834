"""Builds the objects of a configuration: for a run, for other programs, or from the report of a run."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import hydra

from experiments.configuration.checking import PARTS
from experiments.configuration.hydra_errors import resolved
from harmonic.runs.identity import class_name


def built(node: Any) -> Any:
    """The object that a resolved node describes: `_target_` names the class, and its arguments are built first.

    Hydra's `instantiate` would resolve texts that look like interpolations once more; a column may have such a name.
    """
    if isinstance(node, list | tuple):
        return [built(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    given = {name: built(inner) for name, inner in node.items() if not str(name).startswith("_")}
    return _named(str(node["_target_"]))(**given) if "_target_" in node else given


def configured(*overrides: str) -> dict[str, Any]:
    """Build the parts of a configuration, for another program: `["dataset"]`, `["llm"]` and so on."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    plain = resolved(config)
    return plain | {part: built(plain[part]) for part in PARTS}


def reopened(folder: Path) -> dict[str, Any]:
    """Build the dataset and the generator of the run in `folder` from its report, with its seed."""
    config = json.loads((folder / "report.json").read_text(encoding="utf-8"))["config"]
    return {"seed": config["seed"]} | {name: built(config[name]) for name in ("dataset", "generator")}


def _named(target: str) -> Any:
    """The class of a `_target_`. One that has moved since, as in an older report, is found by its name in conf."""
    try:
        return pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        now = {class_name(known): known for known in _targets()}.get(class_name(target))
        if now is None:
            raise
        return pkgutil.resolve_name(now)


def _targets() -> list[str]:
    """Every `_target_` in conf."""
    return [
        found
        for path in sorted(Path(str(files("conf"))).rglob("*.yaml"))
        for found in re.findall(r"^\s*_target_:\s*([\w.]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
