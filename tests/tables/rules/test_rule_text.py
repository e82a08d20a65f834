"""Rules as a user writes them: read whatever the columns are called, refused in words where they are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shop import RULES, orders

from harmonic.errors import ConfigError
from harmonic.tables.column_types.kinds import type_table
from harmonic.tables.rules.text import kept_rules, read_rule, read_rules
from harmonic.tables.table import Table


def table(columns: dict[str, object], target: str | None = None) -> Table:
    texts = pd.DataFrame({name: [str(v) for v in values] for name, values in columns.items()}, dtype=object)  # type: ignore[attr-defined]
    frame, schema, _ = type_table(texts, target=target)
    return Table(frame, schema)


@pytest.fixture(scope="module")
def shop() -> Table:
    return table(orders(), "paid")


@pytest.mark.parametrize(
    "text", [*sorted(RULES), "total = 2 * net - tax + 3.5", "net = -tax", "city -> code", "freight = 7 * count"]
)
def test_a_rule_is_written_as_it_is_read(shop: Table, text: str) -> None:
    assert str(read_rule(text, shop)) == text
    assert str(read_rule(str(read_rule(text, shop)), shop)) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("sent>=placed", "placed <= sent"),
        ("total=net+tax + freight", "total = net + tax + freight"),
        ("code->city", "code -> city"),
    ],
)
def test_blanks_and_the_other_way_round_do_not_matter(shop: Table, text: str, same: str) -> None:
    assert str(read_rule(text, shop)) == same


def test_names_with_signs_and_blanks_in_them() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 9, 50), draw.integers(0, 9, 50)
    odd = table({"a - b": a, "b (net)": b, "a = b": a + b, "a <= b": a + b + 1})
    assert read_rule("a = b = a - b + b (net)", odd).sources == ("a - b", "b (net)")
    assert str(read_rule("a = b <= a <= b", odd)) == "a = b <= a <= b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("placed <= snt", "'snt'(.|\n)*'sent'"), ("total", "is not a rule(.|\n)*dataset.rules="),
        ("city <= sent", "is a category"),
        ("net <= sent", "have different units"), ("net <= net", "is not a rule"), ("total = net tax", "'net tax'"),
        ("total < net", "is not a rule"), ("total = city + net", "'city' is a category"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_said_to_be_none(shop: Table, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rule(text, shop)


def test_a_rule_that_most_rows_break_is_an_error_and_one_that_few_break_a_note(shop: Table) -> None:
    with pytest.raises(ConfigError, match="% of the training rows break it"):
        read_rules(["net <= tax"], shop)
    rules, notes = read_rules(["tax <= net"], shop)
    assert [str(rule) for rule in rules.rules] == ["tax <= net"]
    assert len(notes) == 1 and "training rows break it" in notes[0]


def test_two_rules_that_make_one_column_are_an_error(shop: Table) -> None:
    with pytest.raises(ConfigError, match="another rule computes the column"):
        read_rules(["total = net + tax + freight", "net -> total"], shop)


def test_auto_off_and_a_list(shop: Table) -> None:
    assert (
        kept_rules("off", shop)[0] is None and kept_rules(None, shop)[0] is None and kept_rules(False, shop)[0] is None
    )
    found, notes = kept_rules("auto", shop)
    assert found is not None and {str(rule) for rule in found.rules} == RULES
    assert sum(note.startswith("rule ") for note in notes) == 4 and "dataset.rules=off" in notes[-1]
    some, _ = kept_rules(["placed <= sent"], shop)
    assert some is not None and len(some.rules) == 1
    more, _ = kept_rules(["auto", "tax <= net"], shop)
    assert more is not None and {str(rule) for rule in more.rules} == RULES | {"tax <= net"}
