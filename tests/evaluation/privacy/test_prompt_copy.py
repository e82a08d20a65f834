"""Copies of a prompt's own rows, on generators whose copying is known, against draws and counts made plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from harmonic.errors import ConfigError
from harmonic.evaluation.base import TokenScorer
from harmonic.evaluation.privacy.prompt_copy import PromptCopy
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

K = 5


def scorer(shown):
    """A language generator of which nothing but its prompts' rows is asked."""
    return TokenScorer(rows=None, tokens=None, shown=lambda n: None if shown is None else shown[:n])


def prompts(population, n=80, seed=0):
    """Positions of K distinct rows for each of n prompts, (n, K)."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(population, K, replace=False) for _ in range(n)])


def evaluate(splits, synthetic, shown, **settings):
    return PromptCopy(**{"resamples": 200} | settings).evaluate(splits, synthetic, seed=0, scorer=scorer(shown))


@pytest.fixture
def distinct(toy):
    """A table in which no row and no number occurs twice in the training rows."""
    frame = toy.train.frame.assign(age=np.arange(len(toy.train)) + 1000)
    return replace(toy, train=Table(frame, toy.schema))


@pytest.fixture
def few_values(table_of):
    """A table so poor in values that prompts hold most answers by chance."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"count": rng.integers(0, 12, 300), "label": rng.choice(["a", "b"], 300).astype(object)})
    table = table_of(frame)
    return Splits(table.take(range(100)), table.take(range(100, 200)), table.take(range(200, 300)))


def test_a_generator_that_copies_its_prompts_first_row_scores_1_where_no_row_occurs_twice(distinct, assert_sound):
    shown = prompts(len(distinct.train))
    measures = evaluate(distinct, distinct.train.take(shown[:, 0]), shown)
    assert_sound(PromptCopy(), measures)
    assert measures["prompt_copy/rows"] == measures["prompt_copy/cells"] == 1
    assert measures["prompt_copy/rows/high"] == 1
    assert measures["prompt_copy/rows/low"] == pytest.approx(0.025 ** (1 / 80))


def by_draws(train, row, shown, columns, draws=4000):
    """How often K random rows from outside of the prompt hold the row's values in these columns."""
    rng = np.random.default_rng(3)
    others = train.drop(index=shown)[columns].to_numpy()
    held = (others == row[columns].to_numpy()).all(axis=1)
    return np.mean([held[rng.choice(len(others), K, replace=False)].any() for _ in range(draws)])


def test_copies_score_1_minus_chance_and_chance_is_what_drawing_other_rows_gives(few_values, assert_sound):
    shown = prompts(100, 12)
    synthetic = few_values.train.take(shown[:, 0])
    measures = evaluate(few_values, synthetic, shown)
    assert_sound(PromptCopy(), measures)
    for name, columns in (("rows", ["count", "label"]), ("cells", ["count"])):
        chance = np.mean([
            by_draws(few_values.train.frame, synthetic.frame.iloc[i], shown[i], columns) for i in range(12)
        ])  # fmt: skip
        assert 0.1 < chance < 0.5
        assert measures[f"prompt_copy/{name}"] == pytest.approx(1 - chance, abs=0.01)


def test_honest_rows_score_about_0_and_the_intervals_hold_it(few_values):
    inside, scores = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        synthetic = few_values.test.take(rng.choice(100, 60))
        measures = evaluate(few_values, synthetic, prompts(100, 60, seed))
        scores.append([measures["prompt_copy/rows"], measures["prompt_copy/cells"]])
        inside += [
            measures[f"prompt_copy/{name}/low"] <= 0 <= measures[f"prompt_copy/{name}/high"]
            for name in ("rows", "cells")
        ]
    assert np.mean(scores, axis=0) == pytest.approx([0, 0], abs=0.02)
    assert np.mean(inside) > 0.9


def test_no_copies_at_all_leave_room_in_the_interval(distinct):
    measures = evaluate(distinct, distinct.test, prompts(len(distinct.train)))
    assert measures["prompt_copy/rows"] == 0
    exact = binomtest(0, 80).proportion_ci(0.95)
    assert measures["prompt_copy/rows/low"] == exact.low
    assert measures["prompt_copy/rows/high"] == pytest.approx(exact.high)


def test_the_interval_of_single_copies_is_clopper_and_pearsons(distinct):
    shown = prompts(len(distinct.train))
    rows = distinct.test.frame.copy()
    for place in (3, 40, 77):
        rows.iloc[place] = distinct.train.frame.iloc[shown[place, 4]]
    measures = evaluate(distinct, Table(rows, distinct.schema), shown)
    exact = binomtest(3, 80).proportion_ci(0.95)
    assert measures["prompt_copy/rows"] == pytest.approx(3 / 80)
    assert (measures["prompt_copy/rows/low"], measures["prompt_copy/rows/high"]) == pytest.approx(tuple(exact))
    assert measures.notes["prompt_copy/rows"] == "3.75% equal, 0.00% by chance"


def test_copies_of_other_training_rows_are_no_copies_of_the_prompt(distinct):
    shown = prompts(len(distinct.train))
    measures = evaluate(distinct, distinct.train.take(np.roll(shown[:, 0], 1)), shown)
    assert measures["prompt_copy/rows"] < 0.1


