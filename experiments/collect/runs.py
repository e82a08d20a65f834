"""Finds all runs in some folders by their report.json, and says how each differs from the others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.collect.older_code import mark_outdated
from experiments.collect.record import RunRecord, read_run
from experiments.collect.variants import name_variants
from harmonic.errors import ConfigError

_PRODUCTS = {"cache", "wandb", "prompts", "adapter", "series", "sweeps", "logs"}


def read_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """All runs in `folders` and below, sorted by name and seed.

    Raises ConfigError if a folder does not exist, or if there is no report at all.
    """
    paths = {path.resolve(): path for folder in folders for path in _reports(folder)}
    records = _mark_superseded([read_run(path.parent) for path in paths.values()])
    records = mark_outdated(_with_variants(_with_file_names(records)))
    records += [record for folder in folders for record in failed_jobs(folder)]
    if not records:
        shown = ", ".join(map(str, folders))
        fix = "name a folder that runs wrote to (output_dir, default outputs), or run something first: harmonic"
        raise ConfigError("outputs", shown, "there is no report.json in it or below", fix)
    return sorted(records, key=lambda r: (r.dataset, r.generator, r.variant, r.seed or 0, r.when, str(r.folder)))


def _reports(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ConfigError("outputs", folder, "no such folder", "name a folder that runs wrote to: outputs")
    for place, subfolders, files in os.walk(folder):
        if "report.json" in files:
            subfolders.clear()
            yield Path(place) / "report.json"
        else:
            subfolders[:] = sorted(set(subfolders) - _PRODUCTS)


def _mark_superseded(records: list[RunRecord]) -> list[RunRecord]:
    """If several output folders have the same run, the finished one counts, and the latest of several."""
    best: dict[tuple[object, ...], RunRecord] = {}
    for record in sorted(records, key=lambda record: (record.status == "done", record.when)):
        best[_identity(record)] = record
    return [replace(record, superseded=best[_identity(record)] is not record) for record in records]


def _identity(record: RunRecord) -> tuple[object, ...]:
    return record.experiment, record.dataset, record.generator, record.seed, record.run_id


def _with_variants(records: list[RunRecord]) -> list[RunRecord]:
    finished = [record for record in records if record.is_result]
    names = [(r.generator, r.llm, r.scale, r.n_samples) for r in finished]
    variants = name_variants([(name, _config(r)) for name, r in zip(names, finished, strict=True)])
    named = {record.folder: variant for record, variant in zip(finished, variants, strict=True)}
    return [replace(record, variant=named.get(record.folder, "")) for record in records]


def _config(record: RunRecord) -> dict[str, Any]:
    """The run's configuration, with the dataset's name from the record."""
    config: dict[str, Any] = record.report["config"]
    return {**config, "dataset": {**config["dataset"], "name": record.dataset}}


def _with_file_names(records: list[RunRecord]) -> list[RunRecord]:
    """Adds the path to the name of datasets if several files have this name, so that no table mixes their runs."""
    files: dict[str, dict[tuple[str, str], str]] = {}  # dataset: {(contents of the file, its path): what to add}
    for record in records:
        files.setdefault(record.dataset, {})[_file(record)] = ""
    for found in files.values():
        contents = {key for key, _ in found}
        if len(contents) < 2:
            continue
        for key, path in found:
            with_this_path = {other for other, where in found if where == path}
            found[key, path] = f" ({path}{f', {key[:6]}' if len(with_this_path) > 1 else ''})" if path else ""
    # One file may have several paths: the first in sorted order names it.
    first = {
        (dataset, key): name
        for dataset, found in files.items()
        for (key, _), name in sorted(found.items(), reverse=True)
    }
    return [replace(r, dataset=r.dataset + first[r.dataset, _file(r)[0]]) for r in records]


def _file(record: RunRecord) -> tuple[str, str]:
    """The contents (a digest) and the path of the file with the rows; two empty texts if there is no file."""
    path = str(((record.report.get("config") or {}).get("dataset") or {}).get("path") or "")
    return str(record.report.get("table") or path), path


def failed_jobs(folder: Path, experiment: str | None = None) -> list[RunRecord]:
    """Jobs of sweeps that failed before they had a folder; the last of several equal jobs.

    `folder` is one that runs wrote to; `experiment`: only jobs of a preset, or an experiment, that is called so.
    """
    found: dict[tuple[str, ...], RunRecord | None] = {}
    for path in sorted(folder.glob("sweeps/*/jobs/*.json")):
        try:
            job = json.loads(path.read_text(encoding="utf-8"))
            overrides = tuple(str(override) for override in job["overrides"])
            lost = job["status"] == "failed" and "run" not in job
            given = dict(override.partition("=")[::2] for override in overrides)
            if experiment is not None and experiment not in (given.get("experiment"), given.get("experiment_name")):
                continue
            seed = int(given.get("seed", "")) if given.get("seed", "").isdigit() else None
            found[overrides] = None if not lost else RunRecord(
                folder=path, status="failed", dataset=given.get("dataset", ""), generator=given.get("generator", ""),
                seed=seed, run_id=path.stem, error=f"before the run began: {job['error']} ({' '.join(overrides)})",
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a record from another version; runs have their own reports
    return [record for record in found.values() if record is not None]
