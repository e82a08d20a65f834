"""Dependencies point one way, and importing the library loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "harmonic": {"baselines", "experiments", "conf", "hydra", "omegaconf"},
    "baselines": {"experiments", "conf", "hydra", "omegaconf"},
}
KNOWS_HYDRA = {
    f"experiments/{name}.py"
    for name in ("hydra_errors", "keys", "run", "sweeps/endings", "sweeps/grid", "sweeps/records", "sweeps/search")
}
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "sklearn", "scipy", "wandb", "xgboost", "catboost",
         "sdmetrics", "synthcity", "geomloss", "llguidance")  # fmt: skip


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_dependencies_point_one_way(folder: str) -> None:
    assert files(folder)
    wrong = {str(path.relative_to(ROOT)): bad for path in files(folder) if (bad := imported(path) & FORBIDDEN[folder])}
    assert wrong == {}


def test_only_the_entry_point_and_its_sweepers_know_hydra() -> None:
    knowing = {str(path.relative_to(ROOT)) for path in files("experiments") if imported(path) & {"hydra", "omegaconf"}}
    assert knowing == KNOWS_HYDRA


def test_evaluators_never_import_generators() -> None:
    generators = {"harmonic.generators.base", "harmonic.method.generator"}
    for path in files("harmonic/evaluation"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(generators), path
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith(generators) for alias in node.names), path


def loaded_by(code: str) -> set[str]:
    """Which heavy packages are in sys.modules after running the code in a fresh process."""
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def test_importing_every_light_module_loads_nothing_heavy() -> None:
    heavy_by_design = {
        "budget",
        "trainer",
        "cache_layers",
    }  # their classes derive from torch's; imported where torch is wanted
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files("harmonic") + files("baselines")
        if path.stem not in heavy_by_design | {"__init__"}
    ]
    assert loaded_by("\n".join(f"import {name}" for name in names)) == set()


def test_composing_a_configuration_loads_nothing_heavy() -> None:
    code = (
        "from hydra import compose, initialize_config_module\n"
        "import experiments.run\n"
        "with initialize_config_module('conf', version_base='1.3'):\n"
        "    compose('config', return_hydra_config=True)"
    )
    assert loaded_by(code) == set()
