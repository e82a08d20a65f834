"""Jobs whose process is lost: killed, cancelled on a cluster, or out of time there. They fail alone.

Hydra's launchers would end the whole sweep with the first such job, while the others go on without anyone watching.
"""

from __future__ import annotations

import importlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from experiments.sweeps.slurm_jobs import await_job
from harmonic.storage import storage_errors, write_json


def launch_all(launcher: Any, jobs: dict[int, list[str]], first: int, folder: Path) -> None:
    """Launch the jobs (their words, by number), and see to it that each has a record that says how it ended.

    A pool of processes that broke is started again for the jobs that had not begun, and then once for each job that ran
    when it broke, so that the one that breaks it fails alone. Raises what the launcher raises if no job could begin.
    """
    cut = _launch_each_once(launcher, jobs, first, folder)
    for number in cut if len(cut) > 1 else ():
        _launch_each_once(launcher, {number: jobs[number]}, first, folder)


def _launch_each_once(launcher: Any, jobs: dict[int, list[str]], first: int, folder: Path) -> list[int]:
    """Launch the jobs until each has begun. Returns the numbers of those that ran when a pool of processes broke."""
    left, cut = dict(jobs), []
    while left:
        broken: Exception | None = None
        reasons: dict[int, Any] = {}
        try:
            returned = launch_each(launcher, list(left.values()), first)
            reasons = {n: job._return_value for n, job in zip(left, returned, strict=True) if _failed(job)}
        except Exception as error:  # of the launcher itself
            broken, reasons = error, dict.fromkeys(left, error)
        begun = {number for number in left if _path(folder, number).is_file()}
        if broken is not None and not begun:
            raise broken
        for number, reason in reasons.items():
            if number in begun or broken is None:
                _note(_path(folder, number), number, left[number], reason)
        if broken is not None:
            cut += [n for n in sorted(begun) if json.loads(_path(folder, n).read_text("utf-8"))["status"] == "running"]
        left = {number: words for number, words in left.items() if broken is not None and number not in begun}
    return cut


def launch_each(launcher: Any, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """What the launcher returns for each job; a job whose process was lost has failed, with the reason."""
    with _alone(type(launcher).__module__):
        return list(launcher.launch(jobs, initial_job_idx=first))


@contextmanager
def _alone(plugin: str) -> Iterator[None]:
    """Let these two launchers ask for all results, also after one that cannot be had."""

    def kept(ask: Callable[..., Any], as_list: bool) -> Callable[..., Any]:
        def asked(*given: Any) -> Any:
            try:
                return ask(*given)
            except Exception as error:
                lost = JobReturn(status=JobStatus.FAILED, _return_value=error)
                return [lost] if as_list else lost

        return asked

    if plugin.startswith("hydra_plugins.hydra_submitit_launcher"):
        from submitit.core.core import Job

        results = Job.results

        def waited(job: Any) -> Any:
            if type(job).__name__ == "SlurmJob":
                await_job(job)
            return results(job)

        with _replaced(Job, "results", kept(waited, as_list=True)):
            yield
    elif plugin.startswith("hydra_plugins.hydra_ray_launcher"):
        core = importlib.import_module("hydra_plugins.hydra_ray_launcher._core")

        with _replaced(core, "ray", SimpleNamespace(get=kept(core.ray.get, as_list=False))):
            yield
    else:
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _failed(job: JobReturn) -> bool:
    return job.status is JobStatus.FAILED


def _path(folder: Path, number: int) -> Path:
    return folder / "jobs" / f"{number}.json"


def _note(path: Path, number: int, words: list[str], reason: Any) -> None:
    """Add the reason to the record of a job that did not end by itself."""
    overrides = [word for word in words if not word.startswith("hydra.")]
    record: dict[str, Any] = {"number": number, "overrides": overrides, "status": "failed"}  # it has not begun
    if path.is_file():
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["status"] not in ("running", "interrupted"):
            return
    with storage_errors(path.parents[1]):
        write_json(path, record | {"error": f"{type(reason).__name__}: {reason}"})


class StoppedFromOutside(BaseException):
    """The scheduler ends this job. It is no Exception, so that nothing on the way takes it for a result."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within this block, what handlers of user signals raise ends the work, and is raised at the end as it was.

    submitit's handler raises an Exception when the time on the cluster is up, wherever the job is. An evaluator that
    tolerates failing models would note it as the result of the model, and the cache would keep that.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}

    def stopping(number: int, frame: FrameType | None) -> None:
        try:
            handlers[number](number, frame)  # type: ignore[index]
        except Exception as error:
            raise StoppedFromOutside(str(error)) from error

    for number in handlers:
        signal.signal(number, stopping)
    try:
        yield
    except StoppedFromOutside as stopped:
        assert stopped.__cause__ is not None
        raise stopped.__cause__ from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
