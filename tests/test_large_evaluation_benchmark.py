"""experiments.benchmarks.large_evaluation: synthetic rows of two kinds, and an evaluator in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from experiments.benchmarks.large_evaluation import Tables, measured, synthetic_rows
from harmonic.evaluation.base import Evaluator, Measures
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task


def splits() -> Splits:
    """Two numbers of which one follows from the other, and a class."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=300)
    frame = pd.DataFrame({"x": x, "n": np.rint(10 * x), "y": np.where(x > 0, "yes", "no")})
    columns = (
        Column(name="x", kind=Kind.FLOAT, decimals=6), Column(name="n", kind=Kind.INTEGER),
        Column(name="y", kind=Kind.CATEGORY, categories=("no", "yes")),
    )  # fmt: skip
    schema = Schema(columns=columns, target="y", task=Task.BINARY, description="toys")
    table = Table(schema.conform(frame.astype({"n": "int64", "y": object})), schema)
    return Splits(table.take(range(200)), table.take(range(200, 240)), table.take(range(240, 300)))


def test_jittered_rows_are_near_training_rows_and_independent_columns_are_not() -> None:
    known = splits()
    for kind, least, most in (("jittered", 0.95, 1.0), ("independent", -0.2, 0.2)):
        rows, again = (synthetic_rows(known, 400, kind) for _ in range(2))
        assert len(rows) == 400 and rows.fingerprint() == again.fingerprint()
        assert least < np.corrcoef(rows.frame["x"], rows.frame["n"])[0, 1] <= most, kind
        assert (rows.frame["n"] % 1 == 0).all() and rows.frame["x"].between(-4, 4).all()


@dataclass(frozen=True)
class Costly(Evaluator):
    """Takes memory and processor time."""

    version: ClassVar[int] = 1
    metrics = ()

    def evaluate(self, splits, synthetic, *, seed, scorer=None):  # type: ignore[no-untyped-def]
        held = np.ones(20 * 2**20)
        found = Measures()
        found["rows"] = float(len(synthetic))
        found["sum"] = float(sum(np.sqrt(held * turn).sum() for turn in range(4)))
        return found


def test_time_memory_and_measures_are_those_of_the_evaluator() -> None:
    known = splits()
    found = measured(Tables(known, known.test, Imputation.of(known.train)), Costly())
    assert found["measures"]["rows"] == len(known.test)
    assert 0.1 < found["cpu_seconds"] < 60 and found["peak_mb"] > found["tables_mb"] + 150
