"""Sends a run's numbers to Weights & Biases, or nowhere.

A tracker never makes a run fail. All its problems, from a missing package to a lost connection, give one warning;
report.json always has every number.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmonic.errors import unknown
from harmonic.runs.environment import git, versions
from harmonic.runs.run import Run
from harmonic.settings import Natural, Positive
from harmonic.tables.reading.dialect_search import read_text
from harmonic.wandb_session import agent_run, forget_service, has_credentials, own_folders, tracked_id

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""How often W&B writes what it has to the file of the run. By default it takes 15 seconds, and what is not written is
lost if the process is killed."""


class Tracker(ABC):
    """Follows one run: `start`, any number of `log` and `update`, and `finish`.

    Example:
        tracker.start(run)
        try:
            with run:
                ...
        finally:  # after the run's own exit, which records a failure
            tracker.finish(run)
    """

    @abstractmethod
    def start(self, run: Run) -> None:
        """Open the run under its run_id, with its config; continue it if it was interrupted."""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to the history, such as the training loss at a step. NaN values are left out."""

    @abstractmethod
    def update(self, run: Run) -> None:
        """Send what `run.report` has so far, so that it is there if the run is killed later."""

    @abstractmethod
    def finish(self, run: Run) -> None:
        """Send the contents of `run.report` and of the run's folder, whatever its status, and close."""

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for this run's results, even if the run was finished before: an agent of a sweep."""
        return False

    def sync_hint(self) -> str | None:
        """The command that uploads what is kept only on this machine, or None."""
        return None


class NullTracker(Tracker):
    """Tracks nothing."""

    def start(self, run: Run) -> None:
        """Do nothing."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Do nothing."""

    def update(self, run: Run) -> None:
        """Do nothing."""

    def finish(self, run: Run) -> None:
        """Do nothing."""


