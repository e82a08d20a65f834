"""A table such as people have: every kind of column, gaps, odd names. For tests."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd


def messy(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Identifiers, gaps, dates, booleans, free text, a constant, an empty column, long tails, odd names, copies."""
    draw = np.random.default_rng(seed)
    words = "the patient felt better worse today after a dose again".split()
    start = pd.Timestamp("2020-01-01")
    frame = pd.DataFrame(
        {
            "patient_id": np.arange(1000, 1000 + rows),
            "key": [str(uuid.UUID(int=int(draw.integers(1 << 62)) << 60 | n)) for n in range(rows)],
            'naïve "name" {x}': draw.choice(['a"b', "c{d}", "é,ü", "<|im_end|>"], rows),
            "age": pd.array(draw.integers(18, 90, rows), dtype="Int64"),
            "income": draw.lognormal(10, 1, rows).round(2),
            "smoker": draw.choice([True, False], rows),
            "admitted": start + pd.to_timedelta(draw.integers(0, 900, rows), unit="D"),
            "seen": start + pd.to_timedelta(draw.integers(0, 9_000_000, rows), unit="s"),
            "notes": [" ".join(draw.choice(words, 8)) for _ in range(rows)],
            "constant": "X",
            "zip": [f"{value:05d}" for value in draw.integers(0, rows // 2, rows)],
            "empty": np.nan,
            "score": draw.normal(size=rows).round(3),
            "churn": draw.choice(["yes", "no"], rows),
        }
    )
    for name, share in {"age": 0.2, "score": 0.3, "admitted": 0.1, "zip": 0.15}.items():
        frame.loc[draw.random(rows) < share, name] = None
    return pd.concat([frame.iloc[:-4], frame.iloc[:4]], ignore_index=True)  # some rows twice
