"""Rows to arrays: fitted once, on the training rows and the schema."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import DataError
from harmonic.evaluation.comparison.encoding import FARTHEST, Encoder, subsample, usable_rows


def test_dense_equals_sklearn_fitted_on_the_training_rows(toy):
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, other = toy.train.frame, toy.test.frame
    encoder = Encoder.fit(toy.train)
    numeric, categorical = toy.schema.numeric, toy.schema.categorical
    scaled = StandardScaler().fit(train[numeric]).transform(other[numeric])
    categories = [list(toy.schema[name].categories) for name in categorical]
    one_hot = OneHotEncoder(categories=categories, sparse_output=False).fit(train[categorical])
    hot = one_hot.transform(other[categorical])
    np.testing.assert_allclose(encoder.dense(other), np.hstack([scaled, hot]), rtol=1e-12, atol=1e-12)


def test_categories_are_the_schemas_not_those_of_the_rows(toy):
    rows = toy.train.frame[toy.train.frame["city"] == "oslo"]
    codes = Encoder.fit(toy.train).codes(rows)
    assert set(codes[:, 0]) == {2}


def test_one_differing_category_is_at_distance_one(toy):
    rows = toy.train.frame.iloc[[0, 0]].reset_index(drop=True).copy()
    rows.loc[:, "city"] = ["bonn", "cork"]
    first, second = Encoder.fit(toy.train).dense(rows, one=0.5**0.5)
    assert np.linalg.norm(first - second) == pytest.approx(1.0)


def test_constant_training_columns_keep_their_unit(table_of):
    train = table_of(pd.DataFrame({"x": [0.1, 0.1, 0.1], "y": pd.Series(["a", "b", "a"], dtype=object)}))
    values = Encoder.fit(train).numbers(pd.DataFrame({"x": [0.1, 2.1]}))
    np.testing.assert_allclose(values[:, 0], [0.0, 2.0], atol=1e-12)


def test_far_values_are_cut_off(toy):
    rows = toy.train.frame.iloc[:2].assign(income=[1.7e308, -1.7e308])
    assert Encoder.fit(toy.train).numbers(rows)[:, 1].tolist() == [FARTHEST, -FARTHEST]


def test_subsample_is_seeded_distinct_and_alike_for_equal_lengths():
    rows = subsample(100, 30, seed=4)
    assert len(set(rows.tolist())) == 30 and rows.max() < 100
    assert (rows == subsample(100, 30, seed=4)).all()
    assert (rows != subsample(100, 30, seed=5)).any()
    assert subsample(3, 9, seed=0).tolist() == [0, 1, 2]


def test_usable_rows_refuses_an_empty_table(toy):
    with pytest.raises(DataError, match="no rows"):
        usable_rows(toy.train.take([]), toy.schema)
