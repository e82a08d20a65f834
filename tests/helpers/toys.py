"""A small mixed table as splits: integers, decimals, categories; two classes, three classes, or a number to learn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task


def column(name: str, values: pd.Series) -> Column:
    if values.dtype == object:
        return Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(values.unique())))
    kind = Kind.INTEGER if values.dtype == np.int64 else Kind.FLOAT
    return Column(name=name, kind=kind, minimum=values.min(), maximum=values.max(), decimals=2 * (kind is Kind.FLOAT))


def splits_of(frame: pd.DataFrame, target: str, task: Task, sizes: tuple[int, int]) -> Splits:
    """The first rows to train, the next to validate, the rest to test."""
    columns = tuple(column(str(name), values) for name, values in frame.items())
    table = Table(frame, Schema(columns=columns, target=target, task=task, description="toys"))
    train, val = sizes
    rows = np.arange(len(frame))
    return Splits(table.take(rows[:train]), table.take(rows[train : train + val]), table.take(rows[train + val :]))


def make_schema(decimals: int) -> Schema:
    """One column of each kind: n, an integer; x, of so many decimals; y, the target, "a" or "b"."""
    n = Column(name="n", kind=Kind.INTEGER)
    x = Column(name="x", kind=Kind.FLOAT, decimals=decimals)
    y = Column(name="y", kind=Kind.CATEGORY, categories=("a", "b"))
    return Schema(columns=(n, x, y), target="y", task=Task.BINARY, description="toys")


def make_splits(
    task: Task = Task.BINARY, drop: tuple[str, ...] = (), classes: tuple[int, ...] = (45, 15), rows: int = 60
) -> Splits:
    """A toy table: `rows` to train, 30 to validate, 10 to test. classes: rows of each class among the first ones."""
    random = np.random.default_rng(3)
    total = rows + 40
    label = np.resize(np.repeat(np.arange(len(classes)), classes), total)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 70, total) + 20 * label,
            "income": np.round(random.normal(1000, 300, total), 2),
            "job": random.choice(["cook", "judge", "nurse"], total),
            "noise": np.round(random.uniform(-1, 1, total), 2),
            "town": np.where(label == 0, "north", "south").astype(object),
        }
    ).drop(columns=list(drop))
    if task is Task.REGRESSION:
        frame["y"] = np.round(frame["age"] * 1.5 + random.normal(0, 1, total), 2)
    else:
        frame["y"] = pd.Series([f"class {value}" for value in label], dtype=object)
    return splits_of(frame, "y", task, (rows, 30))
