"""Sweeps for agents of W&B: what an agent starts is what `harmonic -m` starts, by W&B's own code for the arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from experiments.configuration.agent_sweep import agent_sweep
from experiments.report.command import main
from harmonic.errors import ConfigError

ODD = [
    "generator=smote,tvae", "evaluator=[fidelity,privacy],utility", "minutes=2.5,null", "force=true,false",
    "dataset.path='a, b',c", "+extra={a:1},{b:2}", "dataset.kinds={age: number}", "scale=smoke",
]  # fmt: skip


def words_of_an_agent(sweep: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """The command that W&B's agent starts for these values, without the program (wandb_agent.py, _command_run)."""
    given = create_sweep_command_args({"args": {key: {"value": value} for key, value in chosen.items()}})
    given["env"] = ["/usr/bin/env"]
    found: list[str] = []
    for word in create_sweep_command(sweep["command"]):
        found += given[word[2:-1]] if word.startswith("${") else [word]
    assert found[:2] == ["/usr/bin/env", "harmonic"]
    return found[2:]


def composed(words: list[str]) -> Any:
    with initialize_config_module("conf", version_base="1.3"):
        return OmegaConf.to_container(compose("config", words), resolve=False)


def by_hydra(words: list[str]) -> list[list[str]]:
    """The jobs of `harmonic -m`."""
    (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)
    return [list(job) for job in jobs]


def grid(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = [{}]
    for key, one in parameters.items():
        jobs = [{**job, key: value} for job in jobs for value in one["values"]]
    return jobs


def test_an_agents_jobs_are_those_of_hydra_whatever_the_values(tmp_path: Path) -> None:
    sweep = yaml.safe_load(yaml.safe_dump(agent_sweep(ODD), sort_keys=False))  # as the file has it
    jobs = [words_of_an_agent(sweep, chosen) for chosen in grid(sweep["parameters"])]
    expected = by_hydra(ODD)
    assert len(jobs) == len(expected) == 64
    for place in (0, 21, 42, 63):
        assert composed(jobs[place]) == composed(expected[place])


def test_a_preset_is_a_grid_over_its_parameters_and_words_take_their_place() -> None:
    sweep = agent_sweep(["experiment=comparison", "seed=5,6", "dataset=german", "tracker.entity=team", "n_samples=100"])
    assert sweep["method"] == "grid" and sweep["name"] == "comparison"
    assert (sweep["project"], sweep["entity"]) == ("harmonic", "team")
    assert set(sweep["parameters"]) == {"generator", "seed"}
    assert sweep["parameters"]["seed"] == {"values": [5, 6]}
    assert "smote" in sweep["parameters"]["generator"]["values"]
    assert {"dataset=german", "experiment=comparison", "n_samples=100"} <= set(sweep["command"])


def test_a_search_has_its_metric_its_ranges_and_its_number_of_trials() -> None:
    sweep = agent_sweep(["experiment=search", "hydra.sweeper.metric=mle/r2", "hydra.sweeper.n_trials=7"])
    assert sweep["method"] == "bayes" and sweep["run_cap"] == 7
    assert sweep["metric"] == {"name": "mle/r2", "goal": "maximize"}
    rate = sweep["parameters"]["generator.tuning.learning_rate"]
    assert rate == {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.003}
    assert sweep["parameters"]["generator.neighbors.k"] == {"values": [2, 3, 4, 5, 6, 7]}
    assert not any("hydra" in word for word in sweep["command"])
    assert agent_sweep(["seed=0,1", "generator.k=interval(1, 2)"])["method"] == "random"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=1"], "nothing varies"),
        (["experiment=choose"], "decides about its jobs while it runs"),
        (["seed=0,1", "tracker=off"], "fix: tracker=wandb"),
        (["generator=smot,tvae", "experiment=comparisn"], "unknown experiment 'comparisn'"),
    ],
)
def test_what_agents_cannot_do_is_one_error(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agent_sweep(words)


def test_the_command_prints_a_file_that_wandb_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sweep-yaml", "experiment=quickstart", "seed=0,1"])
    sweep = yaml.safe_load(capsys.readouterr().out)
    assert sweep == agent_sweep(["experiment=quickstart", "seed=0,1"])
    with pytest.raises(SystemExit):
        main([])
    assert "harmonic-report outputs" in capsys.readouterr().err
