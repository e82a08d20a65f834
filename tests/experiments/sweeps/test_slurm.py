"""A real Slurm: arrays, cancelled jobs, jobs queued again, time limits; the same command finishes the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from disturbed_grids import LAUNCHERS, ROOT, environment, is_of
from one_node_slurm import missing, one_node_slurm
from whole_runs import harmonic

QUICK = ["seed=0", "llm=tiny", "scale=smoke", "tracker=off", "evaluator=fidelity", "data_dir=null"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'harmonic[slurm]'")
    if (why := missing()) is not None:
        pytest.skip(f"no Slurm: {why}")
    with one_node_slurm(tmp_path_factory.mktemp("slurm")):
        yield


def command(output: Path, *words: str) -> list[str]:
    fixed = [*QUICK, *LAUNCHERS["slurm"], f"output_dir={output}"]
    return [sys.executable, "-m", "experiments.run", "-m", *fixed, *words]


def told(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def jobs() -> dict[str, str]:
    """Every job of the cluster so far and its state, by accounting."""
    lines = told(
        "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State", "--starttime=now-1hours"
    )
    return dict(line.split("|") for line in lines.splitlines())


def records(output: Path) -> dict[int, dict[str, Any]]:
    sweeps = sorted(output.glob("sweeps/*"))
    paths = sweeps[-1].glob("jobs/*.json") if sweeps else []
    return {int(path.stem): json.loads(path.read_text()) for path in paths}


def queued(output: Path) -> dict[int, str]:
    """The jobs that Slurm has of the last sweep, by their numbers in the grid: 12_0, 12_1 and so on."""
    folders = sorted(path.name for path in sorted(output.glob("sweeps/*"))[-1].glob("submitit/*_*"))
    array = {name.partition("_")[0] for name in folders if name.partition("_")[0].isdigit()}
    return {index: f"{max(array, key=int)}_{index}" for index in range(9)} if array else {}


class Sweep:
    """The command, in the background. output: where the sweep's records are, in sweeps/<time>."""

    def __init__(self, output: Path, *words: str, command: Callable[..., list[str]] = command) -> None:
        self.output = output
        self.process = subprocess.Popen(
            command(output, *words),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, happened: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, f"{records(self.output)} {jobs()}"
            time.sleep(0.2)

    def running(self, number: int) -> bool:
        return records(self.output).get(number, {}).get("status") == "running"

    def end(self) -> tuple[int, str]:
        printed, _ = self.process.communicate(timeout=600)
        return self.process.returncode, printed


def built(output: Path) -> dict[str, list[str]]:
    """For each run the stages that were computed and not read from the cache, in order."""
    logs = {str(path.parent.relative_to(output)): path.read_text() for path in output.glob("runs/*/*/*/run.log")}
    return {
        name: re.findall(r"harmonic\.runs\.run: (\w+): [\d.]+ s$", text, re.MULTILINE) for name, text in logs.items()
    }


STAGES = ["prompts", "fit", "sample", "evaluate_fidelity"]


def test_a_grid_is_an_array_of_jobs_and_is_not_run_twice(tmp_path: Path) -> None:
    before = jobs()
    code, printed = Sweep(tmp_path, "generator=smote,holdout").end()
    assert code == 0 and "sweep: 2 done\n" in printed, printed
    new = jobs().keys() - before.keys()
    assert len({name.partition("_")[0] for name in new}) == 1 and {name.partition("_")[2] for name in new} == {"0", "1"}
    code, printed = Sweep(tmp_path, "generator=smote,holdout").end()
    assert code == 0 and "sweep: 2 done before" in printed and jobs().keys() == before.keys() | new
    assert list(built(tmp_path).values()) == [STAGES] * 2


def test_cancelled_jobs_fail_alone_and_the_same_command_runs_them(tmp_path: Path) -> None:
    words = ["generator=smote,holdout,marginals", "hydra.launcher.array_parallelism=1"]
    sweep = Sweep(tmp_path, *words)
    sweep.wait_for(lambda: sweep.running(0))
    for number in (0, 2):  # one that runs, and one that waits in the queue
        told("scancel", queued(tmp_path)[number])
    code, printed = sweep.end()
    assert code == 1 and "sweep: 1 done, 1 failed, 1 killed" in printed, printed
    found = records(tmp_path)
    assert [found[number]["status"] for number in range(3)] == ["running", "done", "failed"]
    assert all("CANCELLED" in found[number]["error"] for number in (0, 2)), found
    assert "the same command again runs these 2 and skips the rest" in printed
    code, printed = Sweep(tmp_path, *words).end()
    assert code == 0 and "sweep: 2 done, 1 done before" in printed
    assert sorted(built(tmp_path).values()) == [STAGES] * 3


def test_a_job_that_slurm_queues_again_goes_on_by_itself(tmp_path: Path) -> None:
    """By the administrator's command, and by submitit when its time is nearly up (conf/launcher/slurm.yaml)."""
    sweep = Sweep(tmp_path, "generator=smote,holdout")
    sweep.wait_for(lambda: sweep.running(0))
    told("scontrol", "requeue", queued(tmp_path)[0])
    sweep.wait_for(lambda: sweep.running(1) or records(tmp_path).get(1, {}).get("status") == "done")
    if sweep.running(1):
        subprocess.run(["scancel", "--signal=USR2", queued(tmp_path)[1]], check=False)  # it may have ended just now
    code, printed = sweep.end()
    assert code == 0 and "sweep: 2 done\n" in printed, printed
    assert sorted(built(tmp_path).values()) == [STAGES] * 2


def test_a_job_whose_time_is_up_for_good_says_so_and_leaves_nothing_wrong(tmp_path: Path) -> None:
    # Of a job with less than ten minutes, submitit takes the signal for the end of its time, not for a preemption.
    words = ["generator=smote", "hydra.launcher.max_num_timeout=0", "hydra.launcher.timeout_min=5"]
    sweep = Sweep(tmp_path, *words)
    sweep.wait_for(lambda: sweep.running(0))
    time.sleep(2)
    (job,) = (name for name, state in jobs().items() if state in ("RUNNING", "COMPLETING"))
    told("scancel", "--signal=USR2", job)
    code, printed = sweep.end()
    assert code == 1 and "timed-out too many times" in records(tmp_path)[0]["error"], printed
    code, printed = Sweep(tmp_path, *words).end()
    assert code == 0 and list(built(tmp_path).values()) == [STAGES]


def test_the_time_limit_of_slurm_itself_cuts_a_job_and_tuning_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The job stands still once it has a checkpoint, so Slurm's shortest limit, a minute, ends it on any machine."""
    words = ["generator=harmonic", "generator.tuning.epochs=8", "generator.tuning.checkpoint_every=2"]
    sweep = Sweep(tmp_path, *words, "hydra.launcher.signal_delay_s=0", "hydra.launcher.max_num_timeout=0")
    sweep.wait_for(lambda: bool(checkpoints(tmp_path)))
    for process in psutil.process_iter():
        if is_of(process, "submitit.core._submit", str(tmp_path)):
            process.suspend()
    (job,) = (name for name, state in jobs().items() if state == "RUNNING")
    told("scontrol", "update", f"jobid={job}", "timelimit=1")
    code, printed = sweep.end()
    (record,) = records(tmp_path).values()
    assert code == 1 and record["status"] == "running" and "TIMEOUT" in record["error"], (record, printed)
    for path in checkpoints(tmp_path):  # a mark, to find that tuning went on from here
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "log_history": [{"step": 0, "loss": 1234.5}, *state["log_history"]]}))
    code, printed = Sweep(tmp_path, *words).end()
    assert code == 0 and "sweep: 1 done\n" in printed
    assert [stages.count("fit") for stages in built(tmp_path).values()] == [1]
    (history,) = tmp_path.glob("cache/fit/*/history.json")
    assert json.loads(history.read_text())[0] == {"step": 0, "train/loss": 1234.5} and not checkpoints(tmp_path)


