"""Constraints: what they let through are rows of the schema, and every row in the tokenizer's own cut passes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from harmonic.decoding.constraints import RowConstraints, column_pattern
from harmonic.prompts.chat import Chat
from harmonic.prompts.row_json import parse_row, row_json
from harmonic.tables.columns import Style
from harmonic.tables.table import Column, Kind, Schema, Task
from harmonic.tiny_model import TinyModel


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


def merging_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE with tokens across the borders of values, learnt from rows of the schema."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, special_tokens=["<end>"])
    draw = np.random.default_rng(5)
    names = [name for name in NASTY.names if name != MARKED]  # no text of a language is cut into special tokens
    core.train_from_iterator([row_json(row(draw), NASTY, names) for _ in range(60)], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<end>")


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


@pytest.fixture(scope="module", params=["bytes", "merges"])
def constraints(request: pytest.FixtureRequest) -> RowConstraints:
    tokenizer = TinyModel(name="tiny").tokenizer() if request.param == "bytes" else merging_tokenizer()
    return RowConstraints(NASTY, tokenizer)


def test_any_choice_among_the_allowed_tokens_ends_in_a_row_of_the_schema(constraints: RowConstraints) -> None:
    draw = np.random.default_rng(0)
    chat = Chat(constraints.tokenizer)
    for _ in range(25):
        order = draw.permutation(NASTY.names).tolist()
        constraint = constraints.start(order)
        ids = constraint.forced()
        while not constraint.finished:
            ids += constraint.accept(int(draw.choice(np.flatnonzero(constraint.allowed()))))
        text = chat.text(ids)
        assert list(json.loads(text)) == order
        found = parse_row(text, NASTY)
        assert isinstance(found["integer"], int) and -9999 <= found["integer"] <= 9999
        assert -99 <= found["negative"] <= 0 and abs(found["float"]) < 100  # type: ignore[operator]
        assert re.fullmatch(r"\d{1,3}\.0", json.loads(text)["whole"])
        texts = json.loads(text)
        assert re.fullmatch(r"-?\d{1,2}\.\d{1,2}", texts["float"])
        assert re.fullmatch(r"NA|-?\d{1,2}\.\d{1,2}", texts["missing float"])
        assert re.fullmatch(r"\d{1,2}\.\d{2}", texts["fixed"])
        assert re.fullmatch(r"-?\d{1,2}(\.\d{1,2})?", texts["plain"])
        assert re.fullmatch(r"\d\d\.\d\d\.20[1-2]\d", texts["day"])  # 2019 to 2024


def test_rows_pass_in_the_tokenizers_own_cut_and_what_is_forced_keeps_to_it(constraints: RowConstraints) -> None:
    draw = np.random.default_rng(1)
    chat = Chat(constraints.tokenizer)
    for _ in range(25):
        order = draw.permutation(NASTY.names).tolist()
        (ids,) = chat.completions([row_json(row(draw), NASTY, order)])
        constraint = constraints.start(order)
        taken, drawn = constraint.forced(), 0
        while not constraint.finished:
            assert taken == ids[: len(taken)]
            taken += constraint.accept(ids[len(taken)])
            drawn += 1
        assert [*taken, chat.end] == ids
        assert drawn < 0.9 * len(ids)  # the structure is not drawn


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
    with pytest.raises(RuntimeError, match="refused"):
        constraint.accept(int(np.flatnonzero(~constraint.allowed())[-1]))


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
    plain = re.sub(r"\\x\{(\w+)\}", lambda found: re.escape(chr(int(found[1], 16))), column_pattern(column))
    pattern = re.compile(plain)
    for text in fitting:
        assert pattern.fullmatch(f'"{column.name}": "{text}"'), text
        column.parse(text)
    for text in others:
        assert not pattern.fullmatch(f'"{column.name}": "{text}"'), text
