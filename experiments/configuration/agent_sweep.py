"""A sweep of `harmonic -m` as a sweep of Weights & Biases, for those who start jobs with `wandb agent`.

An agent starts `harmonic key=value …` for each job. The values are written as Hydra reads them, since the agent passes
them on as they are: ${args_no_hyphens} makes key=value of each parameter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer

from experiments.configuration.hydra_errors import check_words, plain_errors
from harmonic.errors import ConfigError


def agent_sweep(words: Sequence[str]) -> dict[str, Any]:
    """The sweep's configuration for `wandb sweep`. `words`: those of `harmonic -m`, such as experiment=comparison.

    What varies becomes a parameter, what is fixed a part of the command. Project and entity are those of the tracker.
    Raises ConfigError for invalid words, if nothing varies, or if the jobs cannot be started one by one.
    """
    with plain_errors(words=words), initialize_config_module("conf", version_base="1.3"):
        check_words(words)
        loader = GlobalHydra.instance().config_loader()
        parser = OverridesParser.create(config_loader=loader)
        given = parser.parse_overrides(list(words))
        plain = [str(one.input_line) for one in given if not one.is_sweep_override()]
        config = compose("config", plain, return_hydra_config=True)
        sweeper, choices = config.hydra.sweeper, config.hydra.runtime.choices
        if choices["hydra/sweeper"] == "choose":
            fix = (
                "leave it to harmonic -m, or name the methods: --sweep-yaml generator=smote,tvae evaluate_on=validation"
            )
            raise ConfigError("experiment", "choose", "decides about its jobs while it runs, which agents cannot", fix)
        if choices["tracker"] != "wandb":
            raise ConfigError("tracker", choices["tracker"], "agents need the numbers on W&B", "tracker=wandb")
        inner = parser.parse_overrides([f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()])
    by_key = {one.get_key_element(): one for one in [*inner, *given] if not one.is_hydra_override()}
    varied = {key: _parameter(one) for key, one in by_key.items() if one.is_sweep_override()}
    if not varied:
        fix = "name values: --sweep-yaml generator=smote,tvae seed=0,1,2, or a preset: experiment=comparison"
        raise ConfigError("--sweep-yaml", " ".join(words), "nothing varies", fix)
    fixed = [str(one.input_line) for one in by_key.values() if not one.is_sweep_override()]
    return {
        "name": str(config.experiment_name),
        "project": config.tracker.project,
        **({"entity": config.tracker.entity} if config.tracker.entity else {}),
        "program": "harmonic",
        **_method(varied, sweeper),
        "parameters": varied,
        "command": ["${env}", "harmonic", *fixed, "${args_no_hyphens}"],
    }


def _method(varied: dict[str, dict[str, Any]], sweeper: Any) -> dict[str, Any]:
    """How the values are chosen: all of them, or by the metric of a search."""
    if metric := sweeper.get("metric"):
        wanted = {"name": str(metric), "goal": str(sweeper.direction)}
        return {"method": "bayes", "metric": wanted, "run_cap": int(sweeper.n_trials)}
    return {"method": "grid" if all("values" in one for one in varied.values()) else "random"}


def _parameter(override: Override) -> dict[str, Any]:
    """The values of one key, as W&B's sweeps describe them."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        name = "log_uniform_values" if "log" in value.tags else "uniform"
        ends = {"min": float(value.start or 0.0), "max": float(value.end or 0.0)}
        return {"distribution": name, **ends}
    texts = [str(text) for text in override.sweep_iterator(transformer=Transformer.encode)]
    return {"values": [_plain(text) for text in texts]}


def _plain(text: str) -> str | int | float | bool:
    """A number, or true or false, if W&B writes it so that Hydra reads it again; else the text as Hydra reads it."""
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and str(value) == text else text
