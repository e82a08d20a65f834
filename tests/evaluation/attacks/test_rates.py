"""Bounds on epsilon from hits and false alarms: against an independent count, and for every dependence of one run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from harmonic.evaluation.attacks.rates import Rule, best_rule, largest_bound, log_ratio

LEVEL = {"delta": 0.0, "confidence": 0.95}


@pytest.mark.parametrize(("hits", "alarms"), [(40, 2), (77, 0), (77, 77), (10, 60), (0, 0), (0, 77)])
@pytest.mark.parametrize("delta", [0.0, 1e-2])
def test_the_bound_is_that_of_clopper_and_pearsons_intervals(hits: int, alarms: int, delta: float) -> None:
    low = binomtest(hits, 77).proportion_ci(0.95, method="exact").low
    high = binomtest(alarms, 80).proportion_ci(0.95, method="exact").high
    ratios = [(low - delta) / high, (1 - high - delta) / (1 - low)]
    expected = max(math.log(ratio) if ratio > 0 else -math.inf for ratio in ratios)
    found = log_ratio(hits, 77, alarms, 80, delta=delta, confidence=0.95)
    assert float(found) == pytest.approx(expected)


def test_no_dependence_between_the_rows_of_a_run_makes_the_bound_too_large_too_often() -> None:
    """Every way for pairs to be decided: `both` pairs with two rows taken for members, `one` with a single row.

    Under epsilon-differential privacy the right ones of `one` are at most Binomial with p = 1 / (1 + exp(-epsilon)).
    """
    for size in (8, 40, 77):
        hits, alarms = np.meshgrid(np.arange(size + 1), np.arange(size + 1), indexing="ij")
        bounds = log_ratio(hits, size, alarms, size, **LEVEL)
        for epsilon in (0.0, 0.3, 1.0, 2.0, 3.0):
            worst = 0.0
            for one in range(1, size + 1):
                right = np.arange(one + 1)
                chances = binom.pmf(right, one, 1 / (1 + np.exp(-epsilon)))
                for both in range(size - one + 1):
                    above = bounds[both + right, both + one - right] > epsilon + 1e-12
                    worst = max(worst, float(chances[above].sum()))
            assert worst <= 0.025, (size, epsilon)


def test_randomised_response_is_bounded_below_its_epsilon_and_near_it() -> None:
    """A label that is told right with probability e / (1 + e): the tightest mechanism there is."""
    draw = np.random.default_rng(0)
    for epsilon in (0.5, 1.0, 3.0):
        right = 1 / (1 + np.exp(-epsilon))
        bounds = []
        for _ in range(400):
            scores = {"guess": (draw.random(400) < right, draw.random(400) < 1 - right)}
            first = {"guess": tuple(part[:200].astype(float) for part in scores["guess"])}
            rule = best_rule(first, **LEVEL)
            hits, alarms = (rule.hits(part[200:].astype(float)) for part in scores["guess"])
            bounds.append(max(0.0, float(log_ratio(hits, 200, alarms, 200, **LEVEL))))
        assert np.mean(np.array(bounds) > epsilon) <= 0.05
        assert np.mean(bounds) > 0.55 * epsilon - 0.15, epsilon


def test_the_rule_is_the_best_of_all_attacks_thresholds_and_directions() -> None:
    draw = np.random.default_rng(1)
    noise = draw.normal(size=60), draw.normal(size=60)
    ahead = draw.normal(2, 1, 60), draw.normal(size=60)
    scores = {"noise": noise, "ahead": ahead}
    rule = best_rule(scores, **LEVEL)
    assert (rule.attack, rule.reverse) == ("ahead", False)
    every = [
        float(log_ratio((members >= at).sum(), 60, (others >= at).sum(), 60, **LEVEL))
        for members, others in scores.values()
        for at in np.concatenate([members, others])
    ]
    own = float(log_ratio(rule.hits(ahead[0]), 60, rule.hits(ahead[1]), 60, **LEVEL))
    assert own == pytest.approx(max(every))
    turned = best_rule({"behind": (-ahead[0], -ahead[1])}, **LEVEL)
    assert turned.reverse
    assert turned.hits(-ahead[0]) == rule.hits(ahead[0])


def test_equal_scores_are_on_one_side_of_the_threshold() -> None:
    assert Rule("dcr", 0.0).hits(np.array([-1.0, 0.0, 0.0, 1.0])) == 3
    assert Rule("dcr", 0.0, reverse=True).hits(np.array([-1.0, 0.0, 0.0, 1.0])) == 3
    rule = best_rule({"same": (np.zeros(30), np.zeros(30))}, **LEVEL)
    assert log_ratio(rule.hits(np.zeros(30)), 30, rule.hits(np.zeros(30)), 30, **LEVEL) < 0


def test_what_can_be_shown_at_most_grows_with_the_rows() -> None:
    bounds = [largest_bound(size, size, delta=1e-5, confidence=0.95) for size in (10, 100, 1000)]
    assert bounds == sorted(bounds) and bounds[0] < 1 and 5 < bounds[2] < 6
    assert largest_bound(1000, 1000, delta=1e-5, confidence=0.99) < bounds[2]
