"""A table each of whose parts has values of its own, in every kind of column; for tests of who is told of what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROWS = {"train": 60, "val": 24, "test": 24}
OWN = {"train": "tern", "val": "veery", "test": "teal"}
"""A category of "bird" that only the rows of this part have."""
HELD_OUT = ("veery", "teal")


def parts(seed: int = 0) -> dict[str, pd.DataFrame]:
    """The rows of train, val and test, as texts.

    Only held-out rows have: the birds of HELD_OUT, a second `site`, a `depth` other than 5, a `count` above 9, decimals
    of `weight` and more than one of `size`, gaps in `ring` and `note`, and dates from 2031 on.
    """
    draw = np.random.default_rng(seed)
    found = {}
    for part, rows in ROWS.items():
        held = part != "train"
        odd = np.arange(rows) < 8 * held  # the rows that differ from all training rows
        days = pd.to_timedelta(draw.integers(0, 300, rows), unit="D")
        weight = draw.integers(10, 90, rows).astype(str)
        size = draw.integers(10, 90, rows) / 10
        table = pd.DataFrame(
            {
                "bird": draw.choice(["finch", "gull"], rows),
                "site": np.where(odd, "south", "north"),
                "depth": np.where(odd, "7", "5"),
                "count": draw.integers(1, 10, rows) * np.where(odd, 1001, 1),
                "weight": np.where(odd, np.char.add(weight, ".5"), weight),
                "size": [f"{number:.1f}" + "25" * int(more) for number, more in zip(size, odd, strict=True)],
                "ring": draw.integers(100, 900, rows),
                "note": draw.choice(["calm", "loud"], rows),
                "seen": (pd.Timestamp("2031-03-01" if held else "2021-03-01") + days).strftime("%Y-%m-%d"),
                "nests": draw.choice(["yes", "no"], rows),
            }
        ).astype(str)
        table.loc[:5, "bird"] = OWN[part]
        if held:
            table.loc[::5, ["ring", "note"]] = ""
        found[part] = table
    return found


def write(folder: Path, seed: int = 0) -> Path:
    """The parts as files of the shape that `data_dir` takes, for a dataset called birds."""
    raw = folder / "birds" / "raw"
    raw.mkdir(parents=True)
    for part, frame in parts(seed).items():
        frame.to_csv(raw / f"birds_{part}.csv", index=False)
    return folder


def foreign(frame: pd.DataFrame, train: pd.DataFrame) -> list[str]:
    """What rows, as texts, have that training rows do not: categories, gaps, digits, decimals, years."""
    found = []
    for name in ("bird", "site", "depth", "note", "nests"):
        found += [f"{name}={value}" for value in sorted(set(frame[name]) - set(train[name]))]
    found += [f"ring={value!r}" for value in frame["ring"] if not value]
    found += [f"weight={value}" for value in frame["weight"] if "." in value]
    found += [f"size={value}" for value in frame["size"] if len(value.partition(".")[2]) > 1]
    found += [f"count={value}" for value in frame["count"] if len(value) > 1]
    found += [f"seen={value}" for value in frame["seen"] if value[:3] != "202"]
    return found
