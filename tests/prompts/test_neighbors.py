"""Neighbours against their definitions, and the label filter."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.errors import ConfigError
from harmonic.prompts import heom_search as module
from harmonic.prompts import near_clusters, neighbors
from harmonic.prompts.neighbors import NearestRows, label_filter, nearest
from harmonic.tables.table import Column, Kind, Schema, Table, Task


def make_table(columns: dict[str, list], target: str | None = None) -> Table:
    """A table whose text columns are categories, whose ints are integers and whose floats are floats."""
    described = []
    for name, values in columns.items():
        if isinstance(values[0], str):
            described.append(Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(set(values)))))
        else:
            kind = Kind.INTEGER if isinstance(values[0], int) else Kind.FLOAT
            described.append(Column(name=name, kind=kind, decimals=17))
    target = target or list(columns)[-1]
    schema = Schema(columns=tuple(described), target=target, task=Task.MULTICLASS, description="toys")
    return Table(schema.conform(pd.DataFrame(columns)), schema)


def defined_by_fractions(table: Table, k: int) -> list[list[int]]:
    """HEOM in exact arithmetic, row against row; ties by index. Integer and category columns only."""
    squared = [[Fraction(0)] * len(table) for _ in range(len(table))]
    for column in table.schema.columns:
        values = table.frame[column.name].tolist()
        for i, own in enumerate(values):
            for j, other in enumerate(values):
                if not column.is_numeric:
                    squared[i][j] += own != other
                elif min(values) < max(values):
                    squared[i][j] += Fraction(own - other, max(values) - min(values)) ** 2
    return [
        sorted((j for j in range(len(table)) if j != i), key=lambda j: (distances[j], j))[:k]
        for i, distances in enumerate(squared)
    ]


@st.composite
def tables_full_of_ties(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(2, 25))
    integers = st.lists(st.integers(-3, 3), min_size=rows, max_size=rows)
    categories = st.lists(st.sampled_from(["a", "b", "c"]), min_size=rows, max_size=rows)
    columns = draw(st.lists(st.one_of(integers, categories), min_size=1, max_size=4))
    return make_table({f"column {i}": values for i, values in enumerate(columns)})


@settings(deadline=None, max_examples=100)
@given(tables_full_of_ties(), st.integers(1, 6))
def test_within_the_label_neighbours_are_the_nearest_that_have_it(table: Table, k: int) -> None:
    if len(table) < k + 1:
        return
    labels = table.target.tolist()
    everyone = defined_by_fractions(table, len(table) - 1)
    expected = []
    for row, order in enumerate(everyone):
        same = [other for other in order if labels[other] == labels[row]]
        expected.append(same[:k] if len(same) >= k else order[:k])
    assert nearest(table, k, "same_label").tolist() == expected


def test_within_the_label_means_nothing_for_a_number() -> None:
    values = {"a": list(range(20)), "target": [row % 2 for row in range(19)] + [100]}
    table = make_table(values)
    number = Table(table.frame, replace(table.schema, task=Task.REGRESSION))
    assert (nearest(number, 3, "same_label") == nearest(number, 3, "mixed")).all()
    assert (nearest(table, 3, "same_label") != nearest(table, 3, "mixed")).any()


@settings(deadline=None, max_examples=150)
@given(tables_full_of_ties(), st.integers(1, 24))
def test_mixed_is_heom_with_ties_by_row_index(table: Table, k: int) -> None:
    k = min(k, len(table) - 1)
    assert nearest(table, k).tolist() == defined_by_fractions(table, k)


@pytest.mark.parametrize(("floats", "categories"), [(7, 3), (7, 0), (0, 6)])
@pytest.mark.parametrize("block_cells", [1, 5000, 2**20])
def test_mixed_is_heom_on_many_rows_whatever_the_blocks(
    floats: int, categories: int, block_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_CELLS", block_cells)
    generator = np.random.default_rng(1)
    n, k = 1300, 7
    columns: dict[str, list] = {f"f{i}": (1e6 + generator.normal(size=n) * 10.0**i).tolist() for i in range(floats)}
    for i in range(categories):
        columns[f"c{i}"] = generator.integers(2 + 60 * i, size=n).astype(str).tolist()
    table = make_table(columns)

    squared = np.zeros((n, n))
    for column in table.schema.columns:
        values = table.frame[column.name].to_numpy()
        if column.is_numeric:
            squared += ((values[:, None] - values) / np.ptp(values)) ** 2
        else:
            squared += values[:, None] != values
    np.fill_diagonal(squared, np.inf)
    squared = squared.round(11)
    expected = np.argsort(squared, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(nearest(table, k), expected)


def test_many_duplicates_are_neighbours_of_each_other_and_never_of_themselves() -> None:
    table = make_table({"x": [1.0, 5.0, 1.0, 1.0, 1.0, 5.0, 1.0], "y": ["a", "b", "a", "a", "a", "b", "a"]})
    assert nearest(table, 2).tolist() == [[2, 3], [5, 0], [0, 3], [0, 2], [0, 2], [1, 0], [0, 2]]


def test_a_constant_column_adds_nothing() -> None:
    varied: dict[str, list] = {"x": [0, 4, 1, 3], "y": ["a", "b", "b", "a"]}
    assert (nearest(make_table({"same": [7.5] * 4, **varied}), 3) == nearest(make_table(varied), 3)).all()


def test_the_target_is_part_of_the_distance() -> None:
    features = {"x": [0.0, 0.1, 0.2, 1.0]}
    assert nearest(make_table({**features, "label": ["a", "b", "a", "a"]}), 1)[0] == 2
    assert nearest(make_table({**features, "label": ["a", "a", "a", "b"]}), 1)[0] == 1


def test_reference_takes_category_codes_as_numbers() -> None:
    # Codes a=0, b=1, c=2: to the reference b is nearer to a than c is; to HEOM they are equally far.
    table = make_table({"x": ["a", "c", "b", "c"], "label": ["0", "0", "0", "1"]})
    assert nearest(table, 1, "reference")[0] == 2
    assert nearest(table, 1, "mixed")[0] == 1


def test_reference_takes_numeric_labels_as_they_are_and_words_as_codes() -> None:
    features = {"x": [0.0, 1.0, 0.0]}
    # Labels 0, 0, 10: the label outweighs the feature. As codes 0, 0, 1 it would tie with it.
    assert nearest(make_table({**features, "label": ["0", "0", "10"]}), 1, "reference")[0] == 1
    # Codes of yes, no, maybe: 2, 1, 0.
    assert nearest(make_table({"x": [0.0, 0.0, 1.0], "label": ["yes", "no", "maybe"]}), 1, "reference")[0] == 1


def test_reference_never_shows_a_row_to_itself_even_among_duplicates() -> None:
    table = make_table({"x": [1.0] * 4 + [2.0], "label": ["0"] * 4 + ["1"]})
    found = nearest(table, 2, "reference")
    assert all(row not in others for row, others in enumerate(found.tolist()))
    assert (found[:4] < 4).all()


def test_random_draws_distinct_other_rows_and_reaches_all_of_them() -> None:
    table = make_table({"x": list(range(6))})
    drawn = np.stack([nearest(table, 3, "random", seed) for seed in range(60)])
    for row in range(6):
        assert set(drawn[:, row].ravel()) == set(range(6)) - {row}
    assert all(len(set(others)) == 3 for others in drawn.reshape(-1, 3).tolist())


def test_random_depends_on_the_seed_and_differs_between_rows() -> None:
    table = make_table({"x": list(range(500))})
    first = nearest(table, 5, "random", 0)
    np.testing.assert_array_equal(first, nearest(table, 5, "random", 0))
    assert (first != nearest(table, 5, "random", 1)).any(axis=1).mean() > 0.95
    assert len({tuple(others) for others in first.tolist()}) > 490


@pytest.mark.parametrize("metric", ["mixed", "reference", "random"])
def test_every_metric_gives_all_others_when_k_is_as_large_as_can_be(metric: str) -> None:
    table = make_table({"x": [0.0, 2.5, 1.0, 9.0], "label": ["0", "1", "0", "1"]})
    found = nearest(table, 3, metric)  # type: ignore[arg-type]
    assert [sorted(others) for others in found.tolist()] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("k", "metric", "key", "fix"),
    [
        (3, "mixed", "generator.neighbors.k=3", "2 or less"),
        (3, "random", "generator.neighbors.k=3", "3 rows"),
        (0, "mixed", "generator.neighbors.k=0", "1 or more"),
        (1, "mixd", "generator.neighbors.metric=mixd", "'mixed'"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_key(k: int, metric: str, key: str, fix: str) -> None:
    table = make_table({"x": [1, 2, 3]})
    with pytest.raises(ConfigError) as caught:
        nearest(table, k, metric)  # type: ignore[arg-type]
    assert key in str(caught.value) and fix in str(caught.value)


def test_the_filter_keeps_rows_that_more_than_threshold_neighbours_agree_with_in_any_class() -> None:
    table = make_table({"label": ["0", "0", "0", "2", "2", "2", "pear"]})
    others = np.array([[1, 2, 3], [0, 3, 4], [3, 4, 5], [4, 5, 0], [3, 5, 6], [0, 1, 2], [0, 1, 3]])
    assert label_filter(table, others, 1).tolist() == [True, False, False, True, True, False, False]
    assert label_filter(table, others, 0).tolist() == [True, True, False, True, True, False, False]


@pytest.mark.parametrize(("threshold", "fix"), [(2, "below 2"), (5, "below 2")])
def test_a_filter_that_leaves_nothing_names_its_key(threshold: int, fix: str) -> None:
    table = make_table({"label": ["0", "0", "0"]})
    with pytest.raises(ConfigError, match=f"generator.filter_threshold={threshold}") as caught:
        label_filter(table, np.array([[1, 2], [0, 2], [0, 1]]), threshold)
    assert fix in str(caught.value)


def clustered(rows: int) -> Table:
    """Rows of two numbers and four categories that depend on one hidden number, with some duplicates."""
    draw = np.random.default_rng(5)
    hidden = draw.normal(size=rows)
    columns: dict[str, list] = {f"n{i}": (hidden * i + draw.normal(size=rows)).round(2).tolist() for i in (1, 2)}
    for i in range(4):
        columns[f"c{i}"] = np.clip((3 + hidden + draw.normal(size=rows)).astype(int), 0, 6).astype(str).tolist()
    columns["label"] = np.where(hidden > 0.5, "a", "b").tolist()
    again = {name: [*values, *values[:50], *[values[0]] * 20] for name, values in columns.items()}
    return make_table(again)


@pytest.mark.parametrize("metric", ["mixed", "same_label", "reference", "random"])
def test_neighbours_of_some_rows_are_those_that_they_have_among_all(metric: str) -> None:
    table = clustered(300)
    whole = nearest(table, 4, metric, 3)  # type: ignore[arg-type]
    some = np.array([17, 2, 369, 2, 40])
    search = NearestRows(table, 4, metric, 3)  # type: ignore[arg-type]
    for rows in (some, some[:0], some[::-1]):
        np.testing.assert_array_equal(search.of(rows), whole[rows])
    np.testing.assert_array_equal(nearest(table, 4, metric, 3, of=some), whole[some])  # type: ignore[arg-type]


def test_approximate_neighbours_are_nearly_all_true_and_the_log_says_how_many(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table, k = clustered(20_000), 5
    exact = nearest(table, k, "same_label")
    monkeypatch.setattr(neighbors, "EXACT_PAIRS", 10**6)
    monkeypatch.setattr(near_clusters, "_ROWS", 200)
    with caplog.at_level("INFO"):
        found = nearest(table, k, "same_label")
    assert not (found == np.arange(len(table))[:, None]).any()
    assert all(len(set(row)) == k for row in found.tolist())
    labels = table.target.to_numpy()
    assert (labels[found] == labels[:, None]).all()
    assert 0.9 < (found == exact).mean() < 1
    told = [float(share) for share in re.findall(r"([\d.]+)% of the true ones found", caplog.text)]
    assert len(told) == 2 and all(90 < share <= 100 for share in told)
