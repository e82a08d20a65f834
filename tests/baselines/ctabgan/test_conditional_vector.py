"""Training by sampling: how often a value is asked for, and that the real rows have it."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.ctabgan.conditional_vector import ConditionVectors, TrainingSampler

COUNTS = [[900, 90, 10], [500, 500], [999, 0, 1, 0]]
SELECTORS = [slice(1, 4), slice(4, 6), slice(7, 11)]  # numbers stand at 0 and 6


def encoded_rows() -> np.ndarray:
    random = np.random.default_rng(0)
    rows = np.zeros((1000, 11), dtype=np.float32)
    for counts, selector in zip(COUNTS, SELECTORS, strict=True):
        options = random.permutation(np.repeat(np.arange(len(counts)), counts))
        rows[np.arange(1000), selector.start + options] = 1
    rows[:, [0, 6]] = random.uniform(-1, 1, (1000, 2))
    return rows


@pytest.mark.parametrize("logarithmic", [False, True])
def test_options_come_as_often_as_the_formula_says(logarithmic: bool) -> None:
    conditions = ConditionVectors.of(encoded_rows(), SELECTORS)
    assert conditions.counts == COUNTS and conditions.width == 9
    drawn = conditions.draw(90_000, np.random.default_rng(1), logarithmic=logarithmic)
    expected = []
    for counts in COUNTS:
        weights = np.log1p(counts) if logarithmic else np.array(counts)
        expected.extend(weights / weights.sum() / 3)
    frequencies = np.bincount(drawn, minlength=9) / 90_000
    assert frequencies == pytest.approx(np.array(expected), abs=0.005)
    assert (frequencies[np.array(expected) == 0] == 0).all()  # what no row has is never asked for


def test_the_rows_have_what_is_asked_for_and_all_of_them_come() -> None:
    rows = encoded_rows()
    sampler = TrainingSampler.of(rows, SELECTORS)
    vectors, options, positions = sampler.draw(20_000, np.random.default_rng(2))
    options_of_rows = np.hstack([rows[:, selector] for selector in SELECTORS])
    assert (options_of_rows[positions, options] == 1).all()
    assert (vectors.sum(axis=1) == 1).all() and (vectors[np.arange(20_000), options] == 1).all()
    assert set(positions) == set(range(1000))


def test_without_any_choice_nothing_is_asked_for() -> None:
    sampler = TrainingSampler.of(np.ones((20, 2), dtype=np.float32), [])
    vectors, options, positions = sampler.draw(500, np.random.default_rng(0))
    assert vectors.shape == (500, 0) and options.shape == (500,) and set(positions) == set(range(20))
    assert sampler.conditions.sampled(3, np.random.default_rng(0)).shape == (3, 0)
