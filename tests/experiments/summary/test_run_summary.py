"""What a run prints at its end: five lines in words, twelve metrics at most, or all of them on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.shown_metrics import MOST_HEADLINES, columns, headlines
from experiments.summary.run_summary import print_summary
from harmonic.evaluation.base import Metric

METRICS = [Metric("mia/*/auc", False, 0, 1, 0.5, "area"), Metric("mia/worst", False, 0, 1, 0.5, "largest area")]
MANY = {f"mle/model{number}/f1_macro": 0.5 for number in range(30)}
REPORT: dict[str, Any] = {
    "generator": "smote", "dataset": "diabetes", "seed": 0, "validity": {"answers": 128.0}, "config": {},
    "stages": {"fit": {"seconds": 2.0, "cached": False}},
    "metrics": {
        "mia/dcr/auc": 0.65, "mia/dcr/auc/low": 0.6, "mia/dcr/auc/high": 0.7, "mia/dcr/tpr_at_1": 0.02,
        "mia/loss/auc": None, "mia/worst": 0.65, "mia/worst/low": 0.6, "mia/worst/high": 0.7,
    },
    "unavailable": {"mia/loss/auc": "needs a [language] generator"}, "notes": {"mia/worst": "dcr [by 0.1]"},
}  # fmt: skip


DECLARED = declared_metrics()
HEADLINES = [measure.metric.format(headline="f1_macro") for measure in columns(DECLARED, "summary")]


def printed(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str], folder: Path,
    metrics: Sequence[Metric] = METRICS, **how: Any,
) -> str:  # fmt: skip
    print_summary(report, folder, metrics, "wandb sync x", **how)
    return capsys.readouterr().out


def rows(text: str) -> list[str]:
    """First cells of the table of metrics, whatever the lines of a cell."""
    cells = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    return [cell for cell in cells if cell]


def test_all_metrics_stand_with_intervals_notes_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(REPORT, capsys, tmp_path, shown="all")
    assert "0.65 [0.6, 0.7] (dcr [by 0.1])" in text
    assert "needs a [language] generator" in text and "largest area" in text
    assert rows(text) == ["mia/dcr/auc", "mia/loss/auc", "mia/worst"] and "5 more metrics" in text
    assert "answers: answers 128" in text and "stages: fit 2.0 s" in text and "wandb sync x" in text


def test_a_short_summary_begins_with_five_lines_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "synthetic.csv").write_text("x\n")
    text = printed(REPORT, capsys, tmp_path)
    titles = [line.split()[0] for line in text.splitlines() if line and line[0].isalpha()]
    assert titles[:6] == ["smote", "useful", "alike", "attacks", "rows", "next"]
    assert "An attacker can tell" in text and "harmonic generator=harmonic_dense (and the other settings" in text
    assert "stages:" not in text and "summary=all prints them" in text
    assert f"wrote {tmp_path / 'synthetic.csv'}" in text and "wandb sync x" in text


def test_at_most_twelve_metrics_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = dict.fromkeys(HEADLINES, 0.5) | MANY
    text = printed(REPORT | {"metrics": every}, capsys, tmp_path, DECLARED)
    assert len(HEADLINES) == 16 and rows(text) == HEADLINES[:MOST_HEADLINES]
    assert MOST_HEADLINES == 12 and f"{len(every) - 12} more metrics" in text
    assert len(rows(printed(REPORT | {"metrics": every}, capsys, tmp_path, shown="all"))) == len(every)


def test_the_headlines_are_those_with_a_value_and_all_of_a_few() -> None:
    some = {"mle/r2": 0.4, "mle/f1_macro": 0.3, "nrs": None, "mia/worst": 0.5, "mia/worst/low": 0.4} | MANY
    assert headlines(some, DECLARED, "r2") == ["mle/r2", "mia/worst"]
    assert headlines(MANY, DECLARED, "r2") == list(MANY)[:12]
    assert headlines({"dcr/mean": 0.4, "nrs": None, "nndr": 0.5}, DECLARED, "r2") == ["dcr/mean", "nndr"]


def test_a_run_that_measured_nothing_has_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(REPORT | {"metrics": {}}, capsys, tmp_path)
    assert "useful" not in text and "stages: fit 2.0 s" in text and "answers: answers 128" in text


def test_a_long_command_is_not_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [f"generator.setting_{number}={number}" for number in range(20)]
    text = printed(REPORT | {"overrides": overrides}, capsys, tmp_path)
    assert any(line.endswith(f"harmonic {' '.join(overrides)} evaluator=audit") for line in text.splitlines())


def test_an_odd_report_costs_the_answer_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(REPORT | {"rows": {"test": "many"}, "validity": {"answers": None}}, capsys, tmp_path)
    assert "useful" not in text and rows(text) and "wandb sync x" in text
