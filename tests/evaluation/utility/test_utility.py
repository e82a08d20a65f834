"""Machine-learning efficacy: its scores against scikit-learn, its tuning, and data that teach nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError
from harmonic.evaluation.comparison.resampling import label_scores, resamples_of
from harmonic.evaluation.utility import efficacy, learners
from harmonic.evaluation.utility.efficacy import MachineLearningEfficacy
from harmonic.evaluation.utility.learners import CLASSIFIERS, Problem
from harmonic.tables.table import Table

MODELS = list(CLASSIFIERS)


def with_target(table, values):
    """The table with another target column."""
    return Table(table.frame.assign(**{table.schema.target: values}), table.schema)


def examples_like(problem, splits, codes):
    """Examples whose target is `codes`."""
    names = np.array(problem.target.categories, dtype=object)
    rows = splits.train.frame.iloc[: len(codes)].assign(**{problem.target.name: names[np.array(codes)]})
    return problem.examples(rows)


def test_every_learner_learns_real_rows_and_not_shuffled_labels(toy, assert_sound):
    evaluator = MachineLearningEfficacy(max_candidates=1)
    measures = evaluator.evaluate(toy, toy.train, seed=0)
    assert_sound(evaluator, measures)
    rng = np.random.default_rng(0)
    shuffled = evaluator.evaluate(toy, with_target(toy.train, rng.permutation(toy.train.target)), seed=0)
    for model in MODELS:
        assert measures[f"mle/{model}/roc_auc"] > 0.8
        assert abs(shuffled[f"mle/{model}/mcc"]) < 0.4
        assert measures[f"mle/{model}/f1_macro"] > shuffled[f"mle/{model}/f1_macro"] + 0.15
    for score in ("f1_macro", "f1_weighted", "f1_binary", "accuracy", "mcc", "roc_auc"):
        assert measures[f"mle/{score}"] == pytest.approx(np.mean([measures[f"mle/{m}/{score}"] for m in MODELS]))


def test_three_labels_and_a_missing_one(iris, assert_sound):
    evaluator = MachineLearningEfficacy(max_candidates=1)
    measures = evaluator.evaluate(iris, iris.train, seed=0)
    assert_sound(evaluator, measures)
    assert measures["mle/accuracy"] > 0.85 and measures["mle/roc_auc"] > 0.9
    assert "mle/f1_binary" not in measures
    # The middle label gone: the learners must cope with the gap, and get its test rows wrong.
    kept = iris.train.take(np.flatnonzero(iris.train.target != "versicolor"))
    measures = evaluator.evaluate(iris, kept, seed=0)
    assert_sound(evaluator, measures)
    assert measures["mle/labels_missing"] == 1
    share = (iris.test.target == "versicolor").mean()
    for model in MODELS:
        assert 0.3 < measures[f"mle/{model}/accuracy"] <= 1 - share
    assert measures["mle/class_balance_gap"] == pytest.approx((iris.train.target == "versicolor").mean())


def test_regression_scores_every_learner(diabetes_progression, assert_sound):
    evaluator = MachineLearningEfficacy(max_candidates=1)
    measures = evaluator.evaluate(diabetes_progression, diabetes_progression.train, seed=0)
    assert_sound(evaluator, measures)
    truth = diabetes_progression.test.target
    for model in MODELS:
        assert measures[f"mle/{model}/rmse"] < truth.std() * 1.02
        assert measures[f"mle/{model}/mae"] < measures[f"mle/{model}/rmse"]
    assert measures["mle/linear/r2"] > 0.35
    assert "mle/class_balance_gap" not in measures


def test_label_scores_equal_sklearn(iris):
    from sklearn import metrics

    rng = np.random.default_rng(1)
    problem = Problem.of(iris)
    codes = rng.integers(0, 3, 60)
    shares = rng.dirichlet([1, 1, 1], 60)
    scores = problem.scores(examples_like(problem, iris, codes), shares)
    labels = shares.argmax(axis=1)
    assert scores == pytest.approx(
        {
            "f1_macro": metrics.f1_score(codes, labels, average="macro"),
            "f1_weighted": metrics.f1_score(codes, labels, average="weighted"),
            "accuracy": metrics.accuracy_score(codes, labels),
            "mcc": metrics.matthews_corrcoef(codes, labels),
            "roc_auc": metrics.roc_auc_score(codes, shares, multi_class="ovr"),
        }
    )


def test_binary_scores_by_hand_with_the_last_label_positive(toy):
    problem = Problem.of(toy)
    assert problem.target.categories == ("no", "yes")
    truth, predicted = [1, 1, 1, 0, 0], [1, 1, 0, 1, 0]  # 2 hits, 1 miss, 1 false alarm
    scores = problem.scores(examples_like(problem, toy, truth), np.eye(2)[predicted])
    assert scores["f1_binary"] == pytest.approx(2 / 3)
    assert scores["f1_macro"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores["f1_weighted"] == pytest.approx(3 / 5 * 2 / 3 + 2 / 5 * 1 / 2)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["mcc"] == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))


def test_value_scores_equal_sklearn_in_the_targets_unit(diabetes_progression):
    from sklearn import metrics

    problem = Problem.of(diabetes_progression)
    examples = problem.examples(diabetes_progression.test.frame)
    predicted = np.random.default_rng(0).normal(0, 1, len(examples))
    scores = problem.scores(examples, predicted)
    truth, values = diabetes_progression.test.target, predicted * problem.scale + problem.center
    assert scores["r2"] == pytest.approx(metrics.r2_score(truth, values))
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, values))
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(truth, values))


def test_settings_are_chosen_on_the_validation_rows(toy, monkeypatch):
    evaluator = MachineLearningEfficacy(models=["linear"])
    hopeless, fair = {"C": 1e-9}, {"C": 1.0}
    values = {}
    for name, grid in {"fair": (fair,), "hopeless": (hopeless,), "both": (hopeless, fair)}.items():
        monkeypatch.setitem(CLASSIFIERS, "linear", grid)
        values[name] = evaluator.evaluate(toy, toy.train, seed=0)["mle/linear/f1_macro"]
    assert values["hopeless"] < values["fair"] == values["both"]


def test_the_holdout_rows_have_no_part_in_it(toy):
    """They stand in the place of a generator's rows, and must not have chosen the learners they are judged by."""
    holdout = with_target(toy.holdout, np.where(toy.holdout.target == "yes", "no", "yes"))
    spoilt = replace(toy, val=toy.reference, kept_apart=holdout)
    evaluator = MachineLearningEfficacy(models=["linear", "random_forest"])
    assert evaluator.evaluate(spoilt, toy.train, seed=0) == evaluator.evaluate(toy, toy.train, seed=0)


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn, of one row over and over
@pytest.mark.parametrize("name", ["toy", "iris", "diabetes_progression"])
def test_scores_of_resampled_rows_are_those_of_the_rows_repeated(request, name):
    splits = request.getfixturevalue(name)
    problem, draw = Problem.of(splits), np.random.default_rng(0)
    examples = problem.examples(splits.test.frame)
    labels = len(problem.target.categories)
    given = draw.normal(0, 1, (len(examples), labels) if problem.classify else len(examples)).round(1)  # with ties
    (counts,) = resamples_of(len(examples), 40, draw)
    counts[0], counts[1] = 1, 0  # all rows once; one row over and over
    counts[1, 3] = len(examples)
    found = problem.resampled_scores(examples, given, counts)
    assert set(found) == set(problem.score_names)
    for place, count in enumerate(counts):
        rows = np.repeat(np.arange(len(examples)), count.astype(int))
        expected = problem.scores(examples.take(rows), given[rows])
        assert {score: values[place] for score, values in found.items()} == pytest.approx(expected, nan_ok=True)


