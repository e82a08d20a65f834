"""The identity of a run, or of a stage: its settings and its data, but not the module paths of the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harmonic.storage import key_of

NOT_IDENTITY = {
    "choose", "output_dir", "data_dir", "tracker", "launcher", "stage", "force", "dry_run", "summary", "hydra",
}  # fmt: skip
"""Top-level config keys that do not change a run's results. `data_dir` is the place of the rows; their fingerprint says
which rows they are."""

LATER = (
    ("minutes",), ("scale", "minutes"), ("dataset", "max_rows"),
    ("evaluator", "privacy", "max_pairs"), ("evaluator", "membership_inference", "max_pairs"),
    ("evaluator", "empirical_epsilon", "max_pairs"), ("evaluator", "anonymeter", "max_pairs"),
    ("evaluator", "machine_learning_efficacy", "max_test_rows"),
    ("evaluator", "fairness", "max_test_rows"), ("evaluator", "fairness", "max_rows"),
)  # fmt: skip
"""Settings that came when there were runs already: of null a run is the one that it was without them."""


def identity(config: Mapping[str, Any], data: str = "") -> str:
    """The run id: 8 hex digits of a hash over the config without NOT_IDENTITY, and the fingerprint of the data."""
    settings = {name: without_module_paths(value) for name, value in config.items() if name not in NOT_IDENTITY}
    for *parts, last in LATER:
        node: Any = settings
        for part in parts:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict) and last in node and node[last] is None:
            del node[last]
    return key_of({"config": settings, "data": data})[:8]


def without_module_paths(value: Any) -> Any:
    """The settings with each `_target_` as `class_name`: a class that moves to another module is the same class.

    Without `_guarantee_`, which tells in words what other settings bring about.
    """
    if isinstance(value, Mapping):
        return {
            key: class_name(inner) if key == "_target_" and isinstance(inner, str) else without_module_paths(inner)
            for key, inner in value.items()
            if key != "_guarantee_"
        }
    return [without_module_paths(inner) for inner in value] if isinstance(value, list | tuple) else value


def class_name(target: str) -> str:
    """Package and class of a `_target_`: "harmonic.Fidelity" for any module of harmonic with that class.

    In a package, no two classes in conf have the same name (tests/test_configs.py).
    """
    return f"{target.partition('.')[0]}.{target.rpartition('.')[2]}"
