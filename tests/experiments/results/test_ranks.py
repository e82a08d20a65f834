"""Ranks and critical differences against Demšar's worked example and tables, and against SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.results.ranks import critical_difference, groups_within, ranking

METHODS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
AUC = [  # Demšar (2006), Table 6: area under the curve on 14 tables
    (0.763, 0.768, 0.771, 0.798), (0.599, 0.591, 0.590, 0.569), (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657), (0.882, 0.888, 0.886, 0.898), (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685), (0.583, 0.583, 0.563, 0.625), (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000), (0.940, 0.962, 0.965, 0.962), (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.975, 0.975), (0.957, 0.978, 0.946, 0.970),
]  # fmt: skip
QUANTILES = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}  # Table 5a


def example() -> pd.DataFrame:
    scores = pd.DataFrame(AUC, columns=METHODS)
    scores.iloc[12, 2] += 1e-4  # "voting": printed alike, ranked 2 and 3 in the paper
    return scores


def test_mean_ranks_are_those_of_the_published_example() -> None:
    found = ranking("AUC", example())
    assert found is not None
    published = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert dict(zip(found.methods, found.means, strict=True)) == pytest.approx(published, abs=5e-4)
    assert found.methods[0] == "C4.5+m+cf" and list(found.means) == sorted(found.means)


def test_friedmans_test_is_scipys_and_that_of_the_published_example() -> None:
    found = ranking("AUC", example())
    assert found is not None
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*example().to_numpy().T).pvalue)
    # The paper's 9.28 is without SciPy's correction for ties: 12 n / (k (k + 1)) (squared ranks - k (k + 1)² / 4)
    squares = float((found.means**2).sum())
    assert 12 * 14 / 20 * (squares - 25) == pytest.approx(9.28, abs=0.01)


def test_the_critical_difference_is_that_of_the_published_example() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, level=0.1) == pytest.approx(1.12, abs=0.005)
    for methods, quantile in QUANTILES.items():
        scale = np.sqrt(methods * (methods + 1) / 6)
        assert critical_difference(methods, 1) / scale == pytest.approx(quantile, abs=1e-3)


def test_nothing_is_best_where_nemenyi_cannot_tell_it_from_the_next() -> None:
    found = ranking("AUC", example())
    assert found is not None and found.p_value < 0.05
    assert found.best is None
    # In the paper C4.5 is worse than C4.5+m and C4.5+m+cf by 1.14 and 1.18, which is less than 1.25.
    assert found.groups == [(0, 3)]


def test_a_method_that_is_ahead_on_every_table_is_best_once_there_are_enough() -> None:
    draw = np.random.default_rng(0)
    scores = pd.DataFrame(draw.random((40, 3)), columns=["a", "b", "c"])
    scores["a"] += 2
    found = ranking("m", scores)
    assert found is not None and found.best == "a"
    few = ranking("m", scores.head(3))
    assert few is not None and few.best is None


def test_methods_without_every_table_are_not_ranked_and_are_named() -> None:
    scores = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 1, 1, 1], "c": [np.nan, 9, 9, 9], "d": np.nan})
    found = ranking("m", scores)
    assert found is not None and found.methods == ["a", "b"] and found.left_out == ("c",)
    assert np.isnan(found.p_value) and found.best is None  # two methods are too few for Friedman's test
    assert ranking("m", scores[["c"]]) is None and ranking("m", pd.DataFrame()) is None


def test_tables_that_nobody_or_one_method_alone_has_a_score_of_do_not_count() -> None:
    scores = pd.DataFrame({"a": [1.0, 2, np.nan, 5], "b": [2.0, 1, np.nan, np.nan]})
    found = ranking("m", scores)
    assert found is not None and len(found.ranks) == 2 and found.left_out == ()


def test_groups_are_the_longest_runs_within_the_difference() -> None:
    assert groups_within([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert groups_within([1.0, 2.0, 3.0], 0.5) == []
    assert groups_within([1.0, 1.2, 1.4], 1.0) == [(0, 2)]
