"""The folder of a run: its products, its report, and the mark that it is finished.

    <output_dir>/<experiment>/<dataset>/<generator>/seed<seed>-<run_id>/
        prompts/ adapter/ synthetic.csv ...   products, linked from the stage cache
        report.json                           written again after every stage
        DONE                                  written last, by a finished run

Only DONE means that a run is finished; a folder or a report alone does not.
"""

from __future__ import annotations

import logging
import os
import shutil
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any

from harmonic.errors import ConfigError, HarmonicError
from harmonic.locks import Held, locked
from harmonic.peak_memory import peaks, reset_peaks
from harmonic.runs.cache import Build, Cache, Entry
from harmonic.runs.done_file import finished, mark_done, outdated
from harmonic.runs.environment import git, gpu, machine, versions
from harmonic.runs.identity import identity
from harmonic.storage import INCOMING, jsonable, key_of, link_or_copy, remove, storage_errors, write_json

logger = logging.getLogger(__name__)

MINIMUM_FREE_MB = 200
"""With less free disk space a run would probably fail half-way, so it does not start."""


@dataclass(slots=True)
class Run:
    """One run, and a context manager around its work.

    Example:
        run = Run.open(config, output_dir, experiment, dataset, generator, seed, data=splits.fingerprint())
        if run.force or not run.is_done:
            with run:
                samples = run.stage("sample", inputs, build)
                run.place(samples.path / "synthetic.csv", "synthetic.csv")
                run.finish({"nrs": 1.0})

    Entering removes an old DONE and begins a new report with the status "running". An exception inside is recorded as
    "failed" and passed on. Leaving without `finish` keeps "running", for a run that is to stop early.
    """

    config: dict[str, Any]
    output_dir: Path
    experiment: str
    dataset: str
    generator: str
    seed: int
    data: str = ""
    force: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    _at: str = "start"
    _placed: set[str] = field(default_factory=set)
    _lock: Held | None = None
    _held: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(
        cls,
        config: dict[str, Any],
        output_dir: Path,
        experiment: str,
        dataset: str,
        generator: str,
        seed: int,
        *,
        data: str = "",
        force: bool = False,
        versions: Mapping[str, int] | None = None,
    ) -> Run:
        """The run of this resolved config, after making its folder; an earlier report is not changed.

        data: the fingerprint of the splits; other rows make another run. versions: of the code of each stage; with
        other versions it is the same run, but not finished. force: compute every stage again. Raises ConfigError if the
        output folder is not writable or has less than 200 MB left.
        """
        run = cls(config, Path(output_dir), experiment, dataset, generator, seed, data, force, dict(versions or {}))
        with storage_errors(run.output_dir):
            for folder in (run.folder, run.cache.root):
                folder.mkdir(parents=True, exist_ok=True)
                with NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:  # a random name, of this process alone
                    probe.write(b"writable")
            free = shutil.disk_usage(run.folder).free / 2**20
        if free < MINIMUM_FREE_MB:
            problem = f"only {free:.0f} MB are free there; a run needs at least {MINIMUM_FREE_MB} MB"
            raise ConfigError(
                "output_dir", output_dir, problem, "free some space, or write to another disk: output_dir=FOLDER"
            )
        return run

    @property
    def run_id(self) -> str:
        return identity(self.config, self.data)

    @property
    def folder(self) -> Path:
        return self.output_dir / self.experiment / self.dataset / self.generator / f"seed{self.seed}-{self.run_id}"

    @property
    def cache(self) -> Cache:
        return Cache(self.output_dir)

    @property
    def is_done(self) -> bool:
        """Whether this run is finished, with all its products, by the same versions of the code of its stages."""
        return finished(self.folder, self.versions)

    @property
    def outdated(self) -> list[str]:
        """The stages of this finished run that other versions of the code made, in words."""
        return outdated(self.folder, self.versions)

    def __enter__(self) -> Run:
        """Lock the folder for this process, waiting for another one if needed; begin the report."""
        with ExitStack() as stack:
            with storage_errors(self.output_dir):
                self._lock = stack.enter_context(locked(self.folder / ".lock", f"at the run {self.folder}"))
                for left in (self.folder / "DONE", *self.folder.glob(INCOMING)):
                    left.unlink(missing_ok=True)
            self._begin()
            self._held = stack.pop_all()
        return self

    def _begin(self) -> None:
        self._at, self._placed = "start", set()
        self.report = {
            "status": "running", "run_id": self.run_id, "experiment": self.experiment, "dataset": self.dataset,
            "generator": self.generator, "seed": self.seed, "data": self.data, "config": self.config,
            "versions": versions(), "machine": dict(machine()), "stage_versions": self.versions, "git": git(),
            "created": _now(), "finished": None, "stages": {}, "peak_rss_mb": None, "validity": {}, "efficiency": {},
            "metrics": {}, "unavailable": {}, "notes": {}, "error": None,
        }  # fmt: skip
        reset_peaks()
        self._write()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._held:
            if error is None:
                return
            self.report["status"], self.report["finished"] = "failed", _now()
            self.report["error"] = {
                "stage": self._at, "type": type(error).__name__, "message": str(error),
                "traceback": "".join(traceback.format_exception(error)),
            }  # fmt: skip
            try:
                self._check_lock()
                with storage_errors(self.output_dir):
                    (self.folder / "DONE").unlink(missing_ok=True)
                self._write()
            except HarmonicError as second:  # it must not replace the first error
                logger.error("the failure could not be recorded in %s: %s", self.folder, second)

    def stage(self, name: str, inputs: dict[str, Any], build: Build) -> Entry:
        """The stage's entry, from the cache or built now (see `Cache.compute`). Records time and peak memory.

        Both are those of the build: a stage from the cache keeps them, and is marked "cached". The memory is in the
        entry's facts and in the report as "peak_rss_mb" and, if CUDA is used, "peak_gpu_mb" (see `peaks`): that of
        the stage on Linux, that since the process began on other systems. Stages do not nest.
        """
        self._at = name
        self._observe_memory()  # of the work before: the stage starts a new measurement

        def measured(folder: Path) -> dict[str, Any]:
            reset_peaks()
            return {**(build(folder) or {}), **peaks()}

        stage = self.cache.root / name
        if not self.force and not (stage / key_of(inputs)).is_dir() and any(stage.glob("*/entry.json")):
            reasons = self.cache.why(name, inputs)
            more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
            logger.info("%s: to be computed (%s%s)", name, "; ".join(reasons[:3]), more)
        entry = self.cache.compute(name, inputs, measured, force=self.force)
        memory = {key: entry.facts[key] for key in ("peak_rss_mb", "peak_gpu_mb") if key in entry.facts}
        took = {"seconds": round(entry.seconds, 3), "cached": entry.cached, "key": entry.key}
        self.report["stages"][name] = took | memory
        logger.info("%s: cached (%.1f s when computed)" if entry.cached else "%s: %.1f s", name, entry.seconds)
        self._at = f"after {name}"
        self._write()
        return entry

    def place(self, source: Path, name: str) -> Path:
        """Put a file or folder of a cache entry into the run's folder as `name`, completely or not at all.

        Files are hard links if the file system allows it, else copies. An old file or folder of that name is replaced.
        """
        if not source.exists():
            raise FileNotFoundError(source)  # an error of the caller, not of the disk
        target = self.folder / name
        incoming, outgoing = (target.with_name(f".{target.name}.{way}") for way in ("incoming", "outgoing"))
        with storage_errors(self.output_dir):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove(incoming)
            remove(outgoing)
            if source.is_dir():
                shutil.copytree(source, incoming, copy_function=link_or_copy)
            else:
                link_or_copy(source, incoming)
            if target.is_dir() or (target.exists() and incoming.is_dir()):
                os.replace(target, outgoing)  # a rename cannot replace a folder with files
            os.replace(incoming, target)
            remove(incoming)  # it is still there if it was a link to the target itself
            remove(outgoing)
        self._placed.add(name)
        return target

    def record(
        self,
        *,
        validity: Mapping[str, float] | None = None,
        metrics: Mapping[str, float] | None = None,
        unavailable: Mapping[str, str] | None = None,
        efficiency: Mapping[str, float] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Add to the report and write it. A metric that is NaN becomes null, and `unavailable` says why.

        notes: further information for the reader of a metric, by its name.
        """
        self.report["validity"] |= jsonable(dict(validity or {}))
        self.report["metrics"] |= jsonable(dict(metrics or {}))
        self.report["unavailable"] |= dict(unavailable or {})
        self.report["notes"] |= dict(notes or {})
        self.report["efficiency"] |= jsonable(dict(efficiency or {}))
        for name, value in self.report["metrics"].items():
            if value is None:
                self.report["unavailable"].setdefault(name, "not a number")
        self._write()

    def finish(self, metrics: Mapping[str, float] | None = None, unavailable: Mapping[str, str] | None = None) -> None:
        """Record these, set the status to "done", and write DONE. Nothing may be recorded afterwards."""
        self.report["status"], self.report["finished"] = "done", _now()
        self.record(metrics=metrics, unavailable=unavailable)
        with storage_errors(self.output_dir):
            mark_done(self.folder, self.run_id, self._placed, self.versions)

    def _observe_memory(self) -> None:
        """Keep the peak memory of the run: the highest of its stages, and of this process between them."""
        for seen in (peaks(), *self.report["stages"].values()):
            for name in ("peak_rss_mb", "peak_gpu_mb"):
                if name in seen:
                    self.report[name] = max(self.report.get(name) or 0.0, seen[name])

    def _write(self) -> None:
        self._observe_memory()
        if name := gpu():  # not known before a stage uses it
            self.report["machine"]["gpu"] = name
        self._check_lock()
        with storage_errors(self.output_dir):
            write_json(self.folder / "report.json", self.report)

    def _check_lock(self) -> None:
        if self._lock is not None:
            self._lock.check()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
