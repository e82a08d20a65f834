"""What numbers may mean besides the obvious: .venv/bin/pytest tests/tables/column_types/test_ambiguities.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.datasets import Dataset
from harmonic.tables.column_types.ambiguities import find_codes, find_doubts

SPIN = np.random.default_rng(0)


def texts(values: object) -> pd.Series:
    return pd.Series(values).astype(str)


@pytest.mark.parametrize("pool", [[101, 205, 309, 412], [1, 2, 99], [-9, 1, 2, 3, 4], [10115, 20095, 50667, 80331]])
def test_few_numbers_with_gaps_are_codes(pool: list[int]) -> None:
    said = find_codes("ward", texts(SPIN.choice(pool, 120)))
    assert said is not None and "taken for codes" in said and "dataset.kinds={ward: integer}" in said


@pytest.mark.parametrize("pool", [[0, 1], [1, 2, 3, 4, 5], [0, 10, 20, 30, 40], range(0, 500), [1.5, 20.0, 300.5]])
def test_scales_and_quantities_are_no_codes(pool: object) -> None:
    assert find_codes("x", texts(SPIN.choice(pool, 120))) is None  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("built", SPIN.integers(1950, 2020, 120), "looks like years"),
        ("shop_id", SPIN.integers(1, 9, 120), "has the name of an index"),
        ("pulse", [*SPIN.integers(50, 90, 120), *[-999] * 6], "'-999' in 6 rows, far from the others (50 to 89)"),
        ("weight", [*SPIN.uniform(50, 90, 120).round(1), *[-9.0] * 6], "'-9.0' in 6 rows"),
        ("size", [*SPIN.integers(1, 90, 120), *[9999] * 6], "'9999' in 6 rows"),
    ],
)
def test_other_meanings_are_told_with_the_setting_that_decides(name: str, values: object, part: str) -> None:
    (note,) = find_doubts(name, texts(values))
    assert part in note and "dataset." in note


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pulse", SPIN.integers(50, 90, 120)),
        ("change", [*SPIN.integers(-20, 20, 120), *[-9] * 6]),
        ("amount", [*SPIN.integers(0, 20_000, 120), *[999] * 6]),
        ("age", [1, 2]),
    ],
)
def test_usual_numbers_say_nothing(name: str, values: object) -> None:
    assert find_doubts(name, texts(values)) == []


def test_codes_are_written_as_they_are_and_no_others() -> None:
    frame = pd.DataFrame({"ward": texts(SPIN.choice([101, 205, 309, 412], 60)), "y": SPIN.choice(["p", "q"], 60)})
    table, _, _, notes = Dataset(name="t", target="y").typed(frame.astype(object))
    assert table.schema["ward"].categories == ("101", "205", "309", "412")
    assert any("'ward' has 4 whole numbers with gaps" in note for note in notes)
    kept = Dataset(name="t", target="y", kinds={"ward": "integer"}).typed(frame.astype(object))[0]
    assert kept.schema["ward"].kind == "integer"
    plain = Dataset(name="t", target="y", formats="plain").typed(frame.astype(object))[0]
    assert plain.schema["ward"].kind == "integer"


def test_dates_that_stand_for_none_are_told_in_the_files_own_words() -> None:
    days = [f"{SPIN.integers(1, 29):02d}.{SPIN.integers(1, 13):02d}.{SPIN.integers(2015, 2024)}" for _ in range(60)]
    frame = pd.DataFrame({"end": days + ["31.12.9999"] * 5, "y": ["p", "q"] * 32 + ["p"]}, dtype=object)
    notes = Dataset(name="t", target="y", missing="keep").typed(frame)[3]
    assert any("'31.12.9999' in 5 rows, far from the others" in note and "'31.12.9999']" in note for note in notes)
    frame["end"] = frame["end"].replace("31.12.9999", "31.12.2024")
    assert not any("far from" in note for note in Dataset(name="t", target="y", missing="keep").typed(frame)[3])


def test_a_stand_in_is_told_as_the_file_spells_it() -> None:
    prices = [f"{SPIN.uniform(1, 90):.2f} €".replace(".", ",") for _ in range(60)]
    frame = pd.DataFrame({"price": prices + ["-999,00 €"] * 5, "y": ["p", "q"] * 32 + ["p"]}, dtype=object)
    notes = Dataset(name="t", target="y", missing="keep").typed(frame)[3]
    assert any("'-999,00 €' in 5 rows" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("listing", SPIN.choice(9 * 10**7, 120, replace=False) + 10**7, "a different number of 8 digits in every row"),
        ("Date", SPIN.integers(43000, 45000, 120), "day numbers of a spreadsheet"),
        ("longitude", SPIN.uniform(-119, -118, 120).round(7), "a different number of 10 digits in nearly every row"),
        ("height", SPIN.uniform(150, 200, 120).round(2), None),
        ("price", SPIN.choice(9000, 120, replace=False) * 1000 + 10**6, None),
        ("size", SPIN.choice(9000, 120, replace=False) + 1000, None),
        ("day_rate", SPIN.integers(100, 900, 120), None),
    ],
)
def test_numbers_that_may_be_something_else_are_told(name: str, values: object, part: str | None) -> None:
    said = find_doubts(name, texts(values))
    assert (not said) if part is None else (len(said) == 1 and part in said[0])
