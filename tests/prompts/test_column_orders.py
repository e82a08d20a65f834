"""Orders of columns: by row, by prompt or none, and the target's place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prompt_tables import SCHEMA

from harmonic.errors import ConfigError
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.training_prompts import row_orders, shared_orders
from harmonic.tables.table import Schema, Task

MIDDLE: Schema = replace(SCHEMA, target="city")


def draw(permutation: str | bool, place: str = "anywhere", count: int = 500) -> list[tuple[int, ...]]:
    orders = ColumnOrders.of(MIDDLE, permutation, place).draw(np.random.default_rng(0), count)
    assert orders.shape == (count, 4)
    return list(map(tuple, orders.tolist()))


@pytest.mark.parametrize("permutation", ["row", "prompt", True])
def test_all_orders_come_alike(permutation: str | bool) -> None:
    found = draw(permutation)
    assert all(sorted(order) == [0, 1, 2, 3] for order in found)
    assert len(set(found)) == 24 and max(map(found.count, set(found))) < 60  # 21 expected


@pytest.mark.parametrize("permutation", ["none", False])
def test_without_permutation_the_order_is_the_schemas(permutation: str | bool) -> None:
    assert set(draw(permutation)) == {(0, 1, 2, 3)}
    assert ColumnOrders.of(MIDDLE, permutation).one(np.random.default_rng(0)) == (0, 1, 2, 3)


@pytest.mark.parametrize(("place", "where"), [("first", 0), ("last", 3)])
def test_the_target_has_its_place_and_the_others_any(place: str, where: int) -> None:
    found = draw("row", place)
    assert {order[where] for order in found} == {2} and len(set(found)) == 6
    without = [2, 0, 1, 3] if place == "first" else [0, 1, 3, 2]
    assert set(draw("none", place)) == {tuple(without)}


def test_a_table_without_a_target_has_no_such_place() -> None:
    orders = ColumnOrders.of(replace(SCHEMA, target="", task=Task.NONE), "row", "first")
    assert orders.target is None and len(set(map(tuple, orders.draw(np.random.default_rng(0), 500).tolist()))) == 24


def test_rows_of_a_prompt_share_their_order_or_have_one_each() -> None:
    by_prompt, by_row = ColumnOrders.of(SCHEMA, "prompt"), ColumnOrders.of(SCHEMA, "row")
    shared = row_orders(by_prompt, np.random.default_rng(0), 50, 3).reshape(50, 3, 4)
    assert (shared == shared[:, :1]).all() and len(set(map(tuple, shared[:, 0].tolist()))) > 15
    own = row_orders(by_row, np.random.default_rng(0), 50, 3).reshape(50, 3, 4)
    assert (own != own[:, :1]).any(axis=(1, 2)).mean() > 0.9
    forced = shared_orders(by_row, np.random.default_rng(0), 50, 3).reshape(50, 3, 4)
    assert (forced == forced[:, :1]).all()


@pytest.mark.parametrize(
    ("permutation", "place", "message"),
    [("rows", "anywhere", r"generator\.permutation=rows(.|\n)*row"), ("row", "end", r"generator\.target=end")],
)
def test_what_is_no_order_is_refused(permutation: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ColumnOrders.of(SCHEMA, permutation, place)
