"""ForestFlow: flow matching with gradient-boosted trees as the vector field, one model for each time step and class.

Jolicoeur-Martineau, Fatras, Kachman, AISTATS 2024, arXiv 2309.09968. Code: ForestDiffusion (MIT).

Differences from ForestDiffusion 1.0.6: categories are coded here, in the same way (a column of 0 and 1 for each
category but the first), because with more than ten columns the library decodes some into the wrong column. Its fitted
model keeps the training rows; they are left out of the file here. The model is pickled into the stage cache of the run,
and read only from there. A pickle runs code when it is loaded, so never put a file of unknown origin there.
"""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from annotated_types import Ge
from numpy.typing import NDArray

from baselines.rounding import rounded
from harmonic.errors import ConfigError
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive, seeded
from harmonic.settings import Count, Positive
from harmonic.tables.columns import Kind
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table
from harmonic.time_limit import check_pace

logger = logging.getLogger(__name__)

_FILE = "forest.pkl"


@dataclass(kw_only=True)
class ForestFlowGenerator(Generator):
    """ForestFlow.

    steps: time steps from noise to rows. noises: how often each row is learnt, each time with other noise. max_rows:
    the most rows times noises; noises is lowered to fit, but not below one (None: no limit). trees, depth,
    learning_rate: of XGBoost.
    """

    versions: ClassVar[Versions] = Versions()

    steps: Annotated[int, Ge(2)] = 50
    noises: Count = 100
    max_rows: Count | None = None
    trees: Count = 100
    depth: Count = 7
    learning_rate: Positive = 0.3

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Only check. Raises ConfigError if ForestDiffusion is missing."""
        _model_class()

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Fit the forests; pickle them into `directory`. Facts: how often each row was learnt."""
        table, schema = splits.train, splits.schema
        numbers, labels = _numbers(table), _labels(table)
        noises = self.noises if self.max_rows is None else max(min(self.noises, self.max_rows // len(table)), 1)
        classes = 1 if labels is None else len(np.unique(labels))
        logger.info("fitting ForestFlow: %d forests, each row learnt %d times", self.steps * classes, noises)
        with Progress("fit", self.steps * classes, "forests") as progress, seeded(derive(seed, "forestflow")):
            model = _reporting(progress)(
                numbers,
                label_y=labels,
                n_t=self.steps,
                duplicate_K=noises,
                n_estimators=self.trees,
                max_depth=self.depth,
                eta=self.learning_rate,
                int_indexes=_whole(schema),
                n_jobs=1,  # forests after one another; each takes the threads that there are
                seed=derive(seed, "forestflow", "noise"),
            )
        model.__class__ = _model_class()
        model.X1 = None  # the training rows
        model.mask_y = {}
        model.label_y = None if labels is None else np.empty(0)
        (directory / _FILE).write_bytes(pickle.dumps(model))
        return {"noises": float(noises)}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the forests back."""
        _model_class()
        self._table = splits.train
        self._model = pickle.loads((directory / _FILE).read_bytes())

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Turn n draws of noise into rows."""
        with seeded(derive(seed, "forestflow", "sample")):
            found = self._model.generate(batch_size=n)
        return Sample(_rows(found, self._table))


def _model_class() -> Any:
    """ForestDiffusion's model. Raises ConfigError if it is missing."""
    try:
        from ForestDiffusion import ForestDiffusionModel
    except ImportError as error:
        problem = f"needs ForestDiffusion, which cannot be imported ({error})"
        raise ConfigError("generator", "forestflow", problem, "pip install 'harmonic[forestflow]'") from error
    return ForestDiffusionModel


def _reporting(progress: Progress) -> Any:
    """The same class, which moves `progress` with each forest, and ends if they would take far too long."""

    class Reporting(_model_class()):  # type: ignore[misc]
        def train_iterator(self, *given: Any, **named: Any) -> Any:
            forest = super().train_iterator(*given, **named)
            progress.advance()
            check_pace(progress.left, progress.so_far)
            return forest

    return Reporting


def _numbers(table: Table) -> NDArray[np.float64]:
    """All columns except a target with classes as numbers, (n, codes): k categories become k - 1 columns of 0 and 1."""
    parts: list[NDArray[np.float64]] = []
    for column in _coded(table.schema):
        values = table.frame[column.name].to_numpy()
        if column.is_numeric:
            parts.append(values.astype(np.float64)[:, None])
        else:
            parts.append((values[:, None] == np.array(column.categories[1:], dtype=object)[None, :]).astype(np.float64))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(table), 1))


def _labels(table: Table) -> NDArray[np.float64] | None:
    """The classes of the target as codes, (n,): each class has its own forests. None if the target has no classes."""
    if not table.schema.task.is_classification:
        return None
    return np.unique(table.target.to_numpy(), return_inverse=True)[1].astype(np.float64)


def _coded(schema: Schema) -> list[Any]:
    return schema.features if schema.task.is_classification else list(schema.columns)


def _width(column: Any) -> int:
    return 1 if column.is_numeric else len(column.categories) - 1


def _whole(schema: Schema) -> list[int]:
    """The positions of the integer columns, which are rounded before they are clipped to their range."""
    widths = [_width(column) for column in _coded(schema)]
    starts = np.cumsum([0, *widths])
    return [int(starts[place]) for place, column in enumerate(_coded(schema)) if column.kind is Kind.INTEGER]


def _rows(found: NDArray[np.float64], table: Table) -> pd.DataFrame:
    """The inverse of `_numbers` and `_labels`: the category whose column is largest, the first if none is above .5."""
    columns: dict[str, Any] = {}
    start = 0
    for column in _coded(table.schema):
        part = found[:, start : start + _width(column)]
        start += _width(column)
        if column.is_numeric:
            columns[column.name] = part[:, 0]
        else:
            above = np.concatenate([np.full((len(found), 1), 0.5), part], axis=1)
            columns[column.name] = np.array(column.categories, dtype=object)[above.argmax(axis=1)]
    if table.schema.task.is_classification:
        columns[table.schema.target] = np.unique(table.target.to_numpy())[found[:, -1].astype(int)]
    return rounded(pd.DataFrame(columns), table.schema)
