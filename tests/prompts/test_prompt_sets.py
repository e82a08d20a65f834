"""Row texts, the instruction, the prompt sets and their files."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments.benchmarks.reference import plain_tuning_set
from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.prompts.neighbors import nearest
from harmonic.prompts.prompt_sets import (
    Prompt,
    instruction,
    read_prompts,
    sampling_prompts,
    training_prompts,
    write_prompts,
)
from harmonic.prompts.row_json import InvalidAnswer, RowTexts, parse_row, row_json
from harmonic.tables.table import Column, Kind, Schema, Table, Task

SCHEMA = Schema(
    columns=(
        Column(name="age", kind=Kind.INTEGER),
        Column(name="dose", kind=Kind.FLOAT, decimals=3),
        Column(name="city", kind=Kind.CATEGORY, categories=("Bern", "Paris")),
        Column(name="ill", kind=Kind.CATEGORY, categories=("0", "1")),
    ),
    target="ill",
    task=Task.BINARY,
    description="patients",
)


def make_table(n: int, seed: int = 0) -> Table:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 100, n),
            "dose": generator.normal(size=n).round(3),
            "city": generator.choice(["Bern", "Paris"], n).astype(object),
            "ill": generator.choice(["0", "1"], n, p=[0.95, 0.05]).astype(object),
        }
    )
    return Table(SCHEMA.conform(frame), SCHEMA)


TUNING = {"k": 3, "metric": "mixed", "filter": False, "threshold": 1, "permutation": False, "seed": 5}


def examples_of(prompt: Prompt) -> list[list[tuple[str, str]]]:
    """The rows that a prompt shows, and its answer if it has one, as (name, text) pairs in order."""
    lines = [line.partition(": ")[2] for line in prompt.prompt.split("\n")[1:-1]]
    return [json.loads(line, object_pairs_hook=list) for line in [*lines, prompt.completion] if line]


# ---- rows and text

names = st.text(min_size=1)
texts = st.one_of(st.text(), st.sampled_from(['"', "}{", "a\nb", "\\", "😀 {", '{"x": "1"}', "\u2028", "\x00", "nan"]))


@st.composite
def schemas_and_rows(draw: st.DrawFn) -> tuple[Schema, dict[str, int | float | str]]:
    columns: list[Column] = []
    row: dict[str, int | float | str] = {}
    for name in draw(st.lists(names, min_size=1, max_size=6, unique=True)):
        kind = draw(st.sampled_from(Kind))
        if kind is Kind.INTEGER:
            row[name] = draw(st.integers(-(10**16), 10**16))
        elif kind is Kind.FLOAT:
            row[name] = draw(st.floats(allow_nan=False, allow_infinity=False))
        else:
            row[name] = draw(texts)
        categories = (str(row[name]), "other") if kind is Kind.CATEGORY else ()
        columns.append(Column(name=name, kind=kind, categories=categories, decimals=400))
    schema = Schema(columns=tuple(columns), target=columns[-1].name, task=Task.REGRESSION, description="rows")
    return schema, row


@settings(deadline=None)
@given(schemas_and_rows(), st.randoms(use_true_random=False), st.sampled_from(["", "Sure:\n", "Here {it} is: "]))
def test_a_row_survives_text_and_back_in_any_column_order(
    drawn: tuple[Schema, dict[str, int | float | str]], random: object, before: str
) -> None:
    schema, row = drawn
    order = schema.names
    random.shuffle(order)  # type: ignore[attr-defined]
    text = row_json(row, schema, order)
    assert list(json.loads(text)) == order
    found = parse_row(f"{before}{text}\nDone }}", schema)
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
        row = parse_row(text, SCHEMA)
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
        parse_row(text, SCHEMA)
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
    assert parse_row(text, SCHEMA) == {"age": 4, "dose": 1.5, "city": "Bern", "ill": "1"}


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
        row_json(rows_as_dicts[row], schema, [names[place] for place in order])
        for row, order in zip(rows, orders, strict=True)
    ]
    assert RowTexts(table).render(rows, orders) == expected
    assert RowTexts(table).render(rows[:1]) == [row_json(rows_as_dicts[2], schema)]


# ---- tuning prompts


def test_a_tuning_prompt_reads_as_published() -> None:
    frame = pd.DataFrame({"age": [30, 31, 60], "dose": [1.0, 1.5, 9.0], "city": ["Bern"] * 3, "ill": ["1", "1", "0"]})
    table = Table(SCHEMA.conform(frame), SCHEMA)
    prompt = training_prompts(table, **{**TUNING, "k": 2})[0]  # type: ignore[arg-type]
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
    _, before, _ = instruction(SCHEMA, 22)
    assert [text.split()[1] for text in before][:5] == ["one:", "two:", "three:", "four:", "five:"]
    assert [text.split()[1] for text in before][18:] == ["nineteen:", "twenty:", "21:", "22:"]


@pytest.mark.parametrize("permutation", [False, True])
def test_tuning_prompts_show_each_rows_neighbours_in_row_order(
    permutation: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.prompts.prompt_sets._CHUNK", 7)
    table = make_table(40)
    prompts = training_prompts(table, **{**TUNING, "permutation": permutation})  # type: ignore[arg-type]
    assert [prompt.rows for prompt in prompts] == [tuple(row) for row in nearest(table, 3).tolist()]
    cells = table.texts().to_dict("records")
    for row, prompt in enumerate(prompts):
        assert [dict(pairs) for pairs in examples_of(prompt)] == [cells[other] for other in (*prompt.rows, row)]


def test_the_filter_leaves_out_rows_without_like_neighbours_and_keeps_the_order() -> None:
    table = make_table(40)
    everything = training_prompts(table, **TUNING)  # type: ignore[arg-type]
    labels = table.target.tolist()
    expected = [
        prompt
        for row, prompt in enumerate(everything)
        if sum(labels[other] == labels[row] for other in prompt.rows) > 2
    ]
    assert 0 < len(expected) < 40
    assert training_prompts(table, **{**TUNING, "filter": True, "threshold": 2}) == expected  # type: ignore[arg-type]


def test_permutation_draws_a_fresh_order_for_every_row_shown() -> None:
    prompts = training_prompts(make_table(200), **{**TUNING, "permutation": True})  # type: ignore[arg-type]
    orders = [tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)]
    counts = pd.Series(orders).value_counts()
    assert len(counts) == 24  # all orders of four columns
    assert counts.max() < 2.5 * counts.min()  # 33 each expected
    agreeing = np.mean([orders[i] == orders[i + 1] for i in range(len(orders) - 1)])
    assert agreeing < 0.1  # 1/24 expected


def test_without_permutation_columns_stand_in_the_schemas_order() -> None:
    prompts = training_prompts(make_table(20), **TUNING)  # type: ignore[arg-type]
    assert {tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)} == {
        ("age", "dose", "city", "ill")
    }


@pytest.mark.parametrize("metric", ["mixed", "random"])
def test_tuning_prompts_are_fixed_by_the_seed(metric: str) -> None:
    table, settings_ = make_table(30), {**TUNING, "metric": metric, "permutation": True}
    first = training_prompts(table, **settings_)  # type: ignore[arg-type]
    assert training_prompts(table, **settings_) == first  # type: ignore[arg-type]
    assert training_prompts(table, **{**settings_, "seed": 6}) != first  # type: ignore[arg-type]


# ---- sampling prompts


def test_fewer_examples_are_the_nearest_of_the_same_rows_and_the_filter_sees_all_neighbours() -> None:
    table = make_table(40)
    settings_ = {**TUNING, "k": 5, "filter": True, "threshold": 2, "permutation": False}
    whole = training_prompts(table, **settings_)  # type: ignore[arg-type]
    fewer = training_prompts(table, **settings_, shown=2)  # type: ignore[arg-type]
    assert [prompt.completion for prompt in fewer] == [prompt.completion for prompt in whole]
    assert [prompt.rows for prompt in fewer] == [prompt.rows[:2] for prompt in whole]
    assert all(
        "based on these 2 examples" in prompt.prompt and "Example three" not in prompt.prompt for prompt in fewer
    )


def test_rows_to_show_before_others_are_shown_as_far_as_there_are_any() -> None:
    table = make_table(40)
    shared: dict[str, int] = {"k": 4, "n": 30, "permutation": True, "seed": 2}
    many = sampling_prompts(table, **shared, among=np.arange(10, 20))
    assert all(set(prompt.rows) <= set(range(10, 20)) and len(set(prompt.rows)) == 4 for prompt in many)
    few = sampling_prompts(table, **shared, among=np.array([3, 7]))
    assert all({3, 7} < set(prompt.rows) and len(set(prompt.rows)) == 4 for prompt in few)
    assert len({frozenset(prompt.rows) for prompt in few}) > 20
    none = sampling_prompts(table, **shared, among=np.array([], dtype=np.int64))
    assert len({row for prompt in none for row in prompt.rows}) > 30
    # Where tuning prompts show the only set, the prompt shows others rather than it.
    taken = [Prompt("", "", (0, 1, 2, 3))]
    other = sampling_prompts(table, **shared, among=np.arange(4), exclude=taken)
    assert all(set(prompt.rows) != {0, 1, 2, 3} for prompt in other)


@pytest.mark.parametrize("metric", ["mixed", "reference"])
@pytest.mark.parametrize("permutation", [False, True])
def test_sampling_prompts_show_distinct_training_rows_and_no_answer(permutation: bool, metric: str) -> None:
    table = make_table(30)
    prompts = sampling_prompts(table, k=5, n=50, permutation=permutation, seed=1, metric=metric)  # type: ignore[arg-type]
    cells = table.texts().to_dict("records")
    assert len(prompts) == 50
    for prompt in prompts:
        assert len(set(prompt.rows)) == 5 and prompt.completion == ""
        assert [dict(pairs) for pairs in examples_of(prompt)] == [cells[row] for row in prompt.rows]
    orders = {tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)}
    assert len(orders) == (24 if permutation else 1)


@pytest.mark.parametrize("metric", ["mixed", "reference"])
def test_a_sampling_prompt_depends_on_its_number_not_on_how_many_there_are(metric: str) -> None:
    table, shared = make_table(30), {"k": 4, "permutation": True, "seed": 3, "metric": metric}
    prompts = sampling_prompts(table, n=12, **shared)  # type: ignore[arg-type]
    assert sampling_prompts(table, n=5, **shared) == prompts[:5]  # type: ignore[arg-type]
    assert sampling_prompts(table, n=7, start=5, **shared) == prompts[5:]  # type: ignore[arg-type]
    other = sampling_prompts(table, n=12, **{**shared, "seed": 400})  # type: ignore[arg-type]
    assert not set(other) & set(prompts)


def test_every_training_row_is_drawn_about_as_often_as_any_other() -> None:
    prompts = sampling_prompts(make_table(20), k=5, n=2000, permutation=False, seed=0)
    counts = np.bincount([row for prompt in prompts for row in prompt.rows], minlength=20)
    assert (abs(counts - 500) < 100).all()  # standard deviation 19
    firsts = np.bincount([prompt.rows[0] for prompt in prompts], minlength=20)
    assert (abs(firsts - 100) < 50).all()  # standard deviation 10: no row prefers a place


@pytest.mark.parametrize("metric", ["mixed", "reference"])
def test_no_sampling_prompt_shows_the_rows_of_a_tuning_prompt_in_any_order(metric: str) -> None:
    table = make_table(7)
    tuning = training_prompts(table, **TUNING)  # type: ignore[arg-type]
    taken = {frozenset(prompt.rows) for prompt in tuning}
    shared = {"k": 3, "n": 200, "permutation": False, "seed": 0, "metric": metric}
    free = sampling_prompts(table, **shared)  # type: ignore[arg-type]
    assert any(frozenset(prompt.rows) in taken for prompt in free)
    kept_apart = sampling_prompts(table, exclude=tuning, **shared)  # type: ignore[arg-type]
    assert not any(frozenset(prompt.rows) in taken for prompt in kept_apart)
    for before, after in zip(free, kept_apart, strict=True):
        assert before == after or frozenset(before.rows) in taken


def test_a_table_too_small_for_new_sets_of_rows_is_refused() -> None:
    table = make_table(4)
    every_set = [Prompt("", rows=rows) for rows in [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]]
    with pytest.raises(ConfigError, match=r"generator\.neighbors\.k=3"):
        sampling_prompts(table, k=3, n=1, permutation=False, seed=0, exclude=every_set)
    with pytest.raises(ConfigError, match=r"generator\.neighbors\.k=5"):
        sampling_prompts(table, k=5, n=1, permutation=False, seed=0)


# ---- files


def test_prompts_survive_their_file(tmp_path: Path) -> None:
    prompts = [Prompt('a "b"\n\u2028é😀\r', "{}", (3, 1)), Prompt("x")]
    path = tmp_path / "deep" / "train.jsonl"
    write_prompts(prompts, path)
    assert read_prompts(path) == prompts
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 3 and set(json.loads(lines[0])) == {"prompt", "completion", "rows"}


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_prompts([Prompt("old")], path)

    def breaking_off():
        yield Prompt("new")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_prompts(breaking_off(), path)
    assert read_prompts(path) == [Prompt("old")]


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "a"}', "7", '{"prompt": "a", "completion": "", "rows": 3}'])
def test_a_line_that_is_no_prompt_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl, line 2"):
        read_prompts(path)


# ---- the published procedure


@pytest.mark.parametrize("duplicates", [False, True])
def test_the_reference_metric_makes_the_prompts_of_the_plain_procedure(duplicates: bool) -> None:
    table = make_table(60)
    table = table.take(np.r_[np.arange(60), np.arange(0, 60, 3)]) if duplicates else table
    frame = pd.read_csv(io.StringIO(table.texts().to_csv(index=False)))
    words = {"target": "ill", "task": "binary classification", "description": "patients"}
    expected, _ = plain_tuning_set(frame, **words, k=5, threshold=2, limit=99, filter=True)
    prompts = training_prompts(table, k=5, metric="reference", filter=True, threshold=2, permutation=False, seed=0)
    assert 0 < len(prompts) < len(table)
    assert [(prompt.prompt, prompt.completion) for prompt in prompts] == expected


def published(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tuple(turn["value"] for turn in json.loads(line)["conversations"]) for line in lines]  # type: ignore[misc]


@pytest.fixture(scope="module")
def german(data_dir: Path) -> Table:
    dataset = Dataset(name="german", target="status", description="user credit scores", data_dir=str(data_dir))
    train = dataset.load(seed=416).train
    return replace(train, schema=replace(train.schema, task=Task.BINARY))


def test_the_published_german_prompts_are_reproduced_text_for_text(german: Table, data_dir: Path) -> None:
    tuning = training_prompts(german, k=5, metric="reference", filter=True, threshold=2, permutation=False, seed=416)
    expected = published(data_dir / "german" / "generator" / "knn_train.jsonl")
    assert len(expected) == 587
    assert [(prompt.prompt, prompt.completion) for prompt in tuning] == expected

    sampling = sampling_prompts(german, k=5, n=700, permutation=False, seed=416, exclude=tuning, metric="reference")
    expected = published(data_dir / "german" / "generator" / "knn_syn.jsonl")
    assert len(expected) == 700
    assert [(prompt.prompt, prompt.completion) for prompt in sampling] == expected
    drawn = german.frame.sample(n=5, random_state=416 + 99).index
    assert sampling[99].rows == tuple(drawn)
