"""Short names: shorter, all different, and words of the names that they stand for."""

from __future__ import annotations

import pytest

from harmonic.prompts.short_names import short_names


def test_a_name_gives_way_to_the_word_that_tells_it_apart() -> None:
    names = ["Credit history", "Credit amount", "Savings account/bonds", "Status of existing checking account", "age"]
    assert short_names(names) == {
        "Credit history": "history", "Credit amount": "amount", "Savings account/bonds": "Savings",
        "Status of existing checking account": "Status", "age": "age",
    }  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        [f"value of sensor {number} in the hall" for number in range(40)],
        ["amount", "the amount paid", "an amount due", "amount2"],  # the first has the best word, and keeps it
        ["1234567", "7654321", "##########", "a", ""],
        ["camelCaseNameOfOne", "camelCaseNameOfTwo", "snake_case_name", "snake_case_name_2"],
        ["größe des grundstücks", "größe der wohnung", "日本語の列の名前", "日本語"],
        ["verylongwordwithoutanyspaceinit1", "verylongwordwithoutanyspaceinit2"],
    ],
)
def test_short_names_are_different_never_longer_and_no_other_columns_name(names: list[str]) -> None:
    short = short_names(names)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    for name, alias in short.items():
        assert len(alias) <= len(name) and alias.strip() == alias
        assert alias == name or alias not in names
