"""Builds the objects that a configuration names: for a run, for other programs, or again from a run's report."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra

from experiments.configuration.checking import PARTS
from experiments.configuration.hydra_errors import resolved


def built(node: Any) -> Any:
    """What a resolved node stands for: the object that its `_target_` names, and of its arguments the same.

    Hydra's own `instantiate` would resolve a text that looks like an interpolation, such as a column's name, again.
    """
    if isinstance(node, list | tuple):
        return [built(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    given = {name: built(inner) for name, inner in node.items() if not str(name).startswith("_")}
    return pkgutil.resolve_name(str(node["_target_"]))(**given) if "_target_" in node else given


def configured(*overrides: str) -> dict[str, Any]:
    """Build the parts of a configuration, for another program: `["dataset"]`, `["llm"]` and so on."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    plain = resolved(config)
    return plain | {part: built(plain[part]) for part in PARTS}


def reopened(folder: Path) -> dict[str, Any]:
    """Build the parts of the run in `folder` from its report's configuration."""
    config = json.loads((folder / "report.json").read_text(encoding="utf-8"))["config"]
    return {"seed": config["seed"]} | {name: built(config[name]) for name in ("dataset", "generator", "evaluator")}
