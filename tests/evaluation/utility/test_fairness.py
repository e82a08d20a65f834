"""Utility by group: gaps that were built in are found, others are not, and all agrees with scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from harmonic.errors import ConfigError
from harmonic.evaluation.utility.fairness import Fairness
from harmonic.evaluation.utility.learners import Problem
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table, Task

QUICK = {"models": ["linear"], "max_candidates": 1, "shuffles": 40}


def evaluate(splits, synthetic, seed=0, **given):
    return Fairness(**QUICK | given).evaluate(splits, synthetic, seed=seed)


@pytest.fixture
def two_groups(table_of) -> Splits:
    """A label that follows from x, one way in group a and the other way in group b, of as many rows each."""
    draw = np.random.default_rng(0)
    n = 900
    group = draw.choice(["a", "b"], n)
    x = draw.normal(size=n)
    label = np.where(np.where(group == "a", x, -x) + draw.normal(0, 0.2, n) > 0, "yes", "no")
    frame = pd.DataFrame({"x": x, "group": group, "z": x * (group == "b"), "label": label})
    table = table_of(frame.astype({"group": object, "label": object}))
    return Splits(*(table.take(part) for part in np.split(np.arange(n), [500, 600])))


def test_rows_that_teach_one_group_alone_leave_a_gap(two_groups, assert_sound):
    frame = two_groups.train.frame
    for release, gap in ((frame, False), (frame[frame["group"] == "a"].reset_index(drop=True), True)):
        measures = evaluate(two_groups, Table(release, two_groups.schema))
        assert_sound(Fairness(), measures)
        assert measures["fairness/group/gap_real"] < 0.1
        assert (measures["fairness/group/gap"] > 0.5) is gap
        assert (measures["fairness/group/gap"] > measures["fairness/group/gap_by_chance"]) is gap
        assert measures["fairness/gap"] == measures["fairness/group/gap"]
    assert measures["fairness/group/a/f1_macro"] > 0.9 > 0.4 > measures["fairness/group/b/f1_macro"]
    assert measures.notes["fairness/group/gap"].startswith("f1_macro: b 0.")
    assert measures.notes["fairness/gap"].startswith("group: f1_macro: b 0.")


def test_scores_are_sklearns_on_the_rows_of_the_group(toy):
    measures = evaluate(toy, toy.train, columns=["city"])
    problem = Problem.of(toy)
    train, test = (problem.examples(part.frame) for part in (toy.train, toy.test))
    said = LogisticRegression(max_iter=2000).fit(train.dense, train.target).predict(test.dense)
    for city in ("bonn", "cork", "oslo"):
        rows = (toy.test.frame["city"] == city).to_numpy()
        expected = f1_score(test.target[rows], said[rows], average="macro")
        assert measures[f"fairness/city/{city}/f1_macro"] == pytest.approx(expected)
    each = [measures[f"fairness/city/{city}/f1_macro"] for city in ("bonn", "cork", "oslo")]
    assert measures["fairness/city/gap"] == measures["fairness/city/gap_real"] == pytest.approx(max(each) - min(each))


def test_a_number_is_parted_at_its_training_median(toy):
    measures = evaluate(toy, toy.val, columns=["age"], score="accuracy")
    cut = f"{toy.train.frame['age'].median():g}"
    assert {f"fairness/age/up to {cut}/accuracy", f"fairness/age/above {cut}/accuracy"} <= set(measures)


def test_a_regression_has_errors_in_the_targets_unit(diabetes_progression, assert_sound):
    splits = diabetes_progression
    measures = evaluate(splits, splits.train, columns=["sex"])
    assert_sound(Fairness(), measures)
    each = [value for name, value in measures.items() if name.endswith("/mae")]
    assert len(each) == 2 and all(30 < value < 70 for value in each)
    assert splits.schema.task is Task.REGRESSION
    assert all(name.endswith("/rmse") for name in evaluate(splits, splits.train, columns=["sex"], score="rmse")
               if name.count("/") == 3)  # fmt: skip


def test_a_gap_by_chance_is_what_random_groups_show(table_of):
    """Of groups that mean nothing the gap is above its chance level in about one case of twenty."""
    above = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        x, group = draw.normal(size=700), draw.choice(["a", "b", "c"], 700)
        frame = pd.DataFrame({"x": x, "group": group, "label": np.where(x + draw.normal(size=700) > 0, "yes", "no")})
        table = table_of(frame.astype({"group": object, "label": object}))
        splits = Splits(*(table.take(part) for part in np.split(np.arange(700), [400, 450])))
        measures = evaluate(splits, splits.train, seed=seed, score="accuracy")
        above.append(measures["fairness/group/gap"] > measures["fairness/group/gap_by_chance"])
    assert 0 < np.mean(above) <= 0.15  # three standard deviations above one in twenty


def test_small_groups_are_left_out_and_named(toy, assert_sound):
    test = toy.test.take(np.flatnonzero((toy.test.frame["city"] != "oslo") | (np.arange(len(toy.test)) < 20)))
    splits = replace(toy, test=test)
    measures = evaluate(splits, toy.train)
    assert_sound(Fairness(), measures)
    few = int((test.frame["city"] == "oslo").sum())
    assert f"left out, with fewer than 20 test rows: oslo ({few})" in measures.notes["fairness/city/gap"]
    assert "fairness/city/oslo/f1_macro" not in measures
    measures = evaluate(splits, toy.train, min_rows=79)
    assert_sound(Fairness(), measures)
    assert measures.reasons["fairness/gap"] == "no two groups of a column have 79 test rows each"


def test_without_features_of_few_values_some_are_to_be_named(diabetes_progression, assert_sound):
    measures = evaluate(diabetes_progression, diabetes_progression.train)
    assert_sound(Fairness(), measures)
    assert "name some, evaluator.fairness.columns=[age]" in measures.reasons["fairness/gap"]


def test_names_with_a_slash_stay_one_part_of_the_metrics_name(toy, table_of, assert_sound):
    parts = []
    for part in (toy.train, toy.val, toy.test):
        frame = part.frame.rename(columns={"city": "home/city"})
        parts.append(frame.assign(**{"home/city": frame["home/city"].replace("bonn", "bonn/köln")}))
    schema = table_of(pd.concat(parts, ignore_index=True)).schema
    splits = Splits(*(Table(schema.conform(frame), schema) for frame in parts))
    measures = evaluate(splits, splits.train)
    assert_sound(Fairness(), measures)
    assert "fairness/home_city/bonn_köln/f1_macro" in measures


def test_the_same_seed_gives_the_same_numbers(toy):
    given = {"models": ["linear", "random_forest"]}
    first, again = (dict(evaluate(toy, toy.val, **given)) for _ in range(2))
    assert first == again


def test_bad_rows_are_reasons_or_numbers(toy, spoiled, assert_sound):
    assert_sound(Fairness(), evaluate(toy, spoiled(toy.train)))


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ({"columns": ["citi"]}, "columns", "did you mean 'city'"), ({"score": "mae"}, "score", "accuracy"),
        ({"min_rows": 1}, "min_rows", "at least 2"), ({"shuffles": 3}, "shuffles", "at least 20"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_errors(toy, given, key, words):
    with pytest.raises(ConfigError, match=words) as error:
        evaluate(toy, toy.train, **given)
    assert error.value.key == f"evaluator.fairness.{key}"


def test_of_a_larger_table_some_rows_are_used_and_the_notes_say_how_many(two_groups):
    whole, same = (
        evaluate(two_groups, two_groups.train, **most) for most in ({}, {"max_rows": 500, "max_test_rows": 300})
    )
    assert dict(whole) == dict(same) and "trained on" not in whole.notes["fairness/gap"]
    given = {"max_rows": 250, "max_test_rows": 120}
    some, again, other = (evaluate(two_groups, two_groups.train, seed=seed, **given) for seed in (0, 0, 1))
    assert some.notes["fairness/gap"].endswith("trained on 250 of 500 synthetic rows, tested on 120 of 300 test rows")
    assert dict(some) == dict(again) != dict(other)
    assert some["fairness/group/gap"] == pytest.approx(whole["fairness/group/gap"], abs=0.1)
