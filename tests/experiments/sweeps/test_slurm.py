"""A real Slurm: arrays, cancelled jobs, jobs that are queued again, time limits; the same command finishes the rest."""

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

import pytest
from disturbed_grids import LAUNCHERS, ROOT, environment
from one_node_slurm import missing, one_node_slurm

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
    """The command, in the background."""

    def __init__(self, output: Path, *words: str) -> None:
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
    long = ["generator=harmonic", "generator.tuning.epochs=LONG", "generator.tuning.checkpoint_every=20"]
    words = [word.replace("LONG", "400") for word in long]
    limit = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=0", "hydra.launcher.max_num_timeout=0"]
    code, printed = Sweep(tmp_path, *words, *limit).end()
    if code == 0:
        pytest.skip("this machine is too quick: the job ended within Slurm's minute")
    (record,) = records(tmp_path).values()
    assert "TIMEOUT" in record["error"] or "timed-out" in record["error"], record
    code, printed = Sweep(tmp_path, *words).end()
    assert code == 0 and "sweep: 1 done\n" in printed
    assert [stages.count("fit") for stages in built(tmp_path).values()] == [1]


def test_a_command_that_is_killed_leaves_its_jobs_to_slurm(tmp_path: Path) -> None:
    """The same command at once: its jobs wait for those that still run, and compute nothing again."""
    sweep = Sweep(tmp_path, "generator=smote,holdout")
    sweep.wait_for(lambda: sweep.running(0))
    os.kill(sweep.process.pid, signal.SIGKILL)
    sweep.process.communicate()
    code, printed = Sweep(tmp_path, "generator=smote,holdout").end()
    assert code == 0 and re.search(r"sweep: (2 done before|1 done, 1 done before|2 done)\n", printed), printed
    assert sorted(built(tmp_path).values()) == [STAGES] * 2
