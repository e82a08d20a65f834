"""Categories as letters: there and back to the letter, conditions too, and columns that gain nothing left alone."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.tables.codes.coding import Coding
from harmonic.tables.codes.letters import SHORT, LetterCodes, letters_of
from harmonic.tables.columns import Column, Kind
from harmonic.tables.conditions import read_conditions, satisfying
from harmonic.tables.table import Schema, Table, Task


def category(name: str, texts: list[str], missing: str | None = None) -> Column:
    return Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(texts)), missing=missing)


def table_of(*columns: Column, rows: list[list[object]]) -> Table:
    schema = Schema(columns=columns, target=columns[0].name, task=Task.BINARY, description="jobs")
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    return Table(schema.conform(frame), schema)


JOB = category("job", ["clerk", "nurse", "retired"], missing="?")
AGE = Column(name="age", kind=Kind.INTEGER, minimum=0, maximum=99)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.text(min_size=3, max_size=12), min_size=2, max_size=52, unique=True), st.data())
def test_every_category_comes_back_and_so_does_a_missing_one(texts: list[str], data: st.DataObject) -> None:
    texts = [text for text in texts if text != "?"]
    column = category("job", texts, missing="?")
    rows = [[value] for value in data.draw(st.lists(st.sampled_from([*texts, None]), min_size=1, max_size=20))]
    table = table_of(column, rows=rows)
    codes = LetterCodes.of(table.schema)
    coded = codes.encode(table)
    assert {len(str(value)) for value in coded.frame["job"].dropna()} <= {1}
    assert set(coded.frame["job"].dropna()) <= set(coded.schema["job"].categories)
    pd.testing.assert_frame_equal(codes.decode(coded.frame), table.frame)


@pytest.mark.parametrize(
    ("texts", "coded"),
    [
        (["no", "yes"], True),  # 2.5 characters on average
        (["f", "m"], False),
        (["ab", "cd"], False),
        ([f"country {number}" for number in range(52)], True),
        ([f"country {number}" for number in range(53)], False),
    ],
)
def test_short_texts_and_too_many_stay_as_they_are(texts: list[str], coded: bool) -> None:
    letters = letters_of(category("job", texts))
    assert bool(letters) is coded
    assert SHORT == 2
    assert len(set(letters.values())) == len(letters)


def test_a_letter_that_means_a_missing_value_is_passed_over() -> None:
    letters = letters_of(category("job", ["clerk", "nurse"], missing="A"))
    assert letters == {"clerk": "B", "nurse": "C"}


def test_a_value_without_a_letter_stays_as_it_is() -> None:
    codes = LetterCodes.of(table_of(JOB, AGE, rows=[["clerk", 3]]).schema)
    frame = pd.DataFrame({"job": ["pilot", "nurse"], "age": [1, 2]})
    assert codes.decode(frame)["job"].tolist() == ["pilot", "nurse"]


def test_conditions_hold_on_the_codes_as_on_the_rows() -> None:
    table = table_of(JOB, AGE, rows=[[job, age] for age, job in enumerate(["clerk", "nurse", None, "retired"] * 9)])
    coding = Coding.of(table, "quantiles", "letters")
    conditions = read_conditions(table, {"job": ["nurse", "?"]}, {"age": [5, 20]})
    coded = coding.encode(table)
    assert coded.schema["job"].categories == ("A", "B", "C")
    held = satisfying(coded.frame, coding.conditions(conditions))
    assert (held == satisfying(table.frame, conditions)).all()
    assert held.any()
    decoded = coding.decode(coded.frame[held], 0, conditions)
    assert satisfying(decoded, conditions).all()


def test_numbers_and_categories_as_texts_leave_the_table_alone() -> None:
    table = table_of(JOB, AGE, rows=[["clerk", age] for age in range(40)])
    coding = Coding.of(table, "text", "text")
    assert coding.encode(table) is table
    assert coding.coded == table.schema
