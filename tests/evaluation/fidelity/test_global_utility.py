"""Global utility on copies, broken relations, and bad tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.fidelity.global_utility import GlobalUtility, balanced_accuracy
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

SMALL = GlobalUtility(iterations=15)


def test_the_training_rows_are_worth_exactly_themselves(toy, assert_sound):
    measures = SMALL.evaluate(toy, toy.train, seed=0)
    assert_sound(SMALL, measures)
    assert measures["global_utility"] == 1
    assert measures.series["global_utility"].tolist() == [1, 1, 1, 1]


def test_fresh_rows_keep_what_independent_columns_lose(toy):
    rng = np.random.default_rng(0)
    independent = pd.DataFrame({name: rng.permutation(column) for name, column in toy.train.frame.items()})
    fresh, broken = (
        SMALL.evaluate(toy, table, seed=0)["global_utility"]
        for table in (toy.val, Table(toy.schema.conform(independent), toy.schema))
    )
    assert 0.85 < fresh < 1.15
    assert broken < 0.85


def test_each_columns_ratio_is_its_own(toy):
    """With the label drawn anew the label is lost; the income that follows from age is not."""
    rng = np.random.default_rng(0)
    rows = toy.train.frame.assign(label=rng.permutation(toy.train.frame["label"]))
    measures = SMALL.evaluate(toy, Table(rows, toy.schema), seed=0)
    ratios = dict(zip(toy.schema.names, measures.series["global_utility"], strict=True))
    assert ratios["label"] < 0.75 and ratios["income"] > 0.9
    assert measures["global_utility"] == pytest.approx(np.mean(list(ratios.values())))


def test_a_numbers_ratio_is_that_of_the_errors(diabetes_progression):
    """A synthetic column that does not vary predicts one value; its error over the real rows' model's."""
    splits = diabetes_progression
    rows = splits.train.frame.assign(target=300.0)
    measures = SMALL.evaluate(splits, Table(rows, splits.schema), seed=0)
    error = np.sqrt(((splits.test.target - 300) ** 2).mean())
    ratio = measures.series["global_utility"][-1]
    assert splits.test.target.std() * 0.7 < ratio * error < splits.test.target.std()


def test_balanced_accuracy_equals_sklearns():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    truth, predicted = rng.choice(4, 90, p=[0.5, 0.3, 0.1, 0.1]), rng.choice(4, 90)
    assert balanced_accuracy(truth, predicted) == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert balanced_accuracy(np.array([0, 0, 1]), np.array([0, 0, 2])) == 0.5


def test_constant_columns_are_left_out_and_exact_ones_do_not_outweigh(table_of):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, 200)
    frame = pd.DataFrame({"x": x, "twice": 2 * x, "same": 7, "y": rng.choice(["a", "b"], 200).astype(object)})
    table = table_of(frame)
    splits = Splits(table.take(range(120)), table.take(range(120, 160)), table.take(range(160, 200)))
    measures = GlobalUtility().evaluate(splits, splits.val, seed=0)
    assert len(measures.series["global_utility"]) == 3
    assert 0.5 < measures["global_utility"] < 2


def test_the_models_get_as_many_rows(toy, monkeypatch):
    from harmonic.evaluation.fidelity import global_utility

    sizes, build = [], global_utility.boosted_trees

    def recording(*arguments, **settings):
        model = build(*arguments, **settings)
        fit = model.fit
        model.fit = lambda rows, target: (sizes.append(len(rows)), fit(rows, target))[1]
        return model

    monkeypatch.setattr(global_utility, "boosted_trees", recording)
    SMALL.evaluate(toy, toy.val, seed=0)
    GlobalUtility(max_rows=30, iterations=2).evaluate(toy, toy.val, seed=0)
    assert set(sizes[:8]) == {len(toy.val)} and set(sizes[8:]) == {30}


def test_without_test_rows_there_is_a_reason(toy, assert_sound):
    measures = SMALL.evaluate(replace(toy, test=toy.test.take([])), toy.train, seed=0)
    assert_sound(SMALL, measures)
    assert "needs test rows" in measures.reasons["global_utility"]


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = SMALL.evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(SMALL, measures)
    assert set(measures) == {"global_utility"}
