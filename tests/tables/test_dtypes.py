"""Data frames as text and back: .venv/bin/pytest tests/test_frames.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.tables.dtypes import from_texts, to_texts
from harmonic.tables.files import parquet_dtypes, read_parquet


def frame() -> pd.DataFrame:
    moments = pd.to_datetime(pd.Series(["2024-02-29 23:59:59", None, "1999-12-31 00:00:00"]))
    return pd.DataFrame(
        {
            "integer": [1, -5, 2**60],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "float": [0.5, np.nan, 1e-7],
            "single": np.array([0.5, 2, 3], dtype=np.float32),
            "boolean": [True, False, True],
            "maybe": pd.array([True, None, False], dtype="boolean"),
            "object": ["a", None, "é 😀"],
            "string": pd.array(["x", None, "y"], dtype="string"),
            "category": pd.Categorical(["lo", "hi", None], categories=["lo", "hi"], ordered=True),
            "numbers": pd.Categorical([3, 1, 3]),
            "day": moments.dt.normalize(),
            "moment": moments,
            "fraction": moments + pd.Timedelta(microseconds=5),
            "zone": moments.dt.tz_localize("Europe/Amsterdam"),
        }
    )


def test_a_frame_comes_back_with_its_dtypes() -> None:
    texts = to_texts(frame())
    assert texts.map(lambda cell: isinstance(cell, str)).all(axis=None)
    pd.testing.assert_frame_equal(from_texts(texts, frame().iloc[:0]), frame())


def test_dates_are_iso_and_as_short_as_can_be() -> None:
    texts = to_texts(frame())
    assert texts["day"].tolist() == ["2024-02-29", "", "1999-12-31"]
    assert texts["moment"].tolist() == ["2024-02-29 23:59:59", "", "1999-12-31 00:00:00"]
    assert texts["fraction"][0] == "2024-02-29 23:59:59.000005"
    assert texts["zone"][0] == "2024-02-29 22:59:59+00:00"


def test_names_need_not_be_texts() -> None:
    numbered = pd.DataFrame({0: [1], 1: ["a"]})
    texts = to_texts(numbered)
    assert list(texts) == ["0", "1"]
    pd.testing.assert_frame_equal(from_texts(texts, numbered), numbered)
    pd.testing.assert_frame_equal(from_texts(texts[["1"]], numbered), numbered[[1]])


def test_integers_with_new_gaps_become_nullable() -> None:
    back = from_texts(pd.DataFrame({"a": ["1", ""]}, dtype=object), pd.DataFrame({"a": [1]}))
    assert back["a"].dtype == "Int64" and back["a"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once: \\['a'\\]"),
        (pd.DataFrame({"a": [[1, 2]]}), "column 'a' holds more than one value"),
        (pd.DataFrame({"": [1]}), "without a name"),
        (pd.DataFrame(), "without a name, or none"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "several levels"),
    ],
)
def test_what_is_no_table_is_refused(wrong: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_texts(wrong)


def test_parquet_is_read_as_text_and_its_dtypes_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    frame().drop(columns="single").to_parquet(path)
    texts = read_parquet(path)
    pd.testing.assert_frame_equal(texts, to_texts(frame().drop(columns="single")))
    pd.testing.assert_frame_equal(from_texts(texts, parquet_dtypes(path)), pd.read_parquet(path))


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"dataset\.path=.*cannot be read as Parquet(.|\n)*CSV"):
        read_parquet(tmp_path / "table.parquet")
    with pytest.raises(ConfigError, match=r"no such file(.|\n)*table\.parquet"):
        read_parquet(tmp_path / "tabel.parquet")
