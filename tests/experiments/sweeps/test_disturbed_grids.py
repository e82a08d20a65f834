"""Grids killed at random moments end as undisturbed ones: nothing lost, nothing twice, nothing damaged.

More kills: python tests/helpers/disturbed_grids.py LAUNCHER KILLS --folder FOLDER
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from disturbed_grids import cluster, kill_often, problems
from one_node_slurm import missing

PLUGINS = {"joblib": "hydra_joblib_launcher", "ray": "hydra_ray_launcher", "slurm": "hydra_submitit_launcher"}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "joblib", "ray", "slurm"])
def test_a_killed_grid_ends_as_an_undisturbed_one(launcher: str, tmp_path: Path) -> None:
    if launcher in PLUGINS and importlib.util.find_spec(f"hydra_plugins.{PLUGINS[launcher]}") is None:
        pytest.skip(f"{PLUGINS[launcher]} is not installed")
    if launcher == "slurm" and (why := missing()) is not None:
        pytest.skip(f"no Slurm: {why}")
    with cluster(launcher, tmp_path):
        tally = kill_often(launcher, 2, 11, tmp_path)
    assert tally.kills == 2 and tally.told == []


def test_what_a_kill_could_spoil_is_noticed(tmp_path: Path) -> None:
    """The comparison itself: each kind of damage has a line."""
    run = tmp_path / "runs" / "diabetes" / "smote" / "seed0-00c0ffee"
    run.mkdir(parents=True)
    line = "2026-01-01 INFO harmonic.runs.run: fit: 0.1 s\n"
    (run / "run.log").write_text(line + line.replace("fit: 0.1 s", "fit: cached (0.1 s when computed)"))
    names = ("status", "data", "rows", "rules", "metrics", "unavailable", "notes", "validity", "stage_versions")
    (run / "report.json").write_text(json.dumps({**dict.fromkeys(names), "status": "done", "stages": {}}))
    report = {**dict.fromkeys(names), "status": "done", "keys": {}, "rows written": b""}
    name = str(run.relative_to(tmp_path))
    assert problems(tmp_path, {name: report}) == [f"not done: {run}"]
    (tmp_path / "cache" / "fit" / "0.partial").mkdir(parents=True)
    (run / "run.log").write_text(line * 2)
    told = problems(tmp_path, {name: {**report, "status": "failed"}, "runs/other": {}})
    assert [one.partition(":")[0] for one in told] == [
        "lost", "other than undisturbed", "not done", "left behind", "twice",
    ]  # fmt: skip
