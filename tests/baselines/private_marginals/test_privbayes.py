"""PrivBayes: its scores and noise against what the paper bounds them by, and what it draws."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts import assert_conforms
from toys import make_splits

from baselines.private_marginals.privbayes import (
    PrivBayesGenerator,
    _noisy_counts,
    parent_sets,
    relation,
    sensitivity,
)
from harmonic.tables.table import Table, Task
from harmonic.tables.training_view import for_generators


def fitted(tmp_path: Path, splits: object, **settings: float) -> PrivBayesGenerator:
    generator = PrivBayesGenerator(**settings)  # type: ignore[arg-type]
    generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)  # type: ignore[arg-type]
    generator.load(splits, prepared=tmp_path, directory=tmp_path)  # type: ignore[arg-type]
    return generator


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_rows_conform_follow_the_seed_and_survive_the_way_through_files(tmp_path: Path, task: Task) -> None:
    splits = for_generators(make_splits(task))
    generator = fitted(tmp_path, splits, epsilon=10.0)
    first = generator.sample(23, seed=1, directory=tmp_path).frame
    assert_conforms(first, splits, 23)
    later = replace(generator)
    later.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(later.sample(23, seed=1, directory=tmp_path).frame, first)
    assert not later.sample(23, seed=2, directory=tmp_path).frame.equals(first)


def test_with_a_large_epsilon_rows_follow_the_relations_of_the_table(tmp_path: Path) -> None:
    splits = make_splits(rows=600, classes=(400, 200))
    for epsilon, least, most in ((1e6, 0.95, 1.0), (1e-3, 0.0, 0.8)):
        frame = fitted(tmp_path, splits, epsilon=epsilon).sample(2000, seed=0, directory=tmp_path).frame
        agreeing = ((frame["town"] == "south") == (frame["y"] == "class 1")).mean()  # always, in the table
        assert least <= agreeing <= most


def test_the_score_changes_by_no_more_than_its_sensitivity_whichever_row_is_replaced() -> None:
    """All pairs of neighbouring tables of five rows of two columns of two and three values."""
    sizes, values = [2, 3], list(itertools.product(range(2), range(3)))
    n, worst = 5, 0.0
    for table in itertools.combinations_with_replacement(values, n):
        score = relation(np.array(table), sizes, (1, (0,)))
        for place, other in itertools.product(range(n), values):
            neighbour = np.array([*table[:place], other, *table[place + 1 :]])
            worst = max(worst, abs(score - relation(neighbour, sizes, (1, (0,)))))
    assert 0.4 * sensitivity(n) < worst <= sensitivity(n)


def test_every_cell_of_every_count_has_noise_that_covers_a_replaced_row() -> None:
    """The privacy loss of the counts, from their densities, stays within epsilon for the worst neighbour."""
    sizes, epsilon, draws = [2, 3], 0.7, 4000
    network = [(0, ()), (1, (0,))]
    codes = np.array([[0, 0]] * 50 + [[1, 2]] * 50)
    noisy = [_noisy_counts(codes, sizes, network, epsilon, np.random.default_rng(seed)) for seed in range(draws)]  # type: ignore[arg-type]
    empty = np.array([tables[1][0, 1] for tables in noisy])  # no row is there: its count is hidden as well
    assert 0.45 < (empty > 0).mean() < 0.55
    full = np.array([tables[1][0, 0] for tables in noisy])
    scale = np.abs(full - 50).mean()  # of a Laplace distribution
    moved = 2 * len(network)  # counts that a replaced row moves by one, at most
    assert moved / scale == pytest.approx(epsilon, rel=0.06)


def test_parents_are_the_largest_sets_that_fit() -> None:
    assert parent_sets([0, 1, 2], [2, 3, 4], 6, 2) == [(2,), (0, 1)]
    assert parent_sets([0, 1, 2], [2, 3, 4], 100, 2) == [(0, 1), (0, 2), (1, 2)]
    assert parent_sets([0, 1, 2], [2, 3, 4], 100, 0) == [()]
    assert parent_sets([0, 1, 2], [2, 3, 4], 0.5, 2) == [()]


def test_missing_values_are_learnt_as_they_are(tmp_path: Path) -> None:
    """To fill them from other rows, as is done for generators that know none, would void the guarantee."""
    whole = make_splits(rows=400, classes=(300, 100))
    columns = tuple(replace(one, missing="") if one.name in ("age", "job") else one for one in whole.schema.columns)
    schema = replace(whole.schema, columns=columns)
    frame = whole.train.frame.copy()
    frame.loc[frame["town"] == "south", "age"] = None
    frame.loc[:100, "job"] = None
    splits = replace(whole, train=Table(schema.conform(frame), schema))
    drawn = fitted(tmp_path, splits, epsilon=1e6).sample(1000, seed=0, directory=tmp_path).frame
    assert (drawn["age"].isna() == (drawn["town"] == "south")).mean() > 0.95
    assert drawn["job"].isna().mean() == pytest.approx(0.25, abs=0.05)
    assert PrivBayesGenerator.takes_gaps
