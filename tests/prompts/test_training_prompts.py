"""Tuning prompts: a row as the answer to its neighbours, and lists of neighbours that are all learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from prompt_tables import SCHEMA, examples_of, make_table, tuning_set

from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.neighbors import nearest
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import RowFormat, find_row_format
from harmonic.prompts.training_prompts import Neighborhoods, lists, validation_prompts, validation_rows
from harmonic.tables.table import Table


@pytest.mark.parametrize("permutation", ["none", "row", "prompt"])
def test_tuning_prompts_show_each_rows_neighbours_in_row_order(
    permutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.prompts.training_prompts._CHUNK", 7)
    table = make_table(40)
    prompts = tuning_set(table, permutation=permutation)
    assert [prompt.rows for prompt in prompts] == [tuple(row) for row in nearest(table, 3).tolist()]
    cells = table.texts().to_dict("records")
    for row, prompt in enumerate(prompts):
        assert [dict(pairs) for pairs in examples_of(prompt)] == [cells[other] for other in (*prompt.rows, row)]


def test_the_filter_leaves_out_rows_without_like_neighbours_and_keeps_the_order() -> None:
    table = make_table(40)
    everything = tuning_set(table)
    labels = table.target.tolist()
    expected = [
        prompt
        for row, prompt in enumerate(everything)
        if sum(labels[other] == labels[row] for other in prompt.rows) > 2
    ]
    assert 0 < len(expected) < 40
    assert tuning_set(table, filter=True, threshold=2) == expected


def test_permutation_draws_a_fresh_order_for_every_row_shown() -> None:
    prompts = tuning_set(make_table(200), permutation=True)
    orders = [tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)]
    counts = pd.Series(orders).value_counts()
    assert len(counts) == 24  # all orders of four columns
    assert counts.max() < 2.5 * counts.min()  # 33 each expected
    agreeing = np.mean([orders[i] == orders[i + 1] for i in range(len(orders) - 1)])
    assert agreeing < 0.1  # 1/24 expected


def test_without_permutation_columns_stand_in_the_schemas_order() -> None:
    prompts = tuning_set(make_table(20))
    assert {tuple(name for name, _ in pairs) for prompt in prompts for pairs in examples_of(prompt)} == {
        ("age", "dose", "city", "ill")
    }


@pytest.mark.parametrize("metric", ["mixed", "random"])
def test_tuning_prompts_are_fixed_by_the_seed(metric: str) -> None:
    table = make_table(30)
    settings_: dict[str, Any] = {"metric": metric, "permutation": True}
    first = tuning_set(table, **settings_)
    assert tuning_set(table, **settings_) == first
    assert tuning_set(table, **{**settings_, "seed": 6}) != first


def test_fewer_examples_are_the_nearest_of_the_same_rows_and_the_filter_sees_all_neighbours() -> None:
    table = make_table(40)
    settings_: dict[str, Any] = {"k": 5, "filter": True, "threshold": 2}
    whole = tuning_set(table, **settings_)
    fewer = tuning_set(table, **settings_, shown=2)
    assert [prompt.completion for prompt in fewer] == [prompt.completion for prompt in whole]
    assert [prompt.rows for prompt in fewer] == [prompt.rows[:2] for prompt in whole]
    assert all(
        "based on these 2 examples" in prompt.prompt and "Example three" not in prompt.prompt for prompt in fewer
    )


def test_by_prompt_all_rows_of_a_prompt_have_its_order_and_prompts_have_different_ones() -> None:
    prompts = tuning_set(make_table(200), permutation="prompt")
    own = [{tuple(name for name, _ in pairs) for pairs in examples_of(prompt)} for prompt in prompts]
    assert all(len(found) == 1 for found in own) and len(set.union(*own)) == 24
    assert [[SCHEMA.names[place] for place in prompt.order or ()] for prompt in prompts] == [list(*one) for one in own]


def test_a_part_says_which_row_it_writes_in_which_order() -> None:
    table = make_table(30)
    texts = table.texts().to_dict("records")
    for permutation in ("row", "prompt", "none"):
        for prompt in tuning_set(table, permutation=permutation):
            parts = [part for part in prompt.parts if part.row is not None]
            assert len(parts) == 4 and [part.learnt for part in parts] == [False, False, False, True]
            for part, pairs in zip(parts, examples_of(prompt), strict=True):
                names = [SCHEMA.names[place] for place in part.order or ()]
                assert pairs == [(name, texts[part.row][name]) for name in names]  # type: ignore[index]


# ---- lists of rows


def neighborhoods(table: Table, k: int = 3, **changes: Any) -> Neighborhoods:
    return Neighborhoods.of(table, **{"k": k, "metric": "mixed", "filter": False, "threshold": 0, "seed": 0, **changes})


def listed(
    table: Table, form: str = "compact", shown: int = 3, passes: float = 2, seed: int = 0, **changes: Any
) -> list[Prompt]:
    orders = ColumnOrders.of(table.schema, "prompt")
    around = neighborhoods(table, shown)
    row_format = find_row_format(form, table.schema)
    return list(lists(table, row_format, around, orders, shown=shown, passes=passes, seed=seed))


def lines_of(prompt: Prompt) -> list[str]:
    """The lines of a list, its headline left out."""
    return (prompt.prompt + prompt.completion).split("\n")[1:-1]


@pytest.mark.parametrize("form", ["json", "compact"])
def test_a_list_is_a_row_and_its_neighbours_in_any_order_and_all_are_learnt(form: str) -> None:
    table = make_table(40)
    found: RowFormat = find_row_format(form, table.schema)
    near = nearest(table, 3)
    expected = {frozenset([row, *near[row].tolist()]) for row in range(40)}
    places = []
    for prompt in listed(table, form):
        assert prompt.document and prompt.rows == () and len(set(prompt.learnt_rows)) == 4
        assert frozenset(prompt.learnt_rows) in expected
        names = [SCHEMA.names[place] for place in prompt.order or ()]
        lines = lines_of(prompt)
        if form == "compact":
            assert lines.pop(0) == "|".join(names)
        assert [found.parse(line, names) for line in lines] == [
            table.frame.iloc[row].to_dict() for row in prompt.learnt_rows
        ]
        assert all(part.text.endswith("\n") for part in prompt.parts if part.learnt)
        places += [
            prompt.learnt_rows.index(row) for row in prompt.learnt_rows if set(near[row]) < set(prompt.learnt_rows)
        ]
    assert set(places) == {0, 1, 2, 3}  # the row in the middle stands anywhere


@pytest.mark.parametrize("rows", [20, 23, 41])
@pytest.mark.parametrize("passes", [0.01, 0.5, 1, 4, 6.5])
def test_each_row_begins_a_list_before_any_begins_a_second_and_passes_count_the_rows_learnt(
    rows: int, passes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.prompts.training_prompts._CHUNK", 5)
    table = make_table(rows)
    around = neighborhoods(table)
    # A neighbourhood that names its centre: row i's neighbours are three of its own, told by their numbers.
    far = np.array([[(row + step) % rows for step in (1, 2, 3)] for row in range(rows)])
    around = Neighborhoods(far, around.kept)
    form, orders = find_row_format("compact", table.schema), ColumnOrders.of(table.schema, "prompt")
    found = list(lists(table, form, around, orders, shown=3, passes=passes, seed=1))
    assert len(found) == max(int(np.ceil(passes * rows / 4)), 1)
    by_set = {frozenset([row, *far[row].tolist()]): row for row in range(rows)}
    counts = np.bincount([by_set[frozenset(prompt.learnt_rows)] for prompt in found], minlength=rows)
    assert counts.max() - counts.min() <= 1
    learnt = sum(len(prompt.learnt_rows) for prompt in found)
    assert passes * rows <= learnt < passes * rows + 4
    for start in range(0, len(found), rows):  # the first round is over before the second begins
        centers = [by_set[frozenset(prompt.learnt_rows)] for prompt in found[start : start + rows]]
        assert len(set(centers)) == len(centers)


def test_lists_are_fixed_by_their_seed_and_leave_out_what_the_filter_does() -> None:
    table = make_table(40)
    assert listed(table) == listed(table) != listed(table, seed=1)
    around = neighborhoods(table, 5, filter=True, threshold=3)
    assert 0 < len(around.kept) < 40
    orders, form = ColumnOrders.of(table.schema, "prompt"), find_row_format("compact", table.schema)
    found = list(lists(table, form, around, orders, shown=0, passes=3, seed=0))  # the row alone
    assert {row for prompt in found for row in prompt.learnt_rows} == set(around.kept.tolist())


# ---- rows that are kept for validation


def test_validation_rows_are_a_seeded_share_and_nobodys_neighbours() -> None:
    table = make_table(60)
    back = validation_rows(60, 0.2, seed=3)
    assert len(back) == 12 and back.tolist() == sorted(set(back.tolist())) != validation_rows(60, 0.2, seed=4).tolist()
    assert len(validation_rows(60, 0.0, seed=3)) == 0
    learnt = np.setdiff1d(np.arange(60), back)
    around = neighborhoods(table, 5, rows=learnt)
    assert around.nearest.shape == (60, 5) and around.kept.tolist() == learnt.tolist()
    assert not np.isin(around.nearest, back).any()
    # The nearest of those that are left, by the whole order of neighbours.
    whole = nearest(table, 59)
    expected = [[other for other in whole[row] if other in set(learnt)][:5] for row in range(60)]
    assert around.nearest.tolist() == expected


def test_where_too_few_near_rows_are_left_others_make_up_for_them() -> None:
    table = make_table(30)
    learnt = np.arange(6)  # of the 9 nearest rows few are among these
    around = neighborhoods(table, 3, rows=learnt)
    assert np.isin(around.nearest, learnt).all()
    for row, near in enumerate(around.nearest.tolist()):
        assert len(set(near)) == 3 and row not in near


@pytest.mark.parametrize("document", [False, True])
def test_a_validation_prompt_tells_its_row_and_shows_learnt_ones(document: bool) -> None:
    table = make_table(60)
    back = validation_rows(60, 0.1, seed=0)
    around = neighborhoods(table, 3, rows=np.setdiff1d(np.arange(60), back))
    form, orders = find_row_format("compact", table.schema), ColumnOrders.of(table.schema, "prompt")
    found = validation_prompts(table, form, around, orders, back, shown=3, document=document, seed=0)
    assert [prompt.learnt_rows for prompt in found] == [(row,) for row in back]
    assert [prompt.rows for prompt in found] == [tuple(around.nearest[row]) for row in back]
    for prompt, row in zip(found, back, strict=True):
        names = [SCHEMA.names[place] for place in prompt.order or ()]
        assert form.parse(prompt.completion, names) == table.frame.iloc[row].to_dict()
        assert prompt.document == document
