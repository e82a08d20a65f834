"""Files that stages write and read: the synthetic rows, the metrics, the tuning history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harmonic.evaluation.base import Measures
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


def released(table: Table, splits: Splits, seed: int, after: int = 0) -> pd.DataFrame:
    """The rows as texts, with the columns of the original file in its order. See FileLayout.release."""
    return splits.layout.release(table.texts(), seed, after) if splits.layout else table.texts()


def write_csv(texts: pd.DataFrame, path: Path, splits: Splits) -> None:
    """Write released rows in the dialect of the original file: its delimiter, quotes, line ends, encoding."""
    path.write_bytes(_dialect(splits).write(texts))


def read_csv(path: Path, splits: Splits) -> Table:
    """Read the schema's columns of a run's synthetic.csv."""
    dialect = _dialect(splits)
    texts = dialect.read(path.read_bytes())
    if splits.layout is not None:
        texts = splits.layout.plain(texts)
    parsed = {c.name: [c.parse(text) for text in texts[c.name]] for c in splits.schema.columns}
    return Table(splits.schema.conform(pd.DataFrame(parsed)), splits.schema)


def _dialect(splits: Splits) -> Dialect:
    return (splits.layout.dialect if splits.layout else None) or Dialect()


def write_measures(measures: Measures, folder: Path) -> None:
    """Write measures.json (NaN as null) and series.npz."""
    values = {name: value if value == value else None for name, value in measures.items()}
    content = json.dumps({"values": values, "reasons": measures.reasons, "notes": measures.notes}, allow_nan=False)
    (folder / "measures.json").write_text(content, encoding="utf-8")
    if measures.series:
        arrays: dict[str, Any] = {name.replace("/", "__"): kept for name, kept in measures.series.items()}
        np.savez(folder / "series.npz", **arrays)


def read_history(folder: Path) -> list[dict[str, float]]:
    """The points of the tuning history; empty if nothing was tuned."""
    path = folder / "history.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
