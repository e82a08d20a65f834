"""Which rows of a large table are tuned on, and what is told of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from prompt_tables import make_table

from harmonic.prompts.contexts import spread
from harmonic.prompts.covering import Coverage, strata
from harmonic.tables.table import Column, Kind, Schema, Table, Task


def grouped(rows: int = 4000) -> Table:
    """Rows of four kinds, with values near the kind's own, and a label that is rare in each."""
    draw = np.random.default_rng(0)
    kind = draw.integers(4, size=rows)
    frame = pd.DataFrame(
        {
            "number": kind * 10 + draw.normal(size=rows),
            "word": np.array(list("abcd"), dtype=object)[np.where(draw.random(rows) < 0.9, kind, 0)],
            "gap": np.where(draw.random(rows) < 0.2, np.nan, kind),
            "label": np.where(draw.random(rows) < 0.1, "yes", "no").astype(object),
        }
    )
    columns = (
        Column(name="number", kind=Kind.FLOAT, decimals=9),
        Column(name="word", kind=Kind.CATEGORY, categories=tuple("abcd")),
        Column(name="gap", kind=Kind.INTEGER, missing=""),
        Column(name="label", kind=Kind.CATEGORY, categories=("no", "yes")),
    )
    schema = Schema(columns=columns, target="label", task=Task.BINARY, description="toys")
    return Table(schema.conform(frame), schema)


def test_a_stratum_has_one_label_and_similar_rows() -> None:
    table = grouped()
    groups = strata(table)
    frame = table.frame.assign(group=groups)
    assert (frame.groupby("group")["label"].nunique() == 1).all()
    within = frame.groupby("group")["number"].transform("mean")
    assert ((frame["number"] - within) ** 2).mean() < 0.02 * frame["number"].var()
    np.testing.assert_array_equal(groups, strata(table))  # nothing is left to chance


def test_rows_in_the_shares_of_the_strata_represent_the_table_better_than_random_ones() -> None:
    table, everyone = grouped(), np.arange(4000)
    groups, apart = strata(table), {"strata": 0.0, "random": 0.0}
    for seed in range(10):
        draw = np.random.default_rng(seed)
        for name, own in (("strata", groups), ("random", None)):
            found = Coverage.of_rows(table, spread(everyone, own, draw)[:200])
            apart[name] += sum(found.apart.values())
    assert apart["strata"] < 0.6 * apart["random"]


def test_coverage_is_counted_and_told() -> None:
    table = make_table(4)
    column = replace(table.schema.columns[0], kind=Kind.CATEGORY, categories=("x", "y", "z"))
    schema = Schema(columns=(column,), target="", task=Task.NONE, description="toys")
    words = Table(pd.DataFrame({column.name: ["x", "x", "y", "z"]}), schema)
    found = Coverage.of_rows(words, np.array([0, 0, 2, 0]))
    assert (found.rows, found.of) == (2, 4)
    assert found.seen == {column.name: 0.75} and found.apart == {column.name: 0.25}
    # By the formula: each share p of m = 4 rows is off by sqrt(2 p (1 - p) / (pi m)) on average.
    terms = [np.sqrt(2 * p * (1 - p) / (np.pi * 4)) for p in (0.5, 0.25, 0.25)]
    assert found.chance[column.name] == pytest.approx(sum(terms) / 2, abs=1e-4)
    assert "2 of 4 training rows" in found.note() and "75.00%" in found.note() and "25.0%" in found.note()