def test_a_row_that_takes_half_of_its_numbers_from_the_prompt_scores_in_cells_alone(distinct):
    shown = prompts(len(distinct.train))
    rows = distinct.test.frame.assign(age=distinct.train.frame["age"].to_numpy()[shown[:, 2]])
    measures = evaluate(distinct, Table(rows, distinct.schema), shown)
    assert measures["prompt_copy/rows"] == 0
    assert measures["prompt_copy/cells"] == pytest.approx(0.5)  # age and income are the numbers


def test_rows_of_one_prompt_count_as_one_observation(distinct):
    shown = prompts(len(distinct.train), 20)
    synthetic = distinct.train.take(np.repeat(shown[:, 0], 4))
    measures = evaluate(distinct, synthetic, np.repeat(shown, 4, axis=0))
    assert measures["prompt_copy/rows"] == 1
    assert measures["prompt_copy/rows/low"] == pytest.approx(0.025 ** (1 / 20))


def test_a_planted_row_in_the_prompt_counts_as_any_other(distinct):
    """Canaries stand behind the training rows, all of them, then all of them again."""
    train = len(distinct.train)
    splits = replace(distinct, canaries=distinct.val.take(range(6)))
    shown = prompts(train)
    shown[:, 0] = train + np.arange(len(shown)) % 12
    copied = distinct.val.take(np.arange(len(shown)) % 6)
    assert evaluate(splits, copied, shown)["prompt_copy/rows"] == pytest.approx(1 - K / (train + 7), abs=0.01)
    assert evaluate(splits, distinct.test, shown)["prompt_copy/rows"] == 0


def test_missing_values_are_no_numbers_but_part_of_a_row():
    columns = (
        Column(name="age", kind=Kind.FLOAT, missing=""),
        Column(name="city", kind=Kind.CATEGORY, categories=("bonn", "cork"), missing=""),
    )
    schema = Schema(columns=columns, target="city", task=Task.BINARY, description="toys")
    frame = pd.DataFrame({"age": [np.nan] * 10 + list(range(10, 40)), "city": [None, "bonn"] * 20})
    train = Table(schema.conform(frame), schema)
    shown = np.array([[0, 11, 12, 13, 14], [15, 16, 17, 18, 19]])
    measures = evaluate(Splits(train, train, train), train.take([0, 15]), shown)
    # Of the numbers only the second row's 15 counts; the first row, of which nothing is given, recurs in rows 2 to 8.
    others = 1 - np.prod([(35 - 4 - i) / (35 - i) for i in range(5)])
    assert measures["prompt_copy/cells"] == 1
    assert measures["prompt_copy/rows"] == pytest.approx(1 - others / 2)


def test_a_table_without_numbers_still_has_rows_to_compare(table_of, assert_sound):
    frame = pd.DataFrame({"a": ["x", "y", "z"] * 20, "b": ["u", "v"] * 30}, dtype=object)
    table = table_of(frame)
    measures = evaluate(Splits(table, table, table), table.take(range(8)), prompts(60, 8))
    assert_sound(PromptCopy(), measures)
    assert measures.reasons["prompt_copy/cells"] == "there are no numbers in the synthetic rows"
    assert "prompt_copy/rows" not in measures.reasons


@pytest.mark.parametrize("given", [None, lambda rows: np.ones(len(rows)), scorer(None)])
def test_a_generator_without_such_prompts_is_told_so(toy, given, assert_sound):
    measures = PromptCopy().evaluate(toy, toy.val, seed=0, scorer=given)
    assert_sound(PromptCopy(), measures)
    assert "needs a generator with prompts that show training rows" in measures.reasons["prompt_copy/rows"]
    assert len(measures.reasons) == len(PromptCopy.metrics)


@pytest.mark.parametrize(
    ("shown", "rows", "words"),
    [(np.empty((80, 0), dtype=int), 240, "prepare them again"), (prompts(9), 9, "training rows are too few")],
)
def test_prompts_that_cannot_be_compared_are_a_reason(toy, shown, rows, words, assert_sound):
    splits = replace(toy, train=toy.train.take(range(rows)))
    measures = evaluate(splits, toy.val, shown)
    assert_sound(PromptCopy(), measures)
    assert words in measures.reasons["prompt_copy/cells"]


def test_bad_tables_never_raise(toy, spoiled, assert_sound):
    synthetic = spoiled(toy.train)
    measures = evaluate(toy, synthetic, prompts(len(toy.train), len(synthetic)).reshape(-1, K))
    assert_sound(PromptCopy(), measures)


def test_blocks_do_not_change_the_numbers(few_values, monkeypatch):
    shown, synthetic = prompts(100, 30), few_values.test.take(range(30))
    whole = evaluate(few_values, synthetic, shown)
    monkeypatch.setattr("harmonic.evaluation.privacy.prompt_copy.CELLS_AT_A_TIME", 7)
    assert evaluate(few_values, synthetic, shown) == whole


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"resamples": 1}])
def test_settings_that_cannot_be_are_named(toy, wrong):
    with pytest.raises(ConfigError, match=f"evaluator.prompt_copy.{next(iter(wrong))}"):
        PromptCopy(**wrong).evaluate(toy, toy.val, seed=0)
