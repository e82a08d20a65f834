"""Conditions: what satisfies them, what cannot be asked for, and rows of generators that know none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from row_texts import drawn_at_random

from harmonic.decoding.constraints import RowConstraints
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.rejection import draw_by_rejection
from harmonic.generators.sample import Sample
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.conditions import described, read_conditions, renamed, satisfying
from harmonic.tables.spellings.date_formats import parse_date
from harmonic.tables.table import Schema, Table, Task

DAY = "%m/%d/%Y"
FIRST, LAST = (float(parse_date(text, DAY)) for text in ("01/15/2023", "12/20/2024"))
COLUMNS = (
    Column(name="age", kind=Kind.INTEGER, minimum=18, maximum=90),
    Column(name="change", kind=Kind.FLOAT, minimum=-12.5, maximum=3.25, decimals=2),
    Column(name="price", kind=Kind.FLOAT, minimum=1.0, maximum=99.0, decimals=1, style=Style.PLAIN, missing=""),
    Column(name="seen on", kind=Kind.INTEGER, minimum=FIRST, maximum=LAST, date_format=DAY),
    Column(name="job/role", kind=Kind.CATEGORY, categories=("no", "nurse", "unseen", "yes"), missing="NA"),
    Column(name="label", kind=Kind.CATEGORY, categories=("0", "1")),
)
SCHEMA = Schema(columns=COLUMNS, target="label", task=Task.BINARY, description="people")


def table(n: int = 60, seed: int = 0) -> Table:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": draw.integers(18, 91, n),
            "change": np.round(draw.uniform(-12.5, 3.25, n), 2),
            "price": np.where(draw.random(n) < 0.2, np.nan, np.round(draw.uniform(1, 99, n), 1)),
            "seen on": draw.integers(int(FIRST), int(LAST) + 1, n),
            "job/role": draw.choice(np.array(["no", "nurse", "yes", None], dtype=object), n),
            "label": draw.choice(["0", "1"], n),
        }
    )
    return Table(SCHEMA.conform(frame), SCHEMA)


EVERYTHING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"label": "1"}, {"age": ["30", "65"], "change": ["-3.1", "0.05"]}),
    ({"job/role": ["no", "NA"]}, {"price": ["10", None], "seen on": ["02/28/2023", "03/05/2024"]}),
    ({"price": "", "age": ["20", "21"]}, {"change": ["null", "-11.99"]}),
    ({"seen on": "01/31/2024"}, {"price": ["2.75", "3.25"], "age": ["88.5", ""]}),
]


@pytest.mark.parametrize("name", ["json", "compact"])
@pytest.mark.parametrize(("equal", "between"), EVERYTHING)
def test_rows_drawn_at_random_under_the_grammar_satisfy_every_condition(equal: Any, between: Any, name: str) -> None:
    conditions = read_conditions(table(), equal, between)
    chat, form = Chat(TinyModel(name="tiny").tokenizer()), find_row_format(name, SCHEMA)
    constraints = RowConstraints(form, chat.tokenizer, chat.ends(document=name == "compact"), conditions)
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(12):
        order = draw.permutation(SCHEMA.names).tolist()
        rows.append(form.parse(chat.text(drawn_at_random(constraints.start(order), draw)), order))
    assert satisfying(SCHEMA.conform(pd.DataFrame(rows)), conditions).all()


def test_the_rows_that_satisfy_are_those_that_pandas_finds() -> None:
    frame = table(500).frame
    conditions = read_conditions(table(500), {"label": "1", "job/role": ["nurse", "NA"]}, {"age": ["30", "65"]})
    expected = (frame["label"] == "1") & (frame["job/role"].isna() | (frame["job/role"] == "nurse"))
    expected &= frame["age"].between(30, 65)
    assert satisfying(frame, conditions).tolist() == expected.tolist()
    assert satisfying(frame, read_conditions(table(500), {}, {"price": [None, "50"]})).tolist() == (
        (frame["price"] <= 50).tolist()
    )
    assert satisfying(frame, {}).all()


def test_conditions_are_told_in_the_files_own_words() -> None:
    conditions = read_conditions(
        table(), {"label": "1"}, {"seen on": ["02/01/2023", "03/01/2023"], "age": [None, "30"], "change": ["0.5", ""]}
    )
    assert described(conditions) == ("label = '1', seen on from 02/01/2023 to 03/01/2023, age <= 30, change >= 0.5")


def test_conditions_on_columns_of_other_names_hold_the_same_values() -> None:
    conditions = renamed(read_conditions(table(), {}, {"age": ["30", "40"]}), {"age": "a", "label": "b"})
    assert satisfying(pd.DataFrame({"a": [29, 30, 40, 41]}), conditions).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("equal", "between", "words"),
    [
        ({"ages": "30"}, {}, ["condition={ages: 30}", "unknown column 'ages'", "'age'"]),
        ({}, {"agee": ["1", "2"]}, ["range=", "'age'"]),
        ({"label": "2"}, {}, ["condition={label: 2}", "known: 0, 1"]),
        ({"job/role": "unseen"}, {}, ["no training row", "the data has no, nurse, yes"]),
        ({"job/role": []}, {}, ["has no value"]),
        ({"label": "NA"}, {}, ["condition={label: NA}"]),
        ({"age": "200"}, {}, ["no training row", "18 to 90"]),
        ({"age": "x"}, {}, ["18 to 90"]),
        ({"change": "1.234"}, {}, ["they have 2"]),
        ({"seen on": "2024-01-31"}, {}, ["01/15/2023 to 12/20/2024"]),
        ({}, {"age": ["50", "20"]}, ["low end is above the high end"]),
        ({}, {"age": ["30.2", "30.8"]}, ["low end is above the high end"]),
        ({}, {"age": ["100", "200"]}, ["no training row has a value there", "18 to 90"]),
        ({}, {"change": ["0.001", "0.009"]}, ["no training row has a value there"]),
        ({}, {"age": ["", None]}, ["both ends are open"]),
        ({}, {"age": "30"}, ["must be a pair of bounds"]),
        ({}, {"age": ["old", "older"]}, ["'old' is not a bound"]),
        ({}, {"age": ["nan", "30"]}, ["not a bound"]),
        ({}, {"label": ["0", "1"]}, ["categories", "condition={label: [0, 1]}"]),
        ({"age": "30"}, {"age": ["20", "40"]}, ["is in condition, too"]),
        ("label", {}, ["must name columns"]),
    ],
)
def test_what_cannot_be_is_named_with_what_can(equal: Any, between: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        read_conditions(table(), equal, between)
    for word in words:
        assert word in str(raised.value)


# ---- by rejection


class Rows:
    """A generator's `sample` that draws rows of `table`, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, n: int, *, seed: int, directory: Path) -> Sample:
        self.asked.append(n)
        return Sample(table(n, seed).frame)


