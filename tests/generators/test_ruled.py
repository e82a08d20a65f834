"""Whatever draws the rows: the file that is released keeps the rules of the file that was learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from shop import RULES, broken, write_orders

from experiments.sample_again import read_settings, sample_again
from harmonic import Harmonic
from harmonic.datasets import Dataset
from harmonic.llm.tiny_model import TinyModel
from harmonic.tables.canaries import plant

SMALL = ["scale=smoke", "tracker=off", "evaluator=fidelity", "dataset=csv", "dataset.target=paid"]


def folder_of(done: Any) -> Path:
    assert done.code == 0, done.err
    return Path(done.out.strip().splitlines()[-1].removeprefix("run: "))


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_orders(tmp_path / "shop.csv", 200)


@pytest.mark.parametrize("generator", ["marginals", "smote", "copy"])
def test_a_runs_rows_keep_the_rules_and_the_report_says_so(
    command: Callable[..., Any], tmp_path: Path, shop: Path, generator: str
) -> None:
    done = command(*SMALL, f"dataset.path={shop}", f"generator={generator}", "n_samples=80", f"output_dir={tmp_path}/o")
    folder = folder_of(done)
    assert folder.parent.parent.name == "shop"  # the run's table is called as its file
    report = report_of(folder)
    assert report["dataset"] == report["config"]["dataset"]["name"] == "shop"
    assert broken(folder / "synthetic.csv") == []
    assert list(pd.read_csv(folder / "synthetic.csv")) == list(pd.read_csv(shop))
    assert {one["rule"] for one in report["rules"]} == RULES
    assert all(one["broken"] == {"train": 0.0, "held_out": 0.0, "synthetic": 0.0} for one in report["rules"])
    assert "rule code -> city: broken by train 0.00%, held-out 0.00%, synthetic 0.00%" in done.out


def test_without_rules_independent_columns_break_every_one(
    command: Callable[..., Any], tmp_path: Path, shop: Path
) -> None:
    where = [f"dataset.path={shop}", "generator=marginals", "n_samples=80", f"output_dir={tmp_path}/o"]
    folder = folder_of(command(*SMALL, *where, "dataset.rules=off"))
    assert broken(folder / "synthetic.csv") == ["total", "amount", "city", "sent"]
    assert report_of(folder)["rules"] == []


def test_a_language_model_is_not_shown_what_follows_and_its_rows_keep_the_rules(
    command: Callable[..., Any], tmp_path: Path, shop: Path
) -> None:
    words = ["llm=tiny", "generator.sampling.attempts=1", f"dataset.path={shop}", f"output_dir={tmp_path}/o"]
    words = [word for word in [*SMALL, *words] if word != "evaluator=fidelity"]
    folder = folder_of(command(*words, "evaluator=privacy", "evaluator.data_leakage_test.max_rows=10"))
    prompt = json.loads((folder / "prompts" / "train.jsonl").read_text().splitlines()[0])
    text = json.dumps(prompt)
    assert "sent after placed" in text
    assert not any(f'\\"{name}\\"' in text for name in ("total", "amount", "city", "sent"))
    assert broken(folder / "synthetic.csv") == []
    assert report_of(folder)["metrics"]["dlt_holdout"] is not None  # rows are scored by what the model was shown
    more = sample_again(folder, read_settings(["n=5", "condition={city: Wien}", "range={freight: [10, 30]}"]))[0]
    rows = pd.read_csv(more)
    assert set(rows["city"]) == {"Wien"} and rows["freight"].between(10, 30).all() and broken(more) == []


def test_a_dry_run_tells_the_rules_and_writes_the_columns_for_another(
    command: Callable[..., Any], tmp_path: Path, shop: Path
) -> None:
    words = [*SMALL, f"dataset.path={shop}", "generator=marginals", f"output_dir={tmp_path}/o"]
    done = command(*words, "dry_run=true")
    folder = folder_of(done)
    for rule in RULES:
        assert f"rule {rule!r}: " in done.out
    assert "dataset.rules=off" in done.out
    columns = folder / "columns.yaml"
    assert f"add dataset.columns={columns}" in done.out
    text = columns.read_text()
    assert '"code": {kind: category, categories: [c101, c205, c309, c412, c533]}' in text
    edited = tmp_path / "mine.yaml"
    edited.write_text(text.replace("c533]", "c533, c777]").replace('"tax": {kind: float', '"tax": {kind: drop'))
    again = command(*words, f"dataset.columns={edited}", "n_samples=30")
    assert "tax" not in pd.read_csv(folder_of(again) / "synthetic.csv")


def test_the_rules_of_a_data_frame_are_kept(tmp_path: Path, shop: Path) -> None:
    frame = pd.read_csv(shop).drop(columns=["count", "price", "amount"])
    model = Harmonic(
        TinyModel(name="tiny", dtype="float32", positions=16384),
        tuning={"max_examples": 8},
        sampling={"mode": "constrained"},
    )
    synthetic = model.fit(frame, target="paid").sample(6)
    assert list(synthetic) == list(frame)
    assert (synthetic["city"] == synthetic["code"].map(dict(zip(frame["code"], frame["city"], strict=True)))).all()
    assert ((synthetic["net"] + synthetic["tax"] + synthetic["freight"] - synthetic["total"]).abs() < 0.005).all()
    assert (synthetic["placed"] <= synthetic["sent"]).all()
    assert any("'code -> city'" in note for note in model.notes)


def test_planted_rows_keep_the_rules(shop: Path) -> None:
    splits = Dataset(path=str(shop), target="paid", rules="auto").load(0)
    assert splits.rules is not None
    planted = plant(splits, {"count": 10, "repeats": 2}, 0)
    assert planted.canaries is not None and planted.decoys is not None
    for rows in (planted.canaries, planted.decoys):
        assert set(splits.rules.broken(rows.frame).values()) == {0.0}
    assert len(planted.train) == len(splits.train) + 20
