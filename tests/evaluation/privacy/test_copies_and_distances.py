"""Copies and distances against SDMetrics, the plain definitions and anchors."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.comparison import matching
from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.comparison.matching import matching_rows
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.evaluation.privacy.copies_and_distances import Privacy, distance_ratios, share_closer
from harmonic.tables.splits import Splits


def sdmetrics_score(real, rows, schema):
    from sdmetrics.single_table import NewRowSynthesis

    columns = {c.name: {"sdtype": "numerical" if c.is_numeric else "categorical"} for c in schema.columns}
    return NewRowSynthesis.compute(real, rows, {"columns": columns})


def mixed(rng, n):
    """Few values, signs and zeros, so that near rows and exact borders occur."""
    return pd.DataFrame(
        {
            "count": rng.integers(-3, 4, n) * 100 + rng.integers(-1, 2, n),
            "amount": rng.choice([0.0, 1.0, 0.99, 1.01, -1.0, 250.0, 252.5], n),
            "colour": rng.choice(["red", "blue"], n).astype(object),
            "label": rng.choice(["a", "b", "it's"], n).astype(object),
        }
    )


@pytest.mark.parametrize("columns", [["count", "amount", "colour", "label"], ["count", "amount"], ["colour", "label"]])
@pytest.mark.parametrize("seed", [0, 1])
def test_matches_equal_sdmetrics(table_of, columns, seed):
    rng = np.random.default_rng(seed)
    frame = mixed(rng, 220)[columns]
    table = table_of(frame)
    real, rows = frame[:120], frame[120:].reset_index(drop=True)
    found = matching_rows(real, rows, table.schema)
    assert 0 < found.sum()
    assert 1 - found.mean() == pytest.approx(sdmetrics_score(real, rows, table.schema), abs=1e-12)


@pytest.mark.parametrize(
    ("synthetic", "real", "match"),
    [
        (100.0, 99.0, True),  # the border belongs to the match
        (100.0, 98.99, False),
        (99.0, 100.0, False),  # the tolerance is a share of the synthetic value
        (-100.0, -101.0, True),
        (0.0, 1e-9, False),  # zero matches zero only
        (0.0, 0.0, True),
    ],
)
def test_tolerance_is_relative_to_the_synthetic_value(table_of, synthetic, real, match):
    table = table_of(pd.DataFrame({"x": [real], "y": pd.Series(["a"], dtype=object)}))
    assert matching_rows(table.frame, table.frame.assign(x=synthetic), table.schema).tolist() == [match]


def test_a_match_needs_one_row_that_agrees_everywhere(table_of):
    table = table_of(pd.DataFrame({"x": [1.0, 2.0], "y": [5.0, 6.0], "z": pd.Series(["a", "a"], dtype=object)}))
    rows = pd.DataFrame({"x": [1.0, 1.0], "y": [5.0, 6.0], "z": ["a", "a"]})
    assert matching_rows(table.frame, rows, table.schema).tolist() == [True, False]


@pytest.mark.parametrize("block", [1, 7, 100])
def test_matches_do_not_depend_on_the_block_size(table_of, monkeypatch, block):
    frame = mixed(np.random.default_rng(3), 300)
    table = table_of(frame)
    expected = matching_rows(frame[:150], frame[150:], table.schema)
    monkeypatch.setattr(matching, "PAIRS_AT_A_TIME", block)
    assert (matching_rows(frame[:150], frame[150:], table.schema) == expected).all()


@pytest.mark.slow
def test_matching_adult_is_fifty_times_faster_than_sdmetrics(table_of, data_dir):
    parts = [pd.read_csv(data_dir / f"adult/raw/adult_{part}.csv", keep_default_na=False) for part in ("train", "test")]
    table = table_of(pd.concat(parts, ignore_index=True).astype({"class": str}))
    real, rows = table.frame[: len(parts[0])], table.frame[len(parts[0]) :].reset_index(drop=True)
    start = time.perf_counter()
    score = sdmetrics_score(real, rows[:100], table.schema)
    reference = (time.perf_counter() - start) / 100 * len(rows)
    start = time.perf_counter()
    found = matching_rows(real, rows, table.schema)
    assert time.perf_counter() - start < reference / 50
    assert 1 - found[:100].mean() == pytest.approx(score)


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


def test_share_counts_ties_half():
    to_train = np.array([1.0, 2.0, 3.0, 0.0])
    to_holdout = np.array([2.0, 1.0, 3.0 * (1 + 1e-12), 0.0])
    assert share_closer(to_train, to_holdout) == (1 + 0 + 0.5 + 0.5) / 4


def test_distance_ratio_is_zero_for_copies_even_of_repeated_rows():
    ratios = distance_ratios(np.array([[1.0, 2.0], [0.0, 2.0], [0.0, 0.0], [2.0, 2.0]]))
    assert ratios.tolist() == [0.5, 0.0, 0.0, 1.0]


def test_a_copy_is_found_out(breast_cancer, toy, assert_sound):
    for splits in (breast_cancer, toy):
        measures = Privacy().evaluate(splits, splits.train, seed=0)
        assert_sound(Privacy(), measures)
        for name in ("nrs", "dcr/mean", "dcr/median", "dcr/p5", "nndr"):
            assert measures[name] == 0, name
        assert (measures.series["dcr"] == 0).all() and len(measures.series["dcr"]) == len(splits.train)
        # A third of the training rows takes part, and is at 0; the others are near either side alike.
        assert measures["dcr/share"] == pytest.approx(1 / 3 + 2 / 3 / 2, abs=0.1)


def test_fresh_real_rows_lie_as_near_to_members_as_to_others(breast_cancer):
    measures = Privacy().evaluate(breast_cancer, breast_cancer.val, seed=0)
    assert measures["dcr/share"] == pytest.approx(0.5, abs=0.1)
    assert measures["nrs"] == 1
    assert measures["dcr/p5"] < measures["dcr/median"] < measures["dcr/mean"]
    assert 0.7 < measures["nndr"] < 1


def test_dcr_covers_all_training_rows_though_the_share_takes_some(toy):
    measures = Privacy().evaluate(toy, toy.val, seed=0)
    expected = nearest_distances(toy.val.frame, toy.train.frame, Encoder.fit(toy.train), neighbors=2)
    np.testing.assert_allclose(measures.series["dcr"], expected[:, 0], rtol=1e-12)
    assert measures["nndr"] == pytest.approx(distance_ratios(expected).mean())


def test_held_out_rows_copied_pull_the_share_down(toy):
    assert Privacy().evaluate(toy, toy.test, seed=0)["dcr/share"] < 0.1


def test_members_equal_to_non_members_tie(toy):
    splits = replace(toy, test=toy.train)
    assert Privacy().evaluate(splits, toy.val, seed=0)["dcr/share"] == 0.5


def test_splits_too_small_are_reasons(toy, assert_sound):
    single = Splits(toy.train.take([0]), toy.val, toy.test.take([]))
    measures = Privacy().evaluate(single, toy.val, seed=0)
    assert_sound(Privacy(), measures)
    assert set(measures.reasons) == {"nndr", "dcr/share"}


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = Privacy().evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(Privacy(), measures)
    assert len(measures) == len(Privacy.metrics)
