"""A generator that lives in an environment of its own: the training table goes there, rows come back."""

from __future__ import annotations

import json
from abc import ABC
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from baselines.environments.environment import ask, python_of
from baselines.rounding import rounded
from harmonic.errors import SamplingError
from harmonic.generator import Generator, Sample
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.settings import Text
from harmonic.storage import write_json
from harmonic.tables.columns import Kind
from harmonic.tables.table import Schema, Splits

_ANSWER = "answer.json"


@dataclass(kw_only=True)
class ForeignGenerator(Generator, ABC):
    """A generator behind a script in baselines/environments/scripts.

    environment: see `python_of`. settings: what the script's `fit` is told.

    The script has `fit(tell, table, columns, seed, settings, directory)`, which may return {"facts": {name: number},
    "learnt": positions of the rows it learnt from, "versions": {package: version}}, and `sample(tell, n, columns, seed,
    settings, directory, output)`, which writes n rows. Tables are Parquet files of columns c0, c1, … in the schema's
    order; `columns` says of each "integer", "float" or "category".
    """

    script: ClassVar[str]
    unit: ClassVar[str] = "steps"

    environment: Text
    settings: dict[str, Any] = field(default_factory=dict)

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Only check. Raises ConfigError where the environment is missing."""
        python_of(self.environment)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Fit it there, into `directory`. Raises ConfigError, ForeignError."""
        python_of(self.environment)
        with TemporaryDirectory(prefix="harmonic-") as place, Progress("fit", 1, self.unit) as progress:
            table = Path(place) / "train.parquet"
            _coded(splits.train.frame).to_parquet(table, index=False)
            request = {"task": "fit", "table": str(table), "seed": derive(seed, self.script), **self._told(splits.schema)}
            answer = ask(self.environment, self.script, request | {"directory": str(directory)}, progress)
        write_json(directory / _ANSWER, answer)
        return {name: float(value) for name, value in answer.get("facts", {}).items()}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where it lies: it is read there, when rows are drawn."""
        self._schema, self._directory = splits.schema, directory

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows there. Raises ConfigError, ForeignError, and SamplingError where there are fewer."""
        with TemporaryDirectory(prefix="harmonic-") as place, Progress("sample", n, "rows") as progress:
            output = Path(place) / "rows.parquet"
            request = {
                "task": "sample", "n": n, "seed": derive(seed, self.script, "sample"), **self._told(self._schema),
                "directory": str(self._directory), "output": str(output),
            }  # fmt: skip
            ask(self.environment, self.script, request, progress)
            found = pd.read_parquet(output)
        if len(found) < n:
            raise SamplingError(f"generator.environment={self.environment}: it gave {len(found)} of {n} rows")
        return Sample(_decoded(found.head(n), self._schema))

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """Those that the script says; all, where it says nothing."""
        learnt = json.loads((directory / _ANSWER).read_text(encoding="utf-8")).get("learnt")
        return np.arange(rows) if learnt is None else np.array(sorted(learnt), dtype=np.int64)

    def _told(self, schema: Schema) -> dict[str, Any]:
        kinds = {f"c{place}": column.kind.value for place, column in enumerate(schema.columns)}
        return {"columns": kinds, "settings": self.settings}


def _coded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with columns c0, c1, …: nothing may depend on names."""
    return frame.set_axis([f"c{place}" for place in range(len(frame.columns))], axis=1)


def _decoded(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Rows of the schema; numbers are kept to its range. Raises DataError for a category that it does not have."""
    columns = {}
    for place, column in enumerate(schema.columns):
        values = frame[f"c{place}"]
        if column.kind is Kind.CATEGORY:
            columns[column.name] = values.astype(object).where(values.notna(), None)
        else:
            columns[column.name] = values.astype("float64").clip(column.minimum, column.maximum)
    return rounded(pd.DataFrame(columns).reset_index(drop=True), schema)
