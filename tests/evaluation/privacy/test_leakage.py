"""The Data Leakage Test on models whose perplexities are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.privacy.leakage import DataLeakageTest, bootstrap_interval, perplexities
from harmonic.tables.table import Table


def uniform(vocabulary):
    """A model that finds every token equally likely."""
    return lambda rows: np.full(len(rows), np.log(vocabulary))


def remembering(train, known=0.5, unknown=2.0):
    """A model that finds the rows of `train` more likely than others."""
    seen = set(map(tuple, train.frame.to_numpy().tolist()))
    return lambda rows: np.array([known if tuple(row) in seen else unknown for row in rows.to_numpy().tolist()])


def by_value(rows):
    """A model whose likelihood depends on the row."""
    return rows["age"].to_numpy() / 40


def test_uniform_model_has_the_vocabularys_perplexity_and_leaks_nothing(toy, assert_sound):
    measures = DataLeakageTest().evaluate(toy, toy.val, seed=0, scorer=uniform(50))
    assert_sound(DataLeakageTest(), measures)
    for name in ("train", "holdout", "synthetic"):
        assert measures[f"perplexity/{name}"] == pytest.approx(50)
    for name in ("dlt", "dlt_holdout", "dlt_holdout/low", "dlt_holdout/high"):
        assert measures[name] == pytest.approx(0, abs=1e-9)


def test_perplexity_is_the_mean_over_rows_of_e_to_the_nll():
    assert perplexities(np.log([2.0, 4.0])).tolist() == pytest.approx([2, 4])


@pytest.mark.parametrize("max_rows", [None, 10])
def test_dlt_of_the_training_rows_is_exactly_zero(toy, max_rows):
    measures = DataLeakageTest(max_rows=max_rows).evaluate(toy, toy.train, seed=3, scorer=by_value)
    assert measures["dlt"] == 0.0
    assert measures["perplexity/holdout"] != measures["perplexity/train"]


def test_memory_shows_in_dlt_holdout_and_its_interval(toy):
    measures = DataLeakageTest().evaluate(toy, toy.val, seed=0, scorer=remembering(toy.train))
    assert measures["dlt_holdout"] == pytest.approx(np.exp(2.0) - np.exp(0.5))
    assert measures["dlt_holdout/low"] > 0
    assert measures["dlt"] == pytest.approx(np.exp(0.5) - np.exp(2.0))


def test_likely_synthetic_rows_raise_dlt_but_not_dlt_holdout(toy):
    synthetic = Table(toy.val.frame.assign(age=18), toy.schema)  # mode collapse: the model's favourite age
    measures = DataLeakageTest().evaluate(toy, synthetic, seed=0, scorer=by_value)
    assert measures["dlt"] > 1 and 0 < measures["dlt/low"] <= measures["dlt"] <= measures["dlt/high"]
    assert measures["dlt_holdout/low"] < 0 < measures["dlt_holdout/high"]


def test_series_hold_the_rows_perplexities(toy):
    measures = DataLeakageTest().evaluate(toy, toy.val, seed=0, scorer=by_value)
    assert measures.series["perplexity/synthetic"] == pytest.approx(np.exp(by_value(toy.val.frame)))
    assert measures["perplexity/synthetic"] == pytest.approx(measures.series["perplexity/synthetic"].mean())


def test_tables_are_cut_to_the_held_out_rows_and_max_rows(toy):
    sizes = []

    def scorer(rows):
        sizes.append(len(rows))
        assert isinstance(rows.index, pd.RangeIndex)
        return np.ones(len(rows))

    DataLeakageTest(max_rows=None).evaluate(toy, toy.train, seed=0, scorer=scorer)
    DataLeakageTest(max_rows=30).evaluate(toy, toy.train, seed=0, scorer=scorer)
    assert sizes == [len(toy.test)] * 3 + [30] * 3


def test_without_a_language_generator_every_metric_is_nan_with_the_reason(toy, assert_sound):
    measures = DataLeakageTest().evaluate(toy, toy.val, seed=0)
    assert_sound(DataLeakageTest(), measures)
    assert set(measures) == {metric.name for metric in DataLeakageTest.metrics}
    assert all("needs a language generator" in reason for reason in measures.reasons.values())


def test_an_infinite_perplexity_is_a_reason(toy, assert_sound):
    def scorer(rows):
        return np.where(np.arange(len(rows)) == 1, 1000.0, 1.0)

    measures = DataLeakageTest().evaluate(toy, toy.val, seed=0, scorer=scorer)
    assert_sound(DataLeakageTest(), measures)
    assert measures.reasons["perplexity/train"] == f"1 of {len(toy.test)} rows have no finite perplexity"
    assert set(measures.reasons) == set(measures)


def test_interval_agrees_with_normal_theory_and_follows_the_seed():
    rng = np.random.default_rng(0)
    first, second = rng.normal(3, 1, 400), rng.normal(1, 2, 300)
    low, high = bootstrap_interval(first, second, resamples=4000, seed=1)
    width = 2 * 1.96 * np.sqrt(1 / 400 + 4 / 300)
    assert high - low == pytest.approx(width, rel=0.1)
    assert low < 2 < high
    assert (low, high) == bootstrap_interval(first, second, resamples=4000, seed=1)
    assert (low, high) != bootstrap_interval(first, second, resamples=4000, seed=2)


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = DataLeakageTest().evaluate(toy, spoiled(toy.train), seed=0, scorer=uniform(9))
    assert_sound(DataLeakageTest(), measures)
    assert measures["perplexity/train"] == pytest.approx(9)
