"""Tables with missing values, imputed and restored: .venv/bin/pytest tests/tables/test_missing_values.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.generators.imputed import imputed
from harmonic.tables.column_types.kinds import type_table
from harmonic.tables.columns import Column, Kind
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task

TEXTS = pd.DataFrame(
    {
        "age": ["30", "", "50", "41", "", "7"],
        "size": ["1.5", "2.25", "", "1.5", "0.5", "2.0"],
        "job": ["a", "", "b", "a", "missing", "b"],
        "day": ["2024-01-31", "2024-02-29", "", "2023-12-01", "2024-01-31", "2024-01-01"],
        "y": ["no", "yes", "no", "yes", "no", "yes"],
    },
    dtype=object,
)


def table(target: str | None = "y") -> Table:
    frame, schema, _ = type_table(TEXTS, target=target, gaps=TEXTS == "")
    return Table(frame, schema)


def test_missing_values_are_typed_and_written_as_they_were() -> None:
    rows = table()
    assert rows.frame["age"].dtype == np.float64 and rows.frame["age"].isna().tolist() == (TEXTS["age"] == "").tolist()
    assert rows.frame["job"][1] is None
    pd.testing.assert_frame_equal(rows.texts(), TEXTS)
    pd.testing.assert_frame_equal(rows.schema.conform(rows.frame), rows.frame)


def test_imputed_tables_miss_no_value_and_come_back() -> None:
    rows = table()
    imputation = Imputation.of(rows)
    whole = imputation.table(rows)
    assert not whole.frame.isna().any(axis=None)
    assert whole.schema.names == [*rows.schema.names, "age missing", "size missing", "day missing"]
    assert whole.frame["age"].tolist() == [30, 36, 50, 41, 36, 7]  # 35.5, a whole number
    assert whole.frame["age missing"].tolist() == ["given", "missing", "given", "given", "missing", "given"]
    assert whole.frame["job"].tolist() == ["a", "missing_", "b", "a", "missing", "b"]  # "missing" is a real job
    pd.testing.assert_frame_equal(whole.schema.conform(whole.frame), whole.frame)
    pd.testing.assert_frame_equal(imputation.restore(whole.frame), rows.frame)


def test_drawn_values_are_real_ones_and_equal_rows_are_imputed_equally_without() -> None:
    rows = table()
    imputation = Imputation.of(rows)
    drawn = imputation.frame(rows.frame, drawn=True)
    assert set(drawn["age"]) <= set(rows.frame["age"].dropna())
    pd.testing.assert_frame_equal(drawn, imputation.frame(rows.frame, drawn=True))
    pd.testing.assert_frame_equal(imputation.restore(drawn), rows.frame)
    back = rows.take([5, 4, 3, 2, 1, 0])
    pd.testing.assert_frame_equal(imputation.table(back).frame, imputation.table(rows).take([5, 4, 3, 2, 1, 0]).frame)


def test_a_whole_table_needs_no_imputation() -> None:
    rows = table().take([0, 3])
    columns = tuple(
        Column(name=c.name, kind=c.kind, categories=c.categories, decimals=c.decimals) for c in rows.schema.columns
    )
    schema = Schema(columns=columns, target="y", task=Task.BINARY, description="")
    assert not Imputation.of(Table(schema.conform(rows.frame), schema)).needed


def test_a_table_without_target_gets_a_stand_in() -> None:
    rows = table(target=None)
    assert rows.schema.task is Task.NONE and not rows.schema.has_target
    assert [column.name for column in rows.schema.features] == rows.schema.names
    whole = Imputation.of(rows)
    assert whole.imputed.target == "y" and whole.imputed.task is Task.BINARY
    pd.testing.assert_frame_equal(whole.restore(whole.frame(rows.frame)), rows.frame)


@pytest.mark.parametrize(
    ("kinds", "target"), [([Kind.FLOAT, Kind.INTEGER], "1"), ([Kind.CATEGORY, Kind.CATEGORY], "1")]
)
def test_the_stand_in_is_the_last_that_fits(kinds: list[Kind], target: str) -> None:
    columns = tuple(
        Column(name=str(place), kind=kind, categories=tuple("abc") if kind is Kind.CATEGORY else ())
        for place, kind in enumerate(kinds)
    )
    schema = Schema(columns=columns, target="", task=Task.NONE, description="")
    rows = Table(pd.DataFrame({c.name: ["a", "b"] if c.categories else [1, 2] for c in columns}), schema)
    assert Imputation.of(Table(schema.conform(rows.frame), schema)).imputed.target == target


def test_generators_that_take_gaps_are_left_alone() -> None:
    class Taker:
        takes_gaps = True

    generator = Taker()
    splits = Splits(table(), table(), table())
    assert imputed(generator, splits) is generator  # type: ignore[arg-type]


def test_an_imputation_reaches_rows_that_have_what_no_training_row_has() -> None:
    own = (
        Column(name="x", kind=Kind.INTEGER, minimum=1, maximum=3),
        Column(name="z", kind=Kind.INTEGER, minimum=1, maximum=3, missing="?"),
        Column(name="c", kind=Kind.CATEGORY, categories=("a", "b"), missing="?"),
    )
    wide = (
        Column(name="x", kind=Kind.FLOAT, minimum=1, maximum=3.5, decimals=1, missing="?"),
        own[1],
        Column(name="c", kind=Kind.CATEGORY, categories=("a", "b", "missing"), missing="?"),
    )
    told, whole = (Schema(columns=columns, target="", task=Task.NONE, description="rows") for columns in (own, wide))
    train = Table(told.conform(pd.DataFrame({"x": [1, 2, 3], "z": [1, 3, None], "c": ["a", None, "b"]})), told)
    imputation = Imputation.of(train)
    reaching = imputation.reaching(whole)
    assert reaching.imputed.names == imputation.imputed.names == ["x", "z", "c", "z missing"]
    rows = whole.conform(pd.DataFrame({"x": [1.5, None], "z": [1, None], "c": ["missing", None]}))
    found = reaching.frame(rows)
    assert found["x"].tolist()[0] == 1.5 and np.isnan(found["x"][1])  # nothing that was learnt stands for it
    assert found["z"].tolist() == [1, 2] and found["z missing"].tolist() == ["given", "missing"]
    assert found["c"].tolist() == ["missing", "missing"]
    pd.testing.assert_frame_equal(reaching.frame(whole.conform(train.frame)).astype(object),
                                  imputation.frame(train.frame).astype(object))  # fmt: skip
