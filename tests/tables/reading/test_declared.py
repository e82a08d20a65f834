"""Columns as a file says what they are: written by a dry run, read back, and nothing inferred from the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from messy import messy
from shop import write_orders

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.tables.reading.declared import read_columns, write_columns


def dataset(path: Path, **settings: Any) -> Dataset:
    return Dataset(path=str(path), missing="keep", **settings)


def told(path: Path, columns: Path, **settings: Any) -> dict[str, Any]:
    """Write what is made of the file's columns; the YAML as it was written."""
    splits = dataset(path, **settings).load(0)
    write_columns(splits.schema, splits.layout, columns)
    read: dict[str, Any] = yaml.safe_load(columns.read_text(encoding="utf-8"))
    return read


def test_what_was_written_is_read_as_the_same_table(tmp_path: Path) -> None:
    messy().to_csv(tmp_path / "messy.csv", index=False)
    before = dataset(tmp_path / "messy.csv").load(0)
    told(tmp_path / "messy.csv", tmp_path / "columns.yaml")
    for setting in ("columns", "kinds"):
        after = dataset(tmp_path / "messy.csv", **{setting: str(tmp_path / "columns.yaml")}).load(0)
        assert after.schema == before.schema
        pd.testing.assert_frame_equal(after.train.frame, before.train.frame)
        assert after.fingerprint() == before.fingerprint()


def test_declared_columns_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    write_orders(tmp_path / "all.csv", 300)
    told(tmp_path / "all.csv", tmp_path / "columns.yaml", target="paid")
    few = pd.read_csv(tmp_path / "all.csv", dtype=str).head(20)
    few.to_csv(tmp_path / "few.csv", index=False)
    whole = dataset(tmp_path / "all.csv", target="paid").load(0).schema
    inferred = dataset(tmp_path / "few.csv", target="paid").load(0).schema
    declared = dataset(tmp_path / "few.csv", target="paid", columns=str(tmp_path / "columns.yaml")).load(0).schema
    assert inferred != whole  # other ranges: twenty rows do not have all values
    assert declared == whole


def test_a_kind_alone_is_read_off_the_rows(tmp_path: Path) -> None:
    write_orders(tmp_path / "shop.csv", 100)
    (tmp_path / "columns.yaml").write_text(
        "count: category\nfreight: {kind: category, minimum: 0, maximum: 40}\nnet: drop\n"
    )
    splits = dataset(tmp_path / "shop.csv", target="paid", columns=str(tmp_path / "columns.yaml")).load(0)
    assert splits.schema["count"].categories == tuple(sorted("12345678"))
    assert not splits.schema["freight"].is_numeric and "net" not in splits.schema.names


def test_the_target_can_be_declared(tmp_path: Path) -> None:
    write_orders(tmp_path / "shop.csv", 100)
    (tmp_path / "columns.yaml").write_text("paid: {kind: category, categories: ['no', 'yes', unknown]}\n")
    settings: dict[str, Any] = {"target": "paid", "columns": str(tmp_path / "columns.yaml")}
    splits = dataset(tmp_path / "shop.csv", **settings).load(0)
    assert splits.schema.task == "multi classification"
    assert any("that no training row has: ['unknown']" in note for note in splits.notes)
    with pytest.raises(ConfigError, match=r"dataset\.task=regression(.|\n)*multi classification"):
        dataset(tmp_path / "shop.csv", task="regression", **settings).load(0)


def test_what_stands_in_no_declaration_is_an_error_with_its_count(tmp_path: Path) -> None:
    write_orders(tmp_path / "shop.csv", 100)
    (tmp_path / "columns.yaml").write_text("city: {kind: category, categories: [Graz, Wien, Linz, Wels]}\n")
    with pytest.raises(
        DataError, match=r"'city' is declared as category, but \d+ of 100 cells are not among its values: 'Steyr'"
    ):
        dataset(tmp_path / "shop.csv", columns=str(tmp_path / "columns.yaml")).load(0)


def test_numbers_beyond_the_declared_range_are_told(tmp_path: Path) -> None:
    write_orders(tmp_path / "shop.csv", 100)
    (tmp_path / "columns.yaml").write_text("count: {kind: integer, minimum: 1, maximum: 4}\n")
    splits = dataset(tmp_path / "shop.csv", columns=str(tmp_path / "columns.yaml")).load(0)
    assert any("values outside of the declared 1 to 4" in note for note in splits.notes)
    assert splits.schema["count"].maximum == 4


def test_texts_that_yaml_would_read_as_something_else_stay_texts(tmp_path: Path) -> None:
    answers = ["yes", "no", "1", "2024-01-01", "null", "1e5", "~"] * 10
    pd.DataFrame({"a": answers, "b": range(70)}).to_csv(tmp_path / "t.csv", index=False)
    settings: dict[str, Any] = {"missing_values": [""], "kinds": {"a": "category"}}
    told(tmp_path / "t.csv", tmp_path / "columns.yaml", **settings)
    assert read_columns(tmp_path / "columns.yaml").columns["a"].categories == tuple(sorted(set(answers)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a, b]", "must be a mapping of columns"), ("cty: category", "unknown column 'cty'(.|\n)*'city'"),
        ("city: categry", "unknown kind 'categry'(.|\n)*'category'"),
        ("city: {kind: category, categoris: [a]}", "unknown key 'categoris'(.|\n)*'categories'"),
        ("city: {categories: [a]}", "does not say what the column is"),
        ("count: {kind: integer, minimum: low, maximum: 3}", "minimum: "), ("city: [", "is not YAML"),
        ("city: {kind: category, categories: [a, a]}", "is there twice"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    write_orders(tmp_path / "shop.csv", 40)
    (tmp_path / "columns.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        dataset(tmp_path / "shop.csv", columns=str(tmp_path / "columns.yaml")).load(0)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    write_orders(tmp_path / "shop.csv", 40)
    with pytest.raises(ConfigError, match="cannot be read as a text file"):
        dataset(tmp_path / "shop.csv", columns=str(tmp_path / "nowhere.yaml")).load(0)
