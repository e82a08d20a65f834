"""Membership by nearness, against the definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.attacks import distance as distance_attacks
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.distance import closest_record, monte_carlo
from harmonic.evaluation.comparison.encoding import Encoder


def attacker(splits, synthetic):
    return Attacker(synthetic, splits.reference.frame, splits.schema, Encoder.fit(splits.train))


def distances(candidates, synthetic, splits):
    """The definition, one pair after the other."""
    scale = splits.train.frame[splits.schema.numeric].std(ddof=0)
    found = np.empty((len(candidates), len(synthetic)))
    for i, row in enumerate(candidates.to_dict("records")):
        for j, other in enumerate(synthetic.to_dict("records")):
            numbers = sum(((row[name] - other[name]) / scale[name]) ** 2 for name in splits.schema.numeric)
            found[i, j] = np.sqrt(numbers + sum(row[name] != other[name] for name in splits.schema.categorical))
    return found


def test_both_attacks_are_their_definitions(toy, monkeypatch):
    monkeypatch.setattr(distance_attacks, "_MEMORY_MB", 0.01)  # several blocks
    monkeypatch.setattr(distance_attacks, "POINTS_AT_A_TIME", 30)
    candidates, synthetic = toy.test.frame[:41], toy.val.frame
    expected = distances(candidates, synthetic, toy)
    nearest = expected.min(axis=1)
    held = attacker(toy, synthetic)
    assert closest_record(candidates, held) == pytest.approx(-nearest, abs=1e-9)
    within = (expected <= np.median(nearest) + 1e-9).mean(axis=1)
    assert monte_carlo(candidates, held) == pytest.approx(within, abs=1e-12)


def test_a_radius_of_zero_counts_copies(table_of):
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": pd.Series(list("abab"), dtype=object)})
    table = table_of(rows)
    synthetic = rows.iloc[[0, 0, 0, 1, 2]].reset_index(drop=True)
    held = Attacker(synthetic, rows, table.schema, Encoder.fit(table))
    assert monte_carlo(rows, held).tolist() == [0.6, 0.2, 0.2, 0.0]
