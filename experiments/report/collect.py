"""Reads what runs left behind: every report.json below some folders, as one tidy frame.

    frame = tidy(read_runs([Path("outputs")]))

One row for each run and metric. A run that failed, never finished or left a report that cannot be read stays in the
frame, as one row with its status and its error: a sweep with gaps in it must show them.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.report.older_code import mark_outdated
from experiments.report.shown_metrics import headline_of
from experiments.report.variants import name_variants
from experiments.summary import find
from harmonic.errors import ConfigError
from harmonic.evaluation.base import Evaluator, Metric
from harmonic.tracking import summary

EFFICIENCY = (
    Metric("time/*", False, 0, meaning="seconds that a stage took when it was computed"),
    Metric("*/tokens_per_s", True, 0, meaning="tokens a second"),
    Metric("*/rows_per_s", True, 0, meaning="rows a second"),
    Metric("peak_*_mb", False, 0, meaning="most memory held at once, MB"),
    Metric("validity/raw", True, 0, 1, 1, "share of freely written answers that were rows"),
)
"""Directions of the numbers that a report holds besides its metrics."""

RUN_COLUMNS = [
    "experiment", "dataset", "generator", "llm", "scale", "n_samples", "variant", "seed", "run_id", "status",
    "superseded", "outdated", "evaluated_on", "headline", "data", "created", "finished", "revision", "error", "folder",
]  # fmt: skip
METRIC_COLUMNS = ["metric", "value", "higher_is_better", "ideal", "reason", "note"]

_PRODUCTS = {"cache", "wandb", "prompts", "adapter", "series", "sweeps", "logs"}
_FOLDER = re.compile(r"seed(-?\d+)-(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as its report tells it.

    status: done, failed, running (or killed), or damaged: the report cannot be read, and only the folder's name
    says which run it was. `n_samples` None: as many rows as the training split has. `evaluated_on` is "test", or
    "validation" for the trials of a search, whose metrics are no results. `variant` says in which settings the run
    differs from others of its generator, "" in none. `dataset` is the table's name; where several files are called so,
    `read_runs` adds which one it is. `superseded`: the same run was found elsewhere, finished or later.
    `outdated`: the stages, with their versions, of which another of the runs has a newer one; "" if there is none.
    """

    folder: Path
    status: str
    experiment: str = ""
    dataset: str = ""
    generator: str = ""
    seed: int | None = None
    run_id: str = ""
    llm: str = ""
    scale: str = ""
    n_samples: int | None = None
    headline: str = ""
    evaluated_on: str = "test"
    error: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    variant: str = ""
    superseded: bool = False
    outdated: str = ""

    @property
    def is_result(self) -> bool:
        """Whether it belongs into tables: finished, on the test rows, and counted once."""
        return self.status == "done" and self.evaluated_on == "test" and not self.superseded

    @property
    def when(self) -> str:
        """When it ended, or began: ISO 8601, UTC."""
        return str(self.report.get("finished") or self.report.get("created") or "")


def read_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """Every run below `folders`, sorted by name and seed.

    Raises ConfigError for a folder that does not exist, and if there is no report at all.
    """
    paths = {path.resolve(): path for folder in folders for path in _reports(folder)}
    records = _mark_superseded([read_run(path.parent) for path in paths.values()])
    records = mark_outdated(_with_variants(_told_apart(records)))
    records += [record for folder in folders for record in _failed_jobs(folder)]
    if not records:
        shown = ", ".join(map(str, folders))
        fix = "name a folder that runs wrote to (output_dir, default outputs), or run something first: harmonic"
        raise ConfigError("outputs", shown, "there is no report.json below", fix)
    return sorted(records, key=lambda r: (r.dataset, r.generator, r.variant, r.seed or 0, r.when, str(r.folder)))


