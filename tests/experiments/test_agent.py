"""Runs that an agent of W&B starts: a run that was finished before still gives the agent its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_tracking import parsed, plain

SMALL = ["generator=marginals", "evaluator=fidelity", "llm=tiny", "scale=smoke", "data_dir=null"]


@pytest.fixture
def no_wandb() -> Iterator[None]:
    """W&B reads the environment once a process: it must read this test's, and no later test may find it."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()


def test_a_sweep_in_an_agents_run_is_one_error(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sw1")
    monkeypatch.setenv("WANDB_RUN_ID", "abc12345")
    done = command("-m", *SMALL, "seed=0,1", f"output_dir={tmp_path / 'outputs'}")
    assert done.code == 1 and "WANDB_SWEEP_ID=sw1" in done.err and "leave out -m" in done.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.usefixtures("no_wandb")
def test_a_finished_run_gives_its_numbers_to_an_agent_and_is_not_computed_again(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SMALL, f"output_dir={tmp_path / 'outputs'}"]
    first = command(*words, "tracker=off")
    assert first.code == 0, first.err
    folder = Path(first.out.splitlines()[-1].removeprefix("run: "))
    before = (folder / "report.json").read_bytes()
    for name, value in {"MODE": "offline", "SWEEP_ID": "sw1", "RUN_ID": "abc12345", "PROJECT": "agents"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    again = command(*words, "tracker=wandb")
    assert again.code == 0, again.err
    assert (folder / "report.json").read_bytes() == before, "nothing was computed again"
    import wandb

    wandb.teardown()  # closes the file
    (path,) = (tmp_path / "outputs" / "wandb").glob("offline-run-*/*.wandb")
    found = parsed(path.read_bytes())
    assert (found["run"][0].run_id, found["run"][0].sweep_id) == ("abc12345", "sw1")
    values: dict[str, Any] = {}
    for update in found["summary"]:
        values |= plain(update.update)
    metrics = {name: value for name, value in json.loads(before)["metrics"].items() if value is not None}
    assert metrics and {name: values[name] for name in metrics} == metrics
    assert values["status"] == "done" and found["exit"][0].exit_code == 0
