"""The tutorial from top to bottom, in an empty folder: every command and every block of Python, at smoke scale."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import PAGES, blocks, commands, files_in

TUTORIAL = PAGES / "tutorial.md"
SMALL = ["llm=tiny", "scale=smoke", "tracker=off"]
QUICK = "evaluator.machine_learning_efficacy.models=[linear]"


def test_the_tutorial_runs(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import sample_command
    from experiments.card import privacy_card as card
    from experiments.report import command as report

    monkeypatch.chdir(tmp_path)
    files_in(TUTORIAL, tmp_path)
    programs = {"harmonic-card": card.main, "harmonic-report": report.main, "harmonic-sample": sample_command.main}
    ran = []
    for program, *given in commands(TUTORIAL):
        words = [str(path) for word in given for path in (sorted(Path().glob(word)) if "*" in word else [word])]
        ran.append(program)
        if program == "make":
            assert words == ["setup"]
        elif program == "python":
            runpy.run_path(*words)
        elif program == "harmonic":
            done = command(*words, *SMALL, "n_samples=20", QUICK)
            assert done.code == 0, done.err
            if "dry_run=true" in words:
                assert "identifier" in done.out and "columns.yaml" in done.out
        else:
            programs[program](words)
    assert set(ran) == {"make", "python", "harmonic", *programs}

    (run,) = Path("outputs/runs/wine/harmonic_dense").glob("seed0-*")
    real, synthetic = pd.read_csv("wine.csv"), pd.read_csv(run / "synthetic.csv")
    assert list(synthetic) == list(real) and not set(synthetic["bottle"]) & set(real["bottle"])
    assert "membership" in (run / "privacy_card.md").read_text(encoding="utf-8").lower()
    assert {path.name for path in Path("outputs/runs/wine").iterdir()} >= {"smote", "holdout", "copy", "marginals"}
    assert Path("outputs/report/report.html").is_file()
    (more,) = (run / "samples").glob("*.csv")
    drawn = pd.read_csv(more)
    assert len(drawn) == 20 and set(drawn["cultivar"]) == {"class_1"} and drawn["alcohol"].between(11.5, 13).all()

    (notebook,) = [block.text for block in blocks(TUTORIAL) if block.language == "python" and not block.title]
    made: dict[str, Any] = {}
    exec(notebook.replace("Harmonic()", 'Harmonic("tiny", scale="smoke")'), made)  # the code that the page shows
    assert len(made["more"]) == 10 and list(made["more"]) == list(real)
    assert any("bottle" in note for note in made["model"].notes)
