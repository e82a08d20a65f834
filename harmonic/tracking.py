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

logger = logging.getLogger(__name__)


class Tracker(ABC):
    """Follows one run: `start`, any number of `log`, and `finish`.

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
    def finish(self, run: Run) -> None:
        """Send the contents of `run.report` and of the run's folder, whatever its status, and close."""

    def sync_hint(self) -> str | None:
        """The command that uploads what is kept only on this machine, or None."""
        return None


class NullTracker(Tracker):
    """Tracks nothing."""

    def start(self, run: Run) -> None:
        """Do nothing."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
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
                wandb.teardown()  # its service keeps the run id
                wandb.setup(settings=wandb.Settings(silent=True))
        self._pending = True
        return self._init(wandb, run, "offline")

    def _init(self, wandb: Any, run: Run, mode: str) -> Any:
        folder = run.output_dir.absolute()
        facts = {"folder": str(run.folder), "data": run.data, "git": git(), "versions": versions()}
        settings = wandb.Settings(silent=True, console="off", save_code=False)
        if mode == "online":
            settings.init_timeout = settings.finish_timeout = self.timeout
            settings.finish_timeout_raises = True
        return wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group or run.experiment,
            job_type=self.job_type or run.generator,
            tags=list(self.tags),
            name=f"{run.dataset}-{run.generator}-seed{run.seed}",
            id=run.run_id,
            resume="allow",
            config={**run.config, "run": facts},
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


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report as one flat dict: every metric under its name, time/<stage>_s, validity/<name>, status, memory.

    A metric without a value is left out; unavailable/<metric> says why.
    """
    flat: dict[str, Any] = _finite(report.get("metrics", {}))
    flat |= {f"time/{name}_s": stage["seconds"] for name, stage in report.get("stages", {}).items()}
    flat |= {f"validity/{name}": value for name, value in _finite(report.get("validity", {})).items()}
    flat |= _finite(report.get("efficiency", {}))
    flat |= {f"unavailable/{name}": reason for name, reason in report.get("unavailable", {}).items()}
    flat |= {name: report[name] for name in ("status", "peak_rss_mb", "peak_gpu_mb") if report.get(name) is not None}
    if report.get("error"):
        flat["error"] = "{stage}: {type}: {message}".format(**report["error"])
    return flat


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def has_credentials(wandb: Any) -> bool:
    """Whether this machine has a key for W&B, in an environment variable, netrc or settings. No network is used."""
    from wandb.sdk.lib import wbauth

    host = wandb.setup().settings.base_url
    found = wbauth.authenticate_session(host=host, source="harmonic", prompt=False, update_session=False)
    return found is not None


@contextmanager
def own_folders(output_dir: Path) -> Iterator[None]:
    """Let W&B keep its logs and staged artifacts below the output folder, unless the user chose another one.

    By default it uses the home folder. That may not be writable, and `wandb sync` misses them there if the outputs are
    copied to another machine for the upload.
    """
    base = output_dir.absolute() / "wandb"
    ours = {"WANDB_DATA_DIR": str(base), "WANDB_CACHE_DIR": str(base / "cache")}
    ours = {name: folder for name, folder in ours.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
