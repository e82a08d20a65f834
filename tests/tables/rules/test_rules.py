"""Rules between columns: found where they hold, not found by chance, and kept by whatever rows are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from shop import RULES, orders

from harmonic.tables.column_types.kinds import type_table
from harmonic.tables.rules.rule import Formula, Lookup, Order
from harmonic.tables.rules.rule_set import Rules, arranged
from harmonic.tables.rules.search import find_rules
from harmonic.tables.table import Table


def table(columns: dict[str, Any], target: str | None = None, missing: str = "") -> Table:
    """The columns as a file's text, typed; "" is a missing value."""
    texts = pd.DataFrame({name: [str(value) for value in values] for name, values in columns.items()}, dtype=object)
    frame, schema, _ = type_table(texts, target=target, gaps=texts == missing)
    return Table(frame, schema)


def shuffled(frame: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Every column in an order of its own: rows that keep no rule."""
    draw = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[draw.permutation(len(frame))] for name in frame})


def drawn(rules: Rules, train: Table) -> pd.DataFrame:
    """Rows as the worst of generators draws them: what it was given, column by column."""
    return rules.restore(shuffled(rules.reduce(train.frame)))


def found(train: Table) -> set[str]:
    return {str(rule) for rule in find_rules(train).rules}


def test_every_kind_of_rule_is_found_and_nothing_else() -> None:
    assert found(table(orders(), "paid")) == RULES


def test_rows_that_know_nothing_of_each_other_keep_every_rule() -> None:
    train = table(orders(), "paid")
    rules = find_rules(train)
    loose = rules.broken(shuffled(train.frame))
    assert all(share > 0.3 for share in loose.values())  # so the next line says something
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}


def test_a_generator_is_not_given_what_follows_from_the_rest() -> None:
    train = table(orders(), "paid")
    rules = find_rules(train)
    assert rules.reduced.names == [
        "code", "net", "tax", "freight", "count", "price", "placed", "sent after placed", "paid",
    ]  # fmt: skip
    assert rules.reduce(train.frame)["sent after placed"].between(0, 29).all()


def test_rows_that_keep_the_rules_come_back_as_they_were() -> None:
    train = table(orders(), "paid")
    pd.testing.assert_frame_equal(find_rules(train).keep(train.frame), train.frame)
    restored = Table(find_rules(train).keep(train.frame), train.schema)
    pd.testing.assert_frame_equal(restored.texts(), train.texts())


@pytest.mark.parametrize("target", ["total", "city", "amount"])
def test_the_target_is_learnt_and_still_keeps_its_rule(target: str) -> None:
    train = table(orders(), target)
    rules = find_rules(train)
    assert target in rules.reduced.names
    assert len(rules.rules) >= 4
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}


def test_columns_that_have_nothing_to_do_with_each_other_have_no_rules() -> None:
    """A bound of 1/1000 a table: of 200 tables without a rule, hardly one may have any."""
    wrong = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        rows = int(draw.integers(40, 200))
        columns: dict[str, Any] = {
            "small": draw.integers(0, 4, rows), "large": draw.integers(0, 1000, rows),
            "rare": draw.choice(["a", "b"], rows, p=[0.97, 0.03]), "many": draw.choice(list("abcdefghijklmnop"), rows),
            "real": np.round(draw.normal(0, 1, rows), 2), "positive": np.round(draw.lognormal(0, 1, rows), 2),
            "high": draw.integers(3, 9, rows), "answer": draw.choice(["yes", "no"], rows),
        }  # fmt: skip
        wrong += bool(found(table(columns, "answer")))
    assert wrong <= 2


def test_related_columns_are_no_rule_unless_every_row_keeps_it() -> None:
    columns = orders(400)
    columns["total"][7] = "1.00"
    columns["city"][7] = "Graz" if columns["city"][7] != "Graz" else "Wien"
    columns["sent"] = [*columns["sent"]]
    columns["sent"][7] = "2023-01-01"
    columns["amount"][7] = "3.00"
    assert found(table(columns, "paid")) == set()


def test_ranges_that_never_meet_are_no_rule() -> None:
    draw = np.random.default_rng(0)
    columns = {
        "children": draw.integers(0, 5, 200),
        "age": draw.integers(20, 90, 200),
        "y": draw.choice(["a", "b"], 200),
    }
    assert found(table(columns, "y")) == set()


def test_a_total_is_the_column_that_is_computed_wherever_it_stands() -> None:
    columns = orders()
    names = ["total", "net", "tax", "freight", "paid"]
    train = table({name: columns[name] for name in names}, "paid")
    assert found(train) == {"total = net + tax + freight"}
    assert find_rules(train).computed == ("total",)


def test_totals_of_totals_are_computed_one_after_the_other() -> None:
    draw = np.random.default_rng(3)
    a, b, c = (draw.integers(0, 500, 200) for _ in range(3))
    columns = {"grand": a + b + c, "a": a, "b": b, "half": a + b, "c": c, "y": draw.choice(["x", "z"], 200)}
    train = table(columns, "y")
    rules = find_rules(train)
    assert len(rules.computed) == 2
    assert set(rules.computed) == {"grand", "half"}
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}
    made = drawn(rules, train)
    assert (made["grand"] == made["a"] + made["b"] + made["c"]).all()
    assert (made["half"] == made["a"] + made["b"]).all()


def test_shares_that_add_up_to_a_constant_are_not_computed_into_negative_ones() -> None:
    draw = np.random.default_rng(3)
    a, b = draw.integers(0, 50, 200), draw.integers(0, 50, 200)
    train = table({"a": a, "b": b, "c": 100 - a - b, "y": draw.choice(["x", "z"], 200)}, "y")
    assert found(train) == set()


def test_another_unit_and_a_copy_are_computed() -> None:
    draw = np.random.default_rng(4)
    celsius, year = draw.integers(-100, 400, 200) / 10, draw.integers(1930, 2005, 200)
    train = table(
        {
            "celsius": celsius, "fahrenheit": np.round(1.8 * celsius + 32, 2), "born": year, "age": 2024 - year,
            "again": year, "y": draw.choice(["x", "z"], 200),
        },
        "y",
    )  # fmt: skip
    rules = find_rules(train)
    assert {str(rule) for rule in rules.rules} == {
        "fahrenheit = 1.8 * celsius + 32",
        "age = -born + 2024",
        "again = born",
    }
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}


def test_of_a_code_and_its_name_one_is_learnt_and_numbers_give_way_to_names() -> None:
    draw = np.random.default_rng(5)
    code = draw.choice([3, 7, 11, 20], 200)
    names = {3: "red", 7: "green", 11: "blue", 20: "grey"}
    short = {3: "r", 7: "g", 11: "b", 20: "x"}
    columns = {
        "code": code, "name": [names[one] for one in code], "short": [short[one] for one in code],
        "size": draw.integers(1, 99, 200),
    }  # fmt: skip
    rules = find_rules(table(columns))
    assert rules.reduced.names == ["name", "size"]


def test_groups_within_groups_are_looked_up_one_after_the_other() -> None:
    draw = np.random.default_rng(6)
    town = draw.integers(0, 24, 600)
    columns = {
        "town": [f"t{one}" for one in town], "county": [f"c{one % 6}" for one in town],
        "state": [f"s{one % 2}" for one in town], "size": draw.integers(1, 99, 600),
    }  # fmt: skip
    train = table(columns)
    rules = find_rules(train)
    assert {str(rule) for rule in rules.rules} == {"town -> county", "county -> state"}
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}


def test_an_age_decides_its_group_also_where_no_training_row_has_that_age() -> None:
    draw = np.random.default_rng(7)
    age = draw.choice([age for age in range(18, 90) if age not in (44, 61)], 500)
    columns = {"age": age, "group": ["young" if one < 40 else "old" for one in age], "size": draw.integers(1, 99, 500)}
    train = table(columns)
    rules = find_rules(train)
    assert {str(rule) for rule in rules.rules} == {"age -> group"}
    new = pd.DataFrame({"age": [44, 61, 25], "size": [1, 2, 3]})
    assert rules.restore(new)["group"].tolist() == ["old", "old", "young"]


def test_one_column_below_two_others_and_a_chain() -> None:
    draw = np.random.default_rng(8)
    low = draw.integers(0, 100, 300)
    middle, other = low + draw.integers(0, 60, 300), low + draw.integers(0, 90, 300)
    high = np.maximum(middle, other) + draw.integers(0, 50, 300)
    train = table({"high": high, "low": low, "middle": middle, "other": other, "size": draw.integers(0, 5, 300)})
    rules = find_rules(train)
    assert {str(rule) for rule in rules.rules} >= {"low <= middle", "low <= other", "middle <= high", "other <= high"}
    assert set(rules.broken(drawn(rules, train)).values()) == {0.0}
    pd.testing.assert_frame_equal(rules.keep(train.frame), train.frame)


def gaps(values: Any, rows: Any) -> list[str]:
    return ["" if row else str(value) for value, row in zip(values, rows, strict=True)]


@pytest.mark.parametrize("column", ["city", "code", "total", "net", "sent", "placed", "amount", "count"])
def test_missing_values_on_either_side_keep_the_rules(column: str) -> None:
    columns = orders()
    missing = np.random.default_rng(9).random(300) < 0.2
    columns[column] = gaps(columns[column], missing)
    if column == "net":
        columns["total"] = gaps(columns["total"], missing)
    train = table(columns, "paid")
    rules = find_rules(train)
    assert {str(rule).split(" ")[0] for rule in rules.rules} >= {"total", "amount"}
    assert len(rules.rules) == 4
    pd.testing.assert_frame_equal(rules.keep(train.frame), train.frame)
    made = drawn(rules, train)
    assert set(rules.broken(made).values()) == {0.0}
    assert 0.1 < made[column].isna().mean() < 0.3


def test_a_draw_below_the_shortest_distance_is_lifted_to_it() -> None:
    draw = np.random.default_rng(10)
    low = draw.integers(0, 50, 200)
    train = table({"low": low, "high": low + draw.integers(2, 60, 200)})
    rules = find_rules(train)
    made = rules.restore(pd.DataFrame({"low": [10, 10], "high minus low": [-5, 7]}))
    assert made["high"].tolist() == [12, 17]


def test_decimals_of_the_start_are_not_rounded_below_it() -> None:
    draw = np.random.default_rng(11)
    low = draw.integers(0, 1000, 200) / 100
    high = np.ceil((low + draw.integers(0, 300, 200) / 100) * 10) / 10
    train = table({"low": [f"{one:.2f}" for one in low], "high": [f"{one:.1f}" for one in high]})
    rules = find_rules(train)
    made = rules.restore(pd.DataFrame({"low": [1.24, 1.26], "high minus low": [0.0, 0.01]}))
    assert made["high"].tolist() == [1.3, 1.3]


CIRCLES: list[tuple[list[Any], list[str]]] = [
    ([Lookup(source="a", column="b", values={}), Lookup(source="b", column="a", values={})], ["a -> b"]),
    ([Order(low="a", high="b"), Order(low="b", high="c"), Order(low="c", high="a")], ["a <= b", "b <= c"]),
    ([Formula(column="c", terms=((1.0, ("b",)),)), Lookup(source="a", column="b", values={})], ["a -> b", "c = b"]),
    ([Lookup(source="a", column="b", values={}), Formula(column="b", terms=((1.0, ("c",)),))], ["a -> b"]),
]


@pytest.mark.parametrize(("rules", "kept"), CIRCLES)
def test_rules_are_arranged_so_that_each_follows_its_sources(rules: list[Any], kept: list[str]) -> None:
    assert [str(rule) for rule in arranged(rules)] == kept


def test_rules_change_the_splits_fingerprint() -> None:
    from dataclasses import replace

    from harmonic.tables.splits import Splits

    train = table(orders(), "paid")
    splits = Splits(train=train, val=train, test=train)
    assert replace(splits, rules=Rules(train.schema, ())).fingerprint() == splits.fingerprint()
    assert replace(splits, rules=find_rules(train)).fingerprint() != splits.fingerprint()


def test_a_number_on_another_scale_follows() -> None:
    """The logarithm of a count stood beside counts of which it is none."""
    draw = np.random.default_rng(0)
    base, other = draw.integers(5, 40, 200), draw.integers(5, 40, 200)
    made = {"base": base, "other": other, "lbase": np.log(base).round(6), "y": draw.choice(["a", "b"], 200)}
    assert found(table(made, "y")) == {"base -> lbase"}
    falling = made | {"lbase": -np.log(base).round(6)}
    assert found(table(falling, "y")) == {"base -> lbase"}
    scattered = made | {"lbase": (base * 7 % 41) / 3}
    assert found(table(scattered, "y")) == set()  # one to one, and of no order: codes of two makers
