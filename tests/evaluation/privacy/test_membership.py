"""The membership-inference suite on tables whose leaks are known: everything, nothing, or bad rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.attacks.roc import area_interval, true_positive_rates
from harmonic.evaluation.attacks.rows_apart import real_rows, standing_apart
from harmonic.evaluation.base import TokenScorer
from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.privacy import membership
from harmonic.evaluation.privacy.membership import ON_LIKELIHOODS, ON_ROWS, RATES, MembershipInference
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

# The least AUC on copies of the training rows. A closest copy, or text, gives a member away for certain; a density
# looks at all rows around, and a classifier's border is moved but a little by one row.
ON_COPIES = {"dcr": 1, "mc": 1, "levatt": 1, "levatt_digits": 1, "domias": 0.95, "gen_lra": 0.8, "classifier": 0.55}


def evaluate(splits, synthetic, seed=0, scorer=None, attacks=tuple(ON_ROWS), **given):
    return MembershipInference(list(attacks), **{"resamples": 20} | given).evaluate(
        splits, synthetic, seed=seed, scorer=scorer
    )


def test_copies_of_the_training_rows_give_the_members_away(breast_cancer, assert_sound):
    measures = evaluate(breast_cancer, breast_cancer.train)
    assert_sound(MembershipInference(), measures)
    assert ON_COPIES.keys() == ON_ROWS.keys()
    for name, least in ON_COPIES.items():
        assert measures[f"mia/{name}/auc"] >= least, name
        assert measures[f"mia/{name}/auc/low"] > 0.5, name
        if least == 1:
            assert measures[f"mia/{name}/tpr_at_1"] == measures[f"mia/{name}/tpr_at_10"] == 1
    assert measures["mia/worst"] == 1
    assert measures["mia/worst/low"] > 0.9
    assert ON_COPIES[measures.notes["mia/worst"]] == 1


def resplit(splits, seed):
    """The same rows in other parts."""
    table = Table(pd.concat([part.frame for part in (splits.train, splits.val, splits.test)]), splits.schema)
    order = np.random.default_rng(seed).permutation(len(table))
    ends = np.cumsum([len(splits.train), len(splits.val)])
    return Splits(*(table.take(part) for part in np.split(order, ends)))


def test_fresh_real_rows_give_nothing_away(toy):
    """Over many splits the mean AUC is 0.5, the intervals hold it, and the worst attack's seldom exclude it."""
    found = []
    for seed in range(16):
        splits = resplit(toy, seed)
        found.append(evaluate(splits, splits.holdout, seed=seed, resamples=2))
    deviation = np.sqrt((2 * 80 + 1) / (12 * 80 * 80))  # of the area, 80 members and 80 others alike
    for name in ON_ROWS:
        mean = np.mean([measures[f"mia/{name}/auc"] for measures in found])
        assert mean == pytest.approx(0.5, abs=3 * deviation / np.sqrt(len(found))), name
        held = [m[f"mia/{name}/auc/low"] <= 0.5 <= m[f"mia/{name}/auc/high"] for m in found]
        assert np.mean(held) >= 0.8, name
    worst = np.array([measures["mia/worst"] for measures in found])
    assert worst.mean() > 0.51  # the largest of several is above by chance
    assert np.mean([measures["mia/worst/low"] > 0.5 for measures in found]) <= 0.09


def test_values_are_those_of_the_scores_in_series(toy):
    measures = evaluate(toy, toy.val, attacks=["dcr", "levatt"])
    for name in ("dcr", "levatt"):
        members, others = (measures.series[f"mia/{name}/{kind}"] for kind in ("members", "non_members"))
        assert len(members) == len(others) == len(toy.test)
        low, high = area_interval(members, others)
        assert (measures[f"mia/{name}/auc/low"], measures[f"mia/{name}/auc/high"]) == (low, high)
        assert measures[f"mia/{name}/tpr_at_10"] == true_positive_rates(members, others, [0.1])[0]
    areas = np.array([measures["mia/dcr/auc"], measures["mia/levatt/auc"]])
    assert measures["mia/worst"] == 0.5 + np.abs(areas - 0.5).max()


def test_an_attack_that_ranks_members_last_is_shown_as_it_is_and_counts_by_its_reverse(toy):
    """As of a generator that drops rows too close to its training rows; here its rows are those never learnt."""
    measures = evaluate(toy, toy.test, attacks=["dcr", "classifier"])
    assert measures["mia/dcr/auc"] < 0.1 and measures["mia/dcr/auc/high"] < 0.2
    assert measures["mia/worst"] == pytest.approx(1 - measures["mia/dcr/auc"]) and measures["mia/worst/low"] > 0.8
    assert measures.notes["mia/worst"] == "dcr, reversed"


