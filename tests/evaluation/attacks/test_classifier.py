"""Membership by a classifier: its scores, and what it needs."""

from __future__ import annotations

import pytest

from harmonic.errors import DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.classifier import classifier_attack
from harmonic.evaluation.comparison.encoding import Encoder


def test_the_classifier_scores_what_looks_synthetic(toy):
    synthetic = toy.train.frame.assign(city="oslo")
    held = Attacker(synthetic, toy.val.frame, toy.schema, Encoder.fit(toy.train))
    scores = classifier_attack(toy.test.frame, held)
    there = (toy.test.frame["city"] == "oslo").to_numpy()
    assert scores[there].min() > scores[~there].max()


def test_the_classifier_needs_real_rows(toy):
    held = Attacker(toy.train.frame, toy.val.frame[:0], toy.schema, Encoder.fit(toy.train))
    with pytest.raises(DataError, match="needs reference rows"):
        classifier_attack(toy.test.frame, held)
