"""One table, split: .venv/bin/pytest tests/tables/test_splits.py."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from harmonic.tables.columns import Column, Kind
from harmonic.tables.rules.rule import Formula
from harmonic.tables.rules.rule_set import Rules
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task

SCHEMA = Schema(
    columns=(
        Column(name="net", kind=Kind.INTEGER, minimum=0, maximum=99),
        Column(name="tax", kind=Kind.INTEGER, minimum=0, maximum=9),
        Column(name="total", kind=Kind.INTEGER, minimum=0, maximum=108),
        Column(name="y", kind=Kind.CATEGORY, categories=("a", "b")),
    ),
    target="y",
    task=Task.BINARY,
    description="orders",
)


def rows(first: int, size: int) -> Table:
    net = pd.Series(range(first, first + size))
    made = {"net": net, "tax": net % 10, "total": net + net % 10, "y": ["a", "b"] * (size // 2)}
    return Table(SCHEMA.conform(pd.DataFrame(made)), SCHEMA)


def splits() -> Splits:
    return Splits(train=rows(0, 20), val=rows(20, 12), test=rows(32, 6), canaries=rows(40, 4))


def test_every_table_is_changed_and_absent_ones_stay_absent() -> None:
    found = replace(splits(), kept_apart=rows(50, 4)).each(lambda table: table.take([0, 1]))
    assert [len(one) for one in (found.train, found.val, found.test, found.holdout)] == [2, 2, 2, 2]
    assert found.canaries is not None and len(found.canaries) == 2 and found.decoys is None


def test_a_generator_gets_tables_without_what_rules_compute() -> None:
    rule = Formula(column="total", terms=((1.0, ("net",)), (1.0, ("tax",))))
    given = replace(splits(), rules=Rules(SCHEMA, (rule,)))
    assert given.rules is not None
    reduced = given.reduced(given.rules)
    assert reduced.rules is None
    for table in (reduced.train, reduced.val, reduced.test, reduced.canaries):
        assert table is not None and table.schema.names == ["net", "tax", "y"] == list(table.frame.columns)
    pd.testing.assert_frame_equal(given.rules.restore(reduced.test.frame), given.test.frame)


def test_choosing_settings_uses_reference_rows_alone() -> None:
    whole = splits()
    chosen = whole.for_selection()
    seen = pd.concat([chosen.reference.frame, chosen.test.frame]).sort_values("net")["net"].tolist()
    assert seen == sorted(whole.reference.frame["net"]) and len(chosen.test) == 4
    assert chosen.holdout.frame["net"].tolist() == whole.holdout.frame["net"].tolist()
