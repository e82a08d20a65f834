"""Which rows stand apart: against the plain definition, and for members and non-members alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from harmonic.evaluation.attacks.rows_apart import NEIGHBORS, real_rows, standing_apart
from harmonic.evaluation.comparison.encoding import Encoder


def test_the_rows_are_those_farthest_from_their_nearest_others(toy):
    real, encoder = real_rows(toy), Encoder.fit(toy.train)
    assert len(real) == 400
    dense = encoder.dense(real, one=0.5**0.5)
    means = np.sort(cdist(dense, dense), axis=1)[:, 1 : NEIGHBORS + 1].mean(axis=1)
    found = standing_apart(real, real, encoder, 0.1)
    assert set(np.flatnonzero(found)) == set(np.argsort(-means)[:40])


def test_a_part_of_the_rows_is_ranked_among_itself(toy):
    real, encoder = real_rows(toy), Encoder.fit(toy.train)
    found = standing_apart(real.iloc[:30], real, encoder, 0.1)
    assert len(found) == 30 and found.sum() == 3
    assert standing_apart(real.iloc[:30], real, encoder, 0.01).sum() == 1
    assert standing_apart(real.iloc[:30], real, encoder, 1.0).all()


def test_a_row_moved_away_stands_apart(toy):
    real = real_rows(toy)
    real.loc[7, "income"] = 1e4
    assert standing_apart(real, real, Encoder.fit(toy.train), 1 / 400)[7]


def test_members_are_chosen_as_often_as_others(toy):
    real, encoder = real_rows(toy), Encoder.fit(toy.train)
    found = standing_apart(real, real, encoder, 0.25)
    train = np.arange(400) < len(toy.train)
    assert found[train].mean() == pytest.approx(found[~train].mean(), abs=0.1)