def test_intervals_cover_what_a_model_is_worth_on_all_rows():
    """A model that is right in 7 of 10 cases, tested on 150 rows, 300 times over."""
    draw, inside = np.random.default_rng(1), 0
    for _ in range(300):
        truth = draw.integers(2, size=150)
        given = np.where(draw.random(150) < 0.7, truth, 1 - truth)
        (counts,) = resamples_of(150, 400, draw)
        low, high = np.quantile(label_scores(truth, np.eye(2)[given], counts)["accuracy"], [0.025, 0.975])
        inside += low <= 0.7 <= high
    assert 0.9 <= inside / 300 <= 0.98


def test_every_mean_over_learners_has_an_interval_that_narrows_with_the_root_of_the_test_rows(
    toy, diabetes_progression
):
    for splits in (toy, diabetes_progression):
        evaluator = MachineLearningEfficacy(models=["linear"], max_candidates=1)
        ninefold = splits.test.take(np.tile(np.arange(len(splits.test)), 9))
        wide, narrow = (
            evaluator.evaluate(one, splits.train, seed=0) for one in (splits, replace(splits, test=ninefold))
        )
        for score in Problem.of(splits).score_names:
            low, high = wide[f"mle/{score}/low"], wide[f"mle/{score}/high"]
            assert low < wide[f"mle/{score}"] < high
            assert wide[f"mle/{score}"] == pytest.approx(narrow[f"mle/{score}"])
            assert 2.5 < (high - low) / (narrow[f"mle/{score}/high"] - narrow[f"mle/{score}/low"]) < 3.6


