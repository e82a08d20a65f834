"""What generators are told of columns: what the training rows show, what the user says, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import parted
import pytest
from messy import messy
from shop import orders

from harmonic.datasets import Dataset
from harmonic.generators.ruled import fitted_to
from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.languages import column_language
from harmonic.tables.reading.declared import Declared
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task
from harmonic.tables.training_view import for_generators, to_score, training_schema


def birds(folder: Path, **settings: object) -> Splits:
    given = {"name": "birds", "target": "nests", "missing": "keep", "rules": "auto"} | settings
    return Dataset(data_dir=str(parted.write(folder)), **given).load(0)  # type: ignore[arg-type]


def test_generators_see_the_training_rows_values_and_the_files_form(tmp_path: Path) -> None:
    splits = birds(tmp_path)
    told, whole = for_generators(splits).schema, splits.schema
    assert told["bird"].categories == ("finch", "gull", "tern")
    assert whole["bird"].categories == ("finch", "gull", "teal", "tern", "veery")
    assert told["site"].categories == ("north",)
    assert (told["depth"].minimum, told["depth"].maximum, whole["depth"].maximum) == (5, 5, 7)
    assert told["count"].maximum <= 9 < whole["count"].maximum
    assert (told["weight"].kind, whole["weight"].kind) == (Kind.INTEGER, Kind.FLOAT)
    assert (told["size"].decimals, whole["size"].decimals) == (1, 3)
    assert told["ring"].missing is None and told["note"].missing is None and whole["ring"].missing == ""
    assert told["seen"].date_format == whole["seen"].date_format == "%Y-%m-%d"
    assert (told.names, told.target, told.task) == (whole.names, whole.target, whole.task)
    assert for_generators(splits).whole_schema == whole


def test_of_all_rows_generators_are_told_all_that_was_read(shop: Table) -> None:
    """Else a table without held-out rows would be learnt otherwise than it was typed."""
    dtypes = FrameDtypes.of(messy())
    table = Dataset(name="t", target="churn", missing="keep").typed(dtypes.texts(messy()), dtypes)[0]
    for typed in (table, shop):
        assert training_schema(typed) == typed.schema


@pytest.fixture
def shop() -> Table:
    return Dataset(name="t", target="paid").typed(pd.DataFrame(orders()).astype(str))[0]


@pytest.mark.parametrize("name", ["diabetes", "german"])
def test_of_a_packaged_table_no_text_of_a_training_row_changes(name: str) -> None:
    splits = Dataset(name=name, source="packaged", target={"diabetes": "Outcome", "german": "status"}[name]).load(0)
    given = for_generators(splits)
    pd.testing.assert_frame_equal(given.train.texts(), splits.train.texts())
    scored = to_score(given, splits.test.frame)
    pd.testing.assert_frame_equal(scored.texts(), splits.test.texts())
    pd.testing.assert_frame_equal(to_score(given, splits.train.frame).texts(), given.train.texts())


def test_what_the_user_declares_is_public(tmp_path: Path) -> None:
    columns = tmp_path / "columns.yaml"
    columns.write_text("bird: {kind: category, categories: [finch, gull, teal, tern, veery, wren]}\nsize: float\n")
    splits = birds(tmp_path, columns=str(columns), kinds={"weight": "float"})
    told = for_generators(splits).schema
    assert told["bird"].categories == ("finch", "gull", "teal", "tern", "veery", "wren")
    assert (told["weight"].kind, told["weight"].decimals, told["weight"].style) == (Kind.FLOAT, 0, Style.PLAIN)
    assert (told["size"].kind, told["size"].decimals) == (Kind.FLOAT, 1)  # its kind alone was given
    assert told["site"].categories == ("north",)


def test_a_held_out_row_has_its_own_text_to_be_scored_by(tmp_path: Path) -> None:
    splits = birds(tmp_path)
    given = for_generators(splits)
    texts = to_score(given, splits.test.frame).texts()
    assert texts.equals(parted.parts()["test"])
    assert to_score(given, splits.train.frame).texts().equals(given.train.texts())


def number(**settings: object) -> Column:
    return Column(**{"name": "x", "kind": Kind.FLOAT, "minimum": 0.0, "maximum": 9.5, "decimals": 1, **settings})  # type: ignore[arg-type]


def shown(column: Column, values: list[float | None]) -> Column:
    schema = Schema(columns=(column,), target="", task=Task.NONE, description="numbers")
    return training_schema(Table(schema.conform(pd.DataFrame({"x": values})), schema))["x"]


def test_whole_numbers_are_integers_where_their_texts_are() -> None:
    plain = shown(number(style=Style.PLAIN), [1.0, 4.0])
    assert (plain.kind, plain.format(4)) == (Kind.INTEGER, "4")
    shortest = shown(number(), [1.0, 4.0])
    assert (shortest.kind, shortest.decimals, shortest.format(4.0)) == (Kind.FLOAT, 0, "4.0")
    fixed = shown(number(style=Style.FIXED, decimals=2), [1.0, 4.0])
    assert (fixed.kind, fixed.decimals, fixed.format(4.0)) == (Kind.FLOAT, 2, "4.00")
    assert shown(number(style=Style.PLAIN), [1e17, 4.0]).kind is Kind.FLOAT  # written 1e+17


def test_a_gap_is_a_value_that_some_rows_have() -> None:
    assert shown(number(missing="?"), [1.5, 2.5]).missing is None
    assert shown(number(missing="?"), [1.5, None]).missing == "?"
    assert shown(number(missing="?"), [None, None]) == number(missing="?")  # nothing is known of it


def test_a_number_that_never_changes_is_the_only_text_of_its_column() -> None:
    assert column_language(number(minimum=5, maximum=5, kind=Kind.INTEGER)) == "5"
    assert column_language(number(minimum=5.5, maximum=5.5, missing="NA")) == r"5\x{2e}5|NA"
    assert column_language(number(minimum=5, maximum=6, kind=Kind.INTEGER)) == "[0-9]"


def test_rules_are_told_of_training_rows_and_measured_on_all(tmp_path: Path, shop: Table) -> None:
    order = np.random.default_rng(0).permutation(len(shop))
    wide = replace(shop.schema, columns=tuple(
        replace(column, maximum=column.maximum * 10) if column.name == "freight" else column
        for column in shop.schema.columns
    ))  # fmt: skip
    parts = [Table(shop.frame.iloc[rows].reset_index(drop=True), wide) for rows in np.split(order, [200, 250])]
    rules, _ = Dataset(name="t", target="paid", rules="auto").rules_of(parts[0], parts[1:])
    assert rules is not None and rules.schema == wide
    given = for_generators(Splits(*parts, rules=rules, declared=Declared({}, {})))
    assert given.rules is not None and given.rules.schema == given.schema
    assert given.schema["freight"].maximum < wide["freight"].maximum
    reduced = given.reduced(given.rules)
    assert reduced.schema == given.rules.reduced
    assert reduced.whole_schema["freight"] == wide["freight"]
    assert reduced.schema["sent after placed"].maximum <= given.schema["sent"].maximum - given.schema["placed"].minimum


def test_real_rows_are_given_as_they_are(tmp_path: Path) -> None:
    from baselines.anchors import RealRows

    splits = birds(tmp_path)
    anchor = RealRows(rows="holdout")
    assert fitted_to(anchor, for_generators(splits)) is anchor


def test_training_rows_without_cents_are_written_as_the_file_is() -> None:
    column = Column(name="price", kind=Kind.FLOAT, minimum=1, maximum=9, decimals=2, style=Style.MONEY)
    other = Column(name="size", kind=Kind.INTEGER, minimum=1, maximum=2)
    schema = Schema(columns=(column, other), target="", task=Task.NONE, description="goods")
    told = training_schema(Table(pd.DataFrame({"price": [3.0, 2.5], "size": [1, 2]}), schema))["price"]
    assert (told.style, told.decimals, told.format(2.5), told.format(3.0)) == (Style.MONEY, 2, "2.50", "3")
