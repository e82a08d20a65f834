"""The method for a notebook: a data frame in, a synthetic one of the same shape out.

    from harmonic import Harmonic

    model = Harmonic().fit(frame, target="churn")
    synthetic = model.sample(1000)

It is the same code as the command line's; measuring what the rows are worth, and what they give away, is the command
line's work (README, "Your own table"): it needs rows that the model has not seen, and here all of them are learnt.
"""

from __future__ import annotations

import importlib
import shutil
import weakref
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pandas as pd

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, suggest
from harmonic.llm import LanguageModel
from harmonic.method import HarmonicGenerator
from harmonic.prompts.neighbors import Metric
from harmonic.tables.conditions import read_conditions
from harmonic.tables.dtypes import from_texts, to_texts
from harmonic.tables.table import Splits, Table

TUNING = {"learning_rate": 1e-3, "batch_size": 4}
"""What the command line takes at scale=quick; the paper's own, for thousands of rows, are Tuning's defaults."""


class Harmonic:
    """HARMONIC (arXiv 2408.02927) for one table.

    llm: a name in conf/llm, or a harmonic.llm.LanguageModel. k, metric, filter, filter_threshold and permutation:
    of the prompts, see harmonic.method.HarmonicGenerator. tuning and sampling: fields of harmonic.tuning.lora.Tuning
    and harmonic.decoding.settings.Sampling. directory: where prompts and the adapter are kept (None: a temporary folder
    that goes with this object).

    After `fit`, `notes` says what was made of the columns, and `schema` what they are.
    """

    def __init__(
        self,
        llm: str | LanguageModel = "smollm2_135m",
        *,
        k: int = 5,
        metric: Metric = "mixed",
        filter: bool = True,
        filter_threshold: int = 2,
        permutation: bool = True,
        tuning: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        seed: int = 0,
        directory: str | Path | None = None,
    ) -> None:
        self.llm, self.k, self.metric, self.seed, self.directory = llm, k, metric, seed, directory
        self.filter, self.filter_threshold, self.permutation = filter, filter_threshold, permutation
        self.tuning, self.sampling = {**TUNING, **(tuning or {})}, dict(sampling or {})
        self.notes: tuple[str, ...] = ()

    def fit(
        self,
        frame: pd.DataFrame,
        target: str | None = None,
        *,
        description: str = "records",
        kinds: Mapping[str, str] | None = None,
        identifiers: str = "new",
        free_text: str = "blank",
    ) -> Harmonic:
        """Learn from all rows of the frame; self.

        target: the column to predict, if there is one. description: what a row is about, in words. kinds,
        identifiers, free_text: as in conf/dataset/csv.yaml. Raises DataError or ConfigError with the fix for a table
        that cannot be learnt, before anything is tuned.
        """
        dataset = Dataset(
            name="frame", target=target, description=description, kinds=kinds, identifiers=identifiers,
            free_text=free_text, missing="keep", missing_values=("",),
        )  # fmt: skip
        table, layout, _, notes = dataset.typed(to_texts(frame))
        none = table.take([])
        self._splits = Splits(train=table, val=none, test=none, source="data frame", notes=tuple(notes), layout=layout)
        self.schema, self.notes, self._like = table.schema, tuple(notes), frame.iloc[:0]
        self._generator = HarmonicGenerator(
            llm=language_model(self.llm) if isinstance(self.llm, str) else self.llm,
            neighbors={"k": self.k, "metric": self.metric}, filter=self.filter, filter_threshold=self.filter_threshold,
            permutation=self.permutation, tuning=self.tuning, sampling=self.sampling,
        )  # fmt: skip
        if self.directory is None:
            self._folder = Path(mkdtemp(prefix="harmonic-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        else:
            self._folder = Path(self.directory)
        prompts = self._folder / "prompts"
        self._generator.prepare(self._splits, 1, seed=self.seed, directory=prompts)
        self._generator.fit(self._splits, seed=self.seed, prepared=prompts, directory=self._folder)
        return self

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        condition: Mapping[str, Any] | None = None,
        between: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Exactly n synthetic rows with the columns, their order and the dtypes of the frame that was learnt.

        The same seed (default: the model's) gives the same rows. condition: {"churn": "yes"}, between: {"age": [18,
        65]} hold every row to values and ranges. An integer or boolean column with missing values has pandas'
        nullable dtype. Raises RuntimeError before `fit`, ConfigError for conditions that no row can satisfy.
        """
        if not hasattr(self, "_generator"):
            raise RuntimeError("nothing is learnt yet: call fit(frame) first")
        if n < 1:
            raise ConfigError("n", n, "is below 1", "ask for one row or more")
        seed = self.seed if seed is None else seed
        conditions = read_conditions(self._splits.train, _words(condition), _words(between))
        self._generator.load(self._splits, prepared=self._folder / "prompts", directory=self._folder)
        with TemporaryDirectory(prefix="harmonic-") as scratch:
            rows = self._generator.draw(n, seed=seed, directory=Path(scratch), conditions=conditions).frame
        assert self._splits.layout is not None
        return from_texts(self._splits.layout.release(Table(rows, self.schema).texts(), seed), self._like)


def _words(wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Conditions as texts, which is what they are on the command line."""

    def text(value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return [text(one) for one in value] if isinstance(value, list | tuple) else str(value)

    return {str(name): text(value) for name, value in (wanted or {}).items()}


def language_model(name: str) -> LanguageModel:
    """The language model of conf/llm/<name>.yaml. Raises ConfigError for a name that is not there."""
    import yaml

    folder = files("conf").joinpath("llm")
    known = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir())
    if name not in known:
        raise ConfigError("llm", name, "no such language model", suggest(name, known))
    settings = yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    module, _, kind = settings.pop("_target_").rpartition(".")
    model: LanguageModel = getattr(importlib.import_module(module), kind)(**settings)
    return model
