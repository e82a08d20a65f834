"""A file's columns read together: .venv/bin/pytest tests/tables/spellings/test_spelling_search.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError
from harmonic.tables.spellings.spelling_search import Spelled, spell

SPIN = np.random.default_rng(0)
NUMBERS = [f"{value:.3f}" for value in SPIN.uniform(1, 900, 40)]


def spelled(columns: dict[str, list[str]], **settings: object) -> Spelled:
    texts = pd.DataFrame(columns, dtype=object)
    return spell(texts, texts.isna(), **{"kinds": {}, **settings})  # type: ignore[arg-type]


def test_plain_columns_stay_as_they_are() -> None:
    found = spelled({"a": ["1", "2"], "b": ["1.50", "2.25"], "c": ["x", "y"], "d": ["2020-01-01", "2021-02-03"]})
    assert not found.spellings and not found.notes and not found.kinds and not found.doubts


def test_a_column_that_can_be_read_in_two_ways_is_read_as_the_others_prove() -> None:
    views = ["45,282", "192,508", "1,204"]
    proven = spelled({"views": views, "price": ["$5.20", "$6.25", "$7.00"]})
    assert proven.texts["views"].tolist() == ["45282", "192508", "1204"]
    other = spelled({"views": views, "price": ["5,2 €", "6,25 €", "7,0 €"]})
    assert other.texts["views"].tolist() == ["45.282", "192.508", "1.204"]
    assert any("'45,282' may be 45.282 or 45282" in note for note in other.notes)
    asked = spelled({"views": views}, decimal=",")
    assert asked.texts["views"][0] == "45.282"


def test_a_point_is_for_thousands_where_the_file_has_a_decimal_comma() -> None:
    found = spelled({"views": ["45.282", "192.508", "1.204"], "price": ["5,2", "6,25", "7,0"]})
    assert found.texts["views"].tolist() == ["45282", "192508", "1204"]
    assert not spelled({"views": ["45.282", "192.508", "1.204"]}).spellings


def test_dates_are_read_as_the_others_prove_or_as_it_is_set() -> None:
    both, sure = ["02/03/2021", "05/06/2022", "07/08/2020"], ["13/03/2021", "25/06/2022", "07/08/2020"]
    alone = spelled({"a": both})
    assert any("02/03/2021' may be 03 February 2021 or 02 March 2021" in note for note in alone.notes)
    assert any("dataset.dates=dayfirst" in note for note in alone.notes)
    assert spelled({"a": both, "b": sure}).texts["a"][0] == "2021-03-02"
    assert spelled({"a": both}, dates="dayfirst").texts["a"][0] == "2021-03-02"


def test_repeated_texts_among_numbers_are_missing_values() -> None:
    column = [*NUMBERS, "?", "?", "N/A"]
    found = spelled({"width": column})
    assert found.gaps["width"].sum() == 3
    assert any("'?' 2, 'N/A' 1 among plain numbers" in note for note in found.notes)
    assert not spelled({"width": column}, markers=False).gaps.any(axis=None)
    assert not spelled({"code": ["1", "2", "A", "A"] * 5}).gaps.any(axis=None)  # a value, among few


def test_texts_for_missing_values_may_stand_in_most_rows() -> None:
    """A column with ".." in two rows of three was a category, and all its numbers came out."""
    found = spelled({"gdp": [*NUMBERS, *[".."] * 80]})
    assert found.gaps["gdp"].sum() == 80 and not found.doubts
    three = spelled({"estimate": [*NUMBERS, *["(X)"] * 30, *["**"] * 20, *["-"] * 10]})
    assert three.gaps["estimate"].sum() == 60
    assert not spelled({"grade": ["1", "2", "3", *["A"] * 20]}).gaps.any(axis=None)


def test_the_number_of_someone_is_no_text_for_a_missing_value() -> None:
    """A number with a letter at its end, of someone with two rows, came out as a missing value."""
    numbers = [str(SPIN.integers(10**16, 10**17)) + "3" for _ in range(40)]
    found = spelled({"resident": [*numbers, "82429426424619819X", "82429426424619819X"]})
    assert not found.gaps.any(axis=None) and found.doubts["resident"].odd == ("82429426424619819X",)


def test_dates_in_digits_are_dates_beside_texts_for_missing_values_too() -> None:
    """They were numbers of 14 digits, and identifiers."""
    moments = [f"2021{SPIN.integers(1, 13):02d}{SPIN.integers(1, 29):02d}0930{n:02d}" for n in range(20)]
    found = spelled({"seen": [*moments, "?", "?"]})
    assert found.gaps["seen"].sum() == 2 and found.texts["seen"][0].startswith("2021-")


def test_what_fits_no_number_is_told_with_its_count() -> None:
    found = spelled({"width": [*NUMBERS, "12o", "<5", "about 3"]})
    assert not found.gaps.any(axis=None)
    assert found.doubts["width"].odd == ("12o", "<5", "about 3")
    assert "40 of its 43 values are numbers, 3 are not" in found.doubts["width"].words


def test_codes_with_an_e_are_no_numbers() -> None:
    found = spelled({"code": ["2E5", "7E2", "1E3"]})
    assert found.kinds == {"code": "category"} and any("'1E3'" in note for note in found.notes)
    assert not spelled({"code": ["2E5", "7E2"]}, kinds={"code": "float"}).kinds


def test_declared_kinds_decide() -> None:
    digits = ["20210811", "20211223"]
    assert not spelled({"day": digits}).spellings
    assert spelled({"day": digits}, kinds={"day": "date"}).texts["day"].tolist() == ["2021-08-11", "2021-12-23"]
    assert not spelled({"x": ["1,5", "2,5"]}, kinds={"x": "category"}).spellings
    assert spelled({"x": ["20210811", "20211223", "20200229"]}, kinds={"x": "integer"}).texts["x"][0] == "20210811"


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"decimal": ";"}, r"dataset\.decimal=;"), ({"dates": "dayfrist"}, r"dataset\.dates=dayfrist(.|\n)*'dayfirst'")],
)
def test_other_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spelled({"a": ["1"]}, **settings)