def test_the_worst_attacks_interval_holds_for_all_at_once(toy):
    alone = evaluate(toy, toy.val, attacks=["dcr"])
    low, high = alone["mia/dcr/auc/low"], alone["mia/dcr/auc/high"]
    assert alone["mia/worst/low"] == max(0.5, low, 1 - high) and alone["mia/worst/high"] == max(high, 1 - low)
    several = evaluate(toy, toy.val, attacks=["dcr", "levatt", "mc", "domias"])
    name = several.notes["mia/worst"].partition(",")[0]
    assert several["mia/worst"] == 0.5 + abs(several[f"mia/{name}/auc"] - 0.5)
    single = [several[f"mia/{attack}/auc/high"] for attack in ("dcr", "levatt", "mc", "domias")]
    assert several["mia/worst/high"] > max(single)
    scores = [
        tuple(several.series[f"mia/{attack}/{kind}"] for kind in ("members", "non_members"))
        for attack in ("dcr", "levatt", "mc", "domias")
    ]
    singles = [area_interval(*pair, confidence=1 - 0.05 / 4) for pair in scores]
    assert several["mia/worst/low"] == max(0.5, *(max(low, 1 - high) for low, high in singles))


def test_rows_that_stand_apart_are_given_away_where_only_they_are_copied(breast_cancer, assert_sound):
    """A release of the training rows that stand apart, hidden among fresh rows: dangerous for them alone."""
    splits, encoder = breast_cancer, Encoder.fit(breast_cancer.train)
    odd = standing_apart(splits.train.frame, real_rows(splits), encoder, 0.1)
    frame = pd.concat([splits.holdout.frame, splits.train.frame[odd]], ignore_index=True)
    measures = evaluate(splits, Table(frame, splits.schema), attacks=["dcr", "levatt"])
    assert_sound(MembershipInference(), measures)
    assert measures["mia/dcr/auc"] < 0.65
    assert measures["mia/dcr/apart"] > 0.9 and measures["mia/dcr/apart/low"] > 0.6
    assert measures["mia/worst_apart"] == max(measures["mia/dcr/apart"], measures["mia/levatt/apart"])
    assert measures["mia/worst_apart/low"] > 0.5
    assert measures["mia/worst_apart/members"] + measures["mia/worst_apart/non_members"] == 23  # of 228 candidates


def test_the_rows_apart_are_a_part_of_the_candidates(toy):
    measures = evaluate(toy, toy.val, attacks=["dcr", "mc"], apart=0.2)
    for kind in ("members", "non_members"):
        few, all_of_them = measures.series[f"mia/dcr/apart/{kind}"], measures.series[f"mia/dcr/{kind}"]
        assert len(few) == measures[f"mia/worst_apart/{kind}"] and set(few) <= set(all_of_them)
    assert sum(measures[f"mia/worst_apart/{kind}"] for kind in ("members", "non_members")) == 32
    everyone = evaluate(toy, toy.val, attacks=["dcr", "mc"], apart=1.0)
    for name in ("dcr", "mc"):
        for end in ("", "/low", "/high"):
            assert everyone[f"mia/{name}/apart{end}"] == everyone[f"mia/{name}/auc{end}"]


def test_too_few_rows_apart_are_a_reason(toy, assert_sound):
    measures = evaluate(toy, toy.val, attacks=["dcr"], apart=0.001)
    assert_sound(MembershipInference(), measures)
    assert "needs two rows of each kind that are unlike all others" in measures.reasons["mia/dcr/apart"]
    assert measures.reasons["mia/worst_apart"] == "no attack was possible on rows that are unlike all others"
    with pytest.raises(ConfigError, match="apart"):
        evaluate(toy, toy.val, apart=0)


def test_candidates_are_capped_and_members_drawn_from_the_training_rows(toy):
    measures = evaluate(toy, toy.train, attacks=["dcr"], max_rows=30)
    assert len(measures.series["mia/dcr/members"]) == len(measures.series["mia/dcr/non_members"]) == 30
    assert (measures.series["mia/dcr/members"] == 0).all()  # all are in the synthetic table
    small = replace(toy, train=toy.train.take(range(25)))
    assert len(evaluate(small, toy.val, attacks=["dcr"]).series["mia/dcr/non_members"]) == 25


