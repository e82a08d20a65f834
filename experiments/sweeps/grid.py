"""A grid of jobs without those that are finished: checking a finished sweep again takes seconds.

Hydra composes each job's configuration twice before the job can see that its run is finished. This sweeper reads the
records of earlier sweeps instead (experiments.sweeps.records). A job is left out if a record says that a job with the
same key succeeded, if its data have not changed, and if its run's folder is complete. The key covers everything that
the configuration is composed from; the job itself records it. In doubt, the job runs, and finds out itself whether its
run is finished. So a mistake costs only time.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from experiments.stages.keys import configured_versions
from experiments.sweeps.lost_jobs import launch_all
from harmonic.runs.done_file import finished
from harmonic.storage import key_of, storage_errors, write_json

logger = logging.getLogger(__name__)

CODE = Path(__file__).resolve().parents[2]
DATASET = "harmonic.datasets.Dataset"
ENVIRONMENT = re.compile(r"oc\.env:\s*(\w+)")


@dataclass
class Grid(Sweeper):
    """Launches the jobs that earlier sweeps have not finished; see conf/hydra/sweeper/grid.yaml."""

    max_batch_size: int | None = None
    params: dict[str, str] | None = None
    _launcher: Any = field(default=None, init=False)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what launching needs."""
        self.hydra_context, self.config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Record the finished jobs, and launch the others, each with its number in the whole grid."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # once the plugins are loaded

        assert self.config is not None and self.hydra_context is not None
        folder = Path(self.config.hydra.sweep.dir)
        with storage_errors(Path(self.config.output_dir)):
            (folder / "jobs").mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        words = [*(f"{key}={value}" for key, value in (self.params or {}).items()), *arguments]
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(words), None)
        done = find_done(jobs, self.config.hydra, folder.parent)
        for number, record in done.items():
            logger.info("\t#%d : %s : done already, %s", number, " ".join(record["overrides"]), record["run"])
            with storage_errors(Path(self.config.output_dir)):
                write_json(folder / "jobs" / f"{number}.json", record)
        left = {number: [*job, f"hydra.job.name={number}"] for number, job in enumerate(jobs) if number not in done}
        size = self.max_batch_size or max(1, len(left))
        for start in range(0, len(left), size):
            batch = dict(list(left.items())[start : start + size])
            self.validate_batch_is_legal(list(batch.values()))
            launch_all(self._launcher, batch, start, folder)


def number_of(context: Any) -> int:
    """The job's number in the whole grid. (The launcher counts only launched jobs.) `context`: its HydraConf."""
    name = str(context.job.name)
    return int(name) if name.isdigit() else int(context.job.num)


def ground(hydra: Any) -> dict[str, Any] | None:
    """What the jobs of a sweep are composed from, for `key_for`; None if a part cannot be read.

    These are the files on the search path, the environment variables in them, the folder for relative paths, and the
    code. `hydra`: the HydraConf of a job or of its sweep.
    """
    try:
        files = [_contents(source) for source in hydra.runtime.config_sources if source.schema in ("file", "pkg")]
    except (OSError, UnicodeError, ModuleNotFoundError):
        return None
    names = sorted({name for found in files for text in found.values() for name in ENVIRONMENT.findall(text)})
    given = hydra.job.env_set
    return {
        "config": hydra.job.config_name,
        "files": [{name: _digest(text) for name, text in found.items()} for found in files],
        "environment": {name: given.get(name, os.environ.get(name)) for name in names},
        "folder": os.getcwd(),
        "code": _code(),
    }


def key_for(overrides: Sequence[str], on: dict[str, Any] | None) -> str | None:
    """The key of a job with these overrides (without Hydra's own) `on` its ground; None if they have interpolations.

    Their order matters only within one part of the configuration, or if one of them adds or deletes a part.
    """
    if on is None or any("${" in override for override in overrides):
        return None
    if not any(override.startswith(("+", "~")) for override in overrides):
        overrides = sorted(overrides, key=lambda override: re.split(r"[.=@/]", override)[0])
    return key_of({**on, "overrides": list(overrides)})


