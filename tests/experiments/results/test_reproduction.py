"""The published order against ours: signs, correlations, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from sweeps import write_run

from experiments.collect.frame import tidy
from experiments.collect.runs import read_runs
from experiments.report.labelled_results import measured
from experiments.results.reproduction import in_words, reproduction_table, reproductions

PUBLISHED = {"smote": 0.64, "tvae": 0.61, "ctabgan": 0.57, "great": 0.44, "harmonic": 0.55}  # German, macro F1


def values_of(outputs: Path, figures: dict[str, float], noise: float = 0.001) -> pd.DataFrame:
    for generator, value in figures.items():
        for seed, shift in enumerate((-noise, 0.0, noise)):
            write_run(outputs, {"mle/f1_macro": value + shift}, generator=generator, seed=seed)
    return measured(tidy(read_runs([outputs])))


def test_the_same_order_reproduces_in_full(tmp_path: Path) -> None:
    (found,) = reproductions(values_of(tmp_path, {name: value - 0.2 for name, value in PUBLISHED.items()}))
    assert (found.dataset, found.metric, found.methods) == ("german", "mle", tuple(sorted(PUBLISHED)))
    assert (found.agreeing, found.decided) == (10, 10)
    assert found.tau == pytest.approx(1) and found.rho == pytest.approx(1)
    assert "repeats (τ 1.00)" in in_words([found])[1]


def test_correlations_are_scipys_over_the_methods_that_both_have(tmp_path: Path) -> None:
    ours = {"smote": 0.7, "tvae": 0.75, "ctabgan": 0.6, "great": 0.65, "harmonic": 0.5, "of_our_own": 0.9}
    (found,) = reproductions(values_of(tmp_path, ours))
    sides = [PUBLISHED[name] for name in found.methods], [ours[name] for name in found.methods]
    kendall = stats.kendalltau(*sides)
    assert "of_our_own" not in found.methods
    assert (found.tau, found.p_value) == (pytest.approx(kendall.statistic), pytest.approx(kendall.pvalue))
    assert found.rho == pytest.approx(stats.spearmanr(*sides).statistic)


def test_a_comparison_of_the_other_sign_is_named_with_both_differences(tmp_path: Path) -> None:
    found = reproductions(values_of(tmp_path, {"smote": 0.6, "great": 0.4, "harmonic": 0.7}))
    (table,) = [reproduction_table(found)]
    assert table is not None
    (row,) = table.rows
    assert row[3].text == "2 of 3"
    assert row[4].text == "smote ahead of harmonic in the paper (+0.090), behind here (−0.100)"
    assert "Of 3 pairs of methods" in in_words(found)[0] and "2 (67%)" in in_words(found)[0]


def test_a_lead_within_the_spread_of_runs_is_not_called_clearly_opposite(tmp_path: Path) -> None:
    found = reproductions(values_of(tmp_path, {"smote": 0.6, "great": 0.4, "harmonic": 0.7}, noise=0.2))
    table = reproduction_table(found)
    assert table is not None and table.rows[0][3].text == "2 of 3" and table.rows[0][4].text == ""


def test_figures_that_were_published_alike_decide_nothing(tmp_path: Path) -> None:
    (found,) = reproductions(values_of(tmp_path, {"smote": 0.6, "tabddpm": 0.7, "tabsyn": 0.65}))
    assert found.decided == 2  # smote and tabddpm: .64 each


def test_lower_is_better_names_the_better_method_first(tmp_path: Path) -> None:
    for generator, value in {"smote": 0.07, "great": 0.05, "tvae": 0.09}.items():  # published: .07, .13, .07
        for seed in range(2):
            write_run(tmp_path, {"wasserstein": value}, dataset="diabetes", generator=generator, seed=seed)
    (found,) = reproductions(measured(tidy(read_runs([tmp_path]))))
    assert found.metric == "wasserstein"
    assert "smote ahead of great in the paper (−0.060), behind here (+0.020)" in " ".join(in_words([found]))


def test_two_methods_have_a_sign_and_no_order(tmp_path: Path) -> None:
    (found,) = reproductions(values_of(tmp_path, {"smote": 0.7, "tvae": 0.6}))
    assert found.decided == found.agreeing == 1 and found.tau != found.tau
    assert "only smote and tvae" in in_words([found])[1]


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    found = reproductions(values_of(tmp_path, {"of_our_own": 0.7}))
    assert found == [] and reproduction_table(found) is None
    assert "Nothing can be compared" in in_words(found)[0]
