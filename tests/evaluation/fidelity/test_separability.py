"""The classifier two-sample test on tables that are alike, apart, or bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.fidelity.separability import Separability, c2st
from harmonic.randomness import derive
from harmonic.tables.table import Table


def test_fresh_real_rows_cannot_be_told_from_unseen_ones(toy, breast_cancer, assert_sound):
    for splits in (toy, breast_cancer):
        measures = Separability().evaluate(splits, splits.val, seed=0)
        assert_sound(Separability(), measures)
        assert measures["c2st"] > 0.75


def test_rows_of_another_kind_are_told(toy):
    rng = np.random.default_rng(0)
    shuffled = toy.train.frame.assign(label=rng.permutation(toy.train.frame["label"]))
    moved = toy.train.frame.assign(income=toy.train.frame["income"] + 60)
    fresh = toy.val.frame
    scores = [
        np.mean([Separability().evaluate(toy, Table(frame, toy.schema), seed=seed)["c2st"] for seed in range(5)])
        for frame in (moved, shuffled, fresh)
    ]  # of five draws of the folds: a single one moves by .05
    assert scores[0] < 0.05
    assert scores[1] < scores[2] - 0.1  # every column is right by itself


def test_the_value_is_that_of_cross_validated_trees(toy):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    one, other = toy.val.frame, toy.test.frame.assign(age=lambda rows: rows["age"] + 9)
    coded = [
        np.column_stack([frame[["age", "income"]], *(frame[n].factorize(sort=True)[0] for n in ("city", "label"))])
        for frame in (one, other)
    ]
    rows, label = np.vstack(coded), np.repeat([0, 1], [len(one), len(other)])
    scores = np.empty(len(label))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=derive(3, "folds")).split(rows, label):
        model = HistGradientBoostingClassifier(categorical_features=[2, 3], early_stopping=False, random_state=3)
        scores[test] = model.fit(rows[train], label[train]).decision_function(rows[test])
    expected = 1 - abs(2 * roc_auc_score(label, scores) - 1)
    assert c2st(one, other, Encoder.fit(toy.train), seed=3) == pytest.approx(expected, abs=1e-3)


def test_rows_are_capped_and_the_draw_is_seeded(toy):
    first, again, other = (Separability(max_rows=40).evaluate(toy, toy.train, seed=seed)["c2st"] for seed in (0, 0, 1))
    assert first == again != other


def test_too_few_rows_are_a_reason(toy, assert_sound):
    measures = Separability().evaluate(replace(toy, test=toy.test.take([])), toy.train, seed=0)
    assert_sound(Separability(), measures)
    assert measures.reasons["c2st"] == "needs 5 rows of each kind: there are 0 and 0"


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = Separability().evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(Separability(), measures)
    assert set(measures) == {"c2st"}
