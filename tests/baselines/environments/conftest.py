"""An environment to ask in tests: this one, under the name "mine"."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from baselines.environments import foreign_process


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that scripts are looked for in; it has answer.py."""
    program = tmp_path / "peers" / "mine" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "answer.py").write_bytes((foreign_process.SCRIPTS / "answer.py").read_bytes())
    monkeypatch.setattr(foreign_process, "SCRIPTS", folder)
    monkeypatch.setenv("HARMONIC_PEERS", str(tmp_path / "peers"))
    return folder
