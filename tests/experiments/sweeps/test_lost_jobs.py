"""Jobs whose process is killed: they fail alone, with the reason in their record, and the others are waited for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from experiments.sweeps import slurm_jobs
from experiments.sweeps.lost_jobs import StoppedFromOutside, launch_all, stopped_by_signals


def job(folder: str, words: Sequence[str]) -> JobReturn:
    """Writes its record as a job does; "kill" dies in the middle of it."""
    number = int(words[0])
    path = Path(folder) / "jobs" / f"{number}.json"
    record = {"number": number, "overrides": list(words), "status": "running"}
    path.write_text(json.dumps(record))
    if "kill" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    path.write_text(json.dumps({**record, "status": "done"}))
    return JobReturn(status=JobStatus.COMPLETED, _return_value=None)


class Submitit:
    """As Hydra's launcher for Slurm, with submitit's executor for this machine."""

    __module__ = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        import submitit

        executor = submitit.AutoExecutor(folder=self.folder / "submitit", cluster="local")
        launched = executor.map_array(job, [str(self.folder)] * len(jobs), list(jobs))
        return [one.results()[0] for one in launched]


class Pool:
    """As Hydra's launcher for joblib."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.starts = folder, 0

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        from joblib import Parallel, delayed

        self.starts += 1
        calls = (delayed(job)(str(self.folder), words) for words in jobs)
        return list(Parallel(n_jobs=2, pre_dispatch=2)(calls))


class Broken:
    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        raise ConnectionError("no cluster here")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # the processes of the jobs import `job`
    (tmp_path / "jobs").mkdir()
    return tmp_path


def records(folder: Path) -> dict[int, dict[str, Any]]:
    return {int(path.stem): json.loads(path.read_text()) for path in folder.glob("jobs/*.json")}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit leaves its log files to the collector
def test_a_job_of_submitit_that_is_killed_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1)
    jobs = {2: ["2"], 3: ["3", "kill"], 5: ["5"]}
    launch_all(Submitit(folder), jobs, 0, folder)
    found = records(folder)
    assert {number: record["status"] for number, record in found.items()} == {2: "done", 3: "running", 5: "done"}
    assert "has not produced any output" in found[3]["error"] and "error" not in found[5]


@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_the_job_that_breaks_a_pool_fails_alone(folder: Path) -> None:
    """The pool is started again for the jobs that had not begun, and for each that ran at that moment."""
    launch_all(Pool(folder), {0: ["0", "kill"]} | {number: [str(number)] for number in range(1, 9)}, 0, folder)
    found = records(folder)
    assert sorted(found) == list(range(9))
    assert found[0]["status"] == "running" and "TerminatedWorkerError" in found[0]["error"]
    assert all(found[number]["status"] == "done" for number in range(1, 9))


@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_a_job_that_runs_alone_when_the_pool_breaks_is_not_started_again(folder: Path) -> None:
    pool = Pool(folder)
    launch_all(pool, {0: ["0", "kill"]}, 0, folder)
    assert pool.starts == 1 and records(folder)[0]["status"] == "running"


def test_a_launcher_that_can_start_nothing_says_why(folder: Path) -> None:
    with pytest.raises(ConnectionError, match="no cluster here"):
        launch_all(Broken(), {0: ["seed=0"]}, 0, folder)
    assert records(folder) == {}


def test_a_job_that_was_lost_before_it_began_has_a_record(folder: Path) -> None:
    class Cancelled:
        def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
            return [JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError("CANCELLED by 0"))]

    launch_all(Cancelled(), {4: ["seed=1", "hydra.job.name=4"]}, 0, folder)
    assert records(folder)[4] == {
        "number": 4, "overrides": ["seed=1"], "status": "failed", "error": "RuntimeError: CANCELLED by 0",
    }  # fmt: skip


def signalled(handler: Callable[[int, Any], None]) -> None:
    """Work that tolerates every error, as an evaluator does with the models of other libraries."""
    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with stopped_by_signals():
            try:
                os.kill(os.getpid(), signal.SIGUSR2)
            except Exception:
                pytest.fail("the end of the job was taken for an error of a model")
        pytest.fail("the end of the job was not noticed")
    finally:
        assert signal.getsignal(signal.SIGUSR2) is handler
        signal.signal(signal.SIGUSR2, before)


def test_the_end_of_a_jobs_time_is_no_error_of_a_model() -> None:
    def timed_out(number: int, frame: Any) -> None:
        raise RuntimeError("timed-out too many times")

    with pytest.raises(RuntimeError, match="timed-out too many times") as raised:
        signalled(timed_out)
    assert not isinstance(raised.value, StoppedFromOutside)


def test_a_job_that_is_queued_again_leaves_as_it_would() -> None:
    def requeued(number: int, frame: Any) -> None:
        raise SystemExit(-1)

    with pytest.raises(SystemExit):
        signalled(requeued)


class Queued:
    """A job of Slurm as submitit shows it: it ends after so many looks at the queue."""

    job_id = "3_2"

    def __init__(self, queue: Path, ends: bool) -> None:
        self.queue, self.ends = queue, ends

    def done(self, force_check: bool = False) -> bool:
        return self.ends and self.queue.exists() and len(self.queue.read_text().splitlines()) >= 5


@pytest.mark.parametrize(
    ("answer", "ends"),
    [("echo 3_2", True), ("exit 1", True), ("true", False), ("echo Invalid job id specified >&2; exit 1", False)],
)
def test_a_job_that_is_in_no_queue_and_in_no_account_is_not_waited_for(
    answer: str, ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of an array that was cancelled before it began; one that waits, or a Slurm that is busy, is waited for."""
    asked = tmp_path / "asked"
    (tmp_path / "squeue").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{answer}\n')
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_jobs, "PAUSE", 0.0)
    if ends:
        slurm_jobs.await_job(Queued(asked, ends))
        assert len(asked.read_text().splitlines()) == 5
    else:
        with pytest.raises(slurm_jobs.ForgottenError, match="forgotten job 3_2"):
            slurm_jobs.await_job(Queued(asked, ends))
