"""Data frames as text and back: .venv/bin/pytest tests/tables/test_dtypes.py."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import read_schema

from harmonic.errors import ConfigError, DataError
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.reading.files import read_parquet, write_parquet


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


def to_texts(given: pd.DataFrame) -> pd.DataFrame:
    return FrameDtypes.of(given).texts(given)


def test_a_frame_comes_back_with_its_dtypes() -> None:
    texts = to_texts(frame())
    assert texts.map(lambda cell: isinstance(cell, str)).all(axis=None)
    pd.testing.assert_frame_equal(FrameDtypes.of(frame()).frame(texts), frame())


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
    pd.testing.assert_frame_equal(FrameDtypes.of(numbered).frame(texts), numbered)
    pd.testing.assert_frame_equal(FrameDtypes.of(numbered).frame(texts[["1"]]), numbered[[1]])


def test_integers_with_new_gaps_become_nullable() -> None:
    back = FrameDtypes.of(pd.DataFrame({"a": [1]})).frame(pd.DataFrame({"a": ["1", ""]}, dtype=object))
    assert back["a"].dtype == "Int64" and back["a"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once: \\['a'\\]"),
        (pd.DataFrame({"a": [[1, 2]]}), "column 'a' has a cell with several values"),
        (pd.DataFrame({"": [1]}), "without a name"),
        (pd.DataFrame(), "has no columns, or one without a name"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "several levels"),
    ],
)
def test_what_is_no_table_is_refused(wrong: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_texts(wrong)


def test_parquet_is_read_as_text_and_written_with_its_own_types(tmp_path: Path) -> None:
    path, again = tmp_path / "table.parquet", tmp_path / "again.parquet"
    rare().to_parquet(path)
    texts, dtypes = read_parquet(path)
    pd.testing.assert_frame_equal(dtypes.frame(texts), pd.read_parquet(path))
    write_parquet(dtypes.frame(texts), again, like=path)
    assert read_schema(again).remove_metadata() == read_schema(path).remove_metadata()
    pd.testing.assert_frame_equal(pd.read_parquet(again), pd.read_parquet(path))


def rare() -> pd.DataFrame:
    """Dtypes that tables have now and then."""
    return pd.DataFrame(
        {
            "decimal": [Decimal("1.50"), Decimal("22.25"), None],
            "date": [date(2020, 2, 29), None, date(1999, 1, 1)],
            "time": [time(8, 5), time(23, 59, 59), None],
            "wait": pd.to_timedelta(["08:05:00", None, "2 days 00:00:01"]),
            "quick": pd.to_timedelta([1_500_000, 250_000, 0], unit="ns"),
            "flag": pd.Series([True, None, False], dtype=object),
            "unsigned": np.array([2**64 - 1, 2**63, 7], dtype=np.uint64),
            "empty text": ["", None, "NA"],
            "tens": pd.Categorical([10, 20, 10]),
            "bytes": [b"a", b"\xff", None],
        }
    )


@pytest.mark.parametrize("dtype", ["Period", "Interval", "mixed"])
def test_other_values_come_back_too(dtype: str) -> None:
    values = {
        "Period": pd.Series(pd.PeriodIndex(["2021Q3", "2022Q1"], freq="Q")),
        "Interval": pd.Series(pd.cut([1, 5, 9], 3)),
        "mixed": pd.Series([1, "a", None, 2.5], dtype=object),
    }[dtype]
    frame = values.to_frame("x")
    dtypes = FrameDtypes.of(frame)
    pd.testing.assert_frame_equal(dtypes.frame(dtypes.texts(frame)), frame)


def test_an_object_column_comes_back_as_objects() -> None:
    frame = rare()[["flag", "date", "empty text"]]
    dtypes = FrameDtypes.of(frame)
    again = dtypes.frame(dtypes.texts(frame))
    pd.testing.assert_frame_equal(again, frame)
    assert again["flag"].tolist() == [True, None, False]


def test_null_alone_is_missing() -> None:
    frame = pd.DataFrame({"x": ["", None, "NA", "null"]})
    dtypes = FrameDtypes.of(frame)
    assert dtypes.gaps(dtypes.texts(frame))["x"].tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["20095", "10115"], "category"),  # postal codes are strings
        (["a", "b"], None),
        (["2020-01-01", "2020-01-02"], None),  # may be dates
        ([20095, 10115], "integer"),
        ([2**63 + 5, 1], "category"),  # beyond what a column of integers holds
        ([1.0, 2.0], "float"),
        ([float("inf"), 2.0], None),
        ([True, False], "category"),
        (pd.Categorical([10, 20]), "category"),
        (pd.to_timedelta(["1s", "2s"]), "integer"),
        ([Decimal("1.5"), Decimal("2.5")], "float"),
    ],
)
def test_a_dtype_decides_the_kind(values: object, kind: str | None) -> None:
    frame = pd.DataFrame({"x": values})
    dtypes = FrameDtypes.of(frame)
    assert dtypes.kinds(dtypes.texts(frame)).get("x") == kind


def test_new_numbers_beyond_a_dtype_get_a_wider_one() -> None:
    dtypes = FrameDtypes.of(pd.DataFrame({"id": np.array([126, 127], dtype=np.int8)}))
    assert dtypes.frame(pd.DataFrame({"id": ["128", "129"]}))["id"].tolist() == [128, 129]


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"dataset\.path=.*cannot be read as Parquet(.|\n)*CSV"):
        read_parquet(tmp_path / "table.parquet")
    with pytest.raises(ConfigError, match=r"no such file(.|\n)*table\.parquet"):
        read_parquet(tmp_path / "tabel.parquet")
