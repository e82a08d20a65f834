"""What a sweep leaves behind: one small record a job, and a summary when all have ended, however they ended.

    <output_dir>/sweeps/<time>/jobs/<number>.json    overrides, status, the run's folder or what went wrong

A failing job never ends the sweep. The same command again runs what is missing: finished runs are left out
(experiments/sweeps/grid.py), and of the others every finished stage is kept (harmonic.runs.run).
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
from harmonic.storage import write_json

logger = logging.getLogger(__name__)

_began: list[Path] = []  # the sweeps of this process; `concluded` takes them out again


class SweepRecords(Callback):
    """Hydra's hook: remembers where the sweep keeps its records, for `concluded`."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Make the folder of the records."""
        folder = Path(config.hydra.sweep.dir) / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        _began.append(folder)


@contextmanager
def recorded(folder: Path, number: int, overrides: list[str]) -> Iterator[dict[str, Any]]:
    """Within it one job of a sweep runs; what it raises is recorded, not raised, unless it is an interrupt.

    Yields the record, for the job to say "run" (its folder), "key" and "data" (what a later sweep needs to leave it
    out, experiments/sweeps/grid.py), and "skipped" (it was done already).
    """
    path = folder / "jobs" / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"number": number, "overrides": overrides, "status": "running"}
    write_json(path, record)
    try:
        yield record
        record["status"] = "skipped" if record.pop("skipped", False) else "done"
    except Exception as error:
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        record |= {"traceback": "".join(traceback.format_exception(error))}
        expected = isinstance(error, HarmonicError)  # its message says what to do; for others the trace does
        logger.error("job %d failed: %s", number, error, exc_info=None if expected else error)
    except BaseException:
        record["status"] = "interrupted"
        raise
    finally:
        write_json(path, record)


def concluded(work: Callable[[], Any]) -> None:
    """Do `work`; if it was a sweep, print its summary, and exit with 1 where a job did not end well."""
    _began.clear()
    try:
        work()
    finally:
        failed = sum(_summarize(folder) for folder in _began)
    if failed:
        sys.exit(1)


def _summarize(folder: Path) -> int:
    """Print what became of the jobs; how many did not end well."""
    if not any(folder.glob("*.json")):  # the sweep could not be composed, and Hydra has said why
        return 0
    records = sorted((json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")), key=lambda r: r["number"])
    counts = dict.fromkeys(("done", "skipped", "failed", "interrupted", "running"), 0)
    for record in records:
        counts[record["status"]] += 1
    names = {"skipped": "done before", "running": "killed"}
    print("sweep: " + ", ".join(f"{count} {names.get(status, status)}" for status, count in counts.items() if count))
    bad = [record for record in records if record["status"] not in ("done", "skipped")]
    for record in bad:
        why = record.get("error", names.get(record["status"], record["status"])).splitlines()[0]
        print(f"  {record['number']:>3} {' '.join(record['overrides'])}\n      {why}")
    if bad:
        print(f"the same command again runs these {len(bad)} and skips the rest")
    print(f"records: {folder}", flush=True)
    return len(bad)
