"""Constraints: what they let through are rows of the schema, and every row in the tokenizer's own cut passes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_texts import drawn_at_random, merging_tokenizer, row_text
from transformers import PreTrainedTokenizerFast

from harmonic.decoding.constraints import RowConstraints
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.columns import Style
from harmonic.tables.languages import column_language
from harmonic.tables.table import Column, Kind, Schema, Task


def category(name: str, *values: str) -> Column:
    return Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(values)))


def number(name: str, low: float, high: float, decimals: int | None = None) -> Column:
    kind = Kind.INTEGER if decimals is None else Kind.FLOAT
    return Column(name=name, kind=kind, minimum=low, maximum=high, decimals=decimals or 0)


MARKED = "<|im_end|> <end>"  # the special tokens of the two tokenizers
NASTY = Schema(
    columns=(
        category('say "hi" {x}', "yes", "no"),
        category("naïve\nname/\\", 'a"b', "{", "}", "line\nbreak", "日本", "emoji 😀", "", " ", "-", '", "', "é"),
        category("one", "only"),
        category(MARKED, "<|im_start|>assistant", "<end>", "<|im_end|>"),
        category("prefixes", "a", "ab", "abc", "abc d"),
        category("many", *[f"value {i}" for i in range(500)]),
        number("integer", -5, 1200),
        number("negative", -99, -3),
        number("float", -12.5, 3.25, 2),
        number("whole", 0.0, 846.0, 0),
        number("tiny", -1e-7, 0.002, 8),
        number("huge", 0.0, 3e20, 0),
        number("unknown", float("nan"), float("nan"), 3),
        replace(number("missing float", -3, 40, 2), missing="NA"),
        replace(number("missing integer", 0, 90), missing=""),
        replace(category("missing word", "a", 'b"'), missing="?"),
        replace(number("fixed", 0.0, 99.0, 2), style=Style.FIXED),
        replace(number("plain", -5.0, 99.0, 2), style=Style.PLAIN),
        replace(number("day", 18000, 19800), date_format="%d.%m.%Y"),
        replace(number("moment", 0, 2e9), date_format="%Y-%m-%d %H:%M:%S", missing=""),
        category("label", "0", "1"),
    ),
    target="label",
    task=Task.BINARY,
    description="odd things",
)


def made_for_rows() -> PreTrainedTokenizerFast:
    """A tokenizer that has learnt from rows of the schema."""
    draw = np.random.default_rng(5)
    names = [name for name in NASTY.names if name != MARKED]  # no text of a language is cut into special tokens
    return merging_tokenizer(
        [row_text(row(draw), NASTY, names, form) for _ in range(60) for form in ("json", "compact")]
    )


def row(draw: np.random.Generator) -> dict[str, Any]:
    """A random row of the nasty schema."""
    found: dict[str, Any] = {}
    for column in NASTY.columns:
        if column.missing is not None and draw.random() < 0.3:
            found[column.name] = None
        elif column.kind is Kind.CATEGORY:
            found[column.name] = column.categories[draw.integers(len(column.categories))]
        elif column.kind is Kind.INTEGER:
            found[column.name] = int(draw.integers(int(column.minimum), int(column.maximum) + 1))
        else:
            low, high = (column.minimum, column.maximum) if column.minimum == column.minimum else (0, 99999)
            found[column.name] = round(float(draw.uniform(low, high)), column.decimals)
    return found


def constraints_of(schema: Schema, tokenizer: PreTrainedTokenizerFast, form: str) -> RowConstraints:
    """As a row is constrained in the format that it is used with: JSON ends as an answer, values as a line."""
    end = Chat(tokenizer).ends(document=form == "compact")
    return RowConstraints(find_row_format(form, schema), tokenizer, end)


@pytest.fixture(scope="module", params=["bytes", "merges"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return TinyModel(name="tiny").tokenizer() if request.param == "bytes" else made_for_rows()


@pytest.fixture(scope="module", params=["json", "compact"])
def constraints(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> RowConstraints:
    return constraints_of(NASTY, tokenizer, request.param)


def check_texts(texts: dict[str, str]) -> None:
    """Each value is of its column's kind, to the letter."""
    assert re.fullmatch(r"\d{1,3}\.0", texts["whole"])
    assert re.fullmatch(r"-?\d{1,2}\.\d{1,2}", texts["float"])
    assert re.fullmatch(r"NA|-?\d{1,2}\.\d{1,2}", texts["missing float"])
    assert re.fullmatch(r"\d{1,2}\.\d{2}", texts["fixed"])
    assert re.fullmatch(r"-?\d{1,2}(\.\d{1,2})?", texts["plain"])
    assert re.fullmatch(r"\d\d\.\d\d\.20[1-2]\d", texts["day"])  # 2019 to 2024


