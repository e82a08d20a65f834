"""Every name that a table, chart or card shows is the name of a metric that something measures."""

from __future__ import annotations

import pytest

from experiments.card.limits import MEASURES
from experiments.card.privacy_card import BESIDES
from experiments.collect.declared_metrics import declaration_of, declared_metrics
from experiments.collect.shown_metrics import EFFICIENCY, SECONDS, columns
from experiments.report.charts import LEAKS, UTILITY
from experiments.report.published import BESIDE
from harmonic.evaluation.base import Metric, Shown

DECLARED = declared_metrics()
MAIN = [
    ("DM", "data_mismatch"), ("WD", "wasserstein"), ("CS", "correlation_similarity"), ("MLE", "mle/{headline}"),
    ("LLE", "lle/{headline}"),
]  # fmt: skip
PRIVACY = [
    ("NRS", "nrs"), ("DCR", "dcr/mean"), ("DCR share", "dcr/share"), ("DLT", "dlt"), ("DLT holdout", "dlt_holdout"),
    ("MIA worst", "mia/worst"), ("ε, at least", "epsilon"), ("prompt copy", "prompt_copy/rows"),
    ("prompt numbers", "prompt_copy/cells"), ("canary", "canary/exposure"),
    ("singling out", "anonymeter/singling_out"), ("linkability", "anonymeter/linkability"),
    ("inference", "anonymeter/inference"),
]  # fmt: skip
EXPECTED = {
    "main": MAIN,
    "fidelity": [
        ("column shapes", "column_shapes"), ("contingency", "contingency_similarity"),
        ("WD, marginal", "wasserstein_marginal"), ("α-precision", "alpha_precision"), ("β-recall", "beta_recall"),
        ("authenticity", "authenticity"), ("C2ST", "c2st"), ("global utility", "global_utility"),
    ],
    "privacy": PRIVACY,
    "ablation": [*MAIN, *PRIVACY[:6]],
    "cards": [
        ("worst attack, AUC", "mia/worst"), ("its TPR at 1% FPR", "mia/*/tpr_at_1"), ("epsilon, at least", "epsilon"),
        ("shadow models, AUC", "shadow/auc"), ("nrs", "nrs"), ("dcr/share", "dcr/share"),
        ("prompt copies", "prompt_copy/rows"), ("dlt_holdout", "dlt_holdout"), ("canary AUC", "canary/auc"),
        ("linkability", "anonymeter/linkability"), ("inference", "anonymeter/inference"),
    ],
}  # fmt: skip
SUMMARY = [
    "mle/{headline}", "lle/{headline}", "mle/class_balance_gap", "column_shapes", "correlation_similarity",
    "contingency_similarity", "c2st", "nrs", "dcr/share", "mia/worst", "prompt_copy/rows", "dlt_holdout", "canary/auc",
    "anonymeter/singling_out", "anonymeter/linkability", "anonymeter/inference",
]  # fmt: skip


@pytest.mark.parametrize("table", EXPECTED)
def test_the_columns_that_evaluators_declare_make_the_tables(table: str) -> None:
    assert [(measure.title, measure.metric) for measure in columns(DECLARED, table)] == EXPECTED[table]


def test_the_summary_shows_the_metrics_that_declare_it_in_their_order() -> None:
    assert [measure.metric for measure in columns(DECLARED, "summary")] == SUMMARY


def test_intervals_and_notes_are_where_they_are_declared() -> None:
    shown = columns(DECLARED, "main", "fidelity", "privacy")
    assert [measure.title for measure in shown if measure.interval] == ["MLE", "MIA worst"]
    assert [measure.title for measure in shown if measure.noted] == ["LLE"]


def test_a_metric_without_a_place_comes_last() -> None:
    new = Metric("new", True, shown=(Shown("privacy", "new"),))
    assert [measure.title for measure in columns([new, *DECLARED], "privacy")][-1] == "new"


SHOWN = (
    *columns(DECLARED, "main", "fidelity", "privacy"), *EFFICIENCY, *SECONDS, *BESIDE.values(), UTILITY,
    *(measure for measure, _ in LEAKS),
)  # fmt: skip


@pytest.mark.parametrize("measure", dict.fromkeys(SHOWN), ids=lambda measure: measure.metric)
def test_every_measure_of_tables_and_charts_is_declared(measure) -> None:
    for headline in ("f1_macro", "r2"):
        for end in ("", "/low", "/high") if measure.interval else ("",):
            name = measure.metric.format(headline=headline) + end
            assert declaration_of(name, DECLARED) is not None, name


def test_every_measure_of_cards_is_declared_by_name_or_as_the_beginning_of_one() -> None:
    declared = [metric.name for metric in declared_metrics()]
    for name in (*BESIDES, *MEASURES):
        assert any(other == name or other.startswith(f"{name}/") for other in declared), name


def test_a_name_that_nothing_measures_is_not_found() -> None:
    assert declaration_of("prompt_copy", declared_metrics()) is None
