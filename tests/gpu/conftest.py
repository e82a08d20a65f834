"""The checks on a GPU end with a summary: on the terminal, and in outputs/check_gpu.md.

    make check-gpu            or, without make: python -m pytest -m gpu tests/gpu

HARMONIC_CHECK_DEVICE=cpu runs what it can on the CPU, to try the checks themselves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from gpu_summary import Outcome, summary

FOLDER = Path(__file__).resolve().parent
FILE = FOLDER.parents[1] / "outputs" / "check_gpu.md"
ASKED = os.environ.get("HARMONIC_CHECK_DEVICE") or "cuda"

_outcomes: dict[str, Outcome] = {}
_COVERS = "covers"  # the property of a test that says what it covers
_UNFINISHED = "the check was stopped before its end"


@pytest.fixture(scope="session")
def device() -> str:
    """The device to check: the GPU, or the CPU if HARMONIC_CHECK_DEVICE=cpu."""
    import torch

    if ASKED == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here (HARMONIC_CHECK_DEVICE=cpu tries the checks on the CPU)")
    return ASKED


@pytest.fixture(scope="session")
def card(device: str) -> str:
    """The GPU, for what has no meaning on a CPU."""
    if device != "cuda":
        pytest.skip("has no meaning on a CPU")
    return device


@pytest.fixture(scope="session")
def cards(card: str) -> int:
    """The number of GPUs, at least two."""
    import torch

    if (count := torch.cuda.device_count()) < 2:
        pytest.skip("needs two GPUs, and there is one")
    return count


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER not in item.path.parents:
            continue
        # Other versions of the libraries warn of other things, which is no matter of the GPU's.
        item.add_marker(pytest.mark.filterwarnings("default"))
        text = (getattr(item, "function", None).__doc__ or item.name).strip()
        kind = item.name.partition("[")[2].rstrip("]")
        covers = " ".join(text.split()).rstrip(".") + (f" ({kind})" if kind else "")
        item.user_properties.append((_COVERS, covers))
        _outcomes[item.nodeid] = Outcome(covers, "skipped", _UNFINISHED)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        _outcomes.pop(item.nodeid, None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    noted = dict(report.user_properties)
    if _COVERS not in noted:
        return
    covers = str(noted.pop(_COVERS))
    found = _outcomes.setdefault(report.nodeid, Outcome(covers, "skipped", _UNFINISHED))
    found.seconds += report.duration
    found.figures = list(noted.items())
    if report.outcome != "passed":
        found.outcome, found.reason = report.outcome, _reason(report)
    elif report.when == "call":
        found.outcome, found.reason = "passed", ""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _outcomes:
        return
    text = summary(list(_outcomes.values()), ASKED)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    terminalreporter.write_line("")
    terminalreporter.write_line(text)
    terminalreporter.write_line(f"wrote {FILE}")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, or the last line of why it failed."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr)
    return text.splitlines()[0][:300] if text else "no message"
