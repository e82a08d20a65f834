"""GReaT's row texts: as be-great writes and reads them, and beyond where its commas end."""

from __future__ import annotations

import random
from importlib.util import find_spec

import pandas as pd
import pytest
from toys import make_splits, splits_of

from baselines.great.row_text import RowReader, row_texts
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.table import Column, Kind, Schema, Table, Task

needs_great = pytest.mark.skipif(find_spec("be_great") is None, reason="pip install 'harmonic[great]'")


def schema(*columns: Column) -> Schema:
    return Schema(columns=columns, target=columns[-1].name, task=Task.BINARY, description="toys")


def category(name: str, *values: str) -> Column:
    return Column(name=name, kind=Kind.CATEGORY, categories=values)


AGE = Column(name="age", kind=Kind.INTEGER)
AGE_IS = Column(name="age is, in months", kind=Kind.FLOAT, decimals=1)
JOB = category("job", "cook", "cook, chief", " nurse ", "is it")
Y = category("y", "0", "1")
ODD = RowReader(schema(AGE, AGE_IS, JOB, Y))
PLAIN = RowReader(schema(AGE, category("job", "cook", "nurse"), Y))


@needs_great
def test_texts_are_those_of_be_great() -> None:
    from be_great.great_dataset import GReaTDataset

    class Written:
        def __call__(self, text: str, padding: bool) -> str:
            return text

    table = make_splits().train
    dataset = GReaTDataset.from_pandas(table.frame)
    dataset.set_tokenizer(Written())
    before = random.getstate()
    theirs = dataset.__getitems__(list(range(len(table))))
    random.setstate(before)
    for our, their in zip(row_texts(table), theirs, strict=True):
        assert set(our.split(", ")) == set(their.split(", "))
        assert [cell.partition(" is ")[0] for cell in our.split(", ")] == table.schema.names


@needs_great
@pytest.mark.parametrize(
    "text",
    [
        "job is cook, age is 4, y is 1, y is 0",
        "age is 4, some words, y is 1, job is nurse, age is 5, ",
        "y is 1, age is 12 , job is cook, nothing is left",
    ],
)
def test_whole_texts_are_read_as_be_great_reads_them(text: str) -> None:
    from be_great.great_utils import _convert_text_to_tabular_data

    theirs = _convert_text_to_tabular_data([text], PLAIN.schema.names).iloc[0]
    read = PLAIN.read(text, ended=True)
    assert {name: PLAIN.schema[name].format(value) for name, value in read.items()} == theirs.str.strip().to_dict()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0, 3, 1]])
@pytest.mark.parametrize("job", JOB.categories)
def test_rows_survive_the_way_through_text_in_any_order(job: str, order: list[int]) -> None:
    frame = pd.DataFrame({"age": [31], "age is, in months": [372.5], "job": [job], "y": ["1"]})
    cells = row_texts(Table(frame, ODD.schema))[0]
    starts = [cells.index(f"{name} is") for name in ("age", "age is, in months", "job", "y")]
    parts = [cells[start:end].rstrip(", ") for start, end in zip(starts, [*starts[1:], None], strict=True)]
    text = ", ".join(parts[place] for place in order)
    assert ODD.read(text, ended=True) == frame.iloc[0].to_dict()
    assert ODD.is_whole(text + ", z")


@pytest.mark.parametrize(
    ("text", "ended", "reason", "column"),
    [
        ("", True, "missing_column", "age"),
        ("no row at all", False, "missing_column", "age"),
        ("age is 3, y is 1", True, "missing_column", "job"),
        ("age is 3, y is 1, job", True, "missing_column", "job"),
        ("job is cook, y is 1, age is 3", False, "truncated", "age"),
        ("age is 3, job is coo, y is 1,", True, "unknown_category", "job"),
        ("age is 3, job is cooking, y is 1,", True, "unknown_category", "job"),
        ("age is 3.5, job is cook, y is 1,", True, "not_an_integer", "age"),
        ("age is , job is cook, y is 1,", True, "not_an_integer", "age"),
        ("age is old, age is 3, job is cook, y is 1,", True, "not_an_integer", "age"),  # the first counts
    ],
)
def test_what_is_no_row_names_the_column_at_fault(text: str, ended: bool, reason: str, column: str) -> None:
    with pytest.raises(InvalidAnswer) as found:
        PLAIN.read(text, ended=ended)
    assert (found.value.reason, found.value.column) == (reason, column)


def test_an_answer_is_whole_once_nothing_can_change_it() -> None:
    row = "age is 3, y is 1, age is, in months is 36.5, job is cook, chief,"
    text = f"{row} more"
    lengths = [length for length in range(len(text) + 1) if ODD.is_whole(text[:length])]
    assert lengths == list(range(len(row), len(text) + 1))
    assert ODD.is_whole("age is 3, y is 1, age is, in months is 36.5, job is cook, a")  # no chief any more
    assert not ODD.is_whole("age is 3, y is 1, job is cook, a")


def test_a_regressions_texts_hold_its_numbers_as_the_table_has_them() -> None:
    splits = splits_of(pd.DataFrame({"x": [1, 2], "y": [0.5, 10.0]}), "y", Task.REGRESSION, (2, 0))
    assert row_texts(splits.train) == ["x is 1, y is 0.5", "x is 2, y is 10.0"]