def test_wrong_settings_of_the_intervals_are_told(toy):
    for wrong, words in (({"confidence": 1.0}, "confidence=1.0"), ({"resamples": 1}, "resamples=1")):
        with pytest.raises(ConfigError, match=words):
            MachineLearningEfficacy(**wrong).evaluate(toy, toy.train, seed=0)


def test_one_candidate_means_no_tuning(toy, monkeypatch):
    monkeypatch.setitem(CLASSIFIERS, "linear", ({"C": 1e-9}, {"C": 1.0}))
    one, all_of_them = (
        MachineLearningEfficacy(models=["linear"], max_candidates=cap).evaluate(toy, toy.train, seed=0)
        for cap in (1, None)
    )
    assert one["mle/accuracy"] < all_of_them["mle/accuracy"]


def test_a_single_label_is_predicted_throughout(toy, assert_sound):
    evaluator = MachineLearningEfficacy()
    measures = evaluator.evaluate(toy, with_target(toy.train, "yes"), seed=0)
    assert_sound(evaluator, measures)
    assert measures["mle/accuracy"] == pytest.approx((toy.test.target == "yes").mean())
    assert measures["mle/mcc"] == 0 and measures["mle/roc_auc"] == 0.5
    assert measures["mle/labels_missing"] == 1
    assert measures["mle/class_balance_gap"] == pytest.approx((toy.train.target == "no").mean())


