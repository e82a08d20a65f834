"""Copies and distances against SDMetrics, the plain definitions and anchors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.evaluation.privacy.copies_and_distances import Privacy, distance_ratios, share_closer
from harmonic.tables.splits import Splits


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


def test_of_too_many_pairs_distances_are_those_of_some_synthetic_rows_to_all_training_rows(breast_cancer):
    splits, synthetic = breast_cancer, breast_cancer.holdout
    pairs = len(synthetic) * len(splits.train)
    whole = Privacy().evaluate(splits, synthetic, seed=0)
    assert not whole.notes
    assert dict(Privacy(max_pairs=pairs).evaluate(splits, synthetic, seed=0)) == dict(whole)
    some, again, other = (Privacy(max_pairs=pairs // 2).evaluate(splits, synthetic, seed=seed) for seed in (0, 0, 1))
    assert len(some.series["dcr"]) == len(synthetic) // 2 and some["nrs"] == whole["nrs"]
    assert set(some.series["dcr"]) < set(whole.series["dcr"])
    assert dict(some) == dict(again) != dict(other)
    size = f"{len(synthetic) // 2} of {len(synthetic)} synthetic rows"
    assert some.notes == dict.fromkeys(whole.keys() - {"nrs"}, f"of {size} (max_pairs)")
    means = [Privacy(max_pairs=pairs // 2).evaluate(splits, synthetic, seed=seed)["dcr/mean"] for seed in range(20)]
    error = whole.series["dcr"].std() / len(some.series["dcr"]) ** 0.5
    assert np.mean(means) == pytest.approx(whole["dcr/mean"], abs=error)  # in a mean of 20, more than 4 deviations


def test_splits_too_small_are_reasons(toy, assert_sound):
    single = Splits(toy.train.take([0]), toy.val, toy.test.take([]))
    measures = Privacy().evaluate(single, toy.val, seed=0)
    assert_sound(Privacy(), measures)
    assert set(measures.reasons) == {"nndr", "dcr/share"}


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = Privacy().evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(Privacy(), measures)
    assert len(measures) == len(Privacy.metrics)
