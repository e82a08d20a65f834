"""The file DONE, which marks a finished run: its report, its products, and the versions of the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from harmonic.storage import write_json


def mark_done(folder: Path, run_id: str, products: Iterable[str], versions: Mapping[str, int] | None = None) -> None:
    """Write DONE into the folder of a run with the status "done". products: names of files and folders in it.

    versions: of the code of the run's stages.
    """
    files = [path for name in products for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    report = (folder / "report.json").read_bytes()
    done = {
        "run_id": run_id,
        "report_sha256": hashlib.sha256(report).hexdigest(),
        "stage_versions": dict(versions or {}),
        "files": {str(path.relative_to(folder)): path.stat().st_size for path in sorted(files)},
    }
    write_json(folder / "DONE", done)


def finished(folder: Path, versions: Mapping[str, int] | None = None) -> bool:
    """Whether a run's folder has a DONE of this run and this report, and all products.

    versions: also check that these versions of the code made the stages.
    """
    try:
        done = json.loads((folder / "DONE").read_text(encoding="utf-8"))
        report = (folder / "report.json").read_bytes()
        return (
            done["run_id"] == folder.name.rpartition("-")[2]
            and done["report_sha256"] == hashlib.sha256(report).hexdigest()
            and json.loads(report)["status"] == "done"
            and (versions is None or done["stage_versions"] == dict(versions))
            and all((folder / name).stat().st_size == size for name, size in done["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def outdated(folder: Path, versions: Mapping[str, int]) -> list[str]:
    """The stages of a finished run that other versions of the code made, in words; none without a DONE."""
    try:
        had = json.loads((folder / "DONE").read_text(encoding="utf-8")).get("stage_versions", {})
    except (OSError, ValueError, AttributeError):
        return []
    pairs = {name: (had.get(name, "none"), versions.get(name, "none")) for name in sorted({*had, *versions})}
    return [f"{name}: version {before} -> {now}" for name, (before, now) in pairs.items() if before != now]
