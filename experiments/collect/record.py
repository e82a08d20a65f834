"""One run as its report.json describes it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.collect.shown_metrics import headline_of
from harmonic.tracking import summary

_FOLDER = re.compile(r"seed(-?\d+)-(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as its report describes it.

    `status`: done, failed, running (or killed), or damaged (the report cannot be read, and only the folder's name says
    which run it was). `dataset`: the table's name; `read_runs` adds the path if several files have this name.
    `n_samples`: None means as many rows as the training split has. `evaluated_on`: "test", or "validation" for trials
    of a search, which are no results. `variant`: the settings in which the run differs from other runs of its
    generator; "" if none. `superseded`: the same run was found elsewhere, finished or later. `outdated`: the stages
    that another run made with newer code, with their versions; "" if none.
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
        """Whether it belongs in tables: finished, measured on the test rows, and not a repetition."""
        return self.status == "done" and self.evaluated_on == "test" and not self.superseded

    @property
    def given(self) -> dict[str, str]:
        """The settings that the command line gave, and their values as it wrote them."""
        words = [str(word).lstrip("+").partition("=") for word in self.report.get("overrides") or ()]
        return {key: value for key, equals, value in words if equals}

    @property
    def when(self) -> str:
        """When it ended, or else began: ISO 8601, UTC."""
        return str(self.report.get("finished") or self.report.get("created") or "")


def read_run(folder: Path) -> RunRecord:
    """The run in `folder`; its status is "damaged" if its report cannot be read."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        summary(report)  # raises if a part of the report has the wrong form
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
    """A record from the folder's name alone: <experiment>/<dataset>/<generator>/seed<seed>-<run id>."""
    parts = ["", "", *folder.resolve().parts][-4:]
    named = _FOLDER.fullmatch(parts[3])
    return RunRecord(
        folder=folder, status="damaged", experiment=parts[0], dataset=parts[1], generator=parts[2],
        seed=int(named[1]) if named else None, run_id=named[2] if named else parts[3], error=problem,
    )  # fmt: skip