def test_of_too_many_pairs_fewer_candidates_are_attacked_with_all_synthetic_rows(toy):
    pairs = 2 * 80 * len(toy.train)
    whole, same, some = (
        evaluate(toy, toy.train, attacks=["dcr", "mc"], max_pairs=most) for most in (None, pairs, pairs // 4)
    )
    assert str(dict(whole)) == str(dict(same))
    assert whole["mia/dcr/members"] == 80 and some["mia/dcr/members"] == some["mia/dcr/non_members"] == 20
    assert some["mia/dcr/auc"] > 0.99 and some["mia/worst/low"] < whole["mia/worst/low"]  # every copy is still found
    assert evaluate(toy, toy.train, attacks=["dcr"], max_pairs=1)["mia/dcr/members"] == 2


def test_a_rate_that_the_non_members_cannot_show_is_a_reason(toy, assert_sound):
    measures = evaluate(toy, toy.val, attacks=["dcr"])  # 80 non-members
    assert_sound(MembershipInference(), measures)
    missing = {f"mia/dcr/{rate}{end}" for rate in ("tpr_at_0.1", "tpr_at_1") for end in ("", "/low", "/high")}
    assert {name for name in measures.reasons if "shown" not in name} == missing
    assert measures.reasons["mia/dcr/tpr_at_0.1"] == "needs 1,000 non-members: there are 80"


def test_the_same_seed_gives_the_same_numbers(toy):
    first, again, other = (
        dict(evaluate(toy, toy.holdout, seed=seed, attacks=["dcr", "classifier"], max_rows=40)) for seed in (0, 0, 1)
    )
    assert str(first) == str(again) != str(other)


def constant(rows):
    return np.ones(len(rows))


def test_without_a_language_generator_its_attacks_say_so(toy, assert_sound):
    measures = evaluate(toy, toy.val, attacks=["loss", "min_k", "dcr"])
    assert_sound(MembershipInference(), measures)
    assert measures.reasons["mia/loss/auc"] == "needs a language generator: this one has no likelihoods"
    assert measures.notes["mia/worst"] == "dcr"
    for scorer in (constant, TokenScorer(constant, lambda rows, base: None)):
        measures = evaluate(toy, toy.val, attacks=["loss", "min_k"], scorer=scorer)
        assert_sound(MembershipInference(), measures)
        assert "likelihood of each token under the tuned model" in measures.reasons["mia/min_k/auc"]
        assert measures.reasons["mia/worst"] == "no attack was possible"
        assert not measures.notes


def test_a_generator_without_a_base_model_still_gives_min_k(toy):
    scorer = TokenScorer(constant, lambda rows, base: None if base else [np.arange(3.0)] * len(rows))
    measures = evaluate(toy, toy.val, attacks=["loss", "min_k"], scorer=scorer)
    assert measures["mia/min_k/auc"] == 0.5
    assert "under the base model" in measures.reasons["mia/loss/auc"]


def test_each_model_is_asked_once(toy):
    asked = []

    def tokens(rows, base):
        asked.append((len(rows), base))
        return [np.array([1.0, 2.0])] * len(rows)

    measures = evaluate(toy, toy.val, attacks=ON_LIKELIHOODS, scorer=TokenScorer(constant, tokens))
    assert asked == [(160, False), (160, True)]
    assert measures["mia/loss/auc"] == measures["mia/loss/auc/low"] == 0.5
    evaluate(toy, toy.val, attacks=ON_LIKELIHOODS, scorer=TokenScorer(constant, tokens), max_scored_rows=10)
    assert asked[2:] == [(20, False), (20, True)]


def test_an_attack_that_fails_is_a_reason_and_spares_the_others(toy, monkeypatch, assert_sound):
    def failing(candidates, attacker):
        raise FloatingPointError("no luck")

    monkeypatch.setitem(membership.ON_ROWS, "mc", failing)
    monkeypatch.setitem(membership.ON_ROWS, "levatt", lambda rows, attacker: np.full(len(rows), np.nan))
    measures = evaluate(toy, toy.val, attacks=["mc", "levatt", "dcr"])
    assert_sound(MembershipInference(), measures)
    assert measures.reasons["mia/mc/auc"] == "FloatingPointError: no luck"
    assert measures.reasons["mia/levatt/auc"] == "160 of 160 rows have no score"
    assert measures["mia/worst"] == measures["mia/dcr/auc"]


def test_splits_too_small_are_reasons(toy, assert_sound):
    for splits in (replace(toy, test=toy.test.take([0])), replace(toy, test=toy.test.take([]))):
        measures = evaluate(splits, toy.val)
        assert_sound(MembershipInference(), measures)
        assert set(measures.reasons) == set(measures)
        assert len(measures) == 3 * (len(ON_ROWS) * (2 + len(RATES)) + 4)
    measures = evaluate(replace(toy, val=toy.val.take([])), toy.val)
    assert_sound(MembershipInference(), measures)
    assert {name for name in ON_ROWS if f"mia/{name}/auc" in measures.reasons} == {"domias", "gen_lra", "classifier"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attacks": ["domais"]}, r"attacks=domais.*\n.*'domias'"),
        ({"attacks": []}, "at least one attack is needed"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"resamples": 0}, "at least 2"),
        ({"max_rows": 1}, "max_rows=1: must be at least 2"),
        ({"max_scored_rows": 0}, "max_scored_rows=0: must be at least 2"),
    ],
)
def test_settings_that_cannot_be_are_named(toy, given, message):
    with pytest.raises(ConfigError, match=message):
        MembershipInference(**given).evaluate(toy, toy.val, seed=0)


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    synthetic = spoiled(toy.train)
    measures = evaluate(toy, synthetic, max_rows=40)
    assert_sound(MembershipInference(), measures)
    try:
        toy.schema.conform(synthetic.frame)
    except DataError:
        assert set(measures.reasons) == set(measures)
    else:
        assert np.isnan(measures["mia/dcr/auc"]) == (len(synthetic) == 0)
