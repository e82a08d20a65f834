"""What `make setup` prints, with a stand-in for Python whose pip warns."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = '#!/bin/sh\necho "WARNING: Location \'file:///nowhere\' is ignored" >&2\necho "$@" > asked\nexit {code}\n'
PYTHON = '#!/bin/sh\n# -m venv .venv\nmkdir -p "$3/bin"\ncp pip "$3/bin/python"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that set-up reads, and the stand-in."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def setup(folder: Path, code: int) -> subprocess.CompletedProcess[str]:
    (folder / "pip").write_text(PIP.format(code=code))
    (folder / "pip").chmod(0o755)
    words = ["make", "-C", str(folder), "--no-print-directory", "setup", f"PYTHON={folder / 'python'}"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_setup_says_what_it_does_and_nothing_of_pips(folder: Path) -> None:
    done = setup(folder, code=0)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines() == ["setting up .venv: about five minutes, 8 GB of disk", "set up"]
    assert "--constraint constraints.txt" in (folder / "asked").read_text()
    assert "setting up" not in setup(folder, code=1).stdout  # done before


def peer(folder: Path, name: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    (folder / "pip").write_text(PIP.format(code=code).replace("> asked", ">> asked"))
    (folder / "pip").chmod(0o755)
    words = ["make", "-C", str(folder), "--no-print-directory", f"peer-{name}", f"PYTHON={folder / 'python'}"]
    return subprocess.run([*words, f"HARMONIC_PEERS={folder / 'peers'}"], capture_output=True, text=True, check=False)


def test_an_environment_of_a_generators_own_is_made_where_it_is_looked_for(folder: Path) -> None:
    wanted = folder / "baselines" / "environments" / "requirements" / "tabularargn.txt"
    wanted.parent.mkdir(parents=True)
    shutil.copy(ROOT / wanted.relative_to(folder), wanted)
    done = peer(folder, "tabularargn")
    assert done.returncode == 0 and done.stderr == "" and done.stdout.splitlines()[-1] == "set up"
    assert (folder / "peers" / "tabularargn" / "bin" / "python").is_file()
    asked = (folder / "asked").read_text()
    assert "--requirement baselines/environments/requirements/tabularargn.txt" in asked and "torchvision" in asked
    failed = peer(folder, "tabularargn", code=1)
    assert failed.returncode != 0 and "WARNING: Location" in failed.stdout
    assert not (folder / "peers" / "tabularargn" / "bin" / "python").is_file()  # half made is not made
    assert peer(folder, "nobody").returncode != 0


def test_a_failing_pip_is_heard_and_tried_again(folder: Path) -> None:
    failed = setup(folder, code=1)
    assert failed.returncode != 0 and "WARNING: Location" in failed.stdout
    assert setup(folder, code=0).returncode == 0
