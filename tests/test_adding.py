"""What the pages on adding things show works as it stands there: the files are taken from the pages and run.

Each thing takes at most two files, under 100 lines each.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from pages import PAGES, commands, files_in
from prompt_tables import SCHEMA
from row_texts import row_text
from sklearn.datasets import load_iris, load_wine

from experiments.report.command import make_report
from harmonic.prompts.row_format import InvalidAnswer, find_row_format

SMALL = ["llm=tiny", "scale=smoke", "tracker=off", "output_dir=out"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader works; Python finds modules there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(page: str, folder: Path, most: int = 2) -> list[Path]:
    """The files of a page, written down: few and short."""
    found = files_in(PAGES / "how-to" / f"{page}.md", folder)
    assert 0 < len(found) <= most
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 100 for path in found)
    return found


def told(page: str, begins: str) -> list[str]:
    """The settings of the page's first command that begins so."""
    own = [words[1:] for words in commands(PAGES / "how-to" / f"{page}.md")]
    return next(words for words in own if shlex.join(words).startswith(begins))


def report(out: str) -> dict[str, Any]:
    (run,) = re.findall(r"^run: (.*)$", out, re.MULTILINE)
    return dict(json.loads((Path(run) / "report.json").read_text(encoding="utf-8")), folder=run)


def test_a_dataset_is_one_file(command: Callable[..., Any], folder: Path) -> None:
    path = write("add-dataset", folder)[0]
    data = load_wine(as_frame=True)
    data.frame.assign(cultivar=data.target_names[data.target]).drop(columns="target").to_csv("wine.csv", index=False)
    words = told("add-dataset", "--config-dir mine dataset=wines generator=smote")
    done = command(*words, *SMALL, "evaluator=fidelity")
    assert done.code == 0, done.err
    found = report(done.out)
    assert found["status"] == "done" and found["dataset"] == "wines" and path.parent.name == "dataset"
    assert found["config"]["dataset"]["rules"] == "auto"  # of csv.yaml, on which it builds
    assert pd.read_csv(Path(found["folder"]) / "synthetic.csv").shape == (12, 14)


def test_a_dataset_on_openml_is_one_file(
    command: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fetch(**arguments: Any) -> SimpleNamespace:
        asked.update(arguments)
        data = load_iris(as_frame=True)
        species = pd.Categorical([f"Iris-{name}" for name in data.target_names[data.target]])
        return SimpleNamespace(frame=data.data.assign(**{"class": species}))

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    write("add-dataset", folder)
    done = command("--config-dir", "mine", "dataset=iris", "generator=smote", *SMALL, "evaluator=fidelity")
    assert done.code == 0, done.err
    rows = pd.read_csv(Path(report(done.out)["folder"]) / "synthetic.csv")
    assert asked["data_id"] == 61 and set(rows["class"]) <= {"setosa", "versicolor", "virginica"}


def test_a_generator_is_a_class_and_a_file(command: Callable[..., Any], folder: Path) -> None:
    write("add-generator", folder)
    words = told("add-generator", "--config-dir mine generator=gaussian_copula")
    done = command(*words, *SMALL, "n_samples=null", "dataset=german", "evaluator=fidelity")
    assert done.code == 0, done.err
    found = report(done.out)
    assert found["generator"] == "gaussian_copula" and found["config"]["generator"]["rows"] == 50
    assert found["metrics"]["column_shapes"] > 0.95
    for scale, rows in {"quick": 2000, "paper": None}.items():
        dry = command(*words, "llm=tiny", f"scale={scale}", "tracker=off", "output_dir=out", "dry_run=true")
        assert dry.code == 0 and report(dry.out)["config"]["generator"]["rows"] == rows
    wrong = command(*words, *SMALL, "generator.shrink=1.5")
    assert wrong.code == 1 and "generator.shrink=1.5: must be a number of at least 0 and below 1" in wrong.err


def test_the_added_generator_keeps_correlations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from harmonic.datasets import Dataset

    write("add-generator", folder)
    from gaussian_copula import GaussianCopula

    random = np.random.default_rng(0)
    x = random.normal(size=600)
    frame = pd.DataFrame({"x": x, "y": x + 0.3 * random.normal(size=600), "c": np.where(x > 0, "up", "down")})
    frame.round(3).to_csv("t.csv", index=False)
    splits = Dataset(name="t", path="t.csv", target="c").load(0)
    for shrink, low, high in ((0.0, 0.85, 1.0), (0.9, -0.1, 0.3)):
        model = GaussianCopula(shrink=shrink)
        model.fit(splits, seed=0, prepared=folder, directory=folder)
        model.load(splits, prepared=folder, directory=folder)
        rows = model.sample(500, seed=1, directory=folder).frame
        splits.schema.conform(rows)
        assert low < rows["x"].corr(rows["y"], method="spearman") < high


def test_a_metric_is_a_class_and_a_file(command: Callable[..., Any], folder: Path) -> None:
    write("add-metric", folder)
    words = told("add-metric", "--config-dir mine generator=smote 'evaluator=[fidelity,repeats]'")
    done = command(*words, *SMALL, "generator=copy", "n_samples=900")
    assert done.code == 0, done.err
    found = report(done.out)
    rows = found["rows"]
    assert found["metrics"]["repeats"] == pytest.approx(1 - rows["train"] / 900)  # each training row comes, and again
    assert found["metrics"]["repeats_real"] == 0 and found["stage_versions"]["evaluate_repeats"] == 1
    assert "repeats" in done.out
    card = (Path(found["folder"]) / "privacy_card.md").read_text(encoding="utf-8")
    assert re.search(r"^\| repeats \| 0\.\d+ \| → 0 \| share of rows that are equal", card, re.MULTILINE)
    make_report([Path("out")], Path("tables"), formats=["markdown", "data"])
    assert "repeats ↓" in Path("tables/tables.md").read_text(encoding="utf-8")
    told_of = pd.read_csv("tables/runs.csv").set_index("metric").loc["repeats"]
    assert not told_of["higher_is_better"] and told_of["ideal"] == 0


def test_a_row_format_is_one_file(command: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harmonic.prompts import row_formats

    (path,) = write("add-row-format", folder, most=1)
    monkeypatch.setattr(row_formats, "__path__", [*row_formats.__path__, str(path.parent)])
    form = find_row_format("sentences", SCHEMA)
    row = {"age": 48, "dose": 10.0, "city": "Bern", "ill": "1"}
    text = row_text(row, SCHEMA, form="sentences")
    assert text == "age is 48; dose is 10.0; city is Bern; ill is 1"
    assert form.parse(f"{text}\nmore", SCHEMA.names) == row
    for wrong, reason in (("", "unknown_column"), ("age is 48", "missing_column"), (f"{text}; age is 1", "repeated")):
        with pytest.raises(InvalidAnswer, match=reason):
            form.parse(wrong, SCHEMA.names)
    for recipe in ("harmonic_dense", "harmonic"):
        words = [*told("add-row-format", "generator.row_format=sentences"), f"generator={recipe}"]
        done = command(*words, *SMALL, "n_samples=3", "stage=sample", "generator.sampling.mode=constrained")
        assert done.code == 0, done.err
        folder_of = Path(report(done.out)["folder"])
        assert len(pd.read_csv(folder_of / "synthetic.csv")) == 3
        assert "Outcome is " in (folder_of / "prompts" / "train.jsonl").read_text(encoding="utf-8")
