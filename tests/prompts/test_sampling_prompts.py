"""Sampling prompts: rows that are shown and no answer; prompt i is the same however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prompt_tables import SCHEMA, examples_of, make_table, sampling_set, tuning_set

from harmonic.errors import ConfigError
from harmonic.prompts import sampling_prompts as module
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import NeighborRows, NoRows, RandomRows
from harmonic.prompts.neighbors import nearest
from harmonic.prompts.prompt import Prompt, asked
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.sampling_prompts import SamplingPrompts, sampling_prompts


def test_rows_to_show_before_others_are_shown_as_far_as_there_are_any() -> None:
    table = make_table(40)
    shared: dict[str, Any] = {"k": 4, "n": 30, "permutation": True, "seed": 2}
    many = sampling_set(table, **shared, among=np.arange(10, 20))
    assert all(set(prompt.rows) <= set(range(10, 20)) and len(set(prompt.rows)) == 4 for prompt in many)
    few = sampling_set(table, **shared, among=np.array([3, 7]))
    assert all({3, 7} < set(prompt.rows) and len(set(prompt.rows)) == 4 for prompt in few)
    assert len({frozenset(prompt.rows) for prompt in few}) > 20
    none = sampling_set(table, **shared, among=np.array([], dtype=np.int64))
    assert len({row for prompt in none for row in prompt.rows}) > 30
    # Where tuning prompts show the only set, the prompt shows others rather than it.
    taken = [asked("", "", (0, 1, 2, 3))]
    other = sampling_set(table, **shared, among=np.arange(4), exclude=taken)
    assert all(set(prompt.rows) != {0, 1, 2, 3} for prompt in other)


@pytest.mark.parametrize("metric", ["mixed", "reference"])
@pytest.mark.parametrize("permutation", [False, True])
def test_sampling_prompts_show_distinct_training_rows_and_no_answer(permutation: bool, metric: str) -> None:
    table = make_table(30)
    prompts = sampling_set(table, k=5, n=50, permutation=permutation, seed=1, metric=metric)
    cells = table.texts().to_dict("records")
    assert len(prompts) == 50
    for prompt in prompts:
        assert len(set(prompt.rows)) == 5 and prompt.completion == ""
        assert [dict(pairs) for pairs in examples_of(prompt)] == [cells[row] for row in prompt.rows]
    orders = {tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)}
    assert len(orders) == (24 if permutation else 1)


@pytest.mark.parametrize("metric", ["mixed", "reference"])
def test_a_sampling_prompt_depends_on_its_number_not_on_how_many_there_are(metric: str) -> None:
    table = make_table(30)
    shared: dict[str, Any] = {"k": 4, "permutation": True, "seed": 3, "metric": metric}
    prompts = sampling_set(table, n=12, **shared)
    assert sampling_set(table, n=5, **shared) == prompts[:5]
    other = sampling_set(table, n=12, **{**shared, "seed": 400})
    assert not set(other) & set(prompts)


def test_every_training_row_is_drawn_about_as_often_as_any_other() -> None:
    prompts = sampling_set(make_table(20), k=5, n=2000, permutation=False, seed=0)
    counts = np.bincount([row for prompt in prompts for row in prompt.rows], minlength=20)
    assert (abs(counts - 500) < 100).all()  # standard deviation 19
    firsts = np.bincount([prompt.rows[0] for prompt in prompts], minlength=20)
    assert (abs(firsts - 100) < 50).all()  # standard deviation 10: no row prefers a place


@pytest.mark.parametrize("metric", ["mixed", "reference"])
def test_no_sampling_prompt_shows_the_rows_of_a_tuning_prompt_in_any_order(metric: str) -> None:
    table = make_table(7)
    tuning = tuning_set(table)
    taken = {frozenset(prompt.rows) for prompt in tuning}
    shared: dict[str, Any] = {"k": 3, "n": 200, "permutation": False, "seed": 0, "metric": metric}
    free = sampling_set(table, **shared)
    assert any(frozenset(prompt.rows) in taken for prompt in free)
    kept_apart = sampling_set(table, exclude=tuning, **shared)
    assert not any(frozenset(prompt.rows) in taken for prompt in kept_apart)
    for before, after in zip(free, kept_apart, strict=True):
        assert before == after or frozenset(before.rows) in taken


def test_a_table_too_small_for_new_sets_of_rows_is_refused() -> None:
    table = make_table(4)
    every_set = [asked("", rows=rows) for rows in [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]]
    with pytest.raises(ConfigError, match=r"generator\.neighbors\.k=3"):
        sampling_set(table, k=3, n=1, permutation=False, seed=0, exclude=every_set)


# ---- any context, format and order

TABLE = make_table(30)
CONTEXTS = {
    "random": RandomRows(np.arange(30), 4, 3), "neighbors": NeighborRows(nearest(TABLE, 4), 4, 3), "none": NoRows(3),
}  # fmt: skip


def made(n: int, context: str, form: str = "compact", permutation: str = "prompt", **given: Any) -> list[Prompt]:
    orders = ColumnOrders.of(SCHEMA, permutation)
    settings = {"document": True, **given}
    return sampling_prompts(TABLE, find_row_format(form, SCHEMA), CONTEXTS[context], orders, range(n), **settings)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(
    ("form", "document", "permutation"),
    [("compact", True, "prompt"), ("json", True, "none"), ("json", False, "row"), ("compact", False, "prompt")],
)
def test_prompts_show_the_contexts_rows_in_the_prompts_order(
    context: str, form: str, document: bool, permutation: str
) -> None:
    prompts = made(70, context, form, permutation, document=document)
    assert made(9, context, form, permutation, document=document) == prompts[:9]
    found = find_row_format(form, SCHEMA)
    for place, prompt in enumerate(prompts):
        shown, _ = CONTEXTS[context].shown(place)
        assert prompt.rows == tuple(shown) and prompt.completion == "" and prompt.document == document
        assert (prompt.order is None) == (permutation == "row")
        for part in prompt.parts:
            if part.row is not None:
                assert prompt.order is None or part.order == prompt.order
                text = part.text if document else part.text.partition(": ")[2]
                names = [SCHEMA.names[column] for column in part.order or ()]
                assert found.parse(text, names) == TABLE.frame.iloc[part.row].to_dict()
    if permutation == "prompt":
        assert len({prompt.order for prompt in prompts}) > 15


def test_a_prompt_says_the_label_of_its_centre_if_it_has_one() -> None:
    labels = [prompt.label for prompt in made(40, "neighbors", label=True)]
    column = SCHEMA[SCHEMA.target]
    found = [CONTEXTS["neighbors"].center(place) for place in range(40)]
    assert labels == [column.format(TABLE.target.iloc[center]) for center in found] and len(set(labels)) > 1
    for context in ("random", "none"):
        assert {prompt.label for prompt in made(9, context, label=True)} == {None}
    assert {prompt.label for prompt in made(9, "neighbors")} == {None}


def test_an_empty_list_ends_where_its_first_row_begins() -> None:
    (prompt,) = made(1, "none")
    header = "|".join(SCHEMA.names[place] for place in prompt.order or ())
    assert prompt.prompt == f"Rows about patients.\n{header}\n"


def test_columns_that_are_to_come_first_do_in_the_prompts_order() -> None:
    orders = [prompt.order or () for prompt in made(60, "random", first=["city", "age"])]
    assert all(set(order[:2]) == {0, 2} for order in orders) and len(set(orders)) == 4


def test_rows_that_are_not_real_are_shown_without_their_positions() -> None:
    real, drawn = made(5, "random"), made(5, "random", real=False)
    assert [prompt.prompt for prompt in real] == [prompt.prompt for prompt in drawn]
    assert all(prompt.rows == () for prompt in drawn) and all(prompt.rows for prompt in real)


def test_prompts_that_are_made_one_after_another_are_the_same_and_search_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    known, searches = nearest(TABLE, 4), []

    def search(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        searches.append(len(rows))
        return known[rows]

    maker = SamplingPrompts(
        row_format=find_row_format("compact", SCHEMA), orders=ColumnOrders.of(SCHEMA, "prompt"), lists=True,
        metric="mixed", rows=np.arange(30), shown=4, wanted=4,
    )  # fmt: skip
    once = maker.make(TABLE, maker.context("neighbors", TABLE, 3, nearest=known), range(40))
    streamed = maker.stream(TABLE, maker.context("neighbors", TABLE, 3, nearest=search), range(40))
    assert list(streamed) == once and searches == [30]
