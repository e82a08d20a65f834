"""Objects from configurations, also from those of older reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.configuration.building import built, reopened
from harmonic.datasets import Dataset
from harmonic.tracking import NullTracker


def test_a_class_that_has_moved_is_found_by_its_name() -> None:
    assert isinstance(built({"_target_": "harmonic.once.tracking.NullTracker"}), NullTracker)
    assert isinstance(built({"_target_": "harmonic.datasets.gone.NullTracker"}), NullTracker)


@pytest.mark.parametrize("target", ["harmonic.once.Unknown", "elsewhere.tracking.NullTracker"])
def test_a_class_that_nobody_has_is_an_error(target: str) -> None:
    with pytest.raises((ImportError, AttributeError)):
        built({"_target_": target})


def test_a_report_from_before_a_move_is_reopened(tmp_path: Path) -> None:
    anchor = {"_target_": "baselines.once.anchors.RealRows", "rows": "train"}
    dataset = {"_target_": "harmonic.once.Dataset", "name": "diabetes", "target": "Outcome"}
    report = {"config": {"seed": 3, "dataset": dataset, "generator": anchor, "evaluator": {}}}
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    found = reopened(tmp_path)
    assert found["seed"] == 3 and isinstance(found["dataset"], Dataset) and found["generator"].rows == "train"
