"""The report as one HTML page without other files: text, tables, charts, and the configuration of every run."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.card.privacy_card import concerns_privacy
from experiments.card.reading import reading
from experiments.collect.record import RunRecord
from experiments.collect.shown_metrics import number
from experiments.report import charts, run_charts
from experiments.report.labelled_results import ANCHORS, ordered
from experiments.report.run_files import RowsOfRuns, Unavailable, history, series
from experiments.report.tables import ResultTable
from experiments.summary.answer import in_words
from harmonic.progress import Progress

logger = logging.getLogger(__name__)

TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True)
class Chart:
    """An <svg> element and its caption."""

    svg: str
    caption: str


@dataclass(slots=True)
class Detail:
    """One run's charts, and notes on missing charts."""

    title: str
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write_page(
    path: Path, records: Sequence[RunRecord], values: pd.DataFrame, tables: Sequence[ResultTable],
    remarks: Sequence[str], *, first: str, most: int,
) -> None:  # fmt: skip
    """Write the page. `values`: labelled results; `first`: the generator on top; `most`: number of runs in detail."""
    labels = dict(zip(values["folder"], values["label"], strict=True))
    sweep = _sweep_charts(records, values, labels, first)
    selected, selection = _selected(records, labels, most)
    details, rows = [], RowsOfRuns()
    with Progress("charts", len(selected), "runs") as progress:
        for record in selected:
            details.append(_detail(record, labels[str(record.folder)], rows))
            progress.advance()
    troubles = [_trouble(record) for record in records if record.status != "done"]
    names = {"troubles": "Not finished", "tables": "Tables", "charts": "Charts", "details": "Runs in detail"}
    parts = {"troubles": troubles, "tables": tables, "charts": sweep, "details": details}
    contents = [(key, name) for key, name in names.items() if parts[key]] + [("runs", "Every run")]
    html = _template().render(
        title=f"Synthetic tables: {_listed({record.dataset for record in records})}", counts=_counts(records),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), contents=contents, summary=_summary(records),
        remarks=remarks, selection=selection, runs=[_run(record, labels) for record in records], **parts,
    )  # fmt: skip
    path.write_text(html, encoding="utf-8", errors="replace")  # a CSV may contain a lone surrogate


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(TEMPLATE)


def _sweep_charts(
    records: Sequence[RunRecord], values: pd.DataFrame, labels: dict[str, str], first: str
) -> list[Chart]:
    drawn = []
    for scatter in charts.utility_against_privacy(values):
        caption = (
            "Utility against privacy, mean and standard deviation over seeds; up and to the right is better. Diamonds "
            "on the line: the Pareto front; no generator is better in both. Hollow grey: anchors, older code."
        )
        drawn.append(Chart(scatter, caption))
    found: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    for dataset, part in values.groupby("dataset"):
        found[str(dataset)] = {label: [] for label, _ in ordered(part, first)}
    for record in records:
        label = labels.get(str(record.folder))
        if label is not None and (distances := _series(record).get("dcr")) is not None:
            found[record.dataset][label].append(distances)
    pooled = {
        dataset: {label: np.concatenate(kept) for label, kept in rows.items() if kept}
        for dataset, rows in found.items()
    }
    boxes = charts.distances(pooled, set(values["label"][values["unranked"]]))
    if boxes:
        caption = (
            "Distance of each synthetic row to its closest training row, all seeds together: median, middle half, "
            "middle 90%. Grey: anchors. Rows closer than those of holdout are closer than fresh real rows."
        )
        drawn.append(Chart(boxes, caption))
    return drawn


def _selected(records: Sequence[RunRecord], labels: dict[str, str], most: int) -> tuple[list[RunRecord], str]:
    """The first run of each label on each dataset, anchors last, and a sentence about what was left out."""
    first: dict[tuple[str, str], RunRecord] = {}
    for record in records:
        if label := labels.get(str(record.folder)):
            first.setdefault((record.dataset, label), record)
    found = sorted(first.values(), key=lambda record: record.generator in ANCHORS)
    left = len(found) - most
    more = f" {left} more are left out (--details {len(found)} shows all)." if left > 0 else ""
    return found[:most], f"The first seed of each generator on each dataset.{more}"


