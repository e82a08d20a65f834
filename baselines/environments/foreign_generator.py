"""A generator in a separate environment: the training table is sent there, and rows come back."""

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

from baselines.environments.foreign_process import ask, python_of
from baselines.rounding import rounded
from harmonic.errors import SamplingError
from harmonic.generators.base import Generator, Sample
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.settings import Text
from harmonic.storage import write_json
from harmonic.tables.columns import Kind
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema

_ANSWER = "answer.json"
_ROUNDS = 10  # of drawing


@dataclass(kw_only=True)
class ForeignGenerator(Generator, ABC):
    """A generator behind a script in baselines/environments/scripts.

    environment: see `python_of`. settings: arguments of the script's `fit`.

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
        """Only check. Raises ConfigError if the environment is missing."""
        python_of(self.environment)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Fit it there, into `directory`. Raises ConfigError, ForeignError."""
        python_of(self.environment)
        with TemporaryDirectory(prefix="harmonic-") as place, Progress("fit", 1, self.unit) as progress:
            table = Path(place) / "train.parquet"
            _coded(splits.train.frame).to_parquet(table, index=False)
            request = {
                "task": "fit",
                "table": str(table),
                "seed": derive(seed, self.script),
                **self._told(splits.schema),
            }
            request["directory"] = str(directory.resolve())
            answer = ask(self.environment, self.script, request, progress)
        write_json(directory / _ANSWER, answer)
        return {name: float(value) for name, value in answer.get("facts", {}).items()}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember the folder: the script reads it when rows are drawn."""
        self._schema, self._directory = splits.schema, directory

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows there, and more to replace rows with missing values that the schema does not allow.

        Raises ConfigError, ForeignError, and SamplingError if all rows of a round, or some rows in ten rounds, have
        such gaps.
        """
        whole: list[pd.DataFrame] = []
        have = drawn = 0
        with Progress("sample", n, "rows") as progress:
            for turn in range(_ROUNDS):
                rows = self._drawn(n - have, derive(seed, self.script, "foreign rows", turn), progress)
                gaps = _gaps(rows, self._schema)
                whole.append(rows[~gaps.any(axis=1)])
                have, drawn = have + len(whole[-1]), drawn + len(rows)
                if have >= n or not len(whole[-1]):
                    break
        if have < n:
            worst = self._schema.names[int(gaps.to_numpy().mean(axis=0).argmax())]
            raise SamplingError(
                f"generator.environment={self.environment}: {have} of {n} rows are whole, of {drawn} drawn; most "
                f"lack a value in column {worst!r}, of which too little was learnt\n  fix: give more rows, or see its "
                "settings "
                "(of tabularargn: value_protection, and with differential privacy max_epsilon)"
            )
        counts = {"raw": have / drawn, "answers": float(drawn), "rejected/gap": float(drawn - have)}
        return Sample(_decoded(pd.concat(whole, ignore_index=True).head(n), self._schema), counts)

    def _drawn(self, n: int, seed: int, progress: Progress) -> pd.DataFrame:
        """This number of rows from there, unchanged. Raises SamplingError if there are fewer."""
        with TemporaryDirectory(prefix="harmonic-") as place:
            output = Path(place) / "rows.parquet"
            request = {"task": "sample", "n": n, "seed": seed, **self._told(self._schema)}
            ask(
                self.environment,
                self.script,
                request | {"directory": str(self._directory.resolve()), "output": str(output)},
                progress,
            )
            found = pd.read_parquet(output)
        if len(found) < n:
            raise SamplingError(f"generator.environment={self.environment}: it gave {len(found)} of {n} rows")
        return found.head(n)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """The rows that the script names; all if it names none."""
        learnt = json.loads((directory / _ANSWER).read_text(encoding="utf-8")).get("learnt")
        return np.arange(rows) if learnt is None else np.array(sorted(learnt), dtype=np.int64)

    def _told(self, schema: Schema) -> dict[str, Any]:
        kinds = {f"c{place}": column.kind.value for place, column in enumerate(schema.columns)}
        return {"columns": kinds, "settings": self.settings}


def _coded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with columns c0, c1, …, so that nothing depends on names."""
    return frame.set_axis([f"c{place}" for place in range(len(frame.columns))], axis=1)


def _gaps(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Which cells have a missing value that the schema does not allow, (n, columns)."""
    cells = {f"c{place}": frame[f"c{place}"].isna() for place in range(len(schema.columns))}
    for place, column in enumerate(schema.columns):
        if column.missing is not None:
            cells[f"c{place}"] &= False
    return pd.DataFrame(cells)


def _decoded(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Rows of the schema; numbers are clipped to its range. Raises DataError for an unknown category."""
    columns = {}
    for place, column in enumerate(schema.columns):
        values = frame[f"c{place}"]
        if column.kind is Kind.CATEGORY:
            columns[column.name] = values.astype(object).where(values.notna(), None)
        else:
            columns[column.name] = values.astype("float64").clip(column.minimum, column.maximum)
    return rounded(pd.DataFrame(columns).reset_index(drop=True), schema)
