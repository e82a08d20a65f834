"""Anonymeter's risks: the paper's formula, copies against fresh rows, and each attack by hand."""

from __future__ import annotations

from dataclasses import fields
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from harmonic.errors import ConfigError
from harmonic.evaluation.comparison.gower import Gower
from harmonic.evaluation.privacy.anonymeter import ATTACKS, Anonymeter, Outcome, risk
from harmonic.evaluation.privacy.singling_out import find_predicates, singling_out
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


def halved(splits: Splits) -> tuple[Splits, Table]:
    """As many training as test rows, and as many fresh ones."""
    size = len(splits.test)
    fresh = splits.train.take(range(size, 2 * size))
    return Splits(splits.train.take(range(size)), splits.val, splits.test), fresh


# ---- the formula


@pytest.mark.parametrize(
    ("successes", "expected"),
    # anonymeter 1.1.0: EvaluationResults(n_attacks=200, n_success=..., n_baseline=0, n_control=...).risk()
    [((120, 30), (0.5234971, 0.4389738, 0.6080203)), ((30, 35), (0.0, 0.0, 0.0595539)),
     ((200, 20), (0.9894419, 0.9788723, 1.0))],
)  # fmt: skip
def test_risk_and_interval_are_the_papers(successes, expected):
    found = risk(Outcome(main=successes[0], control=successes[1], naive=0, attacks=200), 0.95)
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_share_of_learnt_rows_is_found_below_a_ceiling():
    """A part of the attacks knows its row, which half of the subsets hold; the others succeed as control attacks do."""
    attacks, learnt, chance = 100_000, 0.4, 0.1
    main = attacks * (learnt * 0.5 + (1 - learnt) * chance)
    found, low, high = risk(Outcome(main, attacks * chance, 0, attacks, ceiling=0.5), 0.95)
    assert found == pytest.approx(learnt, abs=1e-3)
    assert low < learnt < high


# ---- copies and fresh rows


def test_a_copy_is_at_risk_and_fresh_rows_are_not(breast_cancer, assert_sound):
    splits, fresh = halved(breast_cancer)
    evaluator = Anonymeter()
    copied, unseen = (evaluator.evaluate(splits, table, seed=0) for table in (splits.train, fresh))
    for measures in (copied, unseen):
        assert_sound(evaluator, measures)
    for attack in ATTACKS:
        assert copied[f"anonymeter/{attack}"] > 0.9
        assert copied[f"anonymeter/{attack}/low"] > 0.8
        assert unseen[f"anonymeter/{attack}"] < 0.15
        assert unseen[f"anonymeter/{attack}/low"] < 0.05
        assert copied[f"anonymeter/{attack}/main"] == 1
        assert "by guessing" in copied.notes[f"anonymeter/{attack}"]


def test_more_training_rows_than_test_rows_change_no_risk_of_fresh_rows(toy):
    differences = []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(toy.train))
        rows, train, test = (toy.train.frame.iloc[part] for part in np.split(order, [80, 200]))
        found = singling_out(rows, train, test, toy.schema, 40, 3, np.random.default_rng(seed))
        assert found.ceiling == len(test.drop_duplicates()) / len(train.drop_duplicates())
        differences.append((found.main - found.control) / found.attacks)
    assert abs(np.mean(differences)) < 3 * np.std(differences) / 8**0.5


def test_a_copy_of_more_training_rows_than_test_rows_is_at_risk(toy):
    measures = Anonymeter(attacks=["singling_out"]).evaluate(toy, toy.train, seed=0)
    assert measures["anonymeter/singling_out"] > 0.9
    assert measures["anonymeter/singling_out/low"] > 0.5
    assert measures["anonymeter/singling_out/main"] == pytest.approx(80 / 240, abs=0.02)


# ---- each attack by hand


def test_predicates_fit_one_row_alone_and_differ(toy):
    from harmonic.evaluation.privacy.singling_out import _cells

    cells = _cells(toy.train.frame, toy.schema.columns)
    found = find_predicates(cells, toy.schema.columns, 20, 2, np.random.default_rng(0))
    assert len(set(found)) == len(found) == 20
    assert all(predicate.fits(cells).sum() == 1 for predicate in found)


def test_successes_are_the_mean_over_subsets(toy):
    """Against the count of subsets in which a predicate that fits k of n rows fits exactly one of m."""
    train, test = toy.train.frame[:60], toy.test.frame[:20]
    found = singling_out(toy.val.frame, train, test, toy.schema, 30, 2, np.random.default_rng(3))
    from harmonic.evaluation.privacy.singling_out import _cells

    cells = [_cells(frame, toy.schema.columns) for frame in (toy.val.frame, train, test)]
    predicates = find_predicates(cells[0], toy.schema.columns, 30, 2, np.random.default_rng(3))
    fitting = [int(predicate.fits(cells[1]).sum()) for predicate in predicates]
    assert found.main == pytest.approx(sum(k * comb(60 - k, 19) / comb(60, 20) for k in fitting))
    assert found.control == sum(int(predicate.fits(cells[2]).sum()) == 1 for predicate in predicates)