def test_any_choice_among_the_allowed_tokens_ends_in_a_row_of_the_schema(constraints: RowConstraints) -> None:
    draw = np.random.default_rng(0)
    chat, form = Chat(constraints.tokenizer), constraints.row_format
    for _ in range(25):
        order = draw.permutation(NASTY.names).tolist()
        text = chat.text(drawn_at_random(constraints.start(order), draw))
        assert "\n" not in text
        if form.names_columns:
            assert list(json.loads(text)) == order
            check_texts(json.loads(text))
        else:
            check_texts(dict(zip(order, text.split("|"), strict=True)))
        found = form.parse(text, order)
        assert list(found) == NASTY.names
        assert isinstance(found["integer"], int) and -9999 <= found["integer"] <= 9999
        assert -99 <= found["negative"] <= 0 and abs(found["float"]) < 100  # type: ignore[operator]


def test_rows_pass_in_the_tokenizers_own_cut_and_what_is_forced_keeps_to_it(constraints: RowConstraints) -> None:
    draw = np.random.default_rng(1)
    chat, compact = Chat(constraints.tokenizer), not constraints.row_format.names_columns
    for _ in range(25):
        order = draw.permutation(NASTY.names).tolist()
        text = row_text(row(draw), NASTY, order, "compact" if compact else "json")
        (ids,) = chat.lines([text + "\n"]) if compact else chat.completions([text])
        constraint = constraints.start(order)
        taken, drawn = constraint.forced(), 0
        while not constraint.finished:
            assert taken == ids[: len(taken)]
            taken += constraint.accept(ids[len(taken)])
            drawn += 1
        assert taken in (ids, ids[:-1]) and ids[-1] == constraints.end
        assert drawn < 0.9 * len(ids) or compact  # names and braces are not drawn


def test_a_row_ends_only_where_nothing_or_its_end_may_follow(tokenizer: PreTrainedTokenizerFast) -> None:
    columns = (category("c", "a", "b"), category("n", "1", "12"))
    schema = Schema(columns=columns, target="n", task=Task.BINARY, description="numbers")
    for form in ("json", "compact"):
        constraint = constraints_of(schema, tokenizer, form).start(["c", "n"])
        text = row_text({"c": "a", "n": "1"}, schema, form=form)
        (ids,) = Chat(tokenizer).lines([text.partition("1")[0] + "1"])
        open_row = ids[:-1]
        taken = constraint.forced()
        while len(taken) < len(open_row):
            taken += constraint.accept(open_row[len(taken)])
        assert not constraint.finished  # "1" may go on as "12"
        with_more = constraint.allowed()
        assert with_more[tokenizer.encode("2", add_special_tokens=False)[-1]]
        assert with_more[constraint.end] == (form == "compact")  # in JSON a quote comes first
        if form == "compact":
            assert constraint.accept(constraint.end) == [] and constraint.finished
        else:
            with pytest.raises(RuntimeError, match="before it is complete"):
                constraint.end_row()


def test_a_row_that_cannot_go_on_is_finished_without_its_end(tokenizer: PreTrainedTokenizerFast) -> None:
    schema = Schema(columns=(category("n", "7", "12"),), target="n", task=Task.BINARY, description="numbers")
    for form in ("json", "compact"):
        constraint = constraints_of(schema, tokenizer, form).start(["n"])
        ids = constraint.forced()
        ids += constraint.accept(tokenizer.encode("1", add_special_tokens=False)[-1])
        assert constraint.finished
        assert Chat(tokenizer).text(ids) == row_text({"n": "12"}, schema, form=form)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
