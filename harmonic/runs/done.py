"""DONE, the mark of a run that finished: which report and which products it ended with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from harmonic.storage import write_json


def mark_done(folder: Path, run_id: str, products: Iterable[str]) -> None:
    """Write DONE into a run's folder, whose report says "done"; products are names of files and folders there."""
    files = [path for name in products for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    report = (folder / "report.json").read_bytes()
    done = {
        "run_id": run_id,
        "report_sha256": hashlib.sha256(report).hexdigest(),
        "files": {str(path.relative_to(folder)): path.stat().st_size for path in sorted(files)},
    }
    write_json(folder / "DONE", done)


def finished(folder: Path) -> bool:
    """Whether DONE is in a run's folder, belongs to this run and this report, and no product has gone."""
    try:
        done = json.loads((folder / "DONE").read_text(encoding="utf-8"))
        report = (folder / "report.json").read_bytes()
        return (
            done["run_id"] == folder.name.rpartition("-")[2]
            and done["report_sha256"] == hashlib.sha256(report).hexdigest()
            and json.loads(report)["status"] == "done"
            and all((folder / name).stat().st_size == size for name, size in done["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
