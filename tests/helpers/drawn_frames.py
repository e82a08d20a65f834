"""Data frames of every dtype that people have, drawn at random."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

START = datetime(2015, 1, 1)
Values = Callable[[random.Random, int], Any]


def moments(spin: random.Random, rows: int, unit: str = "s") -> list[datetime]:
    steps = {"D": 86_400_000_000, "s": 1_000_000, "ms": 1000, "us": 1}[unit]
    return [START + timedelta(microseconds=steps * spin.randint(0, 250_000_000_000_000 // steps)) for _ in range(rows)]


def maybe(spin: random.Random, value: Any) -> Any:
    return spin.choice([None, value])


def chosen(values: list[Any]) -> Values:
    return lambda spin, rows: [spin.choice(values) for _ in range(rows)]


COLUMNS: dict[str, Values] = {
    "int64": lambda spin, rows: np.array([spin.randint(-99, 99) for _ in range(rows)]),
    "int8": lambda spin, rows: np.array([spin.randint(-99, 99) for _ in range(rows)], dtype="int8"),
    "uint64": lambda spin, rows: np.array([2**63 + spin.randint(0, 8) for _ in range(rows)], dtype="uint64"),
    "Int64": lambda spin, rows: pd.array([maybe(spin, spin.randint(0, 99)) for _ in range(rows)], dtype="Int64"),
    "float64": lambda spin, rows: np.array([spin.choice([np.nan, spin.uniform(-9, 9)]) for _ in range(rows)]),
    "float32": lambda spin, rows: np.array([spin.uniform(-9, 9) for _ in range(rows)], dtype="float32"),
    "Float64": lambda spin, rows: pd.array([maybe(spin, spin.uniform(0, 9)) for _ in range(rows)], dtype="Float64"),
    "bool": lambda spin, rows: np.array([spin.random() < 0.5 for _ in range(rows)]),
    "boolean": lambda spin, rows: pd.array([spin.choice([None, True, False]) for _ in range(rows)], dtype="boolean"),
    "objects of bool": chosen([True, False, None]),
    "objects of int": chosen([1, 5, None, 700]),
    "objects": chosen(["a", "é 😀", None, "NA", ""]),
    "string": lambda spin, rows: pd.array([spin.choice(["x", None, "NA", "y y"]) for _ in range(rows)], dtype="string"),
    "codes": chosen(["007", "010", "123"]),
    "category": lambda spin, rows: pd.Categorical(
        [spin.choice(["lo", "hi", None]) for _ in range(rows)], ["lo", "mid", "hi"], ordered=spin.random() < 0.5
    ),
    "categories of numbers": lambda spin, rows: pd.Categorical([spin.choice([10, 20, 50]) for _ in range(rows)]),
    "decimal": lambda spin, rows: [Decimal(spin.randint(-9999, 9999)).scaleb(-2) for _ in range(rows)],
    "date": lambda spin, rows: [spin.choice([None, one.date()]) for one in moments(spin, rows, "D")],
    "time": lambda spin, rows: [one.time() for one in moments(spin, rows)],
    "day": lambda spin, rows: pd.Series(moments(spin, rows, "D")).astype("datetime64[ns]"),
    "moment": lambda spin, rows: pd.Series(moments(spin, rows)).astype("datetime64[ns]"),
    "milliseconds": lambda spin, rows: pd.Series(moments(spin, rows, "ms")).astype("datetime64[us]"),
    "zone": lambda spin, rows: pd.Series(moments(spin, rows)).astype("datetime64[ns]").dt.tz_localize(
        spin.choice(["UTC", "Asia/Tokyo"])
    ),
    "wait": lambda spin, rows: pd.Series(pd.to_timedelta([spin.randint(0, 10**6) for _ in range(rows)], unit="s")),
}  # fmt: skip
IDENTIFIERS: dict[str, Callable[[random.Random], Any]] = {
    "an e-mail": lambda spin: f"{spin.choice('abcdef')}{spin.randint(10**5, 10**6)}@mail.example",
    "a uuid": lambda spin: str(uuid.UUID(int=spin.getrandbits(128))),
    "a long number": lambda spin: spin.randint(10**16, 10**17),
    "a code": lambda spin: f"PAT-{spin.randint(10**5, 10**6)}",
}


def drawn_frame(seed: int) -> tuple[pd.DataFrame, set[str]]:
    """A frame of this seed, and its columns that name people."""
    spin = random.Random(seed)
    rows = spin.randint(40, 70)
    kinds = spin.sample(sorted(COLUMNS), spin.randint(2, 5))
    made = {kind: COLUMNS[kind](spin, rows) for kind in kinds}
    people = set(spin.sample(sorted(IDENTIFIERS), spin.randint(0, 2)))
    made |= {name: [IDENTIFIERS[name](spin) for _ in range(rows)] for name in people}
    frame = pd.DataFrame({name: _series(values) for name, values in made.items()})
    return frame, people


def _series(values: Any) -> pd.Series:
    if isinstance(values, list) and not all(isinstance(one, int) and not isinstance(one, bool) for one in values):
        return pd.Series(values, dtype=object)
    return pd.Series(values)