def test_rejection_gives_exactly_n_rows_that_satisfy_and_counts_the_others(tmp_path: Path) -> None:
    conditions = read_conditions(table(), {"label": "1"}, {"age": ["30", "40"]})
    rows = Rows()
    sample = draw_by_rejection(rows, 25, seed=3, directory=tmp_path, conditions=conditions)
    assert len(sample.frame) == 25 and satisfying(sample.frame, conditions).all()
    pd.testing.assert_frame_equal(SCHEMA.conform(sample.frame), sample.frame)
    assert sample.validity["answers"] == sum(rows.asked)
    rejected = sample.validity["rejected/condition"]
    assert sample.validity["raw"] == pytest.approx(1 - rejected / sum(rows.asked))
    again = draw_by_rejection(Rows(), 25, seed=3, directory=tmp_path, conditions=conditions)
    pd.testing.assert_frame_equal(again.frame, sample.frame)
    other = draw_by_rejection(Rows(), 25, seed=4, directory=tmp_path, conditions=conditions)
    assert not other.frame.equals(sample.frame)


def test_rejection_ends_within_its_budget_and_says_how_few_rows_satisfied(tmp_path: Path) -> None:
    conditions = read_conditions(table(), {}, {"age": ["90", "90"], "change": ["3.2", None]})
    rows = Rows()
    with pytest.raises(SamplingError, match=r"of 50 rows satisfy age from 90 to 90, change >= 3.2, of 400 drawn"):
        draw_by_rejection(rows, 50, seed=0, directory=tmp_path, conditions=conditions, budget=400)
    assert sum(rows.asked) == 400
