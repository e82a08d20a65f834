"""Independent columns and real rows as the two ends of a scale: their order, what they depend on, odd tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.evaluation.result_cache import caching_results
from harmonic.evaluation.utility.efficacy import MachineLearningEfficacy
from harmonic.evaluation.utility.yardsticks import Yardsticks
from harmonic.runs.cache import Cache
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task

QUICK = Yardsticks(models=["linear"], draws=2)


def shuffled(table):
    """Every column in an order of its own."""
    rng = np.random.default_rng(3)
    return Table(table.frame.apply(lambda column: rng.permutation(column.to_numpy())), table.schema)


def of_schema(splits, **changes):
    """The splits under a changed schema."""
    schema = replace(splits.schema, **changes)
    return Splits(*(Table(schema.conform(part.frame), schema) for part in (splits.train, splits.val, splits.test)))


def three(measures, name):
    return [measures[f"yardstick/{table}/{name}"] for table in ("synthetic", "independent", "real")]


@pytest.mark.parametrize(("table", "score"), [("toy", "f1_macro"), ("diabetes_progression", "r2")])
def test_copies_stand_at_one_end_and_shuffled_columns_at_the_other(table, score, request, assert_sound):
    splits = request.getfixturevalue(table)
    copy, loose = (QUICK.evaluate(splits, rows, seed=0) for rows in (splits.train, shuffled(splits.train)))
    for measures in (copy, loose):
        assert_sound(QUICK, measures)
    own, independent, real = three(copy, score)
    assert own == pytest.approx(real, abs=0.02) and real > independent + 0.2
    assert abs(three(loose, score)[0] - independent) < abs(three(loose, score)[0] - real)
    assert three(loose, score)[1:] == [independent, real]  # the ends are the same for every generator
    own, independent, real = three(loose, "correlation_similarity")
    assert own < real - 0.02 and independent < real - 0.02


def test_the_score_is_that_of_the_learners_alone(toy):
    expected = MachineLearningEfficacy(models=["linear"], max_candidates=1).evaluate(toy, toy.val, seed=5)
    measures = replace(QUICK, score="roc_auc").evaluate(toy, toy.val, seed=5)
    assert measures["yardstick/synthetic/roc_auc"] == expected["mle/roc_auc"]
    assert "yardstick/synthetic/f1_macro" not in measures


def test_real_rows_of_the_same_number_are_less_like_the_training_rows_when_they_are_few(toy):
    few, many = (QUICK.evaluate(toy, toy.train.take(range(n)), seed=0) for n in (20, 240))
    assert few["yardstick/real/column_shapes"] + 0.05 < many["yardstick/real/column_shapes"] < 1
    assert few["yardstick/real/f1_macro"] < many["yardstick/real/f1_macro"]


def test_more_rows_than_there_are_and_a_cap(toy):
    larger = toy.train.take(np.arange(600) % len(toy.train))
    assert np.isfinite(list(QUICK.evaluate(toy, larger, seed=0).values())).all()
    capped = replace(QUICK, max_rows=50)
    assert (
        three(capped.evaluate(toy, larger, seed=0), "f1_macro")[1:]
        == (three(capped.evaluate(toy, toy.train.take(range(50)), seed=0), "f1_macro")[1:])
    )


def test_the_ends_are_measured_once_for_all_generators(toy, tmp_path, monkeypatch):
    measured, ends = [], Yardsticks._ends
    monkeypatch.setattr(Yardsticks, "_ends", lambda self, *given: measured.append(given) or ends(self, *given))
    alone = QUICK.evaluate(toy, toy.train, seed=0)
    measured.clear()
    with caching_results(Cache(tmp_path)):
        first = QUICK.evaluate(toy, toy.train, seed=0)
    with caching_results(Cache(tmp_path)):  # another run
        second = QUICK.evaluate(toy, shuffled(toy.train), seed=0)
    assert len(measured) == 1 and dict(first) == dict(alone)
    assert three(first, "f1_macro")[1:] == three(second, "f1_macro")[1:]
    with caching_results(Cache(tmp_path)):
        QUICK.evaluate(toy, toy.train, seed=1)
        QUICK.evaluate(toy, toy.train.take(range(40)), seed=0)
        replace(QUICK, draws=1).evaluate(toy, toy.train, seed=0)
        QUICK.evaluate(replace(toy, test=toy.val), toy.train, seed=0)
    assert len(measured) == 5


def test_a_table_without_a_target_has_likeness_only(toy, assert_sound):
    free = of_schema(toy, target="", task=Task.NONE)
    measures = QUICK.evaluate(free, free.train, seed=0)
    assert_sound(QUICK, measures)
    assert {name.rpartition("/")[2] for name in measures} == {"column_shapes", "correlation_similarity"}


def test_missing_values_are_imputed(toy, assert_sound):
    columns = tuple(replace(c, missing="") if c.name in ("income", "city") else c for c in toy.schema.columns)
    schema = Schema(**{**{f: getattr(toy.schema, f) for f in ("target", "task", "description")}, "columns": columns})
    parts = []
    for part in (toy.train, toy.val, toy.test):
        frame = part.frame.copy()
        frame.loc[::5, "income"], frame.loc[1::5, "city"] = np.nan, None
        parts.append(Table(schema.conform(frame), schema))
    measures = QUICK.evaluate(Splits(*parts), parts[0], seed=0)
    assert_sound(QUICK, measures)
    assert not measures.reasons


def test_a_table_of_categories_is_judged_by_joint_shares(toy):
    names = ("city", "label")
    small = of_schema(toy, columns=tuple(toy.schema[name] for name in names))
    measures = QUICK.evaluate(small, small.train, seed=0)
    own, independent, real = three(measures, "contingency_similarity")
    assert own == 1 and independent < real < 1


def test_bad_synthetic_rows_give_reasons(toy, spoiled, assert_sound):
    measures = QUICK.evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(QUICK, measures)


@pytest.mark.parametrize("tested", [0, 1])
def test_too_few_test_rows_are_a_reason(toy, tested, assert_sound):
    few = replace(toy, test=toy.test.take(range(tested)))
    measures = replace(QUICK, score="roc_auc").evaluate(few, toy.train, seed=0)
    assert_sound(QUICK, measures)
    assert np.isnan(three(measures, "roc_auc")).all()
    assert "too few" in measures.reasons["yardstick/real/roc_auc"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"models": ["liner"]}, "models=liner.*'linear'"), ({"models": []}, "one model"), ({"draws": 0}, "draws=0"),
        ({"score": "f1_makro"}, "score=f1_makro.*did you mean 'f1_macro'"), ({"max_rows": 1}, "max_rows=1"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(toy, settings, words):
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        Yardsticks(**settings).evaluate(toy, toy.train, seed=0)