def _detail(record: RunRecord, label: str, rows: RowsOfRuns) -> Detail:
    """The run's charts, with a note for each one that cannot be drawn."""
    detail, name = Detail(f"{record.dataset} · {label} · seed {record.seed}"), f"run-{record.generator}-{record.run_id}"
    losses = _history(record, detail)
    found = _series(record, detail)
    surprise = {key.partition("/")[2]: kept for key, kept in found.items() if key.startswith("perplexity/")}
    _draw(detail, "Tuning loss on the answers.", losses, lambda: run_charts.losses(losses, name))
    caption = "Perplexity of rows under the tuned model. If training rows are left of held-out rows, it remembers them."
    _draw(detail, caption, surprise, lambda: run_charts.perplexities(surprise, name))
    try:
        real, synthetic = rows.beside(record)
    except Unavailable as error:
        detail.notes.append(f"No column charts: {error}.")
        return detail
    hidden = len(real.schema.columns) - run_charts.MOST_COLUMNS
    caption = "Every column, share of rows." + (f" {hidden} more columns are not drawn." if hidden > 0 else "")
    _draw(detail, caption, real, lambda: run_charts.column_distributions(real, synthetic, name))
    caption = (
        "Association of each pair of columns, synthetic minus real: Pearson's r for numbers, Cramér's V for "
        "categories, correlation ratio for mixed pairs. Near 0 is better."
    )
    _draw(detail, caption, real, lambda: run_charts.relation_differences(real, synthetic, name))
    return detail


def _draw(detail: Detail, caption: str, wanted: object, draw: Callable[[], str]) -> None:
    """Add a chart if there is anything to draw. An error becomes a note, so that the page is still written."""
    if wanted:
        try:
            detail.charts.append(Chart(draw(), caption))
        except Exception as error:
            logger.warning("%s: a chart could not be drawn: %s", detail.title, error)
            detail.notes.append(f"Not drawn ({caption}): {type(error).__name__}: {error}.")


def _series(record: RunRecord, detail: Detail | None = None) -> dict[str, NDArray[np.float64]]:
    try:
        return series(record)
    except Unavailable as error:
        if detail is not None:
            detail.notes.append(f"No distributions: {error}.")
        return {}


def _history(record: RunRecord, detail: Detail) -> list[dict[str, float]]:
    try:
        return history(record)
    except Unavailable as error:
        detail.notes.append(f"No loss curve: {error}.")
        return []


def _trouble(record: RunRecord) -> dict[str, str]:
    error = record.report.get("error") or {}
    stage = error.get("stage") or _last_stage(record)
    wrong = f"{error['type']}: {error['message']}" if error else record.error
    if record.status == "running" and not wrong:
        wrong = "still running, stopped early (stage=…), or killed"
    name = f"{record.dataset} {record.generator} seed {record.seed}"
    return {
        "name": name, "status": record.status, "stage": stage, "error": wrong,
        "traceback": error.get("traceback", ""), "folder": str(record.folder),
    }  # fmt: skip


def _last_stage(record: RunRecord) -> str:
    stages = list(record.report.get("stages", {}))
    return f"after {stages[-1]}" if stages else ""


def _counts(records: Sequence[RunRecord]) -> str:
    counted = Counter(record.status for record in records)
    counts = ", ".join(
        f"{counted[status]} {status}" for status in ("done", "failed", "running", "damaged") if counted[status]
    )
    repeated = sum(record.superseded for record in records)
    return f"{len(records)} runs: {counts}" + (f"; {repeated} of them are repetitions" if repeated else "")


def _summary(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    done = [record for record in records if record.is_result]
    revisions = {str((r.report.get("git") or {}).get("revision"))[:12] for r in done}
    return [
        ("datasets", _listed({record.dataset for record in done})),
        ("generators", _listed({record.generator for record in done})),
        ("seeds", _listed({str(record.seed) for record in done})),
        ("language model", _listed({record.llm for record in done})),
        ("scale", _listed({record.scale for record in done})),
        ("rows drawn", _listed({str(record.n_samples or "as many as training rows") for record in done})),
        ("revision of the code", _listed(revisions)),
    ]


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(name for name in names if name)) or "none"


def _run(record: RunRecord, labels: dict[str, str]) -> dict[str, Any]:
    """What the list of all runs shows of a run."""
    report = record.report
    stages = ", ".join(
        f"{name} {stage['seconds']:.1f} s{' (cached)' if stage['cached'] else ''}"
        for name, stage in report.get("stages", {}).items()
    )
    facts = in_words(report) | {
        "folder": str(record.folder), "began": report.get("created"), "ended": report.get("finished"),
        "revision": (report.get("git") or {}).get("revision"), "stages": stages,
        "peak memory": f"{report['peak_rss_mb']:.0f} MB" if report.get("peak_rss_mb") else None,
        "privacy": reading(report) if report.get("metrics") and concerns_privacy(report) else None,
        "answers": _numbers(report.get("validity", {})), "metrics": _numbers(report.get("metrics", {})),
        "not available": "; ".join(f"{name}: {reason}" for name, reason in report.get("unavailable", {}).items()),
        "error": record.error,
    }  # fmt: skip
    superseded = " (repeated elsewhere)" if record.superseded else ""
    label = labels.get(str(record.folder), record.generator)
    return {
        "title": f"{record.dataset} · {label} · seed {record.seed}{superseded}",
        "status": record.status,
        "facts": [(name, value) for name, value in facts.items() if value],
        "config": json.dumps(report.get("config", {}), indent=1, ensure_ascii=False),
    }


def _numbers(named: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in named.items() if value is not None)
