"""Nearest rows: against the plain definition, and exact for equal rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.comparison.nearest import nearest_distances


def brute_force(queries, points, schema, train):
    """The definition, one pair after the other."""
    scale = {name: train[name].std(ddof=0) for name in schema.numeric}
    distances = np.empty((len(queries), len(points)))
    for i, query in enumerate(queries.to_dict("records")):
        for j, point in enumerate(points.to_dict("records")):
            numbers = sum(((query[name] - point[name]) / scale[name]) ** 2 for name in schema.numeric)
            distances[i, j] = np.sqrt(numbers + sum(query[name] != point[name] for name in schema.categorical))
    return np.sort(distances, axis=1)


def test_nearest_distances_are_the_definition(table_of, monkeypatch):
    monkeypatch.setattr("harmonic.evaluation.comparison.nearest.QUERIES_AT_A_TIME", 7)
    rng = np.random.default_rng(0)
    numbers = {f"n{i}": rng.normal(0, i, 200) for i in (1, 2, 3)}
    categories = {f"c{i}": rng.choice(list("abcd"), 200).astype(object) for i in range(5)}
    table = table_of(pd.DataFrame(numbers | categories))
    points, queries = table.take(range(150)).frame, table.take(range(150, 200)).frame
    encoder = Encoder.fit(table)
    expected = brute_force(queries, points, table.schema, table.frame)
    for neighbors in (1, 3):
        nearest = nearest_distances(queries, points, encoder, neighbors=neighbors)
        np.testing.assert_allclose(nearest, expected[:, :neighbors], rtol=1e-9)


def test_an_equal_row_is_at_exactly_zero_beside_rows_that_nearly_are(table_of):
    rng = np.random.default_rng(0)
    base = pd.DataFrame(rng.normal(1e4, 1, (200, 6)), columns=list("abcdef"))
    points = pd.concat([base + 1e-9, base, base - 1e-9], ignore_index=True)
    table = table_of(points)
    assert (nearest_distances(base, points, Encoder.fit(table))[:, 0] == 0).all()


def test_points_in_several_blocks_are_those_of_one(toy, monkeypatch):
    given = toy.test.frame, toy.train.frame, Encoder.fit(toy.train)
    whole = {neighbors: nearest_distances(*given, neighbors=neighbors) for neighbors in (1, 2, 40)}
    monkeypatch.setattr("harmonic.evaluation.comparison.nearest.POINTS_AT_A_TIME", 17)
    for neighbors, expected in whole.items():
        np.testing.assert_allclose(nearest_distances(*given, neighbors=neighbors), expected, rtol=1e-12)
    assert nearest_distances(toy.test.frame, toy.train.frame[:0], given[2]).shape == (len(toy.test), 0)
