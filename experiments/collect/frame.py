"""Runs as one table (tidy): a row for each run and metric.

    frame = tidy(read_runs([Path("outputs")]))

A run that failed, never finished or left a report that cannot be read stays in the frame, as one row with its status
and its error: gaps in a sweep must be visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.collect.declared_metrics import declaration_of, declared_metrics
from experiments.collect.record import RunRecord
from harmonic.tracking import summary

RUN_COLUMNS = [
    "experiment", "dataset", "generator", "llm", "scale", "n_samples", "variant", "seed", "run_id", "status",
    "superseded", "outdated", "evaluated_on", "headline", "data", "created", "finished", "revision", "error", "folder",
]  # fmt: skip
METRIC_COLUMNS = ["metric", "value", "higher_is_better", "ideal", "reason", "note"]


def tidy(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row for each run and metric, with RUN_COLUMNS and METRIC_COLUMNS. A run without metrics has one row.

    `value` is NaN if a metric could not be computed, and `reason` says why; `note` is the evaluator's note. `metric` is
    None for a run without metrics. `higher_is_better` is missing if neither end is good; `ideal` is NaN if there is
    none.
    """
    declared, rows = declared_metrics(records), []
    for record in records:
        run = {
            name: getattr(record, name, "") for name in RUN_COLUMNS if name not in ("data", "created", "finished")
        } | {name: record.report.get(name) or "" for name in ("data", "created", "finished")}
        run["folder"], run["revision"] = str(record.folder), _revision(record.report)
        for metric, value, reason in _numbers(record.report) or [(None, None, "")]:
            known = declaration_of(metric, declared) if metric else None
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
    """Everything that was measured: (name, value, why it is missing)."""
    if not report:
        return []
    found = {name: value for name, value in summary(report).items() if isinstance(value, int | float)}
    reasons = report.get("unavailable", {})
    missing = [name for name, value in report["metrics"].items() if value is None]
    values: list[tuple[str | None, float | None, str]] = [(name, float(value), "") for name, value in found.items()]
    return values + [(name, None, str(reasons.get(name, "not available"))) for name in missing]


def _revision(report: dict[str, Any]) -> str:
    """The code's git revision, 12 digits, with + if files were changed."""
    git = report.get("git") or {}
    return str(git.get("revision") or "")[:12] + ("+" if git.get("dirty") else "")


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each run, with RUN_COLUMNS and a column for each metric of the tidy frame."""
    runs = frame.drop_duplicates("folder").set_index("folder", drop=False)[RUN_COLUMNS]
    measured = frame.dropna(subset="metric")
    values = measured.pivot(index="folder", columns="metric", values="value")
    return runs.join(values[list(dict.fromkeys(measured["metric"]))]).reset_index(drop=True)


def write_frames(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write the tidy frame as runs.parquet and runs.csv, and the wide one as runs_wide.csv. Returns their paths."""
    paths = [folder / name for name in ("runs.parquet", "runs.csv", "runs_wide.csv")]
    frame.to_parquet(paths[0], index=False)
    frame.to_csv(paths[1], index=False)
    wide(frame).to_csv(paths[2], index=False)
    return paths
