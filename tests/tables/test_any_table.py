"""A stranger's table through the whole run: .venv/bin/pytest tests/tables/test_any_table.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from messy import messy
from visits import visits
from whole_runs import harmonic, report_of

from harmonic.errors import DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    messy().drop_duplicates("patient_id").to_csv(tmp_path / "messy.csv", index=False)
    return tmp_path / "messy.csv"


def run(table: Path, *overrides: str) -> Path:
    given = ("dataset=csv", f"dataset.path={table}", "evaluator=fidelity")
    return harmonic(table.parent / "outputs", *given, *overrides, base=("llm=tiny", "scale=smoke", "tracker=off"))


def texts(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def check(real: pd.DataFrame, made: pd.DataFrame) -> None:
    """The synthetic file is like the real one in everything that can be checked cell by cell."""
    assert list(made) == list(real)
    for name in ("patient_id", "key"):
        assert made[name].is_unique and not set(made[name]) & set(real[name])
    assert made["key"].str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    assert (made["notes"] == "").all() and (made["empty"] == "").all() and (made["constant"] == "X").all()
    assert set(made["smoker"]) <= {"True", "False"}
    for name, form in {
        "age": r"\d+|", "income": r"\d+\.\d{1,2}", "admitted": r"\d{4}-\d\d-\d\d|", "score": r"-?\d+\.\d{1,3}|",
        "seen": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "zip": r"\d{5}|",
    }.items():  # fmt: skip
        assert [text for text in made[name] if not re.fullmatch(form, text)] == []
    pd.to_datetime(made["admitted"]), pd.to_datetime(made["seen"])


def test_the_synthetic_file_has_the_shape_of_the_real_one(table: Path) -> None:
    folder = run(table, "dataset.target=churn", "generator=marginals", "n_samples=400")
    real, made = texts(table), texts(folder / "synthetic.csv")
    check(real, made)
    for name in ("age", "score", "admitted", "zip"):
        share = (real[name] == "").mean()
        assert abs((made[name] == "").mean() - share) < 4 * np.sqrt(share * (1 - share) * (1 / 400 + 1 / 70))


def test_harmonic_writes_such_rows_itself(table: Path) -> None:
    folder = run(
        table, "dataset.target=churn", "generator=harmonic", "n_samples=4", "generator.sampling.mode=constrained"
    )
    check(texts(table), texts(folder / "synthetic.csv"))
    prompt = json.loads((folder / "prompts" / "sample.jsonl").read_text().splitlines()[0])["prompt"]
    assert "patient_id" not in prompt and "notes" not in prompt
    assert re.search(r'"admitted": "20\d\d-\d\d-\d\d"', prompt)
    assert '""' in prompt  # a missing value


@pytest.mark.parametrize("generator", ["smote", "copy", "privbayes"])
def test_other_generators_take_such_a_table_too(table: Path, generator: str) -> None:
    made = texts(run(table, "dataset.target=churn", f"generator={generator}") / "synthetic.csv")
    check(texts(table), made)


def test_without_a_target_utility_is_skipped_and_said_so(table: Path) -> None:
    overrides = ("evaluator=full", "generator=smote", "~evaluator.membership_inference")
    report = report_of(run(table, "dataset.target=null", *overrides))
    assert report["status"] == "done"
    for name in ("machine_learning_efficacy", "language_model_effectiveness"):
        assert "dataset.target=null" in report["unavailable"][name]
    assert not any(name.startswith(("mle/", "lle/")) for name in report["metrics"])
    assert report["metrics"]["column_shapes"] > 0.5 and report["metrics"]["nrs"] > 0.9


def test_parquet_comes_back_as_parquet(tmp_path: Path) -> None:
    real = messy().drop(columns="empty")
    real.to_parquet(tmp_path / "messy.parquet")
    folder = run(tmp_path / "messy.parquet", "dataset.target=churn", "generator=smote", "n_samples=60")
    made = pd.read_parquet(folder / "synthetic.parquet")
    pd.testing.assert_series_equal(made.dtypes, real.dtypes)
    assert made["age"].isna().any() and not made["churn"].isna().any()


def test_columns_are_shown_before_a_run(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(table, "dataset.target=churn", "generator=copy", "dataset.kinds={zip: drop}")
    shown = capsys.readouterr().out
    for line in (
        r"patient_id\s.*identifier",
        r"admitted\s.*date\s.*2020",
        r"notes\s.*text",
        r"zip\s.*drop\s.*left out",
    ):
        assert re.search(line, shown)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,4\n", "2 rows are too few"),
        ("a,b\n1,2\n", "no column is left"),
        ("a,b\n" + "1,\n" * 30, "no column is left to learn from(.|\n)*'a' is constant(.|\n)*'b' is constant"),
        ("a\n1\n2\n", "only one column"),
        ("a,b\n", "no rows"),
        ("id,b\n" + "".join(f"{n},x\n" for n in range(30)), "no column is left"),
    ],
)
def test_what_cannot_be_learnt_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "table.csv", "generator=copy")


def test_sixty_columns_go_through(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {f"measure {n}": draw.normal(size=60).round(2) for n in range(58)}
    pd.DataFrame({**columns, "word": draw.choice(list("ab"), 60), "y": draw.choice(list("pq"), 60)}).to_csv(
        tmp_path / "wide.csv", index=False
    )
    small = ("n_samples=2", "generator.neighbors.k=1", "generator.filter=false")
    folder = run(tmp_path / "wide.csv", "dataset.target=y", *small)
    assert texts(folder / "synthetic.csv").shape == (2, 60)


def test_five_hundred_categories_go_through(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"city {n}" for n in range(500)]
    frame = pd.DataFrame(
        {"city": draw.permutation(names * 2), "x": draw.random(1000), "y": draw.choice(list("pq"), 1000)}
    )
    frame.to_csv(tmp_path / "cities.csv", index=False)
    folder = run(tmp_path / "cities.csv", "dataset.target=y", "n_samples=8", "generator.sampling.mode=constrained")
    assert set(texts(folder / "synthetic.csv")["city"]) <= set(names)


def test_rows_of_one_person_are_told_in_the_dry_run_the_report_and_the_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = visits(tmp_path / "visits.csv")
    size = f"'patient' names 60 people or things in {len(pd.read_csv(table))} rows"
    run(table, "dataset.target=back", "generator=marginals", "dry_run=true")
    assert re.search(f"note: column {size} .* rows are taken as independent", capsys.readouterr().out)
    folder = run(table, "dataset.target=back", "generator=marginals", "evaluator=privacy")
    assert f"rows: column {size}" in capsys.readouterr().out
    people = report_of(folder)["people"]
    assert (people["column"], people["people"]) == ("patient", 60)
    assert (
        "are of 60 people or things (column patient) and are treated as independent"
        in (folder / "privacy_card.md").read_text()
    )
