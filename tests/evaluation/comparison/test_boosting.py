"""Boosted trees over the rows of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.comparison.boosting import boosted_trees, tree_matrix
from harmonic.evaluation.comparison.encoding import Encoder


def test_rows_become_numbers_beside_category_positions(toy):
    encoder = Encoder.fit(toy.train)
    matrix = tree_matrix(toy.test.frame, encoder)
    assert matrix[:, :2] == pytest.approx(encoder.numbers(toy.test.frame))
    assert matrix[:, 2].tolist() == toy.test.frame["city"].map({"bonn": 0, "cork": 1, "oslo": 2}).tolist()


def test_a_category_of_many_values_counts_as_a_number(table_of):
    values = [f"v{i:03d}" for i in range(300)]
    table = table_of(pd.DataFrame({"word": pd.Series(values, dtype=object), "y": pd.Series(["a", "b"] * 150)}))
    encoder = Encoder.fit(table)
    model = boosted_trees(encoder, seed=0, max_iter=3)
    assert model.categorical_features == [False, True]
    label = np.repeat([0, 1], 150)
    assert model.fit(tree_matrix(table.frame, encoder), label).score(tree_matrix(table.frame, encoder), label) == 1
