"""Trees over rows as they are, and the attack made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.classifier import classifier_attack
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


def test_the_classifier_scores_what_looks_synthetic(toy):
    synthetic = toy.train.frame.assign(city="oslo")
    held = Attacker(synthetic, toy.val.frame, toy.schema, Encoder.fit(toy.train))
    scores = classifier_attack(toy.test.frame, held)
    there = (toy.test.frame["city"] == "oslo").to_numpy()
    assert scores[there].min() > scores[~there].max()


def test_the_classifier_needs_real_rows(toy):
    held = Attacker(toy.train.frame, toy.val.frame[:0], toy.schema, Encoder.fit(toy.train))
    with pytest.raises(DataError, match="needs reference rows"):
        classifier_attack(toy.test.frame, held)
