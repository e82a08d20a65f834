"""The instruction's wording, and what stands around a list of rows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from prompt_tables import SCHEMA, tuning_set

from harmonic.prompts.instruction import instruction, question, row_list
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.table import Table, Task

JSON, COMPACT = find_row_format("json", SCHEMA), find_row_format("compact", SCHEMA)


def test_a_tuning_prompt_reads_as_published() -> None:
    frame = pd.DataFrame({"age": [30, 31, 60], "dose": [1.0, 1.5, 9.0], "city": ["Bern"] * 3, "ill": ["1", "1", "0"]})
    table = Table(SCHEMA.conform(frame), SCHEMA)
    prompt = tuning_set(table, k=2)[0]
    assert prompt.prompt == (
        "Here are 2 tabular data about patients, each containing 3 columns of features and 1 column of labels, "
        "where the ill column is a binary classification label. I will transmit the data to you in JSON format. "
        "Please generate an approximate sample based on these 2 examples.\n"
        'Example one: {"age": "31", "dose": "1.5", "city": "Bern", "ill": "1"}\n'
        'Example two: {"age": "60", "dose": "9.0", "city": "Bern", "ill": "0"}\n'
        "Generate one sample: "
    )
    assert prompt.completion == '{"age": "30", "dose": "1.0", "city": "Bern", "ill": "1"}'
    assert prompt.rows == (1, 2)


def test_examples_are_numbered_in_words_to_twenty_then_in_digits() -> None:
    _, before, _ = instruction(JSON, 22, SCHEMA.names)
    assert [text.split()[1] for text in before][:5] == ["one:", "two:", "three:", "four:", "five:"]
    assert [text.split()[1] for text in before][18:] == ["nineteen:", "twenty:", "21:", "22:"]


def test_values_alone_are_announced_with_the_order_of_their_columns() -> None:
    head, _, _ = instruction(COMPACT, 2, ["ill", "age", "dose", "city"])
    assert "transmit the data to you in lines of values separated by |, in the order ill|age|dose|city. Please" in head
    prompt = question(COMPACT, [("1|30|1.0|Bern", 4, (3, 0, 1, 2))], ("0|31|2.0|Bern", 5, (3, 0, 1, 2)), (3, 0, 1, 2))
    assert "ill|age|dose|city" in prompt.prompt and prompt.prompt.endswith(
        "\nExample one: 1|30|1.0|Bern\nGenerate one sample: "
    )
    assert prompt.completion == "0|31|2.0|Bern" and (prompt.rows, prompt.learnt_rows) == ((4,), (5,))


@pytest.mark.parametrize("form", [JSON, COMPACT])
def test_without_examples_a_row_of_the_table_is_asked_for(form) -> None:
    prompt = question(form, [], None, None)
    assert prompt.prompt.startswith("Rows about patients contain 3 columns of features and 1 column of labels")
    assert "example" not in prompt.prompt.lower().replace("for example", "") and "0 tabular" not in prompt.prompt
    assert prompt.prompt.endswith("\nGenerate one sample: ") and prompt.rows == () and prompt.completion == ""


def test_a_table_without_a_target_has_features_alone() -> None:
    head, _, _ = instruction(find_row_format("json", replace(SCHEMA, target="", task=Task.NONE)), 1, SCHEMA.names)
    assert "each containing 4 columns of features. I will" in head


def test_a_list_is_a_line_a_row_under_one_header_where_rows_do_not_name_their_columns() -> None:
    order = (3, 0, 2, 1)
    shown, learnt = [("1|30|Bern|1.0", 0, order)], [("0|31|Bern|2.0", 2, order), ("0|9|Bern|2.5", 1, order)]
    prompt = row_list(COMPACT, shown, learnt, order)
    assert prompt.prompt == "Rows about patients.\nill|age|city|dose\n1|30|Bern|1.0\n"
    assert prompt.completion == "0|31|Bern|2.0\n0|9|Bern|2.5\n"
    assert prompt.document and prompt.order == order and (prompt.rows, prompt.learnt_rows) == ((0,), (2, 1))
    assert row_list(JSON, [], [('{"ill": "1"}', 0, order)], order).prompt == "Rows about patients.\n"
