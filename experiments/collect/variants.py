"""In which settings do runs of the same generator differ?

Without this, runs with different temperatures would be averaged as if only their seeds differed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Settings = dict[str, str]
"""Dotted keys and their values as text."""


def name_variants(runs: Sequence[tuple[Hashable, Mapping[str, Any]]]) -> list[str]:
    """For each run (name, configuration), the settings in which it differs from other runs with the same name.

    "temperature=0.9, k=3", or "" if there is no difference. Settings of the dataset and of the evaluators are compared
    only within one dataset. The LLM and the scale are not compared, because they are part of the name; neither are
    settings that only say where files are.
    """
    generators = [_flatten({"generator": config["generator"]}) for _, config in runs]
    others = [_flatten(_of_the_data(config)) for _, config in runs]
    datasets = [config["dataset"].get("name") for _, config in runs]
    differing: dict[Hashable, set[str]] = defaultdict(set)
    for name, settings in _grouped([name for name, _ in runs], generators).items():
        differing[name] |= _varying(settings)
    keys = [(name, dataset) for (name, _), dataset in zip(runs, datasets, strict=True)]
    for (name, _), settings in _grouped(keys, others).items():
        differing[name] |= _varying(settings)
    named = []
    for (name, _), generator, other in zip(runs, generators, others, strict=True):
        values, keys_shown = generator | other, sorted(differing[name])
        named.append(", ".join(f"{_short(key, keys_shown)}={values[key]}" for key in keys_shown if key in values))
    return named


def _of_the_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of dataset and evaluators; for a file, or a folder with splits, only whether there is one."""
    places = {name: config["dataset"].get(name) is not None for name in ("path", "data_dir")}
    dataset = {**config["dataset"], **places}
    return {"dataset": dataset, "evaluator": config.get("evaluator") or {}}


def _grouped(keys: Iterable[Any], settings: Iterable[Settings]) -> dict[Any, list[Settings]]:
    groups: dict[Any, list[Settings]] = defaultdict(list)
    for key, each in zip(keys, settings, strict=True):
        groups[key].append(each)
    return groups


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Settings:
    return dict(_leaves(tree, prefix))


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            if name not in ("llm", "_guarantee_"):  # a guarantee follows from the other settings
                yield from _leaves(value, f"{prefix}{name}.")
        else:
            whole = isinstance(value, float) and value.is_integer()  # 1.0 and 1 are no two values
            plain = int(value) if whole else value
            yield prefix + name, plain if isinstance(plain, str) else json.dumps(plain)


def _varying(settings: Sequence[Settings]) -> set[str]:
    """Keys with more than one value. Runs without the key (an evaluator, a newer setting) do not count."""
    seen: dict[str, set[str]] = defaultdict(set)
    for each in settings:
        for key, value in each.items():
            seen[key].add(value)
    return {key for key, values in seen.items() if len(values) > 1}


def _short(key: str, keys: Sequence[str]) -> str:
    """The last part of a generator's key if no other key has the same last part, else the whole key."""
    last = key.rpartition(".")[2]
    alone = sum(other.rpartition(".")[2] == last for other in keys) == 1
    return last if alone and key.startswith("generator.") else key
