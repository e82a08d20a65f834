"""harmonic.prompts.row_formats.json: a row survives its text, and any answer is a row or says why it is none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prompt_tables import SCHEMA, schemas_and_rows
from row_texts import row_text

from harmonic.prompts.row_format import InvalidAnswer, RowTexts
from harmonic.prompts.row_formats.json import JsonRows
from harmonic.tables.table import Column, Kind, Schema, Table, Task

JSON = JsonRows(SCHEMA)


@settings(deadline=None)
@given(schemas_and_rows(), st.randoms(use_true_random=False), st.sampled_from(["", "Sure:\n", "Here {it} is: "]))
def test_a_row_survives_text_and_back_in_any_column_order(
    drawn: tuple[Schema, dict[str, int | float | str]], random: object, before: str
) -> None:
    schema, row = drawn
    order = schema.names
    random.shuffle(order)  # type: ignore[attr-defined]
    text = row_text(row, schema, order)
    assert list(json.loads(text)) == order
    found = JsonRows(schema).parse(f"{before}{text}\nDone }}")
    assert found == row and list(found) == schema.names
    assert [type(value) for value in found.values()] == [type(value) for value in row.values()]


pieces = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.sampled_from(["{", "}", '"', ":", ", ", "[", "]", "NaN", "null", "-1", "1e999", "٣", "\\u12", "\ud800"]),
        st.sampled_from(['"age": "4"', '"dose": "1e5"', '"city": "Bern"', '"ill": "1"', '"age": ', "1" * 5000]),
    ),
    max_size=20,
).map("".join)


@settings(deadline=None, max_examples=500)
@given(st.one_of(st.text(), pieces, pieces.map(lambda text: "{" + text + "}")))
@example('{"age":' * 3000)
@example('{"age": ' + "[" * 30000)
@example('{"age": "' + "9" * 30000 + '", "dose": "1", "city": "Bern", "ill": "1"}')
@example('{"age": ' + "9" * 30000 + ', "dose": 1, "city": "Bern", "ill": "1"}')
def test_any_text_gives_a_row_of_the_schema_or_invalid_answer(text: str) -> None:
    try:
        row = JSON.parse(text)
    except InvalidAnswer as error:
        assert error.reason.isidentifier()
    else:
        assert len(SCHEMA.conform(pd.DataFrame([row]))) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_json"),
        ("I cannot do that.", "no_json"),
        ('{"age": "4", "dose": "1.5", "city": "Bern", "ill": "1"', "malformed_json"),
        ("{age: 4}", "malformed_json"),
        ("{}", "missing_column"),
        ('{"age": "4", "dose": "1.5", "city": "Bern"}', "missing_column"),
        ('{"age": "4", "age": "4", "dose": "1.5", "city": "Bern", "ill": "1"}', "repeated_column"),
        ('{"age": "4", "dose": "1.5", "city": "Bern", "ill": "1", "name": "x"}', "unknown_column"),
        ('{"age": "4", "dose": "1.5", "city": "Rome", "ill": "1"}', "unknown_category"),
        ('{"age": "4.5", "dose": "1.5", "city": "Bern", "ill": "1"}', "not_an_integer"),
        ('{"age": "4", "dose": "much", "city": "Bern", "ill": "1"}', "not_a_number"),
        ('{"age": "4", "dose": NaN, "city": "Bern", "ill": "1"}', "not_a_number"),
        ('{"age": "4", "dose": "1e999", "city": "Bern", "ill": "1"}', "not_a_number"),
        ('{"age": "4", "dose": null, "city": "Bern", "ill": "1"}', "not_text"),
        ('{"age": "4", "dose": {"a": "b"}, "city": "Bern", "ill": "1"}', "not_text"),
        ('{"age": "4", "dose": ["1.5"], "city": "Bern", "ill": "1"}', "not_text"),
        ('{"age": true, "dose": "1.5", "city": "Bern", "ill": "1"}', "not_text"),
    ],
)
def test_an_answer_that_is_no_row_says_why(text: str, reason: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        JSON.parse(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"age": "4", "dose": "1.5", "city": "Bern", "ill": "1"}',
        '{"age": 4, "dose": 1.5, "city": "Bern", "ill": 1}',
        '{"ill":"1","city":"Bern","dose":" 1.50 ","age":"4.0"}',
        'Sample {one}: {"ill": "1", "city": "Bern", "dose": "1.5", "age": "4"} {"ill": "0"} and so on',
    ],
)
def test_the_first_object_is_the_row_whatever_its_order_and_surroundings(text: str) -> None:
    assert JSON.parse(text) == {"age": 4, "dose": 1.5, "city": "Bern", "ill": "1"}


def test_many_rows_are_rendered_as_one_row_is() -> None:
    names = ['na"me', "😀", "x\ny"]
    columns = (
        Column(name=names[0], kind=Kind.FLOAT, decimals=2),
        Column(name=names[1], kind=Kind.CATEGORY, categories=("{é}", '"')),
        Column(name=names[2], kind=Kind.INTEGER),
    )
    schema = Schema(columns=columns, target=names[2], task=Task.REGRESSION, description="odd things")
    frame = pd.DataFrame({names[0]: [0.0, -0.0, 1e-7], names[1]: ["{é}", '"', '"'], names[2]: [-1, 0, 10**15]})
    table = Table(schema.conform(frame), schema)
    rows_as_dicts: list[dict] = table.frame.to_dict("records")
    rows, orders = np.array([2, 0, 1, 2]), np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]])
    expected = [
        row_text(rows_as_dicts[row], schema, [names[place] for place in order])
        for row, order in zip(rows, orders, strict=True)
    ]
    assert RowTexts(table, JsonRows(schema)).render(rows, orders) == expected
    assert RowTexts(table, JsonRows(schema)).render(rows[:1]) == [row_text(rows_as_dicts[2], schema)]
