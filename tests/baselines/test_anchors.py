"""Anchors: real rows, fresh rows, shuffled columns; exactly n of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import make_splits

from baselines.anchors import Marginals, RealRows
from harmonic.errors import ConfigError
from harmonic.generators.base import Generator
from harmonic.tables.splits import Splits


def drawn(generator: Generator, splits: Splits, n: int, folder: Path, seed: int = 0) -> pd.DataFrame:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    return generator.sample(n, seed=seed, directory=folder).frame


def counts(frame: pd.DataFrame) -> dict[tuple[object, ...], int]:
    return frame.value_counts(sort=False).to_dict()


def test_as_many_rows_as_there_are_give_each_row_once(tmp_path: Path) -> None:
    splits = make_splits()
    found = drawn(RealRows(), splits, 60, tmp_path)
    assert counts(found) == counts(splits.train.frame)
    assert not found.equals(splits.train.frame)  # in another order


def test_fewer_rows_are_distinct_rows(tmp_path: Path) -> None:
    splits = make_splits()
    found = drawn(RealRows(), splits, 25, tmp_path)
    assert len(found) == 25 and not found.duplicated().any()
    assert set(counts(found)) <= set(counts(splits.train.frame))


def test_more_rows_repeat_evenly_and_a_warning_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = drawn(RealRows(), make_splits(), 150, tmp_path)
    assert len(found) == 150
    assert set(counts(found).values()) == {2, 3}
    assert "60 rows, 150 are asked for" in caplog.text


def test_holdout_rows_are_disjoint_from_members_nonmembers_and_reference(tmp_path: Path) -> None:
    splits = make_splits()
    found = drawn(RealRows(rows="holdout"), splits, 15, tmp_path)
    assert counts(found) == counts(splits.holdout.frame)
    for others in (splits.train, splits.test, splits.reference):
        assert set(counts(found)).isdisjoint(counts(others.frame))


@pytest.mark.parametrize("n", [60, 120])
def test_marginals_keep_every_column_exactly(tmp_path: Path, n: int) -> None:
    splits = make_splits()
    found = drawn(Marginals(), splits, n, tmp_path)
    assert list(found.dtypes) == list(splits.train.frame.dtypes)
    for name, values in found.items():
        repeated = np.repeat(splits.train.frame[name].to_numpy(), n // 60)
        assert sorted(values) == sorted(repeated)


def test_marginals_break_the_relation_between_columns(tmp_path: Path) -> None:
    splits = make_splits(rows=400)
    real = splits.train.frame
    assert pd.crosstab(real["town"], real["y"]).to_numpy().min() == 0  # the town tells the class
    found = drawn(Marginals(), splits, 400, tmp_path)
    independent = np.outer(found["town"].value_counts(), found["y"].value_counts()) / 400
    assert pd.crosstab(found["town"], found["y"]).to_numpy().min() > 0.6 * independent.min()


@pytest.mark.parametrize("generator", [RealRows(), RealRows(rows="holdout"), Marginals()], ids=str)
def test_rows_follow_the_seed_and_survive_loading(generator: RealRows | Marginals, tmp_path: Path) -> None:
    splits = make_splits()
    first = drawn(generator, splits, 14, tmp_path)
    loaded = replace(generator)  # its arguments alone
    loaded.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(14, seed=0, directory=tmp_path).frame, first)
    assert not loaded.sample(14, seed=1, directory=tmp_path).frame.equals(first)


def test_unknown_rows_name_the_key_and_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"generator\.rows=hold.*\n.*holdout"):
        drawn(RealRows(rows="hold"), make_splits(), 5, tmp_path)
