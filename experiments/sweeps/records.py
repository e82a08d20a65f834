"""Records of a sweep: a small file for each job, and a printed summary at the end.

    <output_dir>/sweeps/<time>/jobs/<number>.json    overrides, status, the run's folder or the error

A failed job does not stop the sweep. The same command again runs what is missing: finished runs are left out
(experiments.sweeps.grid), and other runs keep their finished stages (harmonic.runs.run).
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from harmonic.errors import HarmonicError
from harmonic.storage import storage_errors, write_json

logger = logging.getLogger(__name__)

_began: list[Path] = []  # the sweeps of this process, for `concluded`


class SweepRecords(Callback):
    """Hydra callback: remembers the folder of the sweep's records, for `concluded`."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Make the folder of the records."""
        folder = Path(config.hydra.sweep.dir) / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        _began.append(folder)


@contextmanager
def recorded(folder: Path, number: int, overrides: list[str]) -> Iterator[dict[str, Any]]:
    """Run one job of a sweep within this block: errors are recorded and not raised, except an interrupt.

    Yields the record. The job adds "run" (its folder), "key" and "data" (with which a later sweep can leave it out,
    experiments.sweeps.grid), and "skipped" (whether it was finished before).
    """
    path = folder / "jobs" / f"{number}.json"
    record: dict[str, Any] = {"number": number, "overrides": overrides, "status": "running"}
    with storage_errors(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
    try:
        yield record
        record["status"] = "skipped" if record.pop("skipped", False) else "done"
    except Exception as error:
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        record |= {"traceback": "".join(traceback.format_exception(error))}
        expected = isinstance(error, HarmonicError)  # its message says what to do; other errors need the traceback
        logger.error("job %d failed: %s", number, error, exc_info=None if expected else error)
    except BaseException:
        record["status"] = "interrupted"
        raise
    finally:
        try:
            write_json(path, record)
        except OSError as error:  # it must not replace an error of the job
            logger.error("the end of job %d could not be recorded: %s", number, error)


def concluded(work: Callable[[], Any]) -> None:
    """Do `work`. If it was a sweep, print its summary, and exit with 1 if a job failed."""
    if summarized(work):
        sys.exit(1)


def summarized(work: Callable[[], Any]) -> int:
    """Do `work`. If it was a sweep, print its summary. Returns the number of jobs that are not done."""
    _began.clear()
    try:
        work()
    finally:
        left = sum(_summarize(folder) for folder in _began)
    return left


def _summarize(folder: Path) -> int:
    """Print how the jobs ended. Returns the number of jobs that are not done."""
    if not any(folder.glob("*.json")):  # Hydra could not compose the sweep, and has printed why
        return 0
    records = sorted((json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")), key=lambda r: r["number"])
    counts = dict.fromkeys(("done", "skipped", "aside", "failed", "interrupted", "running"), 0)
    for record in records:
        counts[record["status"]] += 1
    names = {"skipped": "done before", "aside": "could not be tried", "running": "killed"}
    print("sweep: " + ", ".join(f"{count} {names.get(status, status)}" for status, count in counts.items() if count))
    bad = [record for record in records if record["status"] not in ("done", "skipped", "aside")]
    for record in bad:
        why = record.get("error", names.get(record["status"], record["status"])).splitlines()[0]
        print(f"  {record['number']:>3} {' '.join(record['overrides'])}\n      {why}")
    if bad:
        print(f"the same command again runs these {len(bad)} and skips the rest")
    print(f"records: {folder}", flush=True)
    return len(bad)
