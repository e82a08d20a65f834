"""One command, end to end, on the packaged data with a tiny model: what it leaves, and what survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN_FILE = ["dataset=csv", "dataset.path=harmonic/data/diabetes.csv"]
TINY = ["llm=tiny", "scale=smoke", "tracker=off", "evaluator=privacy"]


def command(output: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "experiments.run", *TINY, f"output_dir={output}", *overrides]


def environment() -> dict[str, str]:
    """One thread a process: these runs are too small for more."""
    kept = {name: value for name, value in os.environ.items() if name != "HARMONIC_DATA_DIR"}
    return {**kept, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}


def harmonic(output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(output, *overrides), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )


def folder_of(done: subprocess.CompletedProcess[str]) -> Path:
    last = done.stdout.splitlines()[-1]
    assert last.startswith("run: "), done.stdout + done.stderr
    return ROOT / last.removeprefix("run: ")


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The outputs and the run's folder of one whole run, taken stage by stage as the four published steps."""
    output = tmp_path_factory.mktemp("outputs")
    expected = {
        "prompts": {"prompts/train.jsonl", "prompts/sample.jsonl"},
        "fit": {"adapter/adapter_model.safetensors"},
        "sample": {"synthetic.csv"},
        "evaluate": {"DONE"},
    }
    there: set[str] = set()
    for stage, products in expected.items():
        done = harmonic(output, f"stage={stage}")
        assert done.returncode == 0, done.stderr
        folder = folder_of(done)
        there |= products
        missing = [name for name in there if not (folder / name).exists()]
        assert missing == []
        assert (folder / "DONE").exists() == (stage == "evaluate")
        assert report_of(folder)["status"] == ("done" if stage == "evaluate" else "running")
    return output, folder


def test_each_stage_continues_from_the_one_before(finished: tuple[Path, Path]) -> None:
    stages = report_of(finished[1])["stages"]
    assert [name for name, stage in stages.items() if stage["cached"]] == ["prompts", "fit", "sample"]


def test_the_report_holds_the_contracts_keys(finished: tuple[Path, Path]) -> None:
    report = report_of(finished[1])
    assert report["error"] is None and report["seed"] == 0
    assert report["run_id"] in finished[1].name
    assert report["versions"]["torch"] and report["config"]["dataset"]["name"] == "diabetes"
    assert report["peak_rss_mb"] > 100
    assert {"prompts", "fit", "sample"} < set(report["stages"])
    assert {"nrs", "dcr/mean", "dcr/share", "nndr", "dlt", "dlt_holdout"} <= set(report["metrics"])
    assert report["unavailable"] == {}
    assert all(isinstance(value, float | int) for value in report["metrics"].values())


def test_the_synthetic_csv_has_exactly_the_rows_asked_for_in_the_schema(finished: tuple[Path, Path]) -> None:
    frame = pd.read_csv(finished[1] / "synthetic.csv")
    real = pd.read_csv(ROOT / "harmonic/data/diabetes.csv")
    assert list(frame.columns) == list(real.columns)
    assert len(frame) == 12 and not frame.isna().any().any()
    assert set(frame["Outcome"]) <= {0, 1}


def test_running_again_computes_nothing(finished: tuple[Path, Path]) -> None:
    before = (finished[1] / "report.json").read_bytes()
    started = time.monotonic()
    done = harmonic(finished[0])
    assert done.returncode == 0 and folder_of(done) == finished[1]
    assert "done already" in done.stderr
    assert (finished[1] / "report.json").read_bytes() == before
    assert time.monotonic() - started < 30


def test_an_added_evaluator_computes_only_itself(finished: tuple[Path, Path]) -> None:
    done = harmonic(finished[0], "evaluator=fidelity")
    assert done.returncode == 0, done.stderr
    stages = report_of(folder_of(done))["stages"]
    assert {name for name, stage in stages.items() if not stage["cached"]} == {"evaluate_fidelity"}


def test_another_temperature_keeps_the_adapter(finished: tuple[Path, Path]) -> None:
    done = harmonic(finished[0], "generator.sampling.temperature=1.3", "stage=sample")
    assert done.returncode == 0, done.stderr
    stages = report_of(folder_of(done))["stages"]
    assert {name for name, stage in stages.items() if not stage["cached"]} == {"sample"}


def test_the_same_seed_gives_the_same_rows_in_another_place(finished: tuple[Path, Path], tmp_path: Path) -> None:
    done = harmonic(tmp_path, "stage=sample")
    assert done.returncode == 0, done.stderr
    assert (folder_of(done) / "synthetic.csv").read_bytes() == (finished[1] / "synthetic.csv").read_bytes()


def test_a_run_killed_while_sampling_goes_on_from_what_is_there(finished: tuple[Path, Path], tmp_path: Path) -> None:
    batches = "generator.sampling.batch_tokens=1"  # one prompt a batch: many moments to be killed at
    process = subprocess.Popen(
        command(tmp_path, batches), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            if list(tmp_path.glob("cache/sample/*.partial/progress.jsonl")):
                break
            time.sleep(0.1)
        else:
            pytest.fail("sampling never began")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(tmp_path.rglob("DONE"))
    done = harmonic(tmp_path, batches)
    assert done.returncode == 0, done.stderr
    report = report_of(folder_of(done))
    assert report["status"] == "done"
    assert report["stages"]["prompts"]["cached"] and report["stages"]["fit"]["cached"]
    unbroken = harmonic(tmp_path / "other", batches, "stage=sample")
    assert (folder_of(unbroken) / "synthetic.csv").read_bytes() == (folder_of(done) / "synthetic.csv").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([*OWN_FILE, "dataset.target=Outcom"], ["dataset.target", "Outcome"]),
        (["stage=smaple"], ["stage=smaple", "sample"]),
        (["generator.neighbors.k=5000"], ["generator.neighbors.k=5000", "fix"]),
        (["llm.context=300"], ["llm.context=300", "tokens"]),
        (["output_dir=/dev/null/x"], ["output_dir"]),
        (["dataset=csv", "dataset.path=nowhere.csv", "dataset.target=y"], ["nowhere.csv"]),
    ],
)  # fmt: skip
def test_bad_input_gives_one_clear_error_before_any_tuning(
    tmp_path: Path, overrides: list[str], words: list[str]
) -> None:
    done = harmonic(tmp_path, *overrides)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.glob("cache/fit/*/adapter"))


def test_an_unknown_dataset_names_the_known_ones(tmp_path: Path) -> None:
    done = harmonic(tmp_path, "dataset=diabetis")
    assert done.returncode != 0
    assert "diabetes" in done.stderr and "german" in done.stderr


def test_a_failed_run_says_so_in_its_report(tmp_path: Path) -> None:
    done = harmonic(tmp_path, "llm.context=300")
    assert done.returncode == 1
    (report,) = tmp_path.glob("runs/*/*/*/report.json")
    failed = json.loads(report.read_text())
    assert failed["status"] == "failed" and failed["error"]["stage"] == "fit"
    assert not (report.parent / "DONE").exists()