def _reports(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ConfigError("outputs", folder, "there is no such folder", "name a folder that runs wrote to: outputs")
    for place, subfolders, files in os.walk(folder):
        if "report.json" in files:
            subfolders.clear()
            yield Path(place) / "report.json"
        else:
            subfolders[:] = sorted(set(subfolders) - _PRODUCTS)


def read_run(folder: Path) -> RunRecord:
    """The run in `folder`; its status is "damaged" if the report is not what a run writes."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        summary(report)  # raises where a part of the report has another shape
        record = _record(folder, report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _damaged(folder, f"report.json cannot be read: {type(error).__name__}: {error}")
    if record.status == "done" and not (folder / "DONE").is_file():
        return replace(record, status="running", error="the report says done, but DONE is missing")
    return record


def _record(folder: Path, report: dict[str, Any]) -> RunRecord:
    config, error = report["config"], report["error"]
    for value in report["metrics"].values():
        if value is not None and not isinstance(value, int | float):
            raise TypeError(f"a metric is {value!r}")
    if report["status"] not in ("done", "failed", "running"):
        raise ValueError(f"the status is {report['status']!r}")
    return RunRecord(
        folder=folder,
        status=report["status"],
        experiment=report["experiment"],
        dataset=report["dataset"],
        generator=report["generator"],
        seed=int(report["seed"]),
        run_id=report["run_id"],
        llm=(config.get("llm") or {}).get("name", ""),
        scale=(config.get("scale") or {}).get("name", ""),
        n_samples=config.get("n_samples"),
        headline=headline_of(report),
        evaluated_on=config.get("evaluate_on") or "test",
        error="{stage}: {type}: {message}".format(**error) if error else "",
        report=report,
    )


def _damaged(folder: Path, problem: str) -> RunRecord:
    """What the folder's name tells: <experiment>/<dataset>/<generator>/seed<seed>-<run id>."""
    parts = ["", "", *folder.resolve().parts][-4:]
    named = _FOLDER.fullmatch(parts[3])
    return RunRecord(
        folder=folder, status="damaged", experiment=parts[0], dataset=parts[1], generator=parts[2],
        seed=int(named[1]) if named else None, run_id=named[2] if named else parts[3], error=problem,
    )  # fmt: skip


def _mark_superseded(records: list[RunRecord]) -> list[RunRecord]:
    """Of the same run in several output folders the finished one counts, of several the latest."""
    best: dict[tuple[object, ...], RunRecord] = {}
    for record in sorted(records, key=lambda record: (record.status == "done", record.when)):
        best[_identity(record)] = record
    return [replace(record, superseded=best[_identity(record)] is not record) for record in records]


def _identity(record: RunRecord) -> tuple[object, ...]:
    return record.experiment, record.dataset, record.generator, record.seed, record.run_id


def _with_variants(records: list[RunRecord]) -> list[RunRecord]:
    finished = [record for record in records if record.is_result]
    called = [(r.generator, r.llm, r.scale, r.n_samples) for r in finished]
    variants = name_variants([(name, _called(r)) for name, r in zip(called, finished, strict=True)])
    named = {record.folder: variant for record, variant in zip(finished, variants, strict=True)}
    return [replace(record, variant=named.get(record.folder, "")) for record in records]


def _called(record: RunRecord) -> dict[str, Any]:
    """The run's configuration, with its dataset as the record calls it."""
    config: dict[str, Any] = record.report["config"]
    return {**config, "dataset": {**config["dataset"], "name": record.dataset}}


def _told_apart(records: list[RunRecord]) -> list[RunRecord]:
    """Runs of files that are called alike get another dataset each: no table, rank or test may mix their rows."""
    files: dict[str, dict[tuple[str, str], str]] = {}  # dataset: {(what is in the file, its path): what to call it}
    for record in records:
        files.setdefault(record.dataset, {})[_file(record)] = ""
    for found in files.values():
        contents = {key for key, _ in found}
        if len(contents) < 2:
            continue
        for key, path in found:
            named_so = {other for other, where in found if where == path}
            found[key, path] = f" ({path}{f', {key[:6]}' if len(named_so) > 1 else ''})" if path else ""
    # One file may be reached by several paths: the first in order names it.
    first = {
        (dataset, key): name
        for dataset, found in files.items()
        for (key, _), name in sorted(found.items(), reverse=True)
    }
    return [replace(r, dataset=r.dataset + first[r.dataset, _file(r)[0]]) for r in records]


def _file(record: RunRecord) -> tuple[str, str]:
    """What is in the file that the rows are from, and its path; two empty texts where they are from no file."""
    path = str(((record.report.get("config") or {}).get("dataset") or {}).get("path") or "")
    return str(record.report.get("table") or path), path


def _failed_jobs(folder: Path) -> list[RunRecord]:
    """Jobs of sweeps that failed before they had a run's folder; of equal ones, the last sweep's."""
    found: dict[tuple[str, ...], RunRecord | None] = {}
    for path in sorted(folder.glob("sweeps/*/jobs/*.json")):
        try:
            job = json.loads(path.read_text(encoding="utf-8"))
            overrides = tuple(str(override) for override in job["overrides"])
            lost = job["status"] == "failed" and "run" not in job
            said = dict(override.partition("=")[::2] for override in overrides)
            seed = int(said.get("seed", "")) if said.get("seed", "").isdigit() else None
            found[overrides] = None if not lost else RunRecord(
                folder=path, status="failed", dataset=said.get("dataset", ""), generator=said.get("generator", ""),
                seed=seed, run_id=path.stem, error=f"before the run began: {job['error']} ({' '.join(overrides)})",
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a record of another version; the runs themselves have their reports
    return [record for record in found.values() if record is not None]


def declared_metrics(records: Iterable[RunRecord] = ()) -> list[Metric]:
    """What every evaluator says about its metrics, and what is known of time and memory.

    Those of harmonic, and those that the runs were measured by, wherever they are, if they can be imported.
    """
    package = importlib.import_module("harmonic.evaluation")
    found = list(EFFICIENCY)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for part in vars(importlib.import_module(module.name)).values():
            if isinstance(part, type) and issubclass(part, Evaluator):
                found.extend(getattr(part, "metrics", ()))
    for name in sorted({name for record in records for name in _foreign_evaluators(record)}):
        try:
            found.extend(getattr(pkgutil.resolve_name(name), "metrics", ()))
        except (ImportError, AttributeError, ValueError):
            continue  # its numbers are shown without a direction
    return found


def _foreign_evaluators(record: RunRecord) -> list[str]:
    """The classes outside harmonic that a run was measured by."""
    given = (record.report.get("config") or {}).get("evaluator")
    parts = given.values() if isinstance(given, dict) else ()
    names = [str(part.get("_target_")) for part in parts if isinstance(part, dict)]
    return [name for name in names if not name.startswith("harmonic.")]


def tidy(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row a run and metric, columns RUN_COLUMNS and METRIC_COLUMNS; a run without metrics has one row.

    `value` is NaN where a metric could not be computed, and `reason` says why; `note` is what its evaluator says
    of it. `metric` is None in the row of a run
    without metrics. `higher_is_better` is missing where neither end is good; `ideal` is NaN where there is none.
    """
    declared, rows = declared_metrics(records), []
    for record in records:
        run = {
            name: getattr(record, name, "") for name in RUN_COLUMNS if name not in ("data", "created", "finished")
        } | {name: record.report.get(name) or "" for name in ("data", "created", "finished")}
        run["folder"], run["revision"] = str(record.folder), _revision(record.report)
        for metric, value, reason in _numbers(record.report) or [(None, None, "")]:
            known = find(metric, declared) if metric else None
            rows.append(
                run
                | {"metric": metric, "value": value, "reason": reason}
                | {"note": (record.report.get("notes") or {}).get(metric, "")}
                | {
                    "higher_is_better": known.higher_is_better if known else None,
                    "ideal": known.ideal if known else None,
                }
            )
    frame = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *METRIC_COLUMNS])
    kinds = {"seed": "Int64", "n_samples": "Int64", "value": "float64", "ideal": "float64"}
    return frame.astype(kinds | {"higher_is_better": "boolean", "superseded": "bool"})


def _numbers(report: dict[str, Any]) -> list[tuple[str | None, float | None, str]]:
    """(name, value, why it is missing) of everything that was measured."""
    if not report:
        return []
    found = {name: value for name, value in summary(report).items() if isinstance(value, int | float)}
    reasons = report.get("unavailable", {})
    missing = [name for name, value in report["metrics"].items() if value is None]
    values: list[tuple[str | None, float | None, str]] = [(name, float(value), "") for name, value in found.items()]
    return values + [(name, None, str(reasons.get(name, "not available"))) for name in missing]


def _revision(report: dict[str, Any]) -> str:
    """The code's git revision, 12 digits, with + where it had been changed."""
    git = report.get("git") or {}
    return str(git.get("revision") or "")[:12] + ("+" if git.get("dirty") else "")


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run, RUN_COLUMNS and a column for each metric of the tidy frame."""
    runs = frame.drop_duplicates("folder").set_index("folder", drop=False)[RUN_COLUMNS]
    measured = frame.dropna(subset="metric")
    values = measured.pivot(index="folder", columns="metric", values="value")
    return runs.join(values[list(dict.fromkeys(measured["metric"]))]).reset_index(drop=True)


def write_frames(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write the tidy frame as runs.parquet and runs.csv and the wide one as runs_wide.csv; their paths."""
    paths = [folder / name for name in ("runs.parquet", "runs.csv", "runs_wide.csv")]
    frame.to_parquet(paths[0], index=False)
    frame.to_csv(paths[1], index=False)
    wide(frame).to_csv(paths[2], index=False)
    return paths
