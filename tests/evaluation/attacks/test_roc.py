"""ROC areas, rates and intervals against scikit-learn, the plain definitions and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from harmonic.evaluation.attacks.roc import (
    area,
    area_interval,
    resolves,
    true_positive_intervals,
    true_positive_rates,
    worst_area,
)

RATES = (0.001, 0.01, 0.1, 0.5)


def scores(seed, members=150, others=130, shift=0.8, decimals=1):
    """Normal scores with many ties."""
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, members).round(decimals), rng.normal(0, 1, others).round(decimals)


def labelled(members, others):
    return np.repeat([1, 0], [len(members), len(others)]), np.concatenate([members, others])


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_area_equals_sklearn_ties_half(decimals):
    from sklearn.metrics import roc_auc_score

    members, others = scores(0, decimals=decimals)
    assert area(members, others) == pytest.approx(roc_auc_score(*labelled(members, others)), abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("others", [40, 130, 1000])
def test_rates_are_points_of_sklearns_curve(decimals, others):
    from sklearn.metrics import roc_curve

    sample = scores(1, others=others, decimals=decimals)
    false, true, _ = roc_curve(*labelled(*sample), drop_intermediate=False)
    expected = [true[false <= rate + 1e-12].max() for rate in RATES]
    assert true_positive_rates(*sample, RATES) == pytest.approx(expected, abs=1e-12)


def test_scores_that_all_tie_are_worth_nothing_for_certain():
    members, others = np.zeros(20), np.zeros(30)
    assert area(members, others) == 0.5
    assert area_interval(members, others) == (0.5, 0.5)
    assert true_positive_rates(members, others, RATES).tolist() == [0, 0, 0, 0]


def test_delongs_interval_is_the_definition():
    from scipy.special import logit
    from scipy.stats import brunnermunzel, t

    members, others = scores(2)
    wins = (members[:, None] > others) + 0.5 * (members[:, None] == others)
    parts = [wins.mean(axis=1).var(ddof=1) / len(members), wins.mean(axis=0).var(ddof=1) / len(others)]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(members) - 1) + parts[1] ** 2 / (len(others) - 1))
    tested = brunnermunzel(others, members)
    assert abs(tested.statistic) == pytest.approx((wins.mean() - 0.5) / np.sqrt(sum(parts)))
    assert tested.pvalue == pytest.approx(2 * t.sf(abs(tested.statistic), freedom))
    low, high = logit(area_interval(members, others, 0.9))
    assert (low + high) / 2 == pytest.approx(logit(wins.mean()))
    slope = wins.mean() * (1 - wins.mean())
    assert high - low == pytest.approx(2 * t.ppf(0.95, freedom) * np.sqrt(sum(parts)) / slope, rel=1e-6)


def test_delongs_interval_agrees_with_the_bootstrap():
    from scipy.stats import bootstrap

    def statistic(one, other, axis):
        return (one[..., :, None] > other[..., None, :]).mean(axis=(-1, -2))

    members, others = scores(3, decimals=9)
    drawn = bootstrap((members, others), statistic, n_resamples=1000, batch=50, method="percentile", rng=0)
    expected = drawn.confidence_interval
    assert area_interval(members, others) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_complete_separation_leaves_room_for_doubt():
    low, high = area_interval(np.arange(10.0) + 100, np.arange(40.0))
    assert (low, high) == (pytest.approx(0.025**0.1), 1.0)
    low, high = area_interval(np.arange(40.0), np.arange(10.0) + 100)
    assert (low, high) == (0.0, pytest.approx(1 - 0.025**0.1))


def test_the_worst_area_is_the_largest_with_an_interval_for_all_at_once():
    pairs = {"noise": scores(0, shift=0.0), "ahead": scores(1), "behind": scores(2, shift=-1.0)}
    name, value, (low, high) = worst_area(pairs)
    assert (name, value) == ("ahead", area(*pairs["ahead"]))
    single = [area_interval(*pair, 1 - 0.05 / 3) for pair in pairs.values()]
    assert low == max(one[0] for one in single) < area_interval(*pairs["ahead"])[0] < value < high


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_area_intervals_cover_the_truth_as_often_as_they_promise(shift):
    from scipy.stats import norm

    found = [area_interval(*scores(seed, 80, 60, shift, decimals=9)) for seed in range(400)]
    assert 0.92 <= covered(found, norm.cdf(shift / np.sqrt(2))) <= 0.98


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("size", "confidence"), [(15, 0.95), (31, 0.95), (31, 0.99)])
def test_area_intervals_of_few_rows_lie_above_the_truth_no_more_often_than_they_promise(shift, size, confidence):
    from scipy.stats import norm

    truth = norm.cdf(shift / np.sqrt(2))
    found = [area_interval(*scores(seed, size, size, shift, decimals=9), confidence) for seed in range(1000)]
    promised = (1 - confidence) / 2
    assert np.mean([low > truth for low, _ in found]) <= promised + 2.5 * np.sqrt(promised / 1000)
    assert np.mean([high < truth for _, high in found]) <= promised + 2.5 * np.sqrt(promised / 1000)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_rate_intervals_cover_the_truth_as_often_as_they_promise(shift):
    from scipy.stats import norm

    truth = norm.sf(norm.isf(0.1) - shift)
    found = [
        true_positive_intervals(*scores(seed, 150, 150, shift, decimals=9), [0.1], resamples=150, seed=seed)[0]
        for seed in range(150)
    ]
    assert 0.89 <= covered(found, truth) <= 1


def test_rate_intervals_are_seeded_and_reach_as_far_as_clopper_and_pearsons():
    from scipy.stats import binomtest

    members, others = scores(5)
    first, again, other = (
        true_positive_intervals(members, others, RATES[2:], resamples=50, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other
    for value, (low, high) in zip(true_positive_rates(members, others, RATES[2:]), first, strict=True):
        exact = binomtest(round(value * len(members)), len(members)).proportion_ci(method="exact")
        assert low <= exact.low < value < exact.high <= high
    perfect = true_positive_intervals(others + 100, others, [0.1], resamples=50, seed=0)[0]
    assert perfect == (pytest.approx(0.025 ** (1 / len(others))), 1.0)


@pytest.mark.parametrize(("others", "rate", "able"), [(1000, 0.001, True), (999, 0.001, False), (10, 0.1, True)])
def test_a_false_positive_rate_needs_a_non_member(others, rate, able):
    assert resolves(others, rate) is able
