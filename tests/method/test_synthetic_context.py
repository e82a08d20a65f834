"""A second round of prompts: weights that bring shares back, and no real row in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.method.second_round import balanced, first_rows, synthetic_context
from harmonic.tables.table import Column, Kind, Schema, Table, Task

SCHEMA = Schema(
    columns=(
        Column(name="x", kind=Kind.FLOAT, decimals=3, missing=""),
        Column(name="town", kind=Kind.CATEGORY, categories=("east", "north", "south")),
        Column(name="ill", kind=Kind.CATEGORY, categories=("0", "1")),
    ),
    target="ill", task=Task.BINARY, description="people",
)  # fmt: skip


def table(n: int, ill: float, north: float, shift: float, seed: int, missing: float = 0.2) -> Table:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": np.where(draw.random(n) < missing, np.nan, draw.normal(shift, 1, n).round(3)),
            "town": draw.choice(["east", "north", "south"], n, p=[0.1, north, 0.9 - north]),
            "ill": np.where(draw.random(n) < ill, "1", "0"),
        }
    )
    return Table(SCHEMA.conform(frame), SCHEMA)


def share(of: Table, name: str, value: str, weights: np.ndarray | None = None) -> float:
    return float(np.average(of.frame[name] == value, weights=weights))


def test_weights_restore_the_training_rows_shares_after_a_drift() -> None:
    train, drawn = table(4000, 0.3, 0.4, 0.0, 0), table(3000, 0.15, 0.6, 0.4, 1, missing=0.3)
    weights = balanced(drawn, train)
    assert weights.shape == (3000,) and weights.mean() == pytest.approx(1)
    assert share(drawn, "ill", "1") < 0.2 and share(drawn, "town", "north") > 0.55
    for name, value in (("ill", "1"), ("town", "north"), ("town", "east")):
        assert share(drawn, name, value, weights) == pytest.approx(share(train, name, value), abs=0.01)
    gaps = [part.frame["x"].isna().to_numpy() for part in (train, drawn)]
    assert np.average(gaps[1], weights=weights) == pytest.approx(gaps[0].mean(), abs=0.01)
    edges = np.nanquantile(train.frame["x"], [0.2, 0.4, 0.6, 0.8])
    known = [np.searchsorted(edges, part.frame["x"].dropna()) for part in (train, drawn)]
    expected = np.bincount(known[0], minlength=5) / len(known[0])
    assert np.bincount(known[1], minlength=5)[4] / len(known[1]) > 0.28  # before
    assert np.bincount(known[1], weights[~gaps[1]], 5) / weights[~gaps[1]].sum() == pytest.approx(expected, abs=0.01)


def test_no_row_weighs_more_than_four_or_less_than_a_quarter() -> None:
    train, drawn = table(2000, 0.5, 0.4, 0.0, 0), table(2000, 0.02, 0.4, 0.0, 1)
    weights = balanced(drawn, train)
    assert weights.max() / weights.min() <= 16 + 1e-9 and weights.max() > 2
    assert share(drawn, "ill", "1") < 0.03 < share(drawn, "ill", "1", weights) < 0.15  # as far as weights allow


def test_rows_like_the_training_rows_weigh_alike() -> None:
    train = table(1500, 0.3, 0.4, 0.0, 0)
    assert balanced(train, train) == pytest.approx(np.ones(1500), abs=1e-6)


def test_values_that_only_one_of_both_has_do_no_harm() -> None:
    train, drawn = table(300, 0.3, 0.4, 0.0, 0), table(300, 0.3, 0.9, 0.0, 1)
    for one, other in ((train, drawn), (drawn, train)):
        one.frame.loc[one.frame["town"] == "east", "town"] = "north"
        weights = balanced(one, other)
        assert np.isfinite(weights).all() and (weights > 0).all() and weights.mean() == pytest.approx(1)


def test_the_first_round_has_rows_enough_to_choose_from() -> None:
    assert first_rows(10, 5000) == 256 and first_rows(10, 60) == 60
    assert first_rows(1000, 60) == 1000 and first_rows(300, 5000) == 300


def test_prompts_of_the_second_round_show_neighbours_among_the_drawn_rows_as_often_as_weights_say() -> None:
    train, drawn = table(900, 0.4, 0.4, 0.0, 0), table(600, 0.2, 0.4, 0.0, 1)
    context = synthetic_context(drawn, train, k=4, pool=4, metric="mixed", seed=0)
    centers = [context.center(place) for place in range(600)]
    assert np.mean(drawn.frame["ill"].iloc[centers] == "1") == pytest.approx(share(train, "ill", "1"), abs=0.02)
    for place in range(20):
        shown, _ = context.shown(place)
        assert centers[place] not in shown and len(set(shown)) == 4 and max(shown) < 600
    again = synthetic_context(drawn, train, k=4, pool=4, metric="mixed", seed=0)
    assert again.shown(7)[0].tolist() == context.shown(7)[0].tolist()
