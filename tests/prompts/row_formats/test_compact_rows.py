"""harmonic.prompts.row_formats.compact: values alone, on one line, whatever is in them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prompt_tables import SCHEMA, schemas_and_rows
from row_texts import row_text

from harmonic.errors import ConfigError
from harmonic.prompts.row_format import InvalidAnswer, find_row_format, row_formats
from harmonic.prompts.row_formats.compact import CompactRows, escape, unescape
from harmonic.tables.table import Column, Kind, Schema, Task

COMPACT = CompactRows(SCHEMA)
ORDER = ["ill", "age", "dose", "city"]


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.text("|\\\\pnr\n\r1", max_size=12)))
@example("\\\\p|\r\n\\")
def test_what_is_escaped_is_one_line_without_bars_and_comes_back(text: str) -> None:
    written = escape(text)
    assert not set("|\n\r") & set(written) and unescape(written) == text


@pytest.mark.parametrize("text", ["\\", "a\\", "\\\\\\", "\\q", "\\\n", "\\|", "a\\ b"])
def test_an_escape_that_is_never_written_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnswer, match="unknown_escape"):
        unescape(text)


def test_a_row_reads_as_documented() -> None:
    row = {"age": 48, "dose": 10.0, "city": "Bern", "ill": "1"}
    assert row_text(row, SCHEMA, form="compact") == "48|10.0|Bern|1"
    assert row_text(row, SCHEMA, ORDER, form="compact") == "1|48|10.0|Bern"
    assert COMPACT.header(ORDER) == "ill|age|dose|city\n"
    assert COMPACT.described(ORDER).endswith("in the order ill|age|dose|city")
    odd = Column(name="a|b\nc\\", kind=Kind.CATEGORY, categories=("x|", "\\n"))
    schema = Schema(columns=(odd,), target=odd.name, task=Task.BINARY, description="odd things")
    assert CompactRows(schema).header([odd.name]) == "a\\pb\\nc\\\\\n"
    assert row_text({odd.name: "x|"}, schema, form="compact") == "x\\p"


@settings(deadline=None)
@given(schemas_and_rows(), st.randoms(use_true_random=False), st.sampled_from(["", "\n", "\nand more|\n"]))
def test_a_row_survives_text_and_back_in_any_column_order(
    drawn: tuple[Schema, dict[str, int | float | str]], random: object, after: str
) -> None:
    schema, row = drawn
    order = schema.names
    random.shuffle(order)  # type: ignore[attr-defined]
    text = row_text(row, schema, order, "compact")
    found = CompactRows(schema).parse(text + after, order)
    assert found == row and list(found) == schema.names
    assert [type(value) for value in found.values()] == [type(value) for value in row.values()]


pieces = st.lists(
    st.one_of(st.text(max_size=3), st.sampled_from(["|", "\\", "\n", "1", "Bern", "4.5", "9" * 5000])), max_size=9
)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), pieces.map("".join), pieces.map("|".join)))
def test_any_text_gives_a_row_of_the_schema_or_invalid_answer(text: str) -> None:
    try:
        row = COMPACT.parse(text, ORDER)
    except InvalidAnswer as error:
        assert error.reason.isidentifier()
    else:
        assert len(SCHEMA.conform(pd.DataFrame([row]))) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "number_of_values"), ("1|4|1.5", "number_of_values"), ("1|4|1.5|Bern|", "number_of_values"),
        ("1|4\n|1.5|Bern", "number_of_values"), ("1|4|1.5|Be\\rn|", "number_of_values"),
        ("1|4|1.5|\\Bern", "unknown_escape"), ("1|4|1.5|Rome", "unknown_category"),
        ("1|4.5|1.5|Bern", "not_an_integer"), ("1|4|much|Bern", "not_a_number"),
        ("age|4|1.5|Bern", "unknown_category"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_row_says_why(text: str, reason: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        COMPACT.parse(text, ORDER)
    assert caught.value.reason == reason


def test_formats_are_found_by_their_names() -> None:
    assert row_formats() == ["compact", "json"]
    assert isinstance(find_row_format("compact", SCHEMA), CompactRows)
    with pytest.raises(ConfigError, match=r"generator\.row_format=jsn: (.|\n)*json"):
        find_row_format("jsn", SCHEMA)