@dataclass(slots=True)
class WandbTracker(Tracker):
    """Tracks a run on Weights & Biases.

    group and job_type: by default the run's experiment and generator. mode: "online", "offline", "disabled", or "auto",
    which is WANDB_MODE if set, else online if this machine has credentials for W&B, else offline. It never asks for a
    key: without credentials, or if W&B cannot be reached, the run is kept offline. timeout: the longest wait for W&B at
    the start and at the end of the run, in seconds. sample_rows: how many synthetic rows are shown in a table. All
    files are under `<output_dir>/wandb`.

    If an agent of W&B started the process, the run is the agent's run: its id, project and entity are those of the
    sweep.
    """

    project: str = "harmonic"
    entity: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: Sequence[str] = ()
    mode: str = "auto"
    sample_rows: Natural = 20
    timeout: Positive = 60.0
    _run: Any = field(default=None, init=False)
    _folder: Path | None = field(default=None, init=False)
    _pending: bool = field(default=False, init=False)
    _warned: bool = field(default=False, init=False)

    def start(self, run: Run) -> None:
        """Open the W&B run. Raises ConfigError for an unknown mode, and no other error."""
        mode = self._wanted_mode()
        self._run, self._folder, self._pending, self._warned = None, None, False, False
        if mode == "disabled":
            return
        with self._forgiving("could not start, this run is not tracked"), own_folders(run.output_dir):
            hooks = sys.exit, sys.excepthook
            try:
                try:
                    self._run = self._open(run, mode)
                except Exception:
                    forget_service()  # it may have been killed since this process started it
                    self._run = self._open(run, mode)
            finally:
                # W&B wraps these to learn the exit code, and never restores them; `finish` passes the code.
                sys.exit, sys.excepthook = hooks
            self._folder = Path(self._run.dir).parent
            self._run.define_metric("*", step_metric="step")
            where = f"offline in {self._folder}" if self._pending else self._run.url
            logger.info("tracking on W&B: %s", where)

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to the history. step: the x-axis; it may repeat in a continued run."""
        if self._run is not None and (point := _finite(metrics)):
            with self._forgiving("could not log"):
                self._run.log(point if step is None else point | {"step": step})

    def update(self, run: Run) -> None:
        """Send the summary so far."""
        if self._run is not None:
            with self._forgiving("could not record the results so far"):
                self._run.summary.update(summary(run.report))

    @property
    def awaited(self) -> bool:
        return agent_run() is not None

    def finish(self, run: Run) -> None:
        """Send summary, sample rows and synthetic.csv, and close the W&B run."""
        tracked, self._run = self._run, None
        if tracked is None:
            return
        succeeded = run.report.get("status") in ("running", "done")
        with own_folders(run.output_dir):
            with self._forgiving("could not record the results"):
                tracked.summary.update(summary(run.report))
            with self._forgiving("could not record the synthetic rows"):
                self._send_rows(tracked, run)
            try:
                with self._forgiving("could not upload everything"):
                    self._pending, kept_offline = True, self._pending
                    tracked.finish(exit_code=0 if succeeded else 1)
                    self._pending = kept_offline
            finally:
                if hint := self.sync_hint():
                    logger.info("to upload this run: %s", hint)

    def sync_hint(self) -> str | None:
        """`wandb sync <folder>`, if the run was offline or its upload was not finished in time."""
        return f"wandb sync {shlex.quote(str(self._folder))}" if self._pending and self._folder else None

    def _wanted_mode(self) -> str:
        mode, key = self.mode, "tracker.mode"
        if mode == "auto" and os.environ.get("WANDB_MODE"):
            mode, key = os.environ["WANDB_MODE"], "WANDB_MODE"
        mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # W&B's old names
        known = ("auto", "online", "offline", "disabled")
        if mode not in known:
            raise unknown(key, mode, "mode", known)
        return mode

    def _open(self, run: Run, mode: str) -> Any:
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))  # only this silences its notice about credentials
        if mode != "offline":
            try:
                if has_credentials(wandb):
                    return self._init(wandb, run, "online")
                if mode == "online":
                    self._warn("no credentials: run `wandb login`, or set WANDB_API_KEY; this run is kept offline")
            except Exception as error:  # W&B's own classes and many others
                self._warn("cannot be used online, this run is kept offline", error)
                forget_service()  # it keeps the run id
                wandb.setup(settings=wandb.Settings(silent=True))
        self._pending = True
        return self._init(wandb, run, "offline")

    def _init(self, wandb: Any, run: Run, mode: str) -> Any:
        folder = run.output_dir.absolute()
        agent, kept_id = agent_run(), tracked_id(run.folder, run.run_id)
        config = {**run.config, "run": {**_facts(run), "git": git(), "versions": versions()}}
        if agent:  # the parameters of its sweep take the place of settings with the same name, as generator=smote
            config["settings"] = run.config
        settings = wandb.Settings(silent=True, console="off", save_code=False)
        settings.x_transaction_log_flush_interval = FLUSH_SECONDS
        if mode == "online":
            settings.init_timeout = settings.finish_timeout = self.timeout
            settings.finish_timeout_raises = True
        return wandb.init(
            project=None if agent else self.project,
            entity=None if agent else self.entity,
            group=self.group or run.experiment,
            job_type=self.job_type or run.generator,
            tags=list(self.tags),
            name=f"{run.dataset}-{run.generator}-seed{run.seed}",
            id=None if agent else kept_id,  # an agent's comes from the environment
            resume="allow",
            config=config,
            dir=folder,  # W&B adds wandb/
            mode=mode,
            reinit="create_new",  # does not touch wandb.run, or a run of the calling program
            settings=settings,
        )

    def _send_rows(self, tracked: Any, run: Run) -> None:
        import wandb

        path = run.folder.absolute() / "synthetic.csv"
        if not path.exists():
            return
        rows = read_text(path.read_bytes(), str(path))[0].iloc[: self.sample_rows]  # in the format of the input
        tracked.log({"synthetic_rows": wandb.Table(dataframe=rows)})
        name = f"synthetic-{run.dataset}-{run.generator}-seed{run.seed}-{run.run_id}"
        artifact = wandb.Artifact(re.sub(r"[^\w.-]", "_", name, flags=re.ASCII), type="dataset")
        artifact.add_file(str(path), policy="immutable")  # do not copy: the file stays in the run's folder
        tracked.log_artifact(artifact)

    @contextmanager
    def _forgiving(self, problem: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # W&B's own classes and many others
            self._warn(problem, error)

    def _warn(self, problem: str, error: Exception | None = None) -> None:
        """Warn once per run; later problems go to the debug log."""
        text = f"W&B {problem}" + (f" ({type(error).__name__}: {error})" if error else "")
        logger.log(logging.DEBUG if self._warned else logging.WARNING, "%s", text)
        self._warned = True


def _facts(run: Run) -> dict[str, Any]:
    """Which run it is, by names that are the same for every run: tables and charts on W&B are grouped by them."""
    return {
        "id": run.run_id, "experiment": run.experiment, "dataset": run.dataset, "generator": run.generator,
        "seed": run.seed, "data": run.data, "folder": str(run.folder),
    }  # fmt: skip


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report as one flat dict: each metric, time/<stage>_s, memory/<stage>_mb, validity/<name>, status.

    A metric without a value is left out; unavailable/<metric> says why.
    """
    flat: dict[str, Any] = _finite(report.get("metrics", {}))
    stages = report.get("stages", {})
    flat |= {f"time/{name}_s": stage["seconds"] for name, stage in stages.items()}
    flat |= {f"memory/{name}_mb": stage["peak_rss_mb"] for name, stage in stages.items() if "peak_rss_mb" in stage}
    flat |= {f"validity/{name}": value for name, value in _finite(report.get("validity", {})).items()}
    flat |= _finite(report.get("efficiency", {}))
    flat |= {f"unavailable/{name}": reason for name, reason in report.get("unavailable", {}).items()}
    flat |= {name: report[name] for name in ("status", "peak_rss_mb", "peak_gpu_mb") if report.get(name) is not None}
    if report.get("error"):
        flat["error"] = "{stage}: {type}: {message}".format(**report["error"])
    return flat


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
