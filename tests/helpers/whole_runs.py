"""Whole runs of `harmonic` with a tiny model: in this process, or as a command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from omegaconf import open_dict

from experiments.run import run_job

ROOT = Path(__file__).resolve().parents[2]
OWN_FILE = ["dataset=csv", f"dataset.path={ROOT / 'harmonic/data/diabetes.csv'}"]
WHOLE = ["llm=tiny", "scale=smoke", "tracker=off", "data_dir=null", "generator.sampling.attempts=1"]
TINY = [*WHOLE, "evaluator=privacy", "evaluator.data_leakage_test.max_rows=20"]


def harmonic(output: Path, *overrides: str, base: Sequence[str] = TINY) -> Path:
    """One job in this process, as `harmonic` runs it; the run's folder. Raises what the command would print."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", [*base, f"output_dir={output}", *overrides], return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return run_job(config, choices)


def apart(output: Path, *overrides: str) -> list[str]:
    """The same as a command, for a process of its own."""
    return [sys.executable, "-m", "experiments.run", *TINY, f"output_dir={output}", *overrides]


def environment() -> dict[str, str]:
    """One thread a process: these runs are too small for more."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def computed(folder: Path) -> set[str]:
    """The stages that were not taken from the cache."""
    return {name for name, stage in report_of(folder)["stages"].items() if not stage["cached"]}