def test_a_constant_value_is_predicted_throughout(diabetes_progression):
    measures = MachineLearningEfficacy().evaluate(
        diabetes_progression, with_target(diabetes_progression.train, 200.0), seed=0
    )
    errors = diabetes_progression.test.target - 200
    assert measures["mle/rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert measures["mle/mae"] == pytest.approx(errors.abs().mean())


def test_constant_features_predict_the_majority(toy):
    rows = toy.train.frame.assign(age=30, income=20.0, city="cork")
    measures = MachineLearningEfficacy().evaluate(toy, Table(rows, toy.schema), seed=0)
    majority = toy.train.target.mode()[0]
    assert measures["mle/accuracy"] == pytest.approx((toy.test.target == majority).mean())
    assert not measures.reasons


def test_row_caps_reach_the_learners(toy, monkeypatch):
    sizes = {}
    build = learners._build

    def recording(name, *arguments):
        model = build(name, *arguments)
        fit = model.fit
        model.fit = lambda features, target: (sizes.__setitem__(name, len(target)), fit(features, target))[1]
        return model

    monkeypatch.setattr(learners, "_build", recording)
    evaluator = MachineLearningEfficacy(models=["linear", "svm"], max_candidates=1, max_rows=100, svm_max_rows=40)
    evaluator.evaluate(toy, toy.train, seed=0)
    assert sizes == {"linear": 100, "svm": 40}


def test_of_a_larger_table_some_rows_are_used_and_the_notes_say_how_many(toy, monkeypatch):
    given = {"models": ["linear"], "max_candidates": 1}
    whole, same = (
        MachineLearningEfficacy(**given, **most).evaluate(toy, toy.train, seed=0)
        for most in ({}, {"max_rows": len(toy.train), "max_test_rows": len(toy.test)})
    )
    assert dict(whole) == dict(same) and "mle/f1_macro" not in whole.notes
    monkeypatch.setattr(efficacy, "MAX_ROWS", 100)
    monkeypatch.setattr(efficacy, "MAX_TEST_ROWS", 30)
    capped = MachineLearningEfficacy(**given)
    some, again, other = (capped.evaluate(toy, toy.train, seed=seed) for seed in (0, 0, 1))
    assert some.notes["mle/f1_macro"] == "trained on 100 of 240 synthetic rows, tested on 30 of 80 test rows"
    assert dict(some) == dict(again) != dict(other)
    assert (some["mle/accuracy"] * 30) == pytest.approx(round(some["mle/accuracy"] * 30))
    assert some["mle/class_balance_gap"] == whole["mle/class_balance_gap"]  # of all rows
    means = np.mean([capped.evaluate(toy, toy.train, seed=seed)["mle/accuracy"] for seed in range(20)])
    assert means == pytest.approx(whole["mle/accuracy"], abs=0.04)


def test_models_trained_at_once_score_the_same(diabetes_progression):
    one, two = (
        dict(
            MachineLearningEfficacy(models=["linear", "catboost"], max_candidates=1, n_jobs=jobs).evaluate(
                diabetes_progression, diabetes_progression.train, seed=0
            )
        )
        for jobs in (1, 2)
    )
    assert one == two


def test_only_large_tables_take_all_the_cores_given(toy, monkeypatch):
    asked = []
    parallel = joblib.Parallel
    monkeypatch.setattr(joblib, "Parallel", lambda n_jobs: asked.append(n_jobs) or parallel(n_jobs=1))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    evaluator = MachineLearningEfficacy(max_candidates=1)
    evaluator.evaluate(toy, toy.train, seed=0)
    monkeypatch.setattr(efficacy, "PARALLEL_ROWS", len(toy.train))
    evaluator.evaluate(toy, toy.train, seed=0)
    assert asked == [1, 3]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert efficacy.given_cores() == joblib.cpu_count()


def test_catboost_gets_categories_as_they_are_and_the_others_one_hot(toy, monkeypatch):
    seen = {}
    build = learners._build

    def recording(name, *arguments):
        model = build(name, *arguments)
        fit = model.fit
        model.fit = lambda features, target: (seen.__setitem__(name, features), fit(features, target))[1]
        if name == "catboost":
            seen["cat_features"] = model.get_params()["cat_features"]
        return model

    monkeypatch.setattr(learners, "_build", recording)
    MachineLearningEfficacy(models=["catboost", "xgboost"], max_candidates=1).evaluate(toy, toy.train, seed=0)
    assert seen["cat_features"] == [2]  # behind two numbers: the city, as one column
    cities = toy.train.frame["city"].map({"bonn": 0, "cork": 1, "oslo": 2})
    assert seen["catboost"].shape[1] == 3
    assert (seen["catboost"].iloc[:, 2] == cities.to_numpy()).all()
    assert seen["xgboost"].shape[1] == 2 + 3


def test_a_skewed_label_is_named_with_its_shares(toy):
    labels = np.array(["yes"] * 30 + ["no"] * 210, dtype=object)
    measures = MachineLearningEfficacy(models=["linear"]).evaluate(toy, with_target(toy.train, labels), seed=0)
    share = (toy.train.target == "no").mean()
    assert measures["mle/class_balance_gap"] == pytest.approx(abs(210 / 240 - share))
    assert (
        measures.notes["mle/class_balance_gap"]
        == f"'no': 87.5% of the synthetic rows, {share:.1%} of the training rows"
    )


def test_same_seed_same_scores(toy):
    evaluator = MachineLearningEfficacy(max_candidates=1, max_rows=100)
    first, again, other = (dict(evaluator.evaluate(toy, toy.train, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_learner_that_fails_is_a_reason_and_spares_the_others(toy, monkeypatch, assert_sound):
    build = learners._build

    def failing(name, *arguments):
        if name == "svm":
            raise MemoryError("kernel cache")
        return build(name, *arguments)

    monkeypatch.setattr(learners, "_build", failing)
    evaluator = MachineLearningEfficacy(models=["linear", "svm"], max_candidates=1)
    measures = evaluator.evaluate(toy, toy.train, seed=0)
    assert_sound(evaluator, measures)
    assert measures["mle/linear/accuracy"] > 0.6
    assert measures.reasons["mle/svm/accuracy"] == "svm: MemoryError: kernel cache"
    assert measures.reasons["mle/accuracy"] == "missing for svm"


def test_scores_undefined_on_the_test_rows_are_reasons(toy, assert_sound):
    splits = replace(toy, test=toy.test.take(np.flatnonzero(toy.test.target == "yes")))
    evaluator = MachineLearningEfficacy(models=["linear"])
    measures = evaluator.evaluate(splits, toy.train, seed=0)
    assert_sound(evaluator, measures)
    ends = {"mle/roc_auc/low", "mle/roc_auc/high"}
    assert set(measures.reasons) == {"mle/linear/roc_auc", "mle/roc_auc", *ends}
    measures = evaluator.evaluate(replace(toy, test=toy.test.take([])), toy.train, seed=0)
    assert set(measures.reasons.values()) == {"the test split is empty"}


def test_an_unknown_model_is_named_with_the_nearest(toy):
    with pytest.raises(ConfigError, match=r"models=xgbost.*\n.*'xgboost'"):
        MachineLearningEfficacy(models=["linear", "xgbost"]).evaluate(toy, toy.train, seed=0)


def test_no_models_at_once_are_too_few(toy):
    with pytest.raises(ConfigError, match=r"efficacy\.n_jobs=0"):
        MachineLearningEfficacy(n_jobs=0).evaluate(toy, toy.train, seed=0)


@pytest.mark.parametrize("splits_name", ["toy", "diabetes_progression"])
def test_bad_tables_give_values_or_reasons(request, splits_name, spoiled, assert_sound):
    splits = request.getfixturevalue(splits_name)
    evaluator = MachineLearningEfficacy(max_candidates=1)
    measures = evaluator.evaluate(splits, spoiled(splits.train), seed=0)
    assert_sound(evaluator, measures)
    assert pd.Series(measures).filter(like="mle/catboost/").size > 0
