"""Kinds, targets and tasks of text tables: .venv/bin/pytest tests/tables/column_types/test_kinds.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.tables.column_types.kinds import infer_kind, infer_task, type_column, type_table
from harmonic.tables.columns import InvalidValue, Style
from harmonic.tables.table import Kind, Task


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "-3", "+4", "0"], Kind.INTEGER),
        (["999999999999999999"], Kind.INTEGER),  # 18 digits
        (["1234567890123456789"], Kind.CATEGORY),  # 19 digits: as a float it would lose some
        (["1234567890123456789", "1.5"], Kind.CATEGORY),
        (["007", "1"], Kind.CATEGORY),
        (["-01"], Kind.CATEGORY),
        (["00.5"], Kind.CATEGORY),
        (["1", "2.5"], Kind.FLOAT),
        (["10.0", "0.0"], Kind.FLOAT),
        (["1.", ".5", "-0.25", "1e5", "2E-3"], Kind.FLOAT),
        (["1e999"], Kind.CATEGORY),  # not finite
        (["inf", "1.0"], Kind.CATEGORY),
        (["1,5"], Kind.CATEGORY),
        (["1_000"], Kind.CATEGORY),
        (["0x1f"], Kind.CATEGORY),
        (["٣"], Kind.CATEGORY),  # a digit, but not one that a CSV number is written in
        (["1", "?"], Kind.CATEGORY),
        (["A11"], Kind.CATEGORY),
        (["True", "False"], Kind.CATEGORY),
        (["2024-01-31"], Kind.CATEGORY),
    ],
)
def test_kind_follows_from_the_texts(values: list[str], kind: Kind) -> None:
    assert infer_kind(values) is kind


@pytest.mark.parametrize(
    ("values", "kind", "task"),
    [
        (["yes", "no"], None, Task.BINARY),
        (["a", "b", "c"], None, Task.MULTICLASS),
        (["0", "1"], None, Task.BINARY),
        (["0.0", "1.0"], None, Task.BINARY),  # how pandas writes integers beside a missing value
        ([str(n) for n in range(20)], None, Task.MULTICLASS),
        ([str(n) for n in range(21)], None, Task.REGRESSION),
        (["0.5", "1.5"], None, Task.REGRESSION),
        (["007", "008"], None, Task.BINARY),
        ([f"c{n}" for n in range(30)], None, Task.MULTICLASS),
        ([str(n) for n in range(21)], Kind.CATEGORY, Task.MULTICLASS),
        (["0", "1"], Kind.INTEGER, Task.REGRESSION),
    ],
)
def test_task_follows_from_the_target(values: list[str], kind: Kind | None, task: Task) -> None:
    assert infer_task(pd.Series(values * 3), kind) is task


@pytest.mark.parametrize(
    ("texts", "kind", "values", "rendered"),
    [
        (["10.0", "0.0"], None, [10.0, 0.0], ["10.0", "0.0"]),
        (["10", "0"], None, [10, 0], ["10", "0"]),
        (["1.50", "2"], None, [1.5, 2.0], ["1.50", "2"]),
        (["999999999999999999"], None, [999999999999999999], ["999999999999999999"]),
        (["A11", "007"], None, ["A11", "007"], ["A11", "007"]),
        (["007", "8"], "integer", [7, 8], ["7", "8"]),
        (["3.0", "4"], "integer", [3, 4], ["3", "4"]),
        (["3", "4"], "float", [3.0, 4.0], ["3", "4"]),
        (["3.0", "4.0"], "category", ["3.0", "4.0"], ["3.0", "4.0"]),
    ],
)
def test_values_are_typed_and_render(
    texts: list[str], kind: str | None, values: list[object], rendered: list[str]
) -> None:
    column, typed, _ = type_column(pd.Series(texts, name="x"), Kind(kind) if kind else None)
    assert typed.tolist() == values
    assert [column.format(value) for value in typed] == rendered
    assert [column.parse(text) for text in rendered] == values


@pytest.mark.parametrize(
    ("texts", "decimals"),
    [
        (["10.0", "3.0"], 0),
        (["0.285", "1.5"], 3),
        (["1.50"], 2),  # as it is written
        (["1.50", "0.1"], 1),
        (["2.5e-7"], 8),
        (["1e20", "0.5"], 1),
        (["1.0246913580246915"], 16),
    ],
)
def test_decimals_are_those_that_the_numbers_need(texts: list[str], decimals: int) -> None:
    column, typed, _ = type_column(pd.Series(texts, name="x"))
    assert column.decimals == decimals
    assert [column.parse(column.format(value)) for value in typed] == typed.tolist()


@pytest.mark.parametrize(
    ("texts", "style", "again"),
    [
        (["10.0", "0.25"], Style.SHORTEST, None),
        (["10", "0.25"], Style.PLAIN, None),
        (["10.00", "-0.25"], Style.FIXED, None),
        (["337", "12.34", "12.30"], Style.MONEY, None),
        (["1.5", "2.25", "3"], Style.PLAIN, None),
        (["10.50", "0.1"], Style.SHORTEST, ["10.5", "0.1"]),  # no style of its own
        (["4.50", "1.25", "2.5", "3.5", "7.5"], Style.SHORTEST, ["4.5", "1.25", "2.5", "3.5", "7.5"]),  # as most are
        (["4.50", "1.25", "2.50", "3.5", "7.75"], Style.FIXED, ["4.50", "1.25", "2.50", "3.50", "7.75"]),
    ],
)
def test_decimals_are_written_as_the_file_has_them(texts: list[str], style: Style, again: list[str] | None) -> None:
    column, typed, _ = type_column(pd.Series(texts, name="x"))
    assert column.style is style
    assert [column.format(value) for value in typed] == (again or texts)


def test_dates_are_whole_numbers_written_as_dates() -> None:
    texts = ["2024-02-29", "", "1999-12-31"]
    column, typed, _ = type_column(pd.Series(texts, name="x"), gaps=np.array([False, True, False]))
    assert (column.kind, column.date_format, column.missing) == (Kind.INTEGER, "%Y-%m-%d", "")
    assert [column.format(value) for value in typed] == texts
    assert column.parse("2023-02-31") == column.parse("2023-02-28")
    with pytest.raises(InvalidValue, match="not a date"):
        column.parse("soon")


def test_the_most_frequent_text_for_missing_values_stands_for_all() -> None:
    texts = pd.Series(["NA", "", "NA", "5"], name="x")
    column, typed, _ = type_column(texts, gaps=texts.ne("5").to_numpy())
    assert column.missing == "NA" and typed.dtype == np.float64
    assert [column.format(value) for value in typed] == ["NA", "NA", "NA", "5"]
    assert column.parse("NA") is None


def test_an_integer_beside_missing_values_never_loses_digits() -> None:
    long = str(2**53 + 1)
    column, typed, _ = type_column(pd.Series([long, ""], name="x"), gaps=np.array([False, True]))
    assert column.kind is Kind.CATEGORY and typed.tolist() == [long, None]


def test_table_without_target_has_no_task() -> None:
    _, schema, notes = type_table(TOY, target=None)
    assert (schema.target, schema.task) == ("", Task.NONE)
    assert any("dataset.target=null" in note for note in notes)


def test_column_knows_its_range_and_its_categories() -> None:
    number, _, _ = type_column(pd.Series(["3", "-7", "5", "3"], name="x"))
    word, _, _ = type_column(pd.Series(["b", "a", "b"], name="w"))
    assert (number.minimum, number.maximum) == (-7, 5)
    assert word.categories == ("a", "b")


@pytest.mark.parametrize(
    ("texts", "remark"),
    [
        (["1", "1"], "is constant: '1'"),
        (["a", "b", "c"], "a different text in every row"),
        (["1", "2", "3", "?", "1"], "3 of its 4 values are numbers, ['?'] are not"),
        (["007", "008", "007"], "leading zeros"),
        (["a", "b", "a"], None),
        (["1", "2", "3"], None),  # numbers may all differ
        (
            ["4.50", "1.25", "2.5", "3.5"],
            "1 of 4 different numbers in another style than the rest, such as '4.50', which is",
        ),
    ],
)
def test_doubtful_columns_are_remarked(texts: list[str], remark: str | None) -> None:
    remarks = type_column(pd.Series(texts, name="x"))[2]
    assert (remark is None and remarks == []) or (len(remarks) == 1 and str(remark) in remarks[0])


@pytest.mark.parametrize(
    ("texts", "kind", "shown"),
    [(["1", "x"], "integer", "'x'"), (["1.5"], "integer", "'1.5'"), (["x"], "float", "'x'"), (["nan"], "float", "nan")],
)
def test_kind_that_the_values_are_not_is_refused(texts: list[str], kind: str, shown: str) -> None:
    with pytest.raises(ConfigError, match=rf"dataset.kinds={{age: {kind}}}: column 'age' holds .*{shown}"):
        type_column(pd.Series(texts, name="age"), Kind(kind))


TOY = pd.DataFrame(
    {
        "age": ["31", "44", "25", "31"],
        "income": ["1.5", "2.0", "0.25", "3.0"],
        "job": ["a", "b", "a", "b"],
        "status": ["0", "1", "0", "1"],
    },
    dtype=object,
)


def test_table_is_typed_by_its_schema() -> None:
    frame, schema, notes = type_table(TOY, target="status", task="binary classification", description="people")
    assert [column.kind.value for column in schema.columns] == ["integer", "float", "category", "category"]
    assert (schema.target, schema.task, schema.description) == ("status", Task.BINARY, "people")
    assert frame["status"].tolist() == ["0", "1", "0", "1"]  # a class stays the text of the file
    assert [str(kind) for kind in frame.dtypes] == ["int64", "float64", "object", "object"]
    pd.testing.assert_frame_equal(schema.conform(frame), frame)
    assert notes == []


def test_inferred_task_is_noted() -> None:
    _, schema, notes = type_table(TOY, target="status")
    assert schema.task is Task.BINARY
    assert notes == ["task inferred from column 'status': binary classification (2 values)"]


@pytest.mark.parametrize(("target", "kind"), [("age", Kind.INTEGER), ("income", Kind.FLOAT)])
def test_regression_target_is_numeric(target: str, kind: Kind) -> None:
    frame, schema, _ = type_table(TOY, target=target, task="regression")
    assert schema[target].kind is kind
    assert frame[target].dtype.kind in "if"


def test_kinds_override_inference() -> None:
    frame, schema, _ = type_table(TOY, target="status", kinds={"age": "category", "income": "float"})
    assert schema["age"].categories == ("25", "31", "44")
    assert frame["age"].tolist() == ["31", "44", "25", "31"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "stauts"}, r"dataset.target=stauts(.|\n)*did you mean 'status'"),
        ({"task": "binary"}, r"dataset.task=binary: unknown task(.|\n)*known: binary classification, multi"),
        ({"task": "multi classification"}, r"has 2 classes(.|\n)*dataset.task='binary classification'"),
        ({"target": "age", "task": "binary classification"}, r"has 3 classes(.|\n)*dataset.task='multi"),
        ({"target": "job", "task": "regression"}, r"dataset.task=regression: the target 'job' is text, .*'a'"),
        ({"kinds": {"agee": "float"}}, r"dataset.kinds={agee: float}: unknown column .agee.(.|\n)*'age'"),
        (
            {"kinds": {"age": "number"}},
            r"dataset.kinds={age: number}: unknown kind .number.(.|\n)*category, constant, date, drop, float",
        ),
        ({"kinds": {"age": "int"}}, r"unknown kind .int.(.|\n)*did you mean 'integer'"),
        ({"kinds": {"status": "integer"}, "task": "binary classification"}, "dataset.task=regression"),
        ({"kinds": {"age": "category"}, "target": "age", "task": "regression"}, "the target 'age' is text"),
    ],
)
def test_wrong_settings_name_key_and_fix(options: dict[str, object], message: str) -> None:
    settings: dict[str, object] = {"target": "status", **options}
    with pytest.raises(ConfigError, match=message):
        type_table(TOY, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", [None, "regression", "binary classification"])
def test_target_with_one_value_is_refused(task: str | None) -> None:
    with pytest.raises(DataError, match="has only one value, '7'"):
        type_table(TOY.assign(status="7"), target="status", task=task)
