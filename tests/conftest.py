"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the six tables in the paper's splits; skips where it is not there."""
    folder = Path(os.environ.get("HARMONIC_DATA_DIR") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("set HARMONIC_DATA_DIR to the folder with the six tables to run this test")
    return folder
