"""Membership by density, against scipy's kernel density and the formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmonic.errors import DataError
from harmonic.evaluation.attacks import density as density_attacks
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.density import COMPONENTS, NARROW, domias, gen_lra, log_density, reduced_space, scott
from harmonic.evaluation.comparison.encoding import Encoder


def attacker(splits, synthetic, reference=None):
    reference = splits.reference.frame if reference is None else reference
    return Attacker(synthetic, reference, splits.schema, Encoder.fit(splits.train))


def whitened(points):
    """Rotated and scaled to covariance 1: scipy's kernel is then round."""
    return np.linalg.solve(np.linalg.cholesky(np.cov(points.T)), (points - points.mean(axis=0)).T).T


def test_log_density_equals_scipys(monkeypatch):
    from scipy.stats import gaussian_kde

    monkeypatch.setattr(density_attacks, "_MEMORY_MB", 0.01)
    rng = np.random.default_rng(0)
    points, queries = whitened(rng.normal(size=(200, 4))), rng.normal(size=(90, 4))
    for bandwidth in (scott(points), 0.3):
        expected = gaussian_kde(points.T, bw_method=bandwidth).logpdf(queries.T)
        assert log_density(queries, points, bandwidth) == pytest.approx(expected, rel=1e-9)
    assert scott(points) == gaussian_kde(points.T).scotts_factor()


def test_log_density_of_far_points_is_finite():
    assert np.isfinite(log_density(np.full((1, 3), 1e7), np.zeros((5, 3)), 0.1)).all()


def test_the_space_is_that_of_the_reference_rows(breast_cancer):
    held = attacker(breast_cancer, breast_cancer.train.frame)
    points = reduced_space(held)(held.reference)
    assert points.shape[1] <= min(COMPONENTS, 30)
    assert np.cov(points.T) == pytest.approx(np.eye(points.shape[1]), abs=1e-9)


def test_domias_is_the_log_ratio_of_two_densities(toy):
    from scipy.stats import gaussian_kde

    held = attacker(toy, toy.train.frame)
    candidates = toy.test.frame
    space = reduced_space(held)
    points, synthetic, reference = (space(rows) for rows in (candidates, held.synthetic, held.reference))
    wide, narrow = (len(rows) ** (-1 / (rows.shape[1] + 4)) for rows in (reference, synthetic))
    below = gaussian_kde(reference.T, bw_method=wide).logpdf(points.T)
    kernels = ((points[:, None] - synthetic) ** 2).sum(axis=2) / (2 * (NARROW * narrow) ** 2)
    normal = (2 * np.pi * (NARROW * narrow) ** 2) ** (points.shape[1] / 2)
    above = np.log(np.exp(-kernels).mean(axis=1) / normal)
    assert domias(candidates, held) == pytest.approx(above - below, rel=1e-6)


def test_gen_lra_is_what_the_added_row_does_to_its_neighbours(toy):
    held = attacker(toy, toy.train.frame)
    space = reduced_space(held)
    synthetic, reference = space(held.synthetic), space(held.reference)
    wide, width = scott(reference), reference.shape[1]

    def kernel(squares, bandwidth):
        return np.exp(-squares / (2 * bandwidth**2)) / (2 * np.pi * bandwidth**2) ** (width / 2)

    candidates = toy.test.frame[:20]
    expected = []
    for point in space(candidates):
        near = synthetic[np.argsort(((synthetic - point) ** 2).sum(axis=1))[:3]]
        without = kernel(((near[:, None] - reference) ** 2).sum(axis=2), wide)
        added = kernel(((near - point) ** 2).sum(axis=1), NARROW * wide)
        with_it = np.hstack([without, added[:, None]]).mean(axis=1)
        expected.append(np.log(with_it / without.mean(axis=1)).sum())
    constant = 3 * np.log((len(reference) + 1) / len(reference))
    found = gen_lra(candidates, held)
    assert np.exp(found) - constant == pytest.approx(expected, rel=1e-6)
    assert np.ptp(found) > 1


def test_gen_lra_tells_candidates_apart_far_from_all_synthetic_rows(toy):
    held = attacker(toy, toy.train.frame.assign(income=1e4))
    assert len(set(gen_lra(toy.test.frame, held))) == len(toy.test)


@pytest.mark.parametrize("attack", [domias, gen_lra])
def test_reference_rows_that_give_no_density_are_reasons(toy, attack):
    with pytest.raises(DataError, match="there are 2"):
        attack(toy.test.frame, attacker(toy, toy.train.frame, toy.val.frame[:2]))
    equal = toy.val.take([0] * 9).frame
    with pytest.raises(DataError, match="all equal"):
        attack(toy.test.frame, attacker(toy, toy.train.frame, equal))


def test_few_synthetic_rows_are_enough(toy):
    held = attacker(toy, toy.train.frame[:1])
    for attack in (domias, gen_lra):
        assert np.isfinite(attack(toy.test.frame, held)).all()
        far = replace(held, synthetic=toy.train.frame.assign(income=1e300))
        assert np.isfinite(attack(toy.test.frame, far)).all()


@pytest.mark.parametrize("attack", [domias, gen_lra])
def test_rows_in_several_blocks_score_as_in_one(toy, monkeypatch, attack):
    held = attacker(toy, toy.train.frame)
    whole = attack(toy.test.frame, held)
    monkeypatch.setattr(density_attacks, "POINTS_AT_A_TIME", 19)
    assert attack(toy.test.frame, held) == pytest.approx(whole, rel=1e-12)


def test_gen_lra_asks_only_for_the_density_at_rows_that_are_near_a_candidate(toy, monkeypatch):
    asked, density = [], density_attacks.log_density
    monkeypatch.setattr(density_attacks, "log_density", lambda *given: asked.append(len(given[0])) or density(*given))
    gen_lra(toy.test.frame[:5], attacker(toy, toy.train.frame))
    assert asked[0] <= 15
