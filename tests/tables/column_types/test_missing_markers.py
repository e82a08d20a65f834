"""The texts that stand for missing values: .venv/bin/pytest tests/tables/column_types/test_missing_markers.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError
from harmonic.tables.column_types.missing_markers import MISSING_VALUES, marker_texts

ROWS = 200


def table() -> pd.DataFrame:
    """A column of numbers with two texts for missing values, and one of categories."""
    spin = np.random.default_rng(0)
    frame = pd.DataFrame({"size": spin.integers(1, 90, ROWS).astype(str), "land": spin.choice(["SA", "EU"], ROWS)})
    frame.loc[:39, "size"], frame.loc[40:49, "size"] = "", "NA"
    frame.loc[100:119, "land"], frame.loc[120:149, "land"] = "", "NA"
    frame["y"] = spin.choice(["p", "q"], ROWS)
    return frame.astype(object)


def dataset(**settings: object) -> Dataset:
    return Dataset(**{"name": "t", "target": "y", "missing": "keep", **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        (MISSING_VALUES, MISSING_VALUES),
        ([], ()),
        ([-999], ("", "-999")),
        ([None], ("", "null", "NULL", "Null")),
        (["?", 1.5], ("", "?", "1.5")),
    ],
)
def test_values_are_compared_as_texts(wanted: list[object], texts: tuple[str, ...]) -> None:
    assert marker_texts(wanted) == texts


def test_two_texts_stay_apart_at_their_rates() -> None:
    read, layout, _, notes = dataset().typed(table())
    assert read.schema["size"].kind == "integer" and read.schema["size"].missing == ""
    assert dict(layout.markers)["size"] == (("", 0.8), ("NA", 0.2))
    many = read.take(np.tile(np.arange(ROWS), 20))
    released = layout.release(many.texts(), 0)["size"]
    assert abs((released == "NA").mean() - 0.05) < 0.02 and abs((released == "").mean() - 0.2) < 0.02
    assert any("'size' has several texts" in note and "each is written as often as it was" in note for note in notes)
    assert any("'land' has several texts" in note and "ordinary values are 'NA'" in note for note in notes)
    assert layout.release(read.texts(), 0)["land"].tolist() == table()["land"].tolist()
    assert layout.plain(layout.release(read.texts(), 0)).equals(read.texts())


def test_a_number_from_the_command_line_is_one_of_them() -> None:
    frame = table().assign(size=lambda rows: rows["size"].replace({"": "-999", "NA": "-999"}))
    read, layout, _, notes = dataset(missing_values=[-999]).typed(frame)
    assert read.frame["size"].isna().sum() == 50 and layout.release(read.texts(), 0)["size"].eq("-999").sum() == 50
    assert any("replaces the usual texts: ['NA']" in note for note in notes)
    unused = dataset(missing_values=["", "k.A."]).typed(frame)[3]
    assert any("'k.A.', which is nowhere" in note for note in unused)


def test_a_class_that_is_such_a_text_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.target=land: 30 rows have 'NA'(.|\n)*dataset\.missing_values"):
        dataset(target="land").typed(table())
    kept = dataset(target="land", missing_values=[""]).typed(table())[0]
    assert "NA" in kept.schema["land"].categories
    dropped = dataset(target="size", task="regression").typed(table())[0]  # among numbers it is no class
    assert len(dropped) == 150


def test_rows_without_any_value_are_left_out() -> None:
    frame = pd.concat([table(), pd.DataFrame({"size": [""], "land": ["NA"], "y": [""]})], ignore_index=True)
    read, _, kept, notes = dataset().typed(frame)
    assert len(read) == ROWS and not kept[-1]
    assert "1 rows without any value are left out" in notes
