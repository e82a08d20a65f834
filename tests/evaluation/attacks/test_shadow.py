"""Shadow models on scores that are made up: what is known of who was in, and how much of it the attack finds."""

from __future__ import annotations

import numpy as np
import pytest

from harmonic.evaluation.attacks.roc import area
from harmonic.evaluation.attacks.shadow import halves, shadow_attack


@pytest.mark.parametrize("candidates", [10, 11])
def test_every_candidate_is_in_one_of_every_two_models(candidates):
    learnt = halves(candidates, 6, seed=0)
    assert learnt.shape == (6, candidates)
    assert (learnt[0::2] ^ learnt[1::2]).all()
    assert set(learnt.sum(axis=1)) == {candidates // 2, candidates - candidates // 2}
    assert len({row.tobytes() for row in learnt}) == 6
    assert (learnt == halves(candidates, 6, seed=0)).all() and (learnt != halves(candidates, 6, seed=1)).any()


def made_up(seed, effect, models=16, candidates=300):
    """Two attacks' scores: how common a row is, to any release alike, noise, and the effect of being in."""
    draw = np.random.default_rng(seed)
    common = draw.normal(0, 3, (candidates, 2))
    learnt = halves(candidates, models, seed)
    member = np.arange(candidates) < candidates // 2

    def release(inside):
        return common + draw.normal(size=(candidates, 2)) + effect * inside[:, None]

    return release(member), np.stack([release(inside) for inside in learnt]), learnt, member


def test_what_any_release_says_of_a_row_is_taken_off():
    """The effect is a third of what makes rows differ: alone an attack is all but blind, with shadow models it sees."""
    target, shadows, learnt, member = made_up(0, effect=1.0)
    alone = area(target[member, 0], target[~member, 0])
    scores = shadow_attack(target, shadows, learnt)
    assert alone < 0.7
    assert area(scores[member], scores[~member]) > 0.75


def test_without_an_effect_nothing_is_found():
    areas = []
    for seed in range(30):
        target, shadows, learnt, member = made_up(seed, effect=0.0, candidates=100)
        scores = shadow_attack(target, shadows, learnt)
        areas.append(area(scores[member], scores[~member]))
    assert np.mean(areas) == pytest.approx(0.5, abs=3 * 0.058 / np.sqrt(30))


def test_a_releases_own_scale_does_not_matter():
    target, shadows, learnt, _ = made_up(1, effect=1.0)
    scales = np.random.default_rng(0).uniform(1, 9, (len(shadows), 1, 2))
    once, again = shadow_attack(target, shadows, learnt), shadow_attack(5 * target - 3, scales * shadows + 7, learnt)
    assert again == pytest.approx(once, abs=1e-4)


def test_an_attack_that_says_the_same_of_all_is_no_hindrance():
    target, shadows, learnt, member = made_up(2, effect=2.0)
    target[:, 1], shadows[:, :, 1] = 4.0, 4.0
    scores = shadow_attack(target, shadows, learnt)
    assert area(scores[member], scores[~member]) > 0.8
