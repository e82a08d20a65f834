"""Codes of a schema: values and bins, there and back, and nothing that follows from the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from baselines.private_marginals.domain import Domain
from harmonic.tables.columns import Column, Kind
from harmonic.tables.table import Schema, Task

COLUMNS = (
    Column(name="few", kind=Kind.INTEGER, minimum=-2, maximum=3),
    Column(name="many", kind=Kind.INTEGER, minimum=10, maximum=109),
    Column(name="tenths", kind=Kind.FLOAT, minimum=0.1, maximum=0.9, decimals=1),
    Column(name="fine", kind=Kind.FLOAT, minimum=-1.0, maximum=1.0, decimals=12),
    Column(name="sort", kind=Kind.CATEGORY, categories=("b", "a", "c")),
)
SCHEMA = Schema(columns=COLUMNS, target="sort", task=Task.MULTICLASS, description="toys")


def rows(n: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "few": random.integers(-2, 4, n),
            "many": random.integers(10, 110, n),
            "tenths": random.integers(1, 10, n) / 10,
            "fine": random.uniform(-1, 1, n).round(12),
            "sort": random.choice(["a", "b", "c"], n),
        }
    )
    return SCHEMA.conform(frame)


def test_few_values_have_a_code_each_and_many_share_bins() -> None:
    domain = Domain(SCHEMA, bins=10)
    assert domain.sizes == [6, 10, 9, 10, 3]
    codes = domain.encode(rows())
    assert codes.min() == 0 and (codes.max(axis=0) == np.array(domain.sizes) - 1).all()
    drawn = domain.decode(codes, np.random.default_rng(1))
    for name in ("few", "tenths", "sort"):
        pd.testing.assert_series_equal(drawn[name], rows()[name])
    assert (drawn["many"] != rows()["many"]).any()
    np.testing.assert_array_equal(domain.encode(drawn), codes)  # a number of a bin stays in it


@pytest.mark.parametrize("bins", [2, 3, 7, 16, 99, 100, 101])
def test_each_bin_of_whole_numbers_gives_every_one_of_its_numbers_and_no_other(bins: int) -> None:
    schema = replace(SCHEMA, columns=COLUMNS[1:2], target="many", task=Task.REGRESSION)
    domain = Domain(schema, bins)
    every = pd.DataFrame({"many": np.arange(10, 110)})
    codes = domain.encode(every)
    assert np.ptp(np.bincount(codes[:, 0])) <= 1
    drawn = domain.decode(np.repeat(codes, 200, axis=0), np.random.default_rng(0))["many"].to_numpy()
    for code in range(domain.sizes[0]):
        own = every["many"].to_numpy()[codes[:, 0] == code]
        assert set(drawn[np.repeat(codes[:, 0], 200) == code]) == set(own)


def test_codes_depend_on_the_schema_and_not_on_the_rows() -> None:
    """The ground of the guarantee: what a row is coded as does not change with the other rows."""
    domain, frame = Domain(SCHEMA, bins=10), rows()
    alone = np.concatenate([domain.encode(frame.iloc[[place]]) for place in range(50)])
    np.testing.assert_array_equal(alone, domain.encode(frame)[:50])


def test_a_missing_value_is_a_code_of_its_own() -> None:
    columns = (replace(COLUMNS[1], missing=""), replace(COLUMNS[4], missing=""))
    schema = replace(SCHEMA, columns=columns)
    frame = schema.conform(pd.DataFrame({"many": [10, None, 109], "sort": ["c", "a", None]}))
    domain = Domain(schema, bins=10)
    assert domain.sizes == [11, 4]
    np.testing.assert_array_equal(domain.encode(frame), [[0, 2], [10, 1], [9, 3]])
    drawn = domain.decode(domain.encode(frame), np.random.default_rng(0))
    assert drawn.isna().to_numpy().tolist() == [[False, False], [True, False], [False, True]]
    assert list(drawn.dtypes) == list(frame.dtypes)


def test_numbers_beyond_a_declared_range_fall_into_its_ends() -> None:
    schema = replace(SCHEMA, columns=COLUMNS[1:2], target="many", task=Task.REGRESSION)
    frame = pd.DataFrame({"many": [-1000, 5000]})
    np.testing.assert_array_equal(Domain(schema, 10).encode(frame), [[0], [9]])


def test_a_column_of_one_value_has_one_code() -> None:
    columns = (Column(name="one", kind=Kind.FLOAT, minimum=2.5, maximum=2.5, decimals=1), COLUMNS[4])
    domain = Domain(replace(SCHEMA, columns=columns), 10)
    frame = pd.DataFrame({"one": [2.5, 2.5], "sort": ["a", "b"]})
    assert domain.sizes[0] == 1
    pd.testing.assert_frame_equal(domain.decode(domain.encode(frame), np.random.default_rng(0)), frame)
