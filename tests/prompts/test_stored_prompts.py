"""Prompts in a file: they survive it, and are read one at a time."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_tables import make_table

from harmonic.errors import DataError
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt import Part, Prompt, asked
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.stored_prompts import StoredPrompts, chunks, write_prompts
from harmonic.prompts.training_prompts import Neighborhoods, answers, lists

orders = st.one_of(st.none(), st.permutations(range(3)).map(tuple))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
parts = st.builds(Part, texts, st.booleans(), st.one_of(st.none(), st.integers(0, 10**6)), orders)
prompts = st.builds(Prompt, st.lists(parts, max_size=6).map(tuple), orders, st.booleans())


@settings(deadline=None)
@given(st.lists(prompts, max_size=4))
def test_parts_and_orders_survive_their_file(tmp_path_factory: pytest.TempPathFactory, written: list[Prompt]) -> None:
    path = tmp_path_factory.mktemp("prompts") / "train.jsonl"
    write_prompts(written, path)
    assert list(StoredPrompts(path)) == written


@pytest.mark.parametrize("form", ["json", "compact"])
def test_the_methods_own_prompts_survive_their_file(form: str, tmp_path: Path) -> None:
    table = make_table(20)
    around = Neighborhoods.of(table, k=3, metric="mixed", filter=False, threshold=0, seed=0)
    drawn = ColumnOrders.of(table.schema, "prompt")
    made = [*answers(table, find_row_format(form, table.schema), around, drawn, shown=3, seed=0)]
    made += lists(table, find_row_format(form, table.schema), around, drawn, shown=3, passes=2, seed=0)
    write_prompts(made, tmp_path / "train.jsonl")
    again = list(StoredPrompts(tmp_path / "train.jsonl"))
    assert again == made
    # "prompt", "completion" and "rows" say the same to who knows no parts.
    plain = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["prompt"] + one["completion"] for one in plain] == [
        "".join(part.text for part in prompt.parts) for prompt in made
    ]
    assert [tuple(one["rows"]) for one in plain] == [prompt.rows for prompt in made]
    assert max(np.max(prompt.learnt_rows) for prompt in again) < len(table)


def test_a_line_without_parts_is_a_question_and_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "", "rows": [2]}\n')
    assert list(StoredPrompts(path)) == [asked("a", "b"), asked("c", "", (2,))]


def test_prompts_survive_their_file(tmp_path: Path) -> None:
    prompts = [asked('a "b"\n\u2028é😀\r', "{}", (3, 1)), asked("x")]
    path = tmp_path / "deep" / "train.jsonl"
    write_prompts(prompts, path)
    assert list(StoredPrompts(path)) == prompts
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 3 and json.loads(lines[0])["prompt"] == 'a "b"\n\u2028é😀\r'
    assert json.loads(lines[0])["completion"] == "{}" and json.loads(lines[0])["rows"] == [3, 1]


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_prompts([asked("old")], path)

    def breaking_off():
        yield asked("new")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_prompts(breaking_off(), path)
    assert list(StoredPrompts(path)) == [asked("old")]


CUT = '{"prompt": "a", "completion": "bc", "rows": [], "parts": PARTS, "orders": [], "order": null, "document": false}'


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", '{"prompt": "a"}', "7", '{"prompt": "a", "completion": "", "rows": 3}',
        '{"prompt": 1, "completion": ""}',
        CUT.replace("PARTS", "[[1, 0, null, null]]"),
        CUT.replace("PARTS", "[[1, 0, null, null], [3, 1, null, null]]"),
        CUT.replace("PARTS", "[[1, 0, null, null], [2, 1, 0, 0]]"), CUT.replace("PARTS", "[[1, 0]]"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_prompt_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl, line 2"):
        list(StoredPrompts(path))


def test_any_prompt_is_read_by_its_number(tmp_path: Path) -> None:
    prompts = [asked(f"é{'x' * number}\n", str(number)) for number in range(7)]
    for stored in (write_prompts(prompts, tmp_path / "train.jsonl"), StoredPrompts(tmp_path / "train.jsonl")):
        assert len(stored) == 7 and list(stored) == prompts
        assert [stored[number] for number in (3, 0, -1)] == [prompts[3], prompts[0], prompts[6]]
        assert stored[2:6:2] == prompts[2:6:2] and stored[5:100] == prompts[5:] and stored[4:1] == []
        assert stored.characters.tolist() == [len(prompt.prompt + prompt.completion) for prompt in prompts]
        with pytest.raises(IndexError):
            stored[7]


def test_the_first_prompts_are_kept(tmp_path: Path) -> None:
    prompts = [asked(f"é{number}", "x" * number) for number in range(7)]
    stored = write_prompts(prompts, tmp_path / "train.jsonl")
    stored.cut(9)
    assert list(stored) == prompts
    stored.cut(3)
    for again in (stored, StoredPrompts(tmp_path / "train.jsonl")):
        assert len(again) == 3 and list(again) == prompts[:3] and len(again.characters) == 3


def test_an_empty_file_has_no_prompts(tmp_path: Path) -> None:
    stored = write_prompts([], tmp_path / "train.jsonl")
    assert not stored and list(stored) == [] and len(stored.characters) == 0


def test_prompts_are_never_all_in_memory(tmp_path: Path) -> None:
    """Written from a generator and read one by one, they take a small part of the file's size."""
    tracemalloc.start()
    stored = write_prompts((asked("x" * 2000, str(number)) for number in range(5000)), tmp_path / "train.jsonl")
    count = sum(len(some) for some in chunks(stored, 100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5000 and peak < (tmp_path / "train.jsonl").stat().st_size / 5
