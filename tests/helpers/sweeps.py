"""Folders as sweeps leave them, with reports of a few metrics, for the tests that read such folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_run(
    outputs: Path,
    metrics: dict[str, float | None],
    *,
    dataset: str = "german",
    generator: str = "smote",
    seed: int = 0,
    run_id: str = "00c0ffee",
    settings: dict[str, Any] | None = None,
    evaluator: dict[str, Any] | None = None,
    n_samples: int | None = 60,
    llm: str = "tiny",
    headline: str | None = "f1_macro",
    evaluate_on: str = "test",
    **changes: Any,
) -> Path:
    """A finished run's folder; `changes` are other entries of its report."""
    folder = outputs / "main" / dataset / generator / f"seed{seed}-{run_id}"
    folder.mkdir(parents=True)
    config = {
        "dataset": {"name": dataset, "headline": headline, "data_dir": None}, "llm": {"name": llm}, "seed": seed,
        "generator": settings or {}, "evaluator": evaluator or {}, "scale": {"name": "smoke"}, "n_samples": n_samples,
        "evaluate_on": evaluate_on,
    }  # fmt: skip
    report = {
        "status": "done", "run_id": run_id, "experiment": "main", "dataset": dataset, "generator": generator,
        "seed": seed, "data": f"{dataset}-{seed}", "config": config, "versions": {},
        "git": {"revision": "a" * 40, "dirty": False}, "created": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T01:00:00+00:00", "stages": {"fit": {"seconds": 2.5, "cached": False, "key": "k"}},
        "peak_rss_mb": 100.0, "validity": {}, "efficiency": {}, "metrics": metrics, "unavailable": {}, "error": None,
    } | changes  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report))
    if report["status"] == "done":
        (folder / "DONE").write_text("{}")
    return folder


def failure(stage: str = "fit", message: str = "too long") -> dict[str, Any]:
    """What a run's report says about an error, as `write_run(…, **failure())`."""
    error = {"stage": stage, "type": "ConfigError", "message": message, "traceback": "Traceback …"}
    return {"status": "failed", "error": error}
