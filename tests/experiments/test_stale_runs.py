"""Finished runs of older code: they are completed anew from the stage that changed, and what was before is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_grid import launched
from whole_runs import computed, harmonic, report_of

from baselines.smote.generator import SmoteGenerator
from harmonic.evaluation.fidelity.columns_and_pairs import Fidelity
from harmonic.generators.base import Versions

SMOTE = ["generator=smote", "evaluator=[fidelity,privacy]", "scale=smoke", "tracker=off", "data_dir=null"]


def test_a_mended_measure_is_computed_anew_in_runs_that_were_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = harmonic(tmp_path, base=SMOTE)
    before = report_of(folder)
    assert before["stage_versions"]["evaluate_fidelity"] == Fidelity.version
    monkeypatch.setattr(Fidelity, "version", Fidelity.version + 1)
    with caplog.at_level(logging.INFO):
        assert harmonic(tmp_path, base=SMOTE) == folder
    assert computed(folder) == {"split", "evaluate", "evaluate_fidelity"}
    after = report_of(folder)
    assert after["status"] == "done" and after["stage_versions"]["evaluate_fidelity"] == Fidelity.version
    assert after["metrics"] == before["metrics"]
    assert f"evaluate_fidelity: version {Fidelity.version - 1} -> {Fidelity.version}" in caplog.text


def test_a_mended_generator_draws_anew_and_keeps_its_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = harmonic(tmp_path, base=SMOTE)
    monkeypatch.setattr(SmoteGenerator, "versions", Versions(sample=2))
    assert harmonic(tmp_path, base=SMOTE) == folder
    assert computed(folder) == {"split", "sample"}  # the rows came out alike, so that their measures stand


def test_a_run_of_code_without_versions_is_completed_anew(tmp_path: Path) -> None:
    folder = harmonic(tmp_path, base=SMOTE)
    done = json.loads((folder / "DONE").read_text())
    del done["stage_versions"]
    (folder / "DONE").write_text(json.dumps(done))
    before = (folder / "report.json").read_bytes()
    harmonic(tmp_path, base=SMOTE)
    assert (folder / "report.json").read_bytes() != before and computed(folder) == {"split"}
    assert "stage_versions" in json.loads((folder / "DONE").read_text())


def test_a_sweep_launches_the_jobs_of_older_code_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Any]
) -> None:
    words = ["-m", *SMOTE, "generator=smote,marginals", f"output_dir={tmp_path}"]
    turns = [command(*words, f"hydra.sweep.dir={tmp_path}/sweeps/{turn}") for turn in range(2)]
    assert [launched(turn.out) for turn in turns] == [2, 0]
    monkeypatch.setattr(SmoteGenerator, "versions", Versions(sample=2))
    again = command(*words, f"hydra.sweep.dir={tmp_path}/sweeps/2")
    assert launched(again.out) == 1 and "sweep: 1 done, 1 done before" in again.out


def test_rows_known_from_a_csv_are_written_as_parquet_where_the_file_is_one(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": range(40, 80), "weight": [place / 8 for place in range(40)], "job": ["a", "b"] * 20})
    table.to_csv(tmp_path / "own.csv", index=False)
    table.astype({"age": "int16"}).to_parquet(tmp_path / "own.parquet")
    words = ["dataset=csv", "dataset.target=job", "stage=sample"]
    for name in ("own.csv", "own.parquet"):
        folder = harmonic(tmp_path / "outputs", *words, f"dataset.path={tmp_path / name}", base=SMOTE)
    assert pd.read_parquet(folder / "synthetic.parquet")["age"].dtype == "int16"


def test_new_identifiers_avoid_the_real_ones_of_the_file_at_hand(tmp_path: Path) -> None:
    """The same rows with other identifiers, of few that there can be: what was drawn for the first file will not do."""
    marks = [f"{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
    table = pd.DataFrame({"age": range(40, 72), "weight": [place / 8 for place in range(32)], "job": ["x", "y"] * 16})
    words = ["dataset=csv", "dataset.target=job", "stage=sample", "n_samples=20"]
    words += [f"dataset.path={tmp_path / 'own.csv'}", "dataset.kinds={mark: identifier}"]
    for real in (marks[::2], marks[1::2]):
        table.assign(mark=real).to_csv(tmp_path / "own.csv", index=False)
        folder = harmonic(tmp_path / "outputs", *words, base=SMOTE)
        assert not set(pd.read_csv(folder / "synthetic.csv")["mark"]) & set(real)
