"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the six tables in the paper's splits; skips where it is not there."""
    folder = os.environ.get("HARMONIC_DATA_DIR")
    if not (folder and Path(folder).is_dir()):
        pytest.skip("set HARMONIC_DATA_DIR to the folder with the six tables to run this test")
    return Path(folder)


@dataclass(frozen=True)
class Finished:
    """What a command left on the terminal, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Finished]]:
    """`harmonic`, in this process: a process of its own spends seconds on imports. Takes the command's words."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level  # Hydra sets up its own

    def command(*words: str) -> Finished:
        from experiments.run import main

        monkeypatch.setattr(sys, "argv", ["harmonic", *words])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Finished(code, *capsys.readouterr())

    yield command
    root.handlers[:], root.level = handlers, level