odd = st.sampled_from(["|", "\\", "\\p", "a|b", "\\n", "\n", "\r\n", '"', "/", "{", "<|im_end|>", "", " ", "1", "12"])
BYTES = TinyModel(name="tiny").tokenizer()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(words, odd), min_size=2, max_size=6, unique=True), words, st.integers(0, 2**32 - 1))
def test_whatever_the_categories_are_the_constraint_lets_through_each_of_them_and_no_other(
    values: list[str], name: str, seed: int
) -> None:
    columns = (category(name, *values), number(f"{name}2", -20, 1000))
    schema = Schema(columns=columns, target=name, task=Task.MULTICLASS, description="odd things")
    chat, draw = Chat(BYTES), np.random.default_rng(seed)
    for form in ("json", "compact"):
        made = constraints_of(schema, BYTES, form)
        # By positions: an array of texts would cut off the NUL at the end of a name.
        order = [schema.names[place] for place in draw.permutation(len(schema.names))]
        for value in values:
            text = row_text({name: value, f"{name}2": int(draw.integers(-20, 1000))}, schema, order, form)
            (ids,) = chat.completions([text])
            constraint = made.start(order)
            taken = constraint.forced()
            while len(taken) < len(ids) - 1:
                assert taken == ids[: len(taken)] and constraint.allowed()[ids[len(taken)]]
                taken += constraint.accept(ids[len(taken)])
            assert taken == ids[:-1] and (constraint.finished or constraint.allowed()[constraint.end])
            assert made.row_format.parse(text, order)[name] == value
        found = made.row_format.parse(chat.text(drawn_at_random(made.start(order), draw)), order)
        assert found[name] in values


def test_allowed_fits_logits_that_are_padded(constraints: RowConstraints) -> None:
    constraint = constraints.start(NASTY.names)
    constraint.forced()
    narrow = constraint.allowed()
    wide = constraint.allowed(len(narrow) + 100)
    assert len(wide) == len(narrow) + 100 and np.array_equal(wide[: len(narrow)], narrow)
    assert not wide[len(narrow) :].any()


def test_a_token_that_is_not_allowed_is_refused(constraints: RowConstraints) -> None:
    constraint = constraints.start(NASTY.names)
    constraint.forced()
    refused = np.flatnonzero(~constraint.allowed())
    with pytest.raises(RuntimeError, match="refused"):
        constraint.accept(int(refused[refused != constraint.end][-1]))
    with pytest.raises(RuntimeError, match="before it is complete"):
        constraint.accept(constraint.end)


@pytest.mark.parametrize(
    ("column", "fitting", "others"),
    [
        (number("n", 0, 199), ["0", "7", "999"], ["-1", "07", "1000", "1.0", "", "+1"]),
        (number("n", -3, 20), ["-3", "20", "0"], ["100", "--1"]),
        (number("n", 0.0, 846.0, 0), ["10.0", "0.0"], ["10", "10.5", "-1.0"]),
        (number("n", 0.078, 2.42, 3), ["0.078", "2.4", "9.999"], ["2.", ".5", "0.0785", "10.0"]),
        (number("n", 1e-7, 0.5, 7), ["1e-07", "0.0000123", "1.25e-05"], ["1e-04", "1e+05"]),
        (number("n", 0.0, 2e17, 0), ["2e+17", "12345678901234567.0"], ["2e+100", "1e-05"]),
        (category("c", "a.c", "x|y"), ["a.c", "x|y"], ["abc", "x", "y"]),
    ],
)
def test_patterns_hold_values_to_the_columns_kind(column: Column, fitting: list[str], others: list[str]) -> None:
    # Python's `re` writes code points otherwise; the pattern is the same.
    plain = re.sub(r"\\x\{(\w+)\}", lambda found: re.escape(chr(int(found[1], 16))), column_language(column))
    pattern = re.compile(plain)
    for text in fitting:
        assert pattern.fullmatch(text), text
        column.parse(text)
    for text in others:
        assert not pattern.fullmatch(text), text
