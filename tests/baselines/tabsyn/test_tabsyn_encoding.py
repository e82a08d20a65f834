"""TabSyn's encoding: numbers to normal scores and back, ties in the middle of their share, categories as codes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.preprocessing import QuantileTransformer
from toys import make_splits, splits_of

from baselines.tabsyn.encoding import KNOTS, NumericEncoding, TableEncoding
from harmonic.tables.table import Task


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_decoding_inverts_encoding_also_after_a_trip_through_json(task: Task) -> None:
    train = make_splits(task).train
    encoding = TableEncoding.of(train)
    again = TableEncoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    pd.testing.assert_frame_equal(again.decode(*encoding.encode(train.frame), train.schema), train.frame)


def test_more_rows_than_knots_come_back_within_the_gap_between_knots() -> None:
    values = np.round(np.random.default_rng(0).lognormal(3, 1, 20 * KNOTS), 2)
    encoding = NumericEncoding.of("x", values)
    assert len(encoding.quantiles) == KNOTS
    error = np.abs(encoding.decode(encoding.encode(values)) - values)
    inner = values < np.quantile(values, 0.99)  # the last gaps are wide
    assert error[inner].max() < 0.5 and values.std() > 30


@pytest.mark.parametrize("ties", [False, True])
def test_scores_are_the_normal_quantiles_of_mean_ranks(ties: bool) -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 6, 300).astype(float) if ties else random.exponential(1, 300)
    encoding = NumericEncoding.of("x", values)
    expected = ndtri((rankdata(values) - 0.5) / 300)
    np.testing.assert_allclose(encoding.encode(values), (expected - expected.mean()) / expected.std(), atol=1e-9)


def test_scores_are_those_of_scikit_learn_away_from_the_ends() -> None:
    values = np.random.default_rng(2).gamma(2, 3, 5000)
    library = QuantileTransformer(n_quantiles=1000, output_distribution="normal").fit_transform(values[:, None])[:, 0]
    encoding = NumericEncoding.of("x", values)
    ours = encoding.encode(values) * encoding.std + encoding.mean
    inner = np.abs(library) < 2
    np.testing.assert_allclose(ours[inner], library[inner], atol=5e-3)


def test_a_frequent_smallest_value_stays_near_the_others() -> None:
    values = np.r_[np.zeros(900), np.arange(1.0, 101.0)]
    encoding = NumericEncoding.of("gain", values)
    scores = encoding.encode(values)
    assert scores.std() == pytest.approx(1) and np.abs(scores).max() < 6
    np.testing.assert_allclose(encoding.decode(scores + 0.1 * (values == 0)), values, atol=1e-9)


def test_scores_beyond_the_training_rows_stay_within_their_range() -> None:
    train = make_splits().train
    encoding = TableEncoding.of(train)
    wild = np.random.default_rng(0).normal(0, 50, (40, len(encoding.numeric))).astype(np.float32)
    found = encoding.decode(wild, np.zeros((40, len(encoding.categorical)), np.int64), train.schema)
    for name in ("age", "income", "noise"):
        assert found[name].min() == train.frame[name].min() and found[name].max() == train.frame[name].max()


def test_columns_of_repeated_values_take_no_value_between_them() -> None:
    steps = np.resize([0.25, 0.5, 0.75, 4.0], 400)
    encoding = NumericEncoding.of("dose", steps)
    assert set(encoding.decode(np.linspace(-4, 4, 999))) == {0.25, 0.5, 0.75, 4.0}
    smooth = NumericEncoding.of("weight", np.random.default_rng(0).normal(0, 1, 400))
    assert len(np.unique(smooth.decode(np.linspace(-2, 2, 999)))) > 900


def test_normal_scores_give_the_columns_own_distribution() -> None:
    values = np.r_[np.zeros(600), np.random.default_rng(0).exponential(1, 400)]
    encoding = NumericEncoding.of("x", values)
    drawn = encoding.decode((np.random.default_rng(1).normal(0, 1, 40_000) - encoding.mean) / encoding.std)
    assert np.mean(drawn == 0) == pytest.approx(0.6, abs=0.01)
    np.testing.assert_allclose(np.quantile(drawn, [0.7, 0.9]), np.quantile(values, [0.7, 0.9]), rtol=0.1)


def test_a_classifications_numeric_target_and_constant_columns_are_kept() -> None:
    frame = pd.DataFrame({"x": np.full(20, 3.5), "c": ["only"] * 20, "y": np.resize([7, 9], 20)})
    train = splits_of(frame, "y", Task.BINARY, (20, 0)).train
    encoding = TableEncoding.of(train)
    scores, codes = encoding.encode(train.frame)
    assert encoding.cardinalities == [1, 2] and not scores.any() and set(codes[:, 1]) == {0, 1}
    pd.testing.assert_frame_equal(encoding.decode(scores + 1, codes, train.schema), train.frame)
