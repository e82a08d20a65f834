"""A sweep: failures stay alone, the summary and the exit code tell of them, and the same command resumes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.sweeps import devices
from experiments.sweeps import records as sweep
from experiments.sweeps.devices import claim, claim_gpu, visible_gpus
from harmonic.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
WHOLE = ["tracker=off", "data_dir=null", "scale=smoke"]
QUICK = [*WHOLE, "evaluator=fidelity"]


def swept(output: Path, *overrides: str, fixed: Sequence[str] = QUICK) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments.run", "-m", *fixed, f"output_dir={output}", *overrides]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def records(output: Path) -> list[dict[str, Any]]:
    """The records of the last sweep."""
    last = max((output / "sweeps").iterdir())
    return sorted((json.loads(path.read_text()) for path in last.glob("jobs/*.json")), key=lambda r: r["number"])


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A sweep's folder, as the hook leaves it."""

    def work_began() -> None:
        (tmp_path / "jobs").mkdir(exist_ok=True)
        sweep._began.append(tmp_path / "jobs")

    monkeypatch.setattr(sweep, "_began", [])
    monkeypatch.setattr(sweep, "work_began", work_began, raising=False)
    return tmp_path


def test_a_failing_job_stays_alone_and_the_same_command_runs_only_what_is_missing(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    grid = ["-m", *QUICK, f"output_dir={tmp_path}", "generator=marginals", "dataset=diabetes,csv"]
    first = command(*grid)
    assert first.code == 1
    assert [record["status"] for record in records(tmp_path)] == ["done", "failed"]
    assert "sweep: 1 done, 1 failed" in first.out and "dataset.path=null" in first.out
    done = [record["run"] for record in records(tmp_path) if record["status"] == "done"]
    assert all((Path(run) / "DONE").is_file() for run in done)
    again = command(*grid, f"hydra.sweep.dir={tmp_path}/sweeps/again")
    assert "sweep: 1 done before, 1 failed" in again.out
    assert again.out.count("done already") == 1


def test_a_choice_that_is_not_there_ends_the_sweep_before_any_job(command: Callable[..., Any], tmp_path: Path) -> None:
    found = command("-m", *QUICK, f"output_dir={tmp_path}", "generator=marginals,nonsense")
    assert found.code == 1 and "nonsense" in found.err
    assert "sweep:" not in found.out and not (tmp_path / "runs").exists()


def test_every_outcome_of_a_job_is_in_its_record(began: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def jobs() -> None:
        sweep.work_began()  # type: ignore[attr-defined]
        with sweep.recorded(began, 0, ["seed=0"]) as record:
            record["run"] = "somewhere"
        with sweep.recorded(began, 1, ["seed=1"]) as record:
            record["skipped"] = True
        with sweep.recorded(began, 2, ["seed=2"]):
            raise ConfigError("n_samples", 1, "a table needs at least 2 rows", "n_samples=100")
        with sweep.recorded(began, 3, ["seed=3"]):
            raise ZeroDivisionError("of all things")
        with sweep.recorded(began, 10, ["seed=10"]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.concluded(jobs)
    kept = {path.stem: json.loads(path.read_text()) for path in (began / "jobs").glob("*.json")}
    assert {name: record["status"] for name, record in kept.items()} == {
        "0": "done", "1": "skipped", "2": "failed", "3": "failed", "10": "interrupted",
    }  # fmt: skip
    assert "ZeroDivisionError: of all things" in kept["3"]["traceback"]
    printed = capsys.readouterr().out
    assert "sweep: 1 done, 1 done before, 2 failed, 1 interrupted" in printed
    assert "n_samples=1: a table needs at least 2 rows" in printed and "runs these 3" in printed


def test_a_job_that_was_killed_is_told_from_one_that_failed(began: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def jobs() -> None:
        sweep.work_began()  # type: ignore[attr-defined]
        (began / "jobs" / "0.json").write_text('{"number": 0, "overrides": [], "status": "running"}')

    with pytest.raises(SystemExit) as ended:
        sweep.concluded(jobs)
    assert ended.value.code == 1
    assert "sweep: 1 killed" in capsys.readouterr().out


def test_one_job_alone_prints_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    sweep.concluded(lambda: None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("plugin", "launcher"),
    [
        ("hydra_joblib_launcher", "launcher=joblib"),
        ("hydra_submitit_launcher", "hydra/launcher=submitit_local"),
        ("hydra_ray_launcher", "launcher=ray"),
    ],
)
@pytest.mark.slow
def test_launchers_run_the_same_jobs(plugin: str, launcher: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(f"hydra_plugins.{plugin}") is None:
        pytest.skip(f"{plugin} is not installed")
    found = swept(tmp_path, "generator=marginals,smote", "seed=0,1", launcher)
    assert found.returncode == 0, found.stderr[-3000:]
    assert [record["status"] for record in records(tmp_path)] == ["done"] * 4
    assert len(list((tmp_path / "runs").rglob("DONE"))) == 4


@pytest.mark.parametrize(
    "preset",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("comparison", "main_results", "privacy", "ablation")],
)
def test_presets_run_at_smoke_scale(preset: str, tmp_path: Path) -> None:
    words = [f"experiment={preset}", "dataset=diabetes", "seed=0", "llm=tiny", "n_samples=12"]
    found = swept(tmp_path, *words, fixed=WHOLE)
    assert len(records(tmp_path)) >= 4, found.stderr[-3000:]
    failed = [record for record in records(tmp_path) if record["status"] != "done"]
    # Free text from a model of random weights is no row; all else ends well.
    assert [record for record in failed if "generator=great" not in record["overrides"]] == []


def test_the_quickstart_runs_at_smoke_scale(command: Callable[..., Any], tmp_path: Path) -> None:
    few = ["machine_learning_efficacy.models=[linear]", "data_leakage_test.max_rows=12"]
    words = [
        "experiment=quickstart",
        "llm=tiny",
        f"output_dir={tmp_path}",
        *(f"evaluator.{setting}" for setting in few),
    ]
    found = command("-m", *WHOLE, *words)
    assert found.code == 0, found.err[-3000:]
    assert [record["status"] for record in records(tmp_path)] == ["done"] * 7
    main, privacy = found.out.partition("## Main results")[2].split("## Privacy")
    for name in ("*real*", "*holdout*", "*copy*", "*marginals*", "smote", "harmonic"):
        assert f"| {name} |" in main and f"| {name} |" in privacy
    assert "## Fidelity" not in found.out


def test_a_preset_whose_jobs_end_early_has_no_table(command: Callable[..., Any], tmp_path: Path) -> None:
    words = ["experiment=quickstart", "generator=copy,marginals", "stage=sample", f"output_dir={tmp_path}"]
    found = command("-m", *WHOLE, *words)
    assert found.code == 0, found.err[-3000:]
    assert "sweep: 2 done" in found.out and "## " not in found.out and "raised" not in found.err


def test_each_process_claims_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_held", [])
    script = "import sys; from pathlib import Path; from experiments.sweeps.devices import claim; " + (
        "print(claim(['0', '1'], Path(sys.argv[1])), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert other.stdout is not None and other.stdin is not None
    assert other.stdout.readline() == "0\n"
    assert claim(["0", "1"], tmp_path) == "1"
    assert claim(["0", "1"], tmp_path) in ("0", "1")  # all are taken: one is shared
    other.communicate()
    assert claim(["0", "1"], tmp_path) == "0"  # given back when its process ended
    for lock in devices._held:
        lock.release()


def test_a_process_that_may_use_one_gpu_claims_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.setenv("HARMONIC_ONE_GPU", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    claim_gpu()
    assert visible_gpus() == ["3"] and devices._held == []
