"""Copies of real rows: the same ones as SDMetrics finds."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.comparison import matching
from harmonic.evaluation.comparison.matching import matching_rows


def sdmetrics_score(real, rows, schema):
    from sdmetrics.single_table import NewRowSynthesis

    columns = {c.name: {"sdtype": "numerical" if c.is_numeric else "categorical"} for c in schema.columns}
    return NewRowSynthesis.compute(real, rows, {"columns": columns})


def mixed(rng, n):
    """Few values, signs and zeros, so that near rows and exact borders occur."""
    return pd.DataFrame(
        {
            "count": rng.integers(-3, 4, n) * 100 + rng.integers(-1, 2, n),
            "amount": rng.choice([0.0, 1.0, 0.99, 1.01, -1.0, 250.0, 252.5], n),
            "colour": rng.choice(["red", "blue"], n).astype(object),
            "label": rng.choice(["a", "b", "it's"], n).astype(object),
        }
    )


@pytest.mark.parametrize("columns", [["count", "amount", "colour", "label"], ["count", "amount"], ["colour", "label"]])
@pytest.mark.parametrize("seed", [0, 1])
def test_matches_equal_sdmetrics(table_of, columns, seed):
    rng = np.random.default_rng(seed)
    frame = mixed(rng, 220)[columns]
    table = table_of(frame)
    real, rows = frame[:120], frame[120:].reset_index(drop=True)
    found = matching_rows(real, rows, table.schema)
    assert 0 < found.sum()
    assert 1 - found.mean() == pytest.approx(sdmetrics_score(real, rows, table.schema), abs=1e-12)


@pytest.mark.parametrize(
    ("synthetic", "real", "match"),
    [
        (100.0, 99.0, True),  # the border belongs to the match
        (100.0, 98.99, False),
        (99.0, 100.0, False),  # the tolerance is a share of the synthetic value
        (-100.0, -101.0, True),
        (0.0, 1e-9, False),  # zero matches zero only
        (0.0, 0.0, True),
    ],
)
def test_tolerance_is_relative_to_the_synthetic_value(table_of, synthetic, real, match):
    table = table_of(pd.DataFrame({"x": [real], "y": pd.Series(["a"], dtype=object)}))
    assert matching_rows(table.frame, table.frame.assign(x=synthetic), table.schema).tolist() == [match]


def test_a_match_needs_one_row_that_agrees_everywhere(table_of):
    table = table_of(pd.DataFrame({"x": [1.0, 2.0], "y": [5.0, 6.0], "z": pd.Series(["a", "a"], dtype=object)}))
    rows = pd.DataFrame({"x": [1.0, 1.0], "y": [5.0, 6.0], "z": ["a", "a"]})
    assert matching_rows(table.frame, rows, table.schema).tolist() == [True, False]


@pytest.mark.parametrize("block", [1, 7, 100])
def test_matches_do_not_depend_on_the_block_size(table_of, monkeypatch, block):
    frame = mixed(np.random.default_rng(3), 300)
    table = table_of(frame)
    expected = matching_rows(frame[:150], frame[150:], table.schema)
    monkeypatch.setattr(matching, "PAIRS_AT_A_TIME", block)
    assert (matching_rows(frame[:150], frame[150:], table.schema) == expected).all()


@pytest.mark.slow
def test_matching_adult_is_fifty_times_faster_than_sdmetrics(table_of, data_dir):
    parts = [pd.read_csv(data_dir / f"adult/raw/adult_{part}.csv", keep_default_na=False) for part in ("train", "test")]
    table = table_of(pd.concat(parts, ignore_index=True).astype({"class": str}))
    real, rows = table.frame[: len(parts[0])], table.frame[len(parts[0]) :].reset_index(drop=True)
    start = time.perf_counter()
    score = sdmetrics_score(real, rows[:100], table.schema)
    reference = (time.perf_counter() - start) / 100 * len(rows)
    start = time.perf_counter()
    found = matching_rows(real, rows, table.schema)
    assert time.perf_counter() - start < reference / 50
    assert 1 - found[:100].mean() == pytest.approx(score)
