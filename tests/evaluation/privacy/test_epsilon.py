"""The empirical epsilon on releases whose privacy is known: none, all of it, and a given epsilon."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.attacks.rates import largest_bound
from harmonic.evaluation.privacy import epsilon, membership
from harmonic.evaluation.privacy.epsilon import EmpiricalEpsilon
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

CELLS = 2000


def evaluate(splits, synthetic, seed=0, attacks=("dcr", "levatt"), **given):
    return EmpiricalEpsilon(list(attacks), **given).evaluate(splits, synthetic, seed=seed)


def test_copies_are_bounded_as_high_as_the_rows_allow(breast_cancer, assert_sound):
    measures = evaluate(breast_cancer, breast_cancer.train, attacks=membership.ON_ROWS)
    assert_sound(EmpiricalEpsilon(), measures)
    assert measures["epsilon/members"] == measures["epsilon/non_members"] == len(breast_cancer.test) // 2
    half = len(breast_cancer.test) // 2
    assert measures["epsilon"] == measures["epsilon/largest"] == largest_bound(half, half, delta=1e-5, confidence=0.95)
    assert measures["epsilon"] > 2.5
    assert (measures["epsilon/tpr"], measures["epsilon/fpr"]) == (1, 0)
    assert f"takes {half} of {half} members and 0 of {half} others for members" in measures.notes["epsilon"]


def test_half_of_the_rows_copied_is_bounded_lower_than_all(breast_cancer):
    bounds = [evaluate(breast_cancer, breast_cancer.train.take(range(rows)))["epsilon"] for rows in (341, 170, 85)]
    assert bounds[0] > bounds[1] > bounds[2] > 0


def _simulated(seed):
    """Rows of two numbers and a class that hang together, split 60 : 20 : 20."""
    draw = np.random.default_rng(seed)
    n = 300
    first = draw.normal(size=n)
    label = np.where(first + draw.normal(size=n) > 0, "yes", "no")
    frame = pd.DataFrame({"first": first, "second": first + draw.normal(size=n), "label": label.astype(object)})
    columns = (
        Column(name="first", kind=Kind.FLOAT, decimals=3), Column(name="second", kind=Kind.FLOAT, decimals=3),
        Column(name="label", kind=Kind.CATEGORY, categories=("no", "yes")),
    )  # fmt: skip
    schema = Schema(columns=columns, target="label", task=Task.BINARY, description="draws")
    table = Table(schema.conform(frame.round(3)), schema)
    return Splits(*(table.take(part) for part in np.split(np.arange(n), [180, 240])))


def test_fresh_rows_are_bounded_by_zero_in_at_least_95_of_100_draws():
    bounds = []
    for seed in range(100):
        splits = _simulated(seed)
        attacks = ("dcr", "mc", "domias", "gen_lra", "levatt")
        bounds.append(evaluate(splits, splits.holdout, seed=seed, attacks=attacks)["epsilon"])
    assert np.mean(np.array(bounds) == 0) >= 0.95


def _in_cells(codes):
    """Rows that are a cell each of a large domain: combinations of two categories, and a target that is constant."""
    first = [f"a{code}" for code in range(40)]
    second = [f"b{code}" for code in range(CELLS // 40)]
    columns = (
        Column(name="first", kind=Kind.CATEGORY, categories=tuple(sorted(first))),
        Column(name="second", kind=Kind.CATEGORY, categories=tuple(sorted(second))),
        Column(name="y", kind=Kind.INTEGER, minimum=0, maximum=0),
    )
    schema = Schema(columns=columns, target="y", task=Task.REGRESSION, description="cells")
    cells = {"first": [first[code % 40] for code in codes], "second": [second[code // 40] for code in codes]}
    return Table(schema.conform(pd.DataFrame(cells | {"y": 0}, index=range(len(codes)))), schema)


@pytest.mark.parametrize("known", [1.0, 4.0])
def test_laplace_histograms_are_seldom_bounded_above_their_epsilon(known):
    """A row that is replaced moves two counts by one: noise of scale 2 / epsilon gives epsilon-differential privacy."""
    draw = np.random.default_rng(int(known))
    bounds = []
    for seed in range(100):
        codes = draw.integers(CELLS, size=400)
        counts = np.bincount(codes[:200], minlength=CELLS) + draw.laplace(scale=2 / known, size=CELLS)
        release = np.repeat(np.arange(CELLS), np.clip(np.round(counts), 0, None).astype(int))
        splits = Splits(_in_cells(codes[:200]), _in_cells(draw.integers(CELLS, size=20)), _in_cells(codes[200:]))
        bounds.append(evaluate(splits, _in_cells(release), seed=seed, attacks=("dcr",), delta=0.0)["epsilon"])
    assert np.mean(np.array(bounds) > known) <= 0.05
    if known == 4:
        assert np.mean(np.array(bounds) > 0.3) > 0.9  # and the attack sees what the mechanism lets through


@pytest.mark.parametrize("known", [1.0, 3.0])
def test_randomised_response_is_seldom_bounded_above_its_epsilon(known):
    """All labels are told, right with probability e / (1 + e). Members have their labels, non-members wrong ones."""
    draw = np.random.default_rng(int(known))
    bounds = []
    for seed in range(60):
        people = 200
        labels = draw.integers(2, size=people)
        told = np.where(draw.random(people) < 1 / (1 + np.exp(-known)), labels, 1 - labels)
        splits = Splits(
            _in_cells(2 * np.arange(people) + labels), _in_cells(draw.integers(CELLS, size=20)),
            _in_cells(2 * np.arange(people) + 1 - labels),
        )  # fmt: skip
        release = _in_cells(2 * np.arange(people) + told)
        bounds.append(evaluate(splits, release, seed=seed, attacks=("dcr",), delta=0.0)["epsilon"])
    assert np.mean(np.array(bounds) > known) <= 0.05
    assert np.mean(bounds) > 0.4 * known


def test_the_rule_is_judged_on_rows_that_it_was_not_chosen_on(toy, monkeypatch):
    """A rule that knows the rows it is chosen on by heart, each by its score, finds none of the others."""
    chosen = []

    def by_heart(scores, **level):
        ((members, others),) = scores.values()
        chosen.extend([*members, *others])
        known = set(members)
        return SimpleNamespace(
            attack="mc", reverse=False, threshold=0.0, hits=lambda values: sum(value in known for value in values)
        )

    monkeypatch.setattr(epsilon, "best_rule", by_heart)
    monkeypatch.setitem(membership.ON_ROWS, "mc", lambda rows, attacker: np.arange(len(rows), dtype=float))
    measures = evaluate(toy, toy.train, attacks=["mc"])
    assert len(set(chosen)) == 80 and min(chosen[:40]) < 80 <= min(chosen[40:])  # 80 of either kind, half of them
    assert measures["epsilon/members"] == measures["epsilon/non_members"] == 40
    assert measures["epsilon"] == measures["epsilon/tpr"] == measures["epsilon/fpr"] == 0


def test_attacks_that_cannot_be_made_spare_the_others(toy, monkeypatch, assert_sound):
    def failing(candidates, attacker):
        raise FloatingPointError("no luck")

    monkeypatch.setitem(membership.ON_ROWS, "mc", failing)
    monkeypatch.setitem(membership.ON_ROWS, "levatt", lambda rows, attacker: np.full(len(rows), np.nan))
    measures = evaluate(toy, toy.train, attacks=["mc", "levatt", "dcr"])
    assert_sound(EmpiricalEpsilon(), measures)
    assert measures["epsilon"] > 1
    assert measures.notes["epsilon"].startswith("dcr")
    measures = evaluate(toy, toy.train, attacks=["mc", "levatt"])
    assert_sound(EmpiricalEpsilon(), measures)
    assert measures.reasons["epsilon"].startswith("no attack was possible: mc: FloatingPointError: no luck; levatt:")


def test_the_same_seed_gives_the_same_numbers_and_another_another_choice(toy):
    first, again = (dict(evaluate(toy, toy.train.take(range(100)), seed=0)) for _ in range(2))
    assert first == again
    assert len({str(evaluate(toy, toy.train.take(range(100)), seed=seed)) for seed in range(5)}) > 1


def test_bad_rows_are_reasons_or_numbers(toy, spoiled, assert_sound):
    assert_sound(EmpiricalEpsilon(), evaluate(toy, spoiled(toy.train), attacks=membership.ON_ROWS))


def test_of_too_many_pairs_fewer_rows_are_attacked(toy):
    pairs = 2 * 80 * len(toy.train)
    whole, same, some = (evaluate(toy, toy.train, max_pairs=most) for most in (None, pairs, pairs // 4))
    assert dict(whole) == dict(same)
    assert whole["epsilon/members"] == 40 and some["epsilon/members"] == some["epsilon/non_members"] == 10
    assert 0 < some["epsilon"] <= some["epsilon/largest"] < whole["epsilon/largest"]


def test_too_few_rows_are_a_reason(toy, assert_sound):
    measures = evaluate(replace(toy, test=toy.test.take(range(3))), toy.train)
    assert_sound(EmpiricalEpsilon(), measures)
    assert measures.reasons["epsilon"] == "needs at least 4 rows that were learnt and 4 test rows"


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"attacks": []}, "attacks"), ({"attacks": ["dcx"]}, "attacks"), ({"delta": 1.0}, "delta"),
        ({"delta": -0.1}, "delta"), ({"confidence": 1}, "confidence"), ({"max_rows": 3}, "max_rows"),
        ({"max_pairs": 3}, "max_pairs"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_errors(toy, given, key):
    with pytest.raises(ConfigError) as error:
        EmpiricalEpsilon(**given).evaluate(toy, toy.train, seed=0)
    assert error.value.key == f"evaluator.empirical_epsilon.{key}"
    assert not isinstance(error.value, DataError)
