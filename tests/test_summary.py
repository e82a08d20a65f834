"""What a run prints at its end: every metric once, with its interval, its note, or why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.summary import print_summary
from harmonic.evaluation.base import Metric

METRICS = [Metric("mia/*/auc", False, 0, 1, 0.5, "area"), Metric("mia/worst", False, 0, 1, 0.5, "largest area")]
REPORT = {
    "generator": "smote", "dataset": "diabetes", "seed": 0, "validity": {}, "stages": {},
    "metrics": {
        "mia/dcr/auc": 0.65, "mia/dcr/auc/low": 0.6, "mia/dcr/auc/high": 0.7, "mia/dcr/tpr_at_1": 0.02,
        "mia/loss/auc": None, "mia/worst": 0.65,
    },
    "unavailable": {"mia/loss/auc": "needs a language generator"}, "notes": {"mia/worst": "dcr"},
}  # fmt: skip


def test_intervals_notes_and_reasons_stand_beside_their_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(REPORT, tmp_path, METRICS, "wandb sync x")
    printed = capsys.readouterr().out
    assert "0.65 [0.6, 0.7]" in printed and "0.65 (dcr)" in printed
    assert "needs a language generator" in printed and "largest area" in printed
    assert "mia/dcr/auc/low" not in printed and "tpr_at_1" not in printed and "3 more metrics" in printed
    assert "wandb sync x" in printed
