"""SMOTE and FW-SMOTE: rows between rows of a class, in the schema, with the shares asked for."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import make_splits, splits_of

from baselines.smote.generator import SmoteGenerator, class_labels, rows_per_class
from baselines.smote.neighborhood import relevance_weights, weighted_neighbors
from harmonic.errors import ConfigError, DataError
from harmonic.tables.splits import Splits
from harmonic.tables.table import Task

NUMERIC, CATEGORY = ("age", "income", "noise"), ("job", "town")
WEIGHTS = {"exponent": 0.5, "threshold": 0.0}


def drawn(generator: SmoteGenerator, splits: Splits, n: int, folder: Path, seed: int = 0) -> pd.DataFrame:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    return generator.sample(n, seed=seed, directory=folder).frame


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["smote", "fw_smote"])
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
@pytest.mark.parametrize("drop", [(), CATEGORY], ids=["mixed", "numeric"])
def test_rows_conform_lie_within_the_data_and_are_new(
    tmp_path: Path, drop: tuple[str, ...], task: Task, weights: dict[str, float] | None
) -> None:
    splits = make_splits(task, drop)
    found = drawn(SmoteGenerator(weights=weights), splits, 101, tmp_path)
    real = splits.train.frame
    assert len(found) == 101 and list(found.dtypes) == list(real.dtypes) and list(found) == list(real)
    for name in splits.schema.numeric:
        assert found[name].between(real[name].min(), real[name].max()).all()
        assert (found[name] == found[name].round(splits.schema[name].decimals)).all()
    for name in splits.schema.categorical:
        assert set(found[name]) <= set(real[name])
    assert len(found.merge(real, how="inner")) < 10  # not copies


def test_a_table_of_categories_alone_is_possible(tmp_path: Path) -> None:
    splits = make_splits(drop=NUMERIC)
    found = drawn(SmoteGenerator(), splits, 40, tmp_path)
    assert found["y"].value_counts().to_dict() == {"class 0": 30, "class 1": 10}
    assert (found["town"] == found["y"].map({"class 0": "north", "class 1": "south"})).all()


@pytest.mark.parametrize(("balance", "expected"), [(False, [75, 25]), (True, [50, 50])])
def test_class_shares_are_kept_or_made_equal(tmp_path: Path, balance: bool, expected: list[int]) -> None:
    found = drawn(SmoteGenerator(balance=balance), make_splits(), 100, tmp_path)
    assert found["y"].value_counts().sort_index().to_list() == expected
    assert found["y"].ne(found["y"].shift()).sum() > 10  # the classes are mixed, not one after the other


def test_rows_lie_between_rows_of_their_own_class(tmp_path: Path) -> None:
    splits = make_splits()
    found = drawn(SmoteGenerator(), splits, 100, tmp_path)
    for label, rows in splits.train.frame.groupby("y"):
        ages = found.loc[found["y"] == label, "age"]
        assert ages.between(rows["age"].min(), rows["age"].max()).all()
    assert (found["town"] == found["y"].map({"class 0": "north", "class 1": "south"})).all()


def test_one_neighbour_puts_every_row_on_the_line_to_the_nearest_row(tmp_path: Path) -> None:
    points = pd.DataFrame({"a": [0.0, 0.1, 5.0, 5.1] * 2, "b": [0.0, 0.2, 9.0, 9.3] * 2, "y": list("oooonnnn")})
    frame = pd.concat([points, points, points], ignore_index=True)
    splits = splits_of(frame, "y", Task.BINARY, (8, 8))
    found = drawn(SmoteGenerator(k=1), splits, 50, tmp_path)
    low = found[found["a"] < 1]
    high = found[found["a"] > 4]
    assert len(low) + len(high) == 50 and len(low) > 5 and len(high) > 5
    np.testing.assert_allclose(low["b"], low["a"] * 2, atol=0.016)  # rounded to two decimals
    np.testing.assert_allclose(high["b"] - 9, (high["a"] - 5) * 3, atol=0.021)


def test_a_regressions_target_is_interpolated_like_a_feature(tmp_path: Path) -> None:
    splits = make_splits(Task.REGRESSION, rows=200)
    found = drawn(SmoteGenerator(), splits, 200, tmp_path)
    assert found["y"].nunique() > 150
    assert np.corrcoef(found["age"], found["y"])[0, 1] > 0.95
    assert abs(found["y"].median() - splits.train.target.median()) < 3


def test_a_small_class_uses_the_neighbours_it_has(tmp_path: Path) -> None:
    splits = make_splits(Task.MULTICLASS, classes=(40, 17, 3))
    found = drawn(SmoteGenerator(k=5), splits, 60, tmp_path)
    assert found["y"].value_counts().sort_index().to_list() == [40, 17, 3]


def test_a_class_of_one_row_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = make_splits(Task.MULTICLASS, classes=(40, 19, 1))
    with caplog.at_level(logging.WARNING):
        found = drawn(SmoteGenerator(), splits, 59, tmp_path)
    assert found["y"].value_counts().sort_index().to_list() == [40, 19]
    assert "class 2" in caplog.text


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["smote", "fw_smote"])
def test_rows_follow_the_seed_and_survive_loading(tmp_path: Path, weights: dict[str, float] | None) -> None:
    splits = make_splits()
    generator = SmoteGenerator(weights=weights)
    before = np.random.get_state()[1].tolist()
    first = drawn(generator, splits, 30, tmp_path)
    loaded = replace(generator)
    loaded.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(30, seed=0, directory=tmp_path).frame, first)
    assert not loaded.sample(30, seed=1, directory=tmp_path).frame.equals(first)
    assert np.random.get_state()[1].tolist() == before  # the global state is not drawn from


def test_rows_per_class_add_up_for_every_n() -> None:
    labels = np.repeat([0, 1, 2], [50, 7, 3])
    for n in range(1, 130):
        counts = rows_per_class(labels, n, balance=False)
        assert counts.sum() == n and np.abs(counts - n * np.array([50, 7, 3]) / 60).max() < 1


@pytest.mark.parametrize(
    ("values", "bins", "sizes"),
    [
        (np.arange(40.0), 4, [10, 10, 10, 10]),
        (np.r_[np.zeros(30), np.arange(1.0, 11)], 2, [30, 10]),  # the median is the minimum
        (np.r_[np.arange(10.0), np.full(30, 50.0)], 2, [10, 30]),  # the median is the maximum
    ],
)
def test_a_regressions_classes_are_cut_at_quantiles(values: np.ndarray, bins: int, sizes: list[int]) -> None:
    frame = pd.DataFrame({"x": np.arange(40.0), "y": values})
    table = splits_of(frame, "y", Task.REGRESSION, (40, 0)).train
    labels = class_labels(table, bins)
    assert np.bincount(labels).tolist() == sizes
    assert (np.diff(labels[np.argsort(values, kind="stable")]) >= 0).all()


def test_the_most_relevant_feature_weighs_most() -> None:
    train = make_splits(Task.REGRESSION, rows=300).train
    weights = relevance_weights(train, exponent=0.5, threshold=0.0, seed=0)
    features = {name: weights[name] for name in weights if name != "y"}
    assert max(features, key=lambda name: features[name]) == "age"
    assert sum(features.values()) == pytest.approx(1)
    assert features["age"] == pytest.approx(np.sqrt(1 / 5))  # Q(1/d) of d features
    assert weights["y"] == features["age"]


def test_an_exponent_of_one_weighs_all_columns_alike() -> None:
    weights = relevance_weights(make_splits().train, exponent=1.0, threshold=0.0, seed=0)
    assert list(weights.values()) == pytest.approx([0.2] * 5)


def test_columns_below_the_threshold_leave_the_distance() -> None:
    weights = relevance_weights(make_splits().train, exponent=0.5, threshold=0.2, seed=0)
    assert sorted(weights.values())[:-1] == [0.0] * 4 and weights["town"] > 0.4


@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_column_without_weight_does_not_choose_neighbours(as_sparse: bool) -> None:
    from scipy import sparse

    rows = np.array([[0.0, 0.0], [0.1, 9.0], [1.0, 0.1], [1.2, 9.0]])
    search = weighted_neighbors(np.array([1.0, 0.0]), 1).fit(sparse.csr_matrix(rows) if as_sparse else rows)
    assert search.kneighbors(rows, return_distance=False)[:, 1].tolist() == [1, 0, 3, 2]
    search = weighted_neighbors(np.array([0.0, 4.0]), 1).fit(rows)
    distances, neighbours = search.kneighbors(rows)
    assert neighbours[0, 1] == 2 and distances[0, 1] == pytest.approx(0.2)  # sqrt(4 · 0.1²)


@pytest.mark.parametrize(
    ("settings", "task", "drop", "words"),
    [
        ({"k": 0}, Task.BINARY, (), r"generator\.k=0"),
        ({"target_bins": 1}, Task.REGRESSION, (), r"generator\.target_bins=1"),
        ({"weights": {"exponent": 2.0}}, Task.BINARY, (), r"generator\.weights\.exponent=2\.0"),
        ({"weights": {"threshold": 0.9}}, Task.BINARY, (), r"generator\.weights\.threshold=0\.9"),
        ({"weights": WEIGHTS}, Task.BINARY, NUMERIC, "generator=smote"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_sampling(
    tmp_path: Path, settings: dict[str, object], task: Task, drop: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        SmoteGenerator(**settings).fit(make_splits(task, drop), seed=0, prepared=tmp_path, directory=tmp_path)


def test_a_target_with_one_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'y' has one value"):
        SmoteGenerator().fit(make_splits(classes=(60,)), seed=0, prepared=tmp_path, directory=tmp_path)
