"""Which rows are used if some have missing values: .venv/bin/pytest tests/tables/test_missing_rows.py."""

from __future__ import annotations

import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.tables.missing_rows import usable_rows

GAPS = pd.DataFrame({"a": [False, True, True, False], "y": [False, False, True, True]})


@pytest.mark.parametrize(
    ("missing", "target", "used", "notes"),
    [
        ("drop", "y", [True, False, False, False], ["1 rows without any value", "dropped 2 of 4 rows"]),
        ("keep", "y", [True, True, False, False], ["1 rows without any value", "dropped 1 of 4 rows"]),
        ("keep", None, [True, True, False, True], ["1 rows without any value"]),
    ],
)
def test_rows_are_used_as_the_setting_says(
    missing: str, target: str | None, used: list[bool], notes: list[str]
) -> None:
    rows, said = usable_rows(GAPS, target=target, missing=missing)
    assert rows.tolist() == used
    assert [one in note for one, note in zip(notes, said, strict=True)] == [True] * len(notes)


def test_missing_values_are_an_error_with_counts_unless_they_are_wanted() -> None:
    with pytest.raises(DataError, match=r"missing values in 2 of 4 rows: 'a' 1, 'y' 1(.|\n)*dataset\.missing=keep"):
        usable_rows(GAPS, target="y", missing="error")
    with pytest.raises(ConfigError, match=r"dataset\.missing=maybe"):
        usable_rows(GAPS, target="y", missing="maybe")


@pytest.mark.parametrize(
    ("gaps", "missing", "message"),
    [
        (GAPS | True, "keep", "no row has a value"),
        (GAPS.assign(y=True), "keep", "the target 'y' has no value"),
        (GAPS.assign(y=True), "drop", r"columns without any value: \['y'\]"),
        (pd.DataFrame({"a": [True, False], "y": [False, True]}), "drop", "every row has a missing value"),
    ],
)
def test_a_table_of_which_nothing_is_left_is_refused(gaps: pd.DataFrame, missing: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        usable_rows(gaps, target="y", missing=missing)
