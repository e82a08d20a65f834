"""One command, end to end, on the packaged data with a tiny model: what it leaves, and what survives a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hydra.errors import MissingConfigException
from whole_runs import OWN_FILE, ROOT, TINY, WHOLE, apart, computed, environment, harmonic, report_of

from harmonic.errors import HarmonicError


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
        folder = harmonic(output, f"stage={stage}")
        there |= products
        missing = [name for name in there if not (folder / name).exists()]
        assert missing == []
        assert (folder / "DONE").exists() == (stage == "evaluate")
        assert report_of(folder)["status"] == ("done" if stage == "evaluate" else "running")
    return output, folder


def test_each_stage_continues_from_the_one_before(finished: tuple[Path, Path]) -> None:
    assert not computed(finished[1]) & {"prompts", "fit", "sample"}


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


def test_running_again_computes_nothing(finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished[1] / "report.json").read_bytes()
    assert harmonic(finished[0]) == finished[1]
    assert (finished[1] / "report.json").read_bytes() == before
    printed = capsys.readouterr().out
    assert "nrs" in printed and printed.splitlines()[-1] == f"run: {finished[1]}"


def test_all_metrics_of_a_finished_run_are_printed_without_another_run(
    finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert harmonic(finished[0], "summary=all") == finished[1]
    printed = capsys.readouterr().out
    assert " on diabetes, seed 0" in printed.splitlines()[0] and "useful" in printed
    assert "nndr" in printed and "dlt_holdout" in printed and "stages:" in printed


def test_an_added_evaluator_computes_only_itself(finished: tuple[Path, Path]) -> None:
    folder = harmonic(finished[0], "evaluator=fidelity", base=WHOLE)
    assert computed(folder) == {"split", "evaluate", "evaluate_fidelity"}


def test_another_temperature_keeps_the_adapter(finished: tuple[Path, Path]) -> None:
    folder = harmonic(finished[0], "generator.sampling.temperature=1.3", "stage=sample")
    assert computed(folder) == {"split", "sample"}


def test_the_same_seed_gives_the_same_rows_in_another_place(finished: tuple[Path, Path], tmp_path: Path) -> None:
    folder = harmonic(tmp_path, "stage=sample")
    assert (folder / "synthetic.csv").read_bytes() == (finished[1] / "synthetic.csv").read_bytes()


def test_a_run_killed_while_sampling_goes_on_from_what_is_there(finished: tuple[Path, Path], tmp_path: Path) -> None:
    # One prompt a batch: many moments to be killed at.
    batches = ["generator.sampling.batch_tokens=1", "generator.sampling.mode=constrained", "n_samples=6"]
    process = subprocess.Popen(
        apart(tmp_path, *batches), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(3000):  # on a busy machine
            if list(tmp_path.glob("cache/sample/*.partial/progress.jsonl")):
                break
            assert process.poll() is None, "it ended before it sampled"
            time.sleep(0.1)
        else:
            pytest.fail("sampling never began")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(tmp_path.rglob("DONE"))
    folder = harmonic(tmp_path, *batches)
    assert report_of(folder)["status"] == "done"
    assert not computed(folder) & {"prompts", "fit"}
    unbroken = harmonic(tmp_path / "other", *batches, "stage=sample")
    assert (unbroken / "synthetic.csv").read_bytes() == (folder / "synthetic.csv").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([*OWN_FILE, "dataset.target=Outcom"], ["dataset.target", "did you mean 'Outcome'"]),
        (["stage=smaple"], ["stage=smaple", "sample"]),
        (["summary=al"], ["summary=al", "fix: summary=all"]),
        (["generator.neighbors.k=5000"], ["generator.neighbors.k=5000", "fix"]),
        (["llm.context=30"], ["llm.context=30", "tokens"]),
        (["output_dir=/dev/null/x"], ["output_dir"]),
        (["dataset=csv", "dataset.path=nowhere.csv", "dataset.target=y"], ["nowhere.csv"]),
    ],
)  # fmt: skip
def test_bad_input_gives_one_clear_error_before_any_tuning(
    tmp_path: Path, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(HarmonicError) as raised:
        harmonic(tmp_path, *overrides)
    for word in words:
        assert word in str(raised.value)
    assert not list(tmp_path.glob("cache/fit/*/adapter"))


def test_a_failing_command_prints_one_error_and_the_folder_with_its_report(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    done = command(*TINY, f"output_dir={tmp_path}", "llm.context=30")
    assert done.code == 1
    assert "Traceback" not in done.err and done.err.count("error: ") == 1
    folder = Path(done.out.splitlines()[-1].removeprefix("run: "))
    failed = report_of(folder)
    assert failed["status"] == "failed" and failed["error"]["stage"] == "prompts"
    assert failed["overrides"][-1] == "llm.context=30"
    assert not (folder / "DONE").exists()


def test_an_unknown_choice_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(MissingConfigException, match="diabetes"):
        harmonic(tmp_path, "dataset=diabetis")


def test_a_run_tracked_offline_holds_the_metrics(finished: tuple[Path, Path]) -> None:
    folder = harmonic(finished[0], "tracker=wandb", "tracker.mode=offline", "experiment_name=tracked")
    (record,) = (finished[0] / "wandb").glob("offline-run-*/*.wandb")
    names = [*report_of(folder)["metrics"], "time/fit_s"]
    deadline = time.monotonic() + 30  # W&B's own process may still be writing
    while missing := [name for name in names if name.encode() not in record.read_bytes()]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)


@pytest.mark.slow
def test_several_processes_tune_one_adapter_and_a_single_one_goes_on(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    together = [*launch, "-m", *apart(tmp_path, "stage=fit")[2:]]
    done = subprocess.run(together, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run: ") == 1  # the second process keeps no books
    assert done.stderr.count("process 1 tunes along") == 1
    (log,) = tmp_path.glob("runs/*/*/*/run.log")
    assert log.read_text().count("fit: 8 of 8 rows") == 1
    folder = harmonic(tmp_path)
    assert not computed(folder) & {"prompts", "fit"}


def test_several_processes_only_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(HarmonicError, match="stage=fit"):
        harmonic(tmp_path)


@pytest.mark.skipif(find_spec("realtabformer") is None, reason="pip install 'harmonic[realtabformer]'")
def test_rows_that_a_training_did_not_come_to_are_no_members(tmp_path: Path) -> None:
    words = ["dataset=diabetes", "generator=realtabformer", "scale=smoke", "tracker=off", "data_dir=null"]
    words += ["evaluator=fidelity", "generator.tuning.max_steps=3", "generator.tuning.batch_size=8"]
    folder = harmonic(tmp_path, base=[*words, "generator.tuning.gradient_accumulation_steps=2"])
    rows = report_of(folder)["rows"]
    assert rows["train"] > 400 and rows["learnt"] == 3 * 8 * 2
