"""The README: short, its examples run, and the figures that it quotes are in the log."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import README, ROOT, blocks, commands, prose

SMALL = ["llm=tiny", "scale=smoke", "tracker=off"]
FEWER = "evaluator.machine_learning_efficacy.models=[linear]"


def test_it_is_a_screen_and_a_half() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 90 and max(map(len, lines)) < 900  # a row of the table of links is long


def test_its_figures_are_in_the_log() -> None:
    log = (ROOT / "experiments" / "LOG.md").read_text(encoding="utf-8")
    figures = re.findall(r"(?<!\d)\.\d{3}", prose(README))
    assert len(figures) > 20
    assert [figure for figure in figures if figure not in log] == []


@pytest.mark.slow
def test_its_examples_run(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"age": range(20, 80), "plan": ["a", "b", "c"] * 20, "churn": ["yes", "no"] * 30})
    frame.to_csv("my.csv", index=False)
    examples = [words[1:] for words in commands(README) if words[0] == "harmonic"]
    assert len(examples) == 3
    for words in examples:
        done = command(*words, *SMALL, FEWER)
        assert done.code == 0, done.err
    (own,) = Path("outputs/runs/my").glob("*/seed0-*/synthetic.csv")
    assert list(pd.read_csv(own)) == list(frame)
    assert len(list(Path("outputs/quickstart").rglob("DONE"))) == 7
    (notebook,) = [block.text for block in blocks(README) if block.language == "python"]
    made: dict[str, Any] = {"frame": frame}
    exec(notebook.replace("Harmonic()", 'Harmonic("tiny", scale="smoke")').replace("1000", "10"), made)
    assert made["synthetic"].shape == (10, 3)