def checkpoints(output: Path) -> list[Path]:
    """The last files of the checkpoints of tuning that are whole."""
    return list(output.glob("cache/fit/**/checkpoints/checkpoint-*/trainer_state.json"))


def test_the_shards_of_a_table_are_jobs_and_what_is_lost_is_drawn_by_the_same_command(tmp_path: Path) -> None:
    run = harmonic(tmp_path / "outputs", "generator.sampling.batch_tokens=1000", base=[*QUICK, "stage=fit"])
    table = tmp_path / "table"

    def sample(_: Path, *words: str) -> list[str]:
        fixed = ["n=1050", "part_rows=350", f"out={table}"]
        return [sys.executable, "-m", "experiments.sample_command", str(run), *fixed, *words]

    def missing_parts() -> list[int]:
        return [part for part in range(3) if not (table / f"part-{part:06d}.parquet").is_file()]

    # Where a sweep of `harmonic -m` has its records, in sweeps/<time> of a folder: those of this table.
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "sweeps").symlink_to(f"{table}.sweeps")
    words = ["shards=3", *LAUNCHERS["slurm"]]
    sweep = Sweep(tmp_path / "records", *words, "hydra.launcher.array_parallelism=1", command=sample)
    sweep.wait_for(lambda: bool(list(table.glob(".000000-*.partial/progress.jsonl"))))
    for number in (0, 2):  # one in the middle of its part, and one that waits in the queue
        told("scancel", queued(tmp_path / "records")[number])
    code, printed = sweep.end()
    assert code == 1 and missing_parts() == [0, 2], printed
    assert "1 of 3 parts are there" in printed and "missing are the parts 0, 2\n" in printed
    found = records(tmp_path / "records")
    assert [found[number]["status"] for number in range(3)] == ["running", "done", "failed"]

    # The same command: of its two jobs one is told that its time is up, and Slurm queues it again by itself.
    sweep = Sweep(tmp_path / "records", *words, command=sample)
    sweep.wait_for(lambda: len(list((tmp_path / "records").glob("sweeps/*"))) == 2 and sweep.running(0))
    subprocess.run(["scancel", "--signal=USR2", queued(tmp_path / "records")[0]], check=False)
    code, printed = sweep.end()
    assert code == 0 and missing_parts() == [] and f"wrote {table}.json" in printed, printed
    alone = subprocess.run(
        sample(tmp_path, f"out={tmp_path / 'alone'}", "shards=1"), cwd=ROOT, env=environment(), check=False
    )
    assert alone.returncode == 0 and pd.read_parquet(table).equals(pd.read_parquet(tmp_path / "alone"))


def test_a_command_that_is_killed_leaves_its_jobs_to_slurm(tmp_path: Path) -> None:
    """The same command at once: its jobs wait for those that still run, and compute nothing again."""
    sweep = Sweep(tmp_path, "generator=smote,holdout")
    sweep.wait_for(lambda: sweep.running(0))
    os.kill(sweep.process.pid, signal.SIGKILL)
    sweep.process.communicate()
    code, printed = Sweep(tmp_path, "generator=smote,holdout").end()
    assert code == 0 and re.search(r"sweep: (2 done before|1 done, 1 done before|2 done)\n", printed), printed
    assert sorted(built(tmp_path).values()) == [STAGES] * 2