def test_the_nearest_row_is_gowers(toy):
    gower = Gower.fit(toy.train)
    targets, rows = toy.test.frame[:15], toy.train.frame
    spans = rows.max(numeric_only=True) - rows.min(numeric_only=True)
    expected = [
        int(
            np.argmin(
                np.abs(rows["age"] - one.age) / spans["age"]
                + np.abs(rows["income"] - one.income) / spans["income"]
                + (rows["city"] != one.city)
            )
        )
        for one in targets.itertuples()
    ]
    assert gower.nearest(targets, rows, [0, 1, 2]).tolist() == expected


def test_a_secret_is_told_if_the_nearest_synthetic_row_has_it(table_of):
    frame = pd.DataFrame({"x": np.arange(20.0), "y": 100 + 10 * np.arange(20.0), "z": ["a", "b"] * 10}).astype(
        {"z": object}
    )
    table = table_of(frame)
    splits = Splits(table.take(range(10)), table.take(range(10, 12)), table.take(range(10)))

    def told(secret, **changed):
        synthetic = Table(splits.train.frame.assign(**changed), table.schema)
        judge = Anonymeter(attacks=["inference"], secret=secret)
        return judge.evaluate(splits, synthetic, seed=0)["anonymeter/inference/main"]

    assert told("z") == 1
    assert told("z", z=["b", "a"] * 5) == 0
    assert told("y", y=splits.train.frame["y"] * 1.049) == pytest.approx(
        0.0
    )  # 4.9 to 9.3 off; of the range, 4.5 are allowed
    assert told("y", y=splits.train.frame["y"] + 4.4) == 1
    assert told("y", y=splits.train.frame["y"] + 4.6) == 0


def test_halves_are_linked_if_one_row_is_nearest_to_both(table_of):
    numbers = np.arange(20.0)
    table = table_of(
        pd.DataFrame({"x": numbers, "z": numbers * 3}).assign(label=["a"] * 20).astype({"label": object}), "label"
    )
    splits = Splits(table.take(range(10)), table.take(range(2)), table.take(range(10, 20)))
    judge = Anonymeter(attacks=["linkability"])
    assert judge.evaluate(splits, splits.train, seed=1)["anonymeter/linkability/naive"] == pytest.approx(1 / 10)
    shares = set()
    for seed in range(6):  # the label alone in one half links only the first row
        shares.add(judge.evaluate(splits, splits.train, seed=seed)["anonymeter/linkability/main"])
    assert shares <= {1.0, 0.1} and 1.0 in shares


def test_a_weak_attack_is_said_to_be_weak(toy):
    constant = toy.train.take(np.zeros(50, dtype=int))
    measures = Anonymeter(attacks=["linkability", "inference"]).evaluate(toy, constant, seed=0)
    assert "too weak" in measures.notes["anonymeter/inference"]


# ---- what cannot be


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    evaluator = Anonymeter(max_attacks=20)
    assert_sound(evaluator, evaluator.evaluate(toy, spoiled(toy.train), seed=0))


def test_no_predicate_that_singles_out_is_a_reason(toy):
    measures = Anonymeter().evaluate(toy, toy.train.take(np.zeros(1, dtype=int)), seed=0)
    assert np.isfinite(measures["anonymeter/singling_out"])  # of one row all predicates do
    twice = Table(toy.train.frame.iloc[:4].assign(age=[1, 2, 1, 2], income=1.0, city=["bonn", "bonn", "cork", "cork"],
                                                  label=["no", "yes", "yes", "no"]), toy.schema)  # fmt: skip
    measures = Anonymeter(columns=1).evaluate(toy, twice, seed=0)
    assert "fits exactly one synthetic row" in measures.reasons["anonymeter/singling_out"]
    assert np.isfinite(measures["anonymeter/linkability"])


def test_same_seed_same_risks(toy):
    first, again, other = (dict(Anonymeter(max_attacks=40).evaluate(toy, toy.val, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attacks": []}, "anonymeter.attacks"),
        ({"attacks": ["linkabilty"]}, r"anonymeter.attacks=linkabilty(.|\n)*'linkability'"),
        ({"max_attacks": 1}, "anonymeter.max_attacks=1"),
        ({"columns": 0}, "anonymeter.columns=0"),
        ({"secret": "cty"}, r"anonymeter.secret=cty(.|\n)*'city'"),
        ({"confidence": 0.0}, "anonymeter.confidence=0"),
    ],
)
def test_settings_that_cannot_be_name_their_key(toy, settings, message):
    with pytest.raises(ConfigError, match=message):
        Anonymeter(**settings).evaluate(toy, toy.train, seed=0)


def test_the_configuration_fills_every_setting():
    path = Path(__file__).parents[3] / "conf" / "evaluator" / "anonymeter.yaml"
    (settings,) = yaml.safe_load(path.read_text(encoding="utf-8")).values()
    assert {name for name in settings if not name.startswith("_")} == {field.name for field in fields(Anonymeter)}


def test_of_too_many_pairs_fewer_rows_are_attacked(breast_cancer):
    splits, _ = halved(breast_cancer)
    pairs = len(splits.train) * len(splits.test)
    whole, same, some = (
        Anonymeter(max_pairs=most).evaluate(splits, splits.train, seed=0) for most in (None, pairs, pairs // 3)
    )
    assert dict(whole) == dict(same) != dict(some)
    for name in ATTACKS:  # every copy is still found, and fewer attacks are less certain
        assert some[f"anonymeter/{name}/main"] == 1
        assert 0.5 < some[f"anonymeter/{name}/low"] < whole[f"anonymeter/{name}/low"]
