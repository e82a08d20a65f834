"""Dependencies point one way, and importing the library loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "harmonic": {"baselines", "experiments", "conf", "hydra", "omegaconf"},
    "baselines": {"experiments", "conf", "hydra", "omegaconf"},
}
BY_NAME = {"harmonic/recipes.py": {"conf"}}  # what may be reached by a string: the API reads the shipped YAML files
ROOMS = {  # the folders of harmonic, and which others each may import; modules beside them are not listed
    "tables": set(),
    "llm": set(),
    "runs": set(),
    "data": set(),
    "prompts": {"tables", "llm"},
    "tuning": {"tables", "llm", "prompts"},
    "generators": {"tables"},
    "decoding": {"tables", "llm", "prompts", "tuning", "generators"},
    "method": {"tables", "llm", "prompts", "tuning", "generators", "decoding"},
    "evaluation": {"tables", "llm", "prompts", "tuning", "runs"},  # it tunes and asks language models, and stores them
}
BESIDE = {  # modules of harmonic outside the folders that may import from folders; the others import from none
    "datasets": {"tables"},
    "tracking": {"tables", "runs"},
    "recipes": {"llm"},
    "api": {"tables", "llm", "generators", "method"},
}
IN_ORDER = {  # folders of which each may import only those before it; other folders and programs may import them all
    "harmonic/evaluation": ("comparison", "attacks", "fidelity", "utility", "llm_effectiveness", "privacy"),
    "experiments": ("configuration", "collect", "card", "summary", "stages", "report", "results", "sweeps", "choosing"),
}
BELOW = {"harmonic/evaluation": {"base", "result_cache"}, "experiments": set[str]()}
"""Modules beside those folders that all of them may import."""
KNOWS_HYDRA = {
    f"experiments/{name}.py"
    for name in (
        "choosing/sweeper",
        "configuration/agent_sweep",
        "configuration/building",
        "configuration/hydra_errors",
        "run",
        "sample_sweep",
        "stages/keys",
        "sweeps/endings",
        "sweeps/grid",
        "sweeps/lost_jobs",
        "sweeps/records",
        "sweeps/search",
    )
}
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "sklearn", "scipy", "wandb", "xgboost", "catboost",
         "sdmetrics", "synthcity", "geomloss", "llguidance")  # fmt: skip


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's dotted name; a package's is that of its folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere in it, for type checkers alone, too; of `from a import b` "a.b"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere in it."""
    return {name.partition(".")[0] for name in imports(path)}


def named(path: Path) -> set[str]:
    """Top-level packages that a file imports, or reads files of, by a string."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            text = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else first
            if called in ("import_module", "__import__", "files", "get_class") and isinstance(text, ast.Constant):
                found.add(str(text.value).partition(".")[0])
    return found


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """A circle of modules that import each other, or []; `edges`: the names that each module imports."""
    modules = {
        module: {name if name in edges else name.rpartition(".")[0] for name in names} - {module}  # "a.b" may be b in a
        for module, names in edges.items()
    }
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(name: str) -> tuple[str, str] | None:
    """Where in harmonic a dotted name lies: ("folder", its name), ("module", its name); None if elsewhere."""
    top, _, rest = name.partition(".")
    if top != "harmonic" or not rest:
        return None
    first = rest.partition(".")[0]
    return ("folder" if (ROOT / "harmonic" / first).is_dir() else "module"), first


def test_a_circle_is_found() -> None:
    edges = {"a": {"b.Thing"}, "b": {"c.x"}, "c": {"a"}, "d": {"a.Other", "numpy.array"}}
    assert set(circle(edges)) == {"a", "b", "c"}
    assert circle(edges | {"c": {"numpy"}}) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for type checkers count: they are needed to understand a module."""
    paths = [path for folder in ("harmonic", "baselines", "experiments") for path in files(folder)]
    edges = {name_of(path): imports(path) for path in paths}
    assert len(edges) > 200
    assert circle(edges) == []


def test_every_folder_of_harmonic_is_known() -> None:
    folders = {path.name for path in (ROOT / "harmonic").iterdir() if (path / "__init__.py").is_file()}
    assert set(ROOMS) == folders


def test_folders_of_harmonic_import_in_one_direction() -> None:
    TopologicalSorter(ROOMS).prepare()  # raises where the table itself has a circle
    wrong = []
    for path in files("harmonic"):
        own = room(name_of(path))
        if own is None:
            continue
        kind, name = own
        allowed = ROOMS[name] | {name} if kind == "folder" else BESIDE.get(name, set())
        for other in filter(None, map(room, imports(path))):
            if (other[0] == "folder" and other[1] not in allowed) or (other[1] in BESIDE and kind == "folder"):
                wrong.append(f"{path.relative_to(ROOT)} imports {other[1]}")
    assert wrong == []


@pytest.mark.parametrize("parent", IN_ORDER)
def test_folders_import_only_those_before_them(parent: str) -> None:
    wrong, start = [], parent.replace("/", ".") + "."
    for place, folder in enumerate(IN_ORDER[parent]):
        assert files(f"{parent}/{folder}")
        allowed = {*IN_ORDER[parent][: place + 1], *BELOW[parent]}
        for path in files(f"{parent}/{folder}"):
            beside = {name.removeprefix(start).partition(".")[0] for name in imports(path) if name.startswith(start)}
            wrong += [f"{path.relative_to(ROOT)} imports {other}" for other in sorted(beside - allowed)]
    assert wrong == []


def test_strings_reach_no_package_that_imports_may_not() -> None:
    wrong = {}
    for folder in FORBIDDEN:
        for path in files(folder):
            place = str(path.relative_to(ROOT))
            bad = (named(path) & FORBIDDEN[folder]) - BY_NAME.get(place, set())
            if bad:
                wrong[place] = bad
    assert wrong == {}
    assert all(named(ROOT / place) & found == found for place, found in BY_NAME.items())


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_dependencies_point_one_way(folder: str) -> None:
    assert files(folder)
    wrong = {str(path.relative_to(ROOT)): bad for path in files(folder) if (bad := imported(path) & FORBIDDEN[folder])}
    assert wrong == {}


def test_only_the_entry_point_and_its_sweepers_know_hydra() -> None:
    knowing = {str(path.relative_to(ROOT)) for path in files("experiments") if imported(path) & {"hydra", "omegaconf"}}
    assert knowing == KNOWS_HYDRA


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
