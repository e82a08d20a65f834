"""What contributors rely on: the hooks, the ranges of dependencies, the citation, and what is said to be stable."""

from __future__ import annotations

import json
import pkgutil
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from oldest_versions import oldest, required
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pages import PAGES, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STABLE = (PAGES / "reference" / "stable.md").read_text(encoding="utf-8")


def test_hooks_run_programs_of_the_environment_and_download_nothing() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repo["repo"] == "local"
    check = re.findall(r"^\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for hook in repo["hooks"]:
        program, _, words = hook["entry"].removeprefix(".venv/bin/").partition(" ")
        assert hook["entry"].startswith(".venv/bin/") and hook["language"] == "system"
        if program == "python":
            assert (ROOT / words.rpartition(" ")[2]).is_file()
        else:
            assert any(line.startswith(f"{program} {words}".rstrip()) for line in check), hook["entry"]


def test_oldest_versions_are_the_lower_bounds() -> None:
    assert oldest(["numpy>=2", "pandas>=2.2,<3", "gguf>=0.17", "optuna", "x>=1.3.2,<1.4", "y>=2.3; z"]) == [
        "numpy==2.0.*", "pandas==2.2.*", "gguf==0.17.*", "x==1.3.2", "y==2.3.*",
    ]  # fmt: skip
    constraints = dict(line.split("==") for line in oldest(required()))
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(constraints[requirement.name].replace("*", "99")), requirement


def test_the_tested_versions_are_within_the_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    known = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if "==" in line)}
    for requirement in map(Requirement, required()):
        assert requirement.specifier.contains(known[canonicalize_name(requirement.name)]), requirement


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] and citation["authors"] and citation["message"]
    assert "2408.02927" in str(citation["preferred-citation"])


def stable(row: str) -> list[str]:
    """The words in backticks of a row of the page on what is stable."""
    (found,) = re.findall(rf"^\| {row} \| (.*) \|$", STABLE, re.MULTILINE)
    return re.findall(r"`([^`]+)`", found)


def test_what_is_said_to_be_stable_is_there(command: Callable[..., Any], tmp_path: Path) -> None:
    assert set(stable("commands")) - {"make"} == set(PROJECT["scripts"])
    for name in stable("Python"):
        assert pkgutil.resolve_name(name.replace("harmonic.Harmonic", "harmonic.api.Harmonic"))
    assert all((ROOT / "conf" / group).is_dir() for group in stable("configuration"))
    small = ["generator=marginals", "evaluator=fidelity", "llm=tiny", "scale=smoke", "tracker=off"]
    done = command(*small, f"output_dir={tmp_path}")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].startswith(stable("last line of a run")[0].partition("<")[0])
    folder = Path(done.out.splitlines()[-1].removeprefix("run: "))
    assert set(json.loads((folder / "report.json").read_text(encoding="utf-8"))) >= set(stable("`report.json`"))
    assert all((folder / name).is_file() for name in stable("a run's folder") if not name.startswith("prompts/"))
