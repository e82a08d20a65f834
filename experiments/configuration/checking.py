"""Checks a run's whole configuration before anything is built.

The values that a setting may have are declared in its class (harmonic.settings). Here are the run's own settings, and
the check of all parts.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from experiments.configuration.choose import Choose
from experiments.configuration.moved_keys import check_moved
from harmonic.errors import ConfigError, unknown
from harmonic.settings import Positive, Text, check_arguments
from harmonic.shell import override
from harmonic.tables.canaries import Canaries

PARTS = ("llm", "dataset", "generator", "evaluator", "tracker")
OTHERS = ("scale", "launcher", "experiment", "hydra")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The run's own settings: those in conf/config.yaml besides its parts."""

    experiment_name: Text
    seed: Annotated[int, Ge(0), Le(2**32 - 1)]
    n_samples: Annotated[int, Ge(2)] | None
    minutes: Positive | None
    stage: Literal["prompts", "fit", "sample", "evaluate"]
    evaluate_on: Literal["test", "validation"]
    summary: Literal["short", "all"]
    output_dir: Text
    canaries: Canaries
    choose: Choose | None = None  # of experiment=choose
    data_dir: Text | None
    force: bool
    dry_run: bool


def check_configuration(plain: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first invalid value of a resolved configuration."""
    own = {field.name for field in fields(RunSettings)}
    for name, value in plain.items():
        if name not in own | {*PARTS, *OTHERS}:
            raise unknown(str(name), value, "setting", [*own, *PARTS, *OTHERS], name=str(name))
    check_arguments(RunSettings, {name: plain[name] for name in plain if name in own})
    check_folder("experiment_name", str(plain["experiment_name"]))
    for name in plain.get("scale") or {}:
        check_moved(f"scale.{name}", plain["scale"][name])
    for part in PARTS:
        _check_part(plain.get(part), part)


def check_folder(key: str, name: str) -> None:
    """Raise ConfigError if the name cannot be the name of a folder."""
    if not name.strip() or name in (".", "..") or re.search(r"[/\\\0]", name):
        better = re.sub(r"[^\w-]+", "_", name).strip("_") or "table"
        raise ConfigError(key, repr(name), "cannot be the name of a folder", override(key, better))


def _check_part(given: Any, key: str) -> None:
    """Check a node with a `_target_`, or for evaluators a mapping of such nodes."""
    if not isinstance(given, Mapping):
        raise ConfigError(key, given, "is not one of the choices", f"choose one of the files in conf/{key}")
    if "_target_" in given:
        _check_call(given, key)
        return
    if key != "evaluator":
        raise ConfigError(key, given, "has no _target_", f"choose one of the files in conf/{key}")
    if not given:
        raise ConfigError(key, given, "is empty: nothing would be measured", override(key, "fidelity"))
    for name, inner in given.items():
        if not (isinstance(inner, Mapping) and "_target_" in inner):
            raise ConfigError(f"{key}.{name}", inner, "is no evaluator with settings", f"leave it out: ~{key}.{name}")
        _check_call(inner, f"{key}.{name}")


def _check_call(node: Mapping[Any, Any], key: str) -> None:
    """Check the arguments of the node's class, and those of the nodes in it."""
    try:
        target = pkgutil.resolve_name(str(node["_target_"]))
    except (ImportError, AttributeError, ValueError) as error:
        problem = f"cannot be imported ({type(error).__name__})"
        raise ConfigError(
            f"{key}._target_", node["_target_"], problem, f"choose one of the files in conf/{key}"
        ) from error
    given = {name: value for name, value in node.items() if not str(name).startswith("_")}
    check_arguments(target, given, key)
    for name, inner in given.items():
        if isinstance(inner, Mapping) and "_target_" in inner:
            _check_call(inner, f"{key}.{name}")
