"""Small tables for the evaluators: a mixed toy table, and real ones that scikit-learn carries."""

from __future__ import annotations

import math
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.base import Evaluator, Measures
from harmonic.llm.language_model import LanguageModel
from harmonic.method.generator import HarmonicGenerator
from harmonic.prompts.prompt import asked
from harmonic.prompts.row_format import RowTexts, find_row_format
from harmonic.prompts.stored_prompts import write_prompts
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

TableOf = Callable[..., Table]


def _schema(frame: pd.DataFrame, target: str, task: Task) -> Schema:
    columns = []
    for name in frame.columns:
        if frame[name].dtype == object:
            columns.append(Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(set(frame[name])))))
        else:
            kind = Kind.INTEGER if frame[name].dtype.kind == "i" else Kind.FLOAT
            columns.append(Column(name=name, kind=kind, decimals=6))
    return Schema(columns=tuple(columns), target=target, task=task, description="toys")


@pytest.fixture
def table_of() -> TableOf:
    """Make a Table: kinds from the dtypes, the target last unless named, the schema given or read off."""

    def make(
        frame: pd.DataFrame, target: str | None = None, task: Task = Task.BINARY, schema: Schema | None = None
    ) -> Table:
        schema = schema or _schema(frame, target or frame.columns[-1], task)
        return Table(schema.conform(frame), schema)

    return make


def _split(table: Table, seed: int) -> Splits:
    """60 : 20 : 20, shuffled."""
    order = np.random.default_rng(seed).permutation(len(table))
    first, second = int(0.6 * len(table)), int(0.8 * len(table))
    return Splits(table.take(order[:first]), table.take(order[first:second]), table.take(order[second:]))


@pytest.fixture
def toy(table_of: TableOf) -> Splits:
    """Two numbers and two categories; the label follows from one of each, with some noise."""
    rng = np.random.default_rng(7)
    n = 400
    age, income = rng.integers(18, 80, n), rng.normal(30, 8, n)
    city = rng.choice(["bonn", "cork", "oslo"], n)
    risk = (age - 48) / 18 + (city == "oslo") + rng.normal(0, 0.6, n)
    frame = pd.DataFrame({"age": age, "income": income, "city": city, "label": np.where(risk > 0.3, "yes", "no")})
    frame["income"] += 0.2 * frame["age"]
    return _split(table_of(frame.astype({"city": object, "label": object})), seed=0)


def _sklearn_table(name: str, table_of: TableOf, task: Task) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame.copy()
    if task.is_classification:
        frame["target"] = frame["target"].map(lambda code: str(bunch.target_names[code])).astype(object)
    return table_of(frame, "target", task)


@pytest.fixture
def breast_cancer(table_of: TableOf) -> Splits:
    """569 real rows, 30 numeric features, two labels."""
    return _split(_sklearn_table("breast_cancer", table_of, Task.BINARY), seed=1)


@pytest.fixture
def iris(table_of: TableOf) -> Splits:
    """150 real rows, 4 numeric features, three labels."""
    return _split(_sklearn_table("iris", table_of, Task.MULTICLASS), seed=2)


@pytest.fixture
def diabetes_progression(table_of: TableOf) -> Splits:
    """442 real rows, 10 numeric features, a numeric target."""
    return _split(_sklearn_table("diabetes", table_of, Task.REGRESSION), seed=3)


@pytest.fixture
def assert_sound() -> Callable[[Evaluator, Measures], None]:
    """Every measure is declared and within its range, or NaN with a reason."""

    def check(evaluator: Evaluator, measures: Measures) -> None:
        assert measures
        for name, value in measures.items():
            declared = [
                metric
                for metric in evaluator.metrics
                if fnmatchcase(name, metric.name) and name.count("/") == metric.name.count("/")
            ]
            assert len(declared) == 1, name
            assert declared[0].meaning
            if math.isnan(value):
                assert measures.reasons[name]
            else:
                assert name not in measures.reasons
                assert declared[0].minimum <= value <= declared[0].maximum, (name, value)

    return check


def _spoiled(name: str, train: Table) -> Table:
    frame, schema = train.frame, train.schema
    label = schema.target
    if name == "one row":
        return train.take([0])
    if name == "two rows":
        return train.take([0, 1])
    if name == "no rows":
        return train.take([])
    if name == "larger":
        return train.take(np.arange(len(train) * 2) % len(train))
    if name == "constant":
        return train.take(np.zeros(50, dtype=int))
    if name == "one label":
        return Table(frame.assign(**{label: frame[label].iloc[0]}), schema)
    if name == "constant features":
        return Table(train.take(np.zeros(len(train), dtype=int)).frame.assign(**{label: frame[label]}), schema)
    if name == "huge values":
        floats = [column.name for column in schema.columns if column.kind is Kind.FLOAT]
        frame = frame.copy()
        frame.loc[::3, floats], frame.loc[1::3, floats] = 1.7e308, -1e300
        return Table(frame, schema)
    if name == "missing column":
        return Table(frame.drop(columns=schema.names[0]), schema)
    return Table(frame.astype({schema.names[0]: str}).assign(**{schema.names[0]: "?"}), schema)


@pytest.fixture(
    params=[
        *("one row", "two rows", "no rows", "larger", "constant", "one label", "constant features"),
        *("huge values", "missing column", "not a number"),
    ]
)
def spoiled(request: pytest.FixtureRequest) -> Callable[[Table], Table]:
    """Make a bad synthetic table out of the training rows, one way after the other."""
    return lambda train: _spoiled(request.param, train)


@pytest.fixture
def taught() -> Callable[..., HarmonicGenerator]:
    """HARMONIC's generator behind prompts without examples: a few tokens are learnt sooner than hundreds."""

    def teach(llm: LanguageModel, splits: Splits, folder: Path, **tuning: Any) -> HarmonicGenerator:
        settings = {"batch_size": 16, "scheduler": "constant", "dropout": 0.0, "checkpoint_every": None} | tuning
        found = HarmonicGenerator(llm=llm, neighbors={"k": 1}, tuning=settings)
        texts = RowTexts(splits.train, find_row_format("json", splits.schema)).render(np.arange(len(splits.train)))
        write_prompts([asked("Row: ", text) for text in texts], folder / "train.jsonl")
        write_prompts([asked("Row: ")], folder / "sample.jsonl")
        found.fit(splits, seed=0, prepared=folder, directory=folder)
        found.load(splits, prepared=folder, directory=folder)
        return found

    return teach
