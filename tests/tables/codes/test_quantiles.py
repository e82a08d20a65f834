"""Numbers as codes: there and back within their bins, common values to the letter, conditions exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.errors import ConfigError
from harmonic.tables.codes.quantiles import CODES, ROWS, Bins, Quantiles
from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.conditions import Condition, read_conditions, satisfying
from harmonic.tables.table import Schema, Table, Task

AGE = Column(name="age", kind=Kind.INTEGER, minimum=0, maximum=10**6)
DOSE = Column(name="dose", kind=Kind.FLOAT, minimum=-9, maximum=9, decimals=2)


def bins_of(values: Any, column: Column = AGE) -> Bins:
    return Bins.of(column, np.asarray(values, dtype=np.float64), codes=CODES)


def back(bins: Bins, values: Any, seed: int = 0, condition: Condition | None = None) -> np.ndarray:
    """Coded and read again."""
    codes = pd.Series(bins.encode(np.asarray(values, dtype=np.float64)))
    return bins.decode(codes, np.random.default_rng(seed).random(len(codes)), condition)


def numbers(draw: st.DrawFn, count: int) -> np.ndarray:
    """Values with ties, gaps and long tails, in two decimals."""
    spin = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["normal", "lognormal", "few and many", "uniform", "zeros"]))
    values = {
        "normal": lambda: spin.normal(size=count),
        "lognormal": lambda: spin.lognormal(0, 2, count),
        "few and many": lambda: np.where(
            spin.random(count) < 0.6, spin.integers(0, 3, count), spin.normal(0, 50, count)
        ),
        "uniform": lambda: spin.uniform(-1e6, 1e6, count),
        "zeros": lambda: np.where(spin.random(count) < 0.9, 0.0, spin.normal(size=count)),
    }[kind]()
    return np.round(values, 2)


columns_of_numbers = st.composite(lambda draw: numbers(draw, draw(st.integers(30, 1500))))()


@settings(deadline=None, max_examples=60)
@given(columns_of_numbers, st.integers(0, 100))
def test_every_value_comes_back_within_its_bin_and_codes_are_in_the_order_of_values(
    values: np.ndarray, seed: int
) -> None:
    bins = bins_of(values, DOSE)
    distinct = np.unique(values)
    assert len(bins.low) == len(bins.codes) <= min(len(distinct), CODES)
    assert (bins.low <= bins.high).all() and (bins.high[:-1] < bins.low[1:]).all()
    assert np.isin(bins.low, distinct).all() and np.isin(bins.high, distinct).all()
    codes = bins.encode(values)
    order = np.argsort(values, kind="stable")
    assert codes[order].tolist() == sorted(codes)
    assert {len(code) for code in codes} == {1 if len(bins.codes) <= 10 else 2}
    place = np.array([bins.codes.index(code) for code in codes])
    found = back(bins, values, seed)
    assert ((bins.low[place] <= values) & (values <= bins.high[place])).all()
    assert ((bins.low[place] - 1e-9 <= found) & (found <= bins.high[place] + 1e-9)).all()
    assert (found == np.round(found, 2)).all()
    # What a hundredth of the rows have is told to the letter.
    counts = pd.Series(values).value_counts()
    common = np.isin(values, counts.index[counts > len(values) / CODES])
    assert (found[common] == values[common]).all()
    # No bin of several values has many more rows than its share.
    several = bins.low < bins.high
    rows = np.bincount(place, minlength=len(bins.low))
    assert rows[several].max(initial=0) <= max(3 * len(values) / CODES, 3)


def test_up_to_a_hundred_distinct_values_have_a_code_each_and_ten_have_one_of_one_digit() -> None:
    assert bins_of(np.repeat([3, 5, 9], 4)).codes == ("0", "1", "2")
    assert bins_of(np.arange(10)).codes[-1] == "9"
    assert bins_of([7, 7]).codes == ("0",)
    for count in (1, 2, 10, 11, 99, 100):
        values = np.repeat(np.arange(count) * 7, 3)
        bins = bins_of(values)
        assert len(bins.codes) == count and back(bins, values).tolist() == values.tolist()
    assert len(bins_of(np.arange(101)).codes) <= 100


@settings(deadline=None, max_examples=60)
@given(columns_of_numbers, st.integers(1, 12))
def test_there_are_never_more_codes_than_asked_for(values: np.ndarray, codes: int) -> None:
    bins = Bins.of(DOSE, values, codes=codes)
    assert 1 <= len(bins.low) <= codes
    assert bins.low[0] == values.min() and bins.high[-1] == values.max()


@pytest.mark.parametrize("rows", [12, 60, 150, 300])
def test_of_few_rows_a_code_stands_for_three_and_numbers_of_one_row_do_not_come_out(rows: int) -> None:
    places = np.random.default_rng(0).uniform(-90, 90, rows).round(7)
    column = Column(name="latitude", kind=Kind.FLOAT, minimum=-90, maximum=90, decimals=7)
    schema = Schema(columns=(column,), target="", task=Task.NONE, description="places")
    table = Table(pd.DataFrame({"latitude": places}), schema)
    codes = Quantiles.of(table)
    coded = codes.encode(table)
    assert len(codes.bins["latitude"].low) == rows // ROWS
    assert coded.frame["latitude"].value_counts().min() >= 2
    drawn = codes.decode(coded.frame, 0)["latitude"]
    assert np.isin(drawn, places).mean() < 0.02


def test_bins_of_rare_values_have_about_equal_numbers_of_rows() -> None:
    values = np.random.default_rng(0).lognormal(0, 3, 20_000).round(6)
    bins = bins_of(values, Column(name="x", kind=Kind.FLOAT, decimals=6))
    rows = pd.Series(bins.encode(values)).value_counts()
    assert len(rows) == 100 and rows.max() <= 210 and rows.min() >= 190


def test_a_value_is_drawn_uniformly_among_the_numbers_of_its_bin() -> None:
    values = np.arange(1000)
    bins = bins_of(values)
    code = bins.encode(np.array([500.0]))[0]
    place = bins.codes.index(code)
    span = int(bins.high[place] - bins.low[place]) + 1
    drawn = bins.decode(pd.Series([code] * 5000), np.random.default_rng(0).random(5000), None)
    counts = np.bincount((drawn - bins.low[place]).astype(int), minlength=span)
    assert span >= 9 and len(counts) == span and (abs(counts - 5000 / span) < 5 * np.sqrt(5000 / span)).all()
    ends = bins.decode(pd.Series([code, code]), np.array([0.0, 1 - 2**-53]), None)
    assert ends.tolist() == [bins.low[place], bins.high[place]]


def test_a_value_that_was_never_seen_has_the_nearest_code() -> None:
    values = np.repeat([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100], 2)
    bins = bins_of(values)
    asked = np.array([-5.0, 4, 6, 14.9, 15.1, 99, 400])
    assert back(bins, asked).tolist() == [0, 0, 10, 10, 20, 100, 100]


def test_missing_values_stay_missing_and_their_text_is_no_code() -> None:
    column = Column(name="age", kind=Kind.INTEGER, minimum=0, maximum=50, missing="07")
    values = np.arange(50.0)
    bins = bins_of(values, column)
    assert "07" not in bins.codes and len(set(bins.codes)) == 50 and bins.coded.missing == "07"
    given_ = np.array([np.nan, 3.0, np.nan, 49.0])
    codes = bins.encode(given_)
    assert codes[0] is None and codes[2] is None
    assert np.array_equal(back(bins, given_), given_, equal_nan=True)
    texts = [bins.coded.format(code) for code in codes]
    assert [bins.coded.parse(text) for text in texts] == codes.tolist()


# ---- tables

DAY = "%d.%m.%Y"
SCHEMA = Schema(
    columns=(
        AGE,
        Column(name="dose", kind=Kind.FLOAT, minimum=-9, maximum=9, decimals=2, missing="", style=Style.FIXED),
        Column(name="day", kind=Kind.INTEGER, minimum=18000, maximum=20000, date_format=DAY),
        Column(name="count", kind=Kind.INTEGER, minimum=0, maximum=900, missing="NA"),
        Column(name="grade", kind=Kind.INTEGER, minimum=1, maximum=6),
        Column(name="town", kind=Kind.CATEGORY, categories=("north", "south")),
        Column(name="price", kind=Kind.FLOAT, minimum=0, maximum=1e5, decimals=1),
    ),
    target="price", task=Task.REGRESSION, description="visits",
)  # fmt: skip


def table(n: int = 700, seed: int = 0) -> Table:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": draw.integers(0, 10**6, n),
            "dose": np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n).round(2)),
            "day": draw.integers(18000, 20000, n),
            "count": np.where(draw.random(n) < 0.3, np.nan, draw.integers(0, 900, n)),
            "grade": draw.integers(1, 7, n),
            "town": draw.choice(["north", "south"], n),
            "price": np.where(draw.random(n) < 0.4, 0, draw.lognormal(3, 2, n)).round(1),
        }
    )
    return Table(SCHEMA.conform(frame), SCHEMA)


def test_a_table_is_coded_and_comes_back_in_its_own_types() -> None:
    train = table()
    quantiles = Quantiles.of(train)
    assert set(quantiles.bins) == {"age", "dose", "day", "count", "price", "grade"}
    assert quantiles.bins["grade"].codes == ("0", "1", "2", "3", "4", "5")
    coded = quantiles.encode(train)
    assert coded.schema == quantiles.coded and coded.schema.names == SCHEMA.names and coded.schema.target == "price"
    pd.testing.assert_frame_equal(coded.schema.conform(coded.frame), coded.frame)
    pd.testing.assert_frame_equal(coded.frame[["town"]], train.frame[["town"]])
    again = quantiles.decode(coded.frame, 3)
    assert again.dtypes.equals(train.frame.dtypes)
    pd.testing.assert_frame_equal(again.isna(), train.frame.isna())
    assert ((again["price"] == 0) == (train.frame["price"] == 0)).all()  # the value of many rows
    pd.testing.assert_series_equal(again["grade"], train.frame["grade"])  # no other grade, and each where it was
    for name in ("age", "day", "price"):
        assert again[name].corr(train.frame[name], "spearman") > 0.999
    for column in SCHEMA.columns:
        for value in again[column.name]:
            assert column.parse(column.format(value)) == (None if value != value else value)


def test_rows_are_read_back_by_seed_and_place_alone() -> None:
    quantiles = Quantiles.of(table())
    coded = quantiles.encode(table(50, seed=9)).frame
    whole = quantiles.decode(coded, 4)
    pd.testing.assert_frame_equal(quantiles.decode(coded.iloc[:20], 4), whole.iloc[:20])
    assert not quantiles.decode(coded, 5).equals(whole)


def test_without_codes_a_table_is_left_as_it_is() -> None:
    quantiles, train = Quantiles.none(SCHEMA), table(30)
    assert quantiles.encode(train) is train and quantiles.decode(train.frame, 0) is train.frame
    assert quantiles.coded == SCHEMA
    conditions = read_conditions(train, {"town": "north"}, {"age": ["5", None]})
    assert quantiles.conditions(conditions) == conditions


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"age": ["123456", "654321"]}),
    ({"count": "NA"}, {"dose": ["-0.5", "0.37"]}),
    ({"price": "0.0"}, {"day": ["15.06.2020", "02.03.2022"]}),
    ({"town": "south", "grade": ["2", "3"]}, {"price": ["0.1", None]}),
    ({}, {"age": [None, "2000"], "price": ["55.5", "9000"]}),
]


@pytest.mark.parametrize(("equal", "between"), CONDITIONS)
def test_rows_of_codes_that_satisfy_are_read_back_to_rows_that_do(equal: Any, between: Any) -> None:
    train = table()
    quantiles = Quantiles.of(train)
    conditions = read_conditions(train, equal, between)
    coded = quantiles.conditions(conditions)
    # Any rows of the allowed codes, not only such as stand in the table.
    draw = np.random.default_rng(0)
    rows = quantiles.encode(train.take(draw.integers(0, len(train), 300))).frame
    for name, condition in coded.items():
        if name in quantiles.bins:
            assert set(condition.values) <= {*quantiles.bins[name].codes, None}
            allowed = np.array(condition.values, dtype=object)
            rows[name] = allowed[draw.integers(0, len(allowed), 300)]
    for name in ("town",):
        if name in conditions:
            rows = rows[[conditions[name].fits(value) for value in rows[name]]]
    found = quantiles.decode(rows.reset_index(drop=True), 1, conditions)
    assert len(found) > 20 and satisfying(found, conditions).all()
    # And no code is left out that a training row that satisfies them has.
    kept = quantiles.encode(train.take(np.flatnonzero(satisfying(train.frame, conditions)))).frame
    for name, condition in coded.items():
        assert all(condition.fits(value) for value in kept[name])


def test_a_condition_on_values_gives_these_very_values() -> None:
    train = table()
    quantiles = Quantiles.of(train)
    ages = [str(age) for age in train.frame["age"].iloc[:5]]
    conditions = read_conditions(train, {"age": ages}, {})
    coded = quantiles.conditions(conditions)["age"]
    frame = quantiles.encode(train.take(np.arange(60) % 5)).frame
    assert all(coded.fits(code) for code in frame["age"])
    found = quantiles.decode(frame, 0, conditions)
    assert set(found["age"]) <= set(map(int, ages)) and len(set(found["age"])) > 1


def test_a_range_between_two_bins_is_refused_in_words() -> None:
    values = np.concatenate([np.arange(0, 200), np.arange(10_000, 10_200)])
    schema = Schema(columns=(AGE,), target="age", task=Task.REGRESSION, description="ages")
    train = Table(schema.conform(pd.DataFrame({"age": values})), schema)
    quantiles = Quantiles.of(train)
    condition = {"age": Condition(column=AGE, low=Decimal(4000), high=Decimal(5000))}
    with pytest.raises(ConfigError, match="no training row has a value there"):
        quantiles.conditions(condition)


@pytest.mark.parametrize("decimals", [0, 3, 12, 17])
def test_many_decimals_stay_within_their_bins(decimals: int) -> None:
    column = Column(name="x", kind=Kind.FLOAT, decimals=decimals)
    values = np.round(np.random.default_rng(0).normal(0, 100, 3000), decimals)
    found = back(bins_of(values, column), values)
    assert np.isfinite(found).all() and values.min() <= found.min() and found.max() <= values.max()
    assert np.abs(np.sort(found) - np.sort(values)).max() < 100
