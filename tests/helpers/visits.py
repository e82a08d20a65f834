"""Rows of people who have several each. For tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def visits(path: Path, people: int = 60, seed: int = 0) -> Path:
    """About three rows a person, who is the same sex in each."""
    draw = np.random.default_rng(seed)
    rows = np.repeat(np.arange(people), draw.integers(1, 6, people))
    sex = draw.choice(["f", "m"], people)
    pd.DataFrame(
        {
            "patient": [f"P{1000 + 7 * one}" for one in rows], "sex": sex[rows],
            "age": draw.integers(20, 90, people)[rows], "pulse": draw.integers(50, 120, len(rows)),
            "back": draw.choice(["yes", "no"], len(rows), p=[0.3, 0.7]),
        }
    ).to_csv(path, index=False)  # fmt: skip
    return path
