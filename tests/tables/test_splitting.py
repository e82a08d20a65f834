"""Splits: .venv/bin/pytest tests/tables/test_splitting.py."""

from __future__ import annotations

import numpy as np
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.tables.splitting import split_rows, split_sizes

USUAL = {"train": 0.64, "val": 0.16, "test": 0.2}


@pytest.mark.parametrize(
    ("rows", "fractions", "sizes"),
    [
        (768, USUAL, (491, 123, 154)),
        (1000, {"train": 0.7, "val": 0.1, "test": 0.2}, (700, 100, 200)),
        (48842, {"train": 0.533328, "val": 0.133332, "test": 0.33334}, (26048, 6513, 16281)),
        (18834, USUAL, (12053, 3014, 3767)),
        (4177, USUAL, (2672, 669, 836)),
        (20640, USUAL, (13209, 3303, 4128)),
        (100, USUAL, (64, 16, 20)),
        (8, USUAL, (4, 2, 2)),
        (10, USUAL, (6, 2, 2)),
        (8, {"train": 0.7, "val": 0.1, "test": 0.2}, (4, 2, 2)),
    ],
)
def test_sizes_are_the_published_ones(rows: int, fractions: dict[str, float], sizes: tuple[int, int, int]) -> None:
    assert split_sizes(rows, fractions) == sizes


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(DataError, match=rf"^{rows} rows are too few (.|\n)*at least 8"):
        split_sizes(rows, USUAL)


@pytest.mark.parametrize(
    ("fractions", "problem"),
    [
        ({"train": 0.8, "test": 0.2}, "must name train, val, test"),
        ({"train": 0.5, "val": 0.2, "test": 0.2}, "add up to 0.9"),
        ({"train": 1.0, "val": 0.2, "test": -0.2}, "between 0 and 1"),
        ({"train": 64, "val": 16, "test": 20}, "between 0 and 1"),
        ({"train": "most", "val": 0.2, "test": 0.2}, "between 0 and 1"),
    ],
)
def test_fractions_that_are_none_are_refused(fractions: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"dataset.split=.*{problem}"):
        split_sizes(100, fractions)


def classes_of(**counts: int) -> np.ndarray:
    labels = np.repeat(np.array(list(counts), dtype=object), list(counts.values()))
    return np.random.default_rng(1).permutation(labels)


@pytest.mark.parametrize("classes", [None, classes_of(a=70, b=30), classes_of(a=80, b=15, c=5), classes_of(a=97, b=3)])
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_parts_are_disjoint_and_complete(classes: np.ndarray | None, seed: int) -> None:
    parts, _ = split_rows(100, classes, fractions=USUAL, seed=seed)
    assert [len(part) for part in parts] == [64, 16, 20]
    assert np.sort(np.concatenate(parts)).tolist() == list(range(100))


@pytest.mark.parametrize("counts", [{"a": 700, "b": 300}, {"a": 500, "b": 268}, {"a": 333, "b": 333, "c": 11}])
@pytest.mark.parametrize("seed", [0, 7])
def test_class_shares_are_kept_to_within_one_row(counts: dict[str, int], seed: int) -> None:
    classes = classes_of(**counts)
    parts, notes = split_rows(len(classes), classes, fractions=USUAL, seed=seed)
    for part in parts:
        for name, count in counts.items():
            assert abs((classes[part] == name).sum() - count * len(part) / len(classes)) <= 1
    assert notes == []


@pytest.mark.parametrize("classes", [None, classes_of(a=60, b=40)])
def test_seed_decides_the_split(classes: np.ndarray | None) -> None:
    first, again, other = (split_rows(100, classes, fractions=USUAL, seed=seed)[0] for seed in (3, 3, 4))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert sorted(first[2]) != sorted(other[2])


def test_rows_of_rare_classes_are_trained_on() -> None:
    classes = classes_of(a=60, b=37, c=2, d=1)
    (train, val, test), notes = split_rows(100, classes, fractions=USUAL, seed=0)
    assert (len(train), len(val), len(test)) == (64, 16, 20)
    assert sorted(classes[train][np.isin(classes[train], ["c", "d"])]) == ["c", "c", "d"]
    assert set(classes[np.concatenate([val, test])]) == {"a", "b"}
    assert notes == ["all 3 rows of classes with fewer than 3 rows are in train: ['c', 'd']"]


def test_more_classes_than_test_rows_split_plainly_with_a_note() -> None:
    classes = classes_of(a=4, b=4, c=4)  # two validation rows cannot hold three classes
    parts, notes = split_rows(12, classes, fractions=USUAL, seed=0)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(12))
    assert any("not stratified" in note for note in notes)


def test_very_small_tables_are_noted() -> None:
    parts, notes = split_rows(8, classes_of(a=4, b=4), fractions=USUAL, seed=0)
    assert [len(part) for part in parts] == [4, 2, 2]
    assert [set(classes_of(a=4, b=4)[part]) for part in parts] == [{"a", "b"}] * 3
    assert len(notes) == 1 and "only 8 rows" in notes[0]


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        (np.array([f"id{n}" for n in range(50)], dtype=object), "50 classes in 50 rows"),
        (classes_of(a=48, b=2), "fewer than two of them have 3 rows"),
        (classes_of(a=3, b=3, **{f"c{n}": 1 for n in range(44)}), "44 of 50 rows belong to classes with fewer"),
    ],
)
def test_classes_too_small_to_split_are_refused(classes: np.ndarray, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        split_rows(50, classes, fractions=USUAL, seed=0)