def data_read(dataset: dict[str, Any]) -> dict[str, str] | None:
    """The files that a dataset's configuration reads, with their `signature`; None if unknown.

    Packaged and downloaded rows need no entry, because the code and its version determine them.
    """
    if dataset.get("_target_") != DATASET:
        return None
    if dataset["path"] is not None:
        roots = [Path(dataset["path"])]
    elif dataset["data_dir"] is not None:
        roots = [Path(dataset["data_dir"]) / dataset["name"]]
    else:
        roots = []
    named = (dataset.get("columns"), dataset.get("kinds"))
    roots += [Path(one) for one in named if isinstance(one, str) and Path(one).suffix in (".yaml", ".yml")]
    return {str(root.expanduser().absolute()): signature(root.expanduser()) for root in roots}


def signature(root: Path) -> str:
    """Changes with the name, the size or the modification time of the file, or of any file in the folder."""
    found = [(path, path.stat()) for path in (root, *sorted(root.rglob("*"))) if path.is_file()]
    return key_of({"files": [[str(path.relative_to(root)), at.st_size, at.st_mtime_ns] for path, at in found]})


def file_key(path: str | None) -> str | None:
    """A digest of the contents of a table's file, 12 digits; None without a file."""
    if path is None:
        return None
    with Path(path).expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def find_done(jobs: Sequence[Sequence[str]], hydra: Any, sweeps: Path) -> dict[int, dict[str, Any]]:
    """New records for the jobs that need not be launched, by number."""
    parser = OverridesParser.create()
    own = [[text for text in job if not parser.parse_override(text).is_hydra_override()] for job in jobs]
    on = ground(hydra)
    keys = [key_for(overrides, on) for overrides in own]
    records = _records({key for key in keys if key is not None}, sweeps)
    signed = functools.cache(lambda root: signature(Path(root)))
    done = {}
    for number, (overrides, key) in enumerate(zip(own, keys, strict=True)):
        record = records.get(key or "")
        if record is None or any(signed(root) != was for root, was in record["data"].items()):
            continue
        if _whole(Path(record["run"])):
            kept = {name: record[name] for name in ("run", "key", "data")}
            done[number] = {"number": number, "overrides": overrides, "status": "skipped", **kept}
    return done


def _whole(folder: Path) -> bool:
    """Whether the run in the folder is finished, by the current code."""
    try:
        config = json.loads((folder / "report.json").read_text(encoding="utf-8"))["config"]
        return finished(folder, configured_versions(config))
    except Exception:  # in doubt, the job runs
        return False


def _records(wanted: set[str], sweeps: Path) -> dict[str, dict[str, Any]]:
    """For each key, the last record of a job that succeeded, if there is one."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(sweeps.glob("*/jobs"), reverse=True):
        for path in folder.glob("*.json"):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            key, whole = record.get("key"), record.get("data") is not None
            if key in wanted and whole and record["status"] in ("done", "skipped"):
                found.setdefault(key, record)
        if len(found) == len(wanted):
            break
    return found


def _contents(source: Any) -> dict[str, str]:
    """The YAML files of a source on Hydra's search path, by their paths in it."""
    root = Path(source.path)
    if source.schema == "pkg":
        module = importlib.import_module(source.path)
        root = Path(next(iter(module.__path__)))
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in sorted(root.rglob("*.yaml"))}


@functools.cache
def _code() -> str:
    """The digest of the code that makes rows and a run's identity from a configuration; computed once."""
    return _digest("".join(f"{path.relative_to(CODE)} {_digest(path.read_text('utf-8'))}\n" for path in code_files()))


def code_files() -> list[Path]:
    """The files of that code, and of the packaged tables."""
    parts = ["conf/__init__.py", "experiments/run.py", "experiments/stages/keys.py"]
    parts += [
        f"harmonic/{part}"
        for part in ("*.py", "generators/*.py", "method/*.py", "tables/**/*.py", "runs/*.py", "data/*.csv")
    ]
    return [path for part in parts for path in sorted(CODE.glob(part))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# Hydra accepts only sweepers in its plugin package, so this module also gets a name there.
Grid.__module__ = "hydra_plugins.harmonic_grid"
sys.modules[Grid.__module__] = sys.modules[__name__]
Plugins.instance().register(Grid)
