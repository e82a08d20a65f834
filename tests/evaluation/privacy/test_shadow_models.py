"""Shadow models of generators whose leak is known, and the evaluator's manners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.evaluation.base import Refit
from harmonic.evaluation.privacy.shadow_models import ShadowModels
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


def jittered(splits: Splits, spread: float, seconds: float = 0.0) -> Refit:
    """A generator that gives its training rows with noise on their numbers, `spread` standard deviations."""

    def draw(train: Table, n: int, seed: int) -> Table:
        random = np.random.default_rng(seed)
        frame = train.take(random.integers(len(train), size=n)).frame
        for name in ("age", "income"):
            noise = random.normal(0, spread * splits.train.frame[name].std(), n)
            frame[name] = (frame[name] + noise).round(0 if name == "age" else 6)
        return Table(splits.schema.conform(frame), splits.schema)

    return Refit(draw, seconds)


def evaluate(splits, refit, release=None, seed=0, **given):
    settings = {"models": 8, "resamples": 20, "attacks": ["dcr", "domias"]} | given
    synthetic = release or refit.draw(splits.train, len(splits.train), 99)
    return ShadowModels(**settings).evaluate(splits, synthetic, seed=seed, refit=refit)


def test_rows_with_noise_are_told(toy, assert_sound):
    refit = jittered(toy, 0.1)
    measures = evaluate(toy, refit, models=16)
    assert_sound(ShadowModels(), measures)
    assert measures["shadow/auc"] > 0.65 and measures["shadow/auc/low"] > 0.55
    assert measures["shadow/members"] == measures["shadow/non_members"] == len(toy.test)


def test_fewer_rows_are_attacked_if_there_are_more_pairs_than_allowed(toy):
    refit, size = jittered(toy, 0.1), len(toy.test)
    pairs = 2 * size * 9 * len(toy.train)  # eight models and the attacked one
    whole, same, part = (evaluate(toy, refit, max_pairs=most) for most in (None, pairs, pairs // 2))
    assert whole["shadow/auc"] == same["shadow/auc"] and whole["shadow/members"] == size
    assert part["shadow/members"] == part["shadow/non_members"] == size // 2
    assert evaluate(toy, refit, max_pairs=1)["shadow/members"] == 4


def test_a_release_that_no_training_row_hangs_together_with_gives_nothing_away(toy):
    refit = Refit(lambda train, n, seed: toy.holdout.take(np.random.default_rng(seed).integers(40, size=n)), 0.0)
    intervals = [evaluate(toy, refit, toy.holdout, seed) for seed in range(6)]
    assert np.mean([found["shadow/auc/low"] <= 0.5 for found in intervals]) >= 0.8
    assert np.mean([found["shadow/auc"] for found in intervals]) == pytest.approx(0.5, abs=0.08)


def test_shadow_models_learn_from_as_many_rows_and_give_as_many_as_the_target(toy):
    """... each from the training rows that are no candidates, and from half of the candidates."""
    asked = []

    def draw(train: Table, n: int, seed: int) -> Table:
        asked.append((train, n, seed))
        return train.take(np.arange(n) % len(train))

    evaluate(toy, Refit(draw, 0.0), toy.train.take(range(50)), max_rows=30, models=4)
    assert [len(train) for train, _, _ in asked] == [len(toy.train)] * 4
    assert {n for _, n, _ in asked} == {50} and len({seed for _, _, seed in asked}) == 4
    rows = [set(map(tuple, train.frame.itertuples(index=False))) for train, _, _ in asked]
    known = set.intersection(*rows)
    assert known <= set(map(tuple, toy.train.frame.itertuples(index=False)))
    assert len(toy.train) - 30 <= len(known) < len(toy.train)
    assert any(row & set(map(tuple, toy.test.frame.itertuples(index=False))) for row in rows)


def test_without_the_means_or_the_time_it_says_so(toy, assert_sound):
    for refit, words in ((None, "needs a generator"), (jittered(toy, 0.2, seconds=100.0), "8 fits at 100 s each")):
        measures = evaluate(toy, refit, toy.val)
        assert_sound(ShadowModels(), measures)
        assert set(measures.reasons) == set(measures)
        assert words in measures.reasons["shadow/auc"]
    assert not np.isnan(evaluate(toy, jittered(toy, 0.2, seconds=100.0), seconds=1000)["shadow/auc"])


def test_a_generator_that_fails_is_a_reason(toy, assert_sound):
    def draw(train: Table, n: int, seed: int) -> Table:
        raise FloatingPointError("no luck")

    measures = evaluate(toy, Refit(draw, 0.0), toy.val)
    assert_sound(ShadowModels(), measures)
    assert measures.reasons["shadow/auc"] == "FloatingPointError: no luck"


def test_bad_rows_are_reasons_or_numbers(toy, spoiled, assert_sound):
    assert_sound(ShadowModels(), evaluate(toy, jittered(toy, 0.2), spoiled(toy.train), models=4))
    assert_sound(ShadowModels(), evaluate(toy, Refit(lambda *_: spoiled(toy.train), 0.0), toy.val, models=4))


def test_too_few_rows_are_a_reason(toy):
    measures = evaluate(replace(toy, test=toy.test.take(range(3))), jittered(toy, 0.2))
    assert measures.reasons["shadow/auc"] == "needs at least 4 rows that were learnt and 4 test rows"


def test_the_same_seed_gives_the_same_numbers(toy):
    first, again, other = (dict(evaluate(toy, jittered(toy, 0.2), seed=seed, max_rows=40)) for seed in (0, 0, 1))
    assert str(first) == str(again) != str(other)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"attacks": []}, "attacks"), ({"attacks": ["loss"]}, "attacks"), ({"models": 5}, "models"),
        ({"models": 2}, "models"), ({"confidence": 0}, "confidence"), ({"max_rows": 2}, "max_rows"),
        ({"resamples": 1}, "resamples"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_errors(toy, given, key):
    with pytest.raises(ConfigError) as error:
        evaluate(toy, jittered(toy, 0.2), **given)
    assert error.value.key == f"evaluator.shadow_models.{key}"
