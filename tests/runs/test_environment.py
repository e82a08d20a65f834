"""What a run ran on: versions, revision, GPU memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harmonic.peak_memory import peaks
from harmonic.runs.environment import CHECKOUT, git, gpu, versions


def commit(folder: Path) -> str:
    def ask(*arguments: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(folder), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    ask("init", "--quiet")
    (folder / "file").write_text("1")
    ask("add", "file")
    ask("commit", "--quiet", "-m", "first")
    return ask("rev-parse", "HEAD")


def test_git_tells_the_revision_and_whether_files_changed(tmp_path: Path) -> None:
    revision = commit(tmp_path)
    assert git(tmp_path) == {"revision": revision, "dirty": False}
    (tmp_path / "file").write_text("2")
    assert git(tmp_path) == {"revision": revision, "dirty": True}


def test_the_checkout_is_the_folder_that_holds_the_project() -> None:
    assert (CHECKOUT / "harmonic" / "runs" / "environment.py").is_file()


def test_git_is_none_outside_of_the_projects_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git(tmp_path) is None
    assert git(tmp_path / "absent") is None
    commit(tmp_path)
    (tmp_path / "site-packages").mkdir()
    assert git(tmp_path / "site-packages") is None, "installed inside of another project's checkout"
    monkeypatch.setenv("PATH", "")
    assert git(tmp_path) is None, "no git on this machine"


def test_versions_leave_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmonic.runs.environment.PACKAGES", ("numpy", "no-such-package"))
    assert set(versions.__wrapped__()) == {"python", "numpy"}


def test_gpu_memory_is_told_only_when_the_gpu_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, max_memory_allocated=lambda: 3 * 2**20
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert peaks()["peak_gpu_mb"] == 3.0
    cuda.is_initialized = lambda: False
    assert set(peaks()) == {"peak_rss_mb"}


def test_the_gpu_has_a_name_once_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: False, get_device_name=lambda: "Card")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert gpu() is None
    cuda.is_initialized = lambda: True
    assert gpu() == "Card"
