"""The method for a notebook: from a data frame to a synthetic one with the same columns.

    from harmonic import Harmonic

    model = Harmonic().fit(frame, target="churn")
    synthetic = model.sample(1000)

The command line uses the same code. Only the command line measures how useful the rows are and what they reveal (see
the tutorial): this needs rows that the model has not seen, and here it learns all of them.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pandas as pd

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, unknown
from harmonic.generators.ruled import fitted_to
from harmonic.llm.language_model import LanguageModel
from harmonic.method.generator import HarmonicGenerator
from harmonic.recipes import built, language_model, merged, settings_of
from harmonic.settings import Count, Natural, check_fields, check_value
from harmonic.tables.conditions import read_conditions
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.rules.text import Wanted
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


class Harmonic:
    """HARMONIC (arXiv 2408.02927) for one table.

    llm: a name in conf/llm, or a harmonic.llm.language_model.LanguageModel. method: a file in conf/generator that
    configures harmonic.method.generator.HarmonicGenerator: "harmonic_dense" (our recipe), "harmonic" (the paper's
    method), or an ablation of either. scale: "quick" (a laptop) or "paper". tuning, sampling and settings: changes to
    the defaults, fields of harmonic.tuning.settings.Tuning, harmonic.decoding.settings.Sampling and HarmonicGenerator.
    directory: where prompts and the adapter are kept (None: a temporary folder that is deleted with this object).

    After `fit`, `schema` describes the columns, and `notes` says how they were read.
    """

    def __init__(
        self,
        llm: str | LanguageModel = "smollm2_135m",
        *,
        method: str = "harmonic_dense",
        scale: str = "quick",
        tuning: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        seed: int = 0,
        directory: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self.llm, self.method, self.scale, self.seed, self.directory = llm, method, scale, seed, directory
        self.tuning, self.sampling, self.settings = dict(tuning or {}), dict(sampling or {}), settings
        self.notes: tuple[str, ...] = ()

    def fit(
        self,
        frame: pd.DataFrame,
        target: str | None = None,
        *,
        description: str = "records",
        kinds: Mapping[str, str] | str | None = None,
        identifiers: str = "new",
        free_text: str = "blank",
        rules: Wanted = "auto",
    ) -> Harmonic:
        """Learn from all rows of the frame. Returns this object.

        target: the column to predict, if there is one. description: what a row is about, in words. kinds, identifiers,
        free_text, rules: as in conf/dataset/csv.yaml. Raises DataError or ConfigError, with the fix, before any tuning
        if the table cannot be learnt.
        """
        dataset = Dataset(
            name="frame", target=target, description=description, kinds=kinds, identifiers=identifiers,
            free_text=free_text, rules=rules, missing="keep",
        )  # fmt: skip
        dtypes = FrameDtypes.of(frame)
        table, layout, _, notes = dataset.typed(dtypes.texts(frame), dtypes)
        none = table.take([])
        found, told = dataset.rules_of(table)
        notes += told
        self._splits = Splits(
            train=table, val=none, test=none, source="data frame", notes=tuple(notes), layout=layout, rules=found
        )
        self.schema, self.notes, self._dtypes = table.schema, tuple(notes), dtypes
        self._generator = fitted_to(self._configured(), self._splits)
        if self.directory is None:
            self._folder = Path(mkdtemp(prefix="harmonic-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        else:
            self._folder = Path(self.directory)
        prompts = self._folder / "prompts"
        self._generator.prepare(self._splits, 1, seed=self.seed, directory=prompts)
        self._generator.fit(self._splits, seed=self.seed, prepared=prompts, directory=self._folder)
        return self

    def _configured(self) -> HarmonicGenerator:
        """The generator. Raises ConfigError for an unknown method or setting."""
        known = set(HarmonicGenerator.__dataclass_fields__) - {"llm", "tuning", "sampling"}
        for name in self.settings:
            if name not in known:
                raise unknown(name, self.settings[name], "setting", known, name=name)
        given = merged(settings_of(self.method, self.scale), self.settings)
        given = merged(given, {"tuning": self.tuning, "sampling": self.sampling})
        llm = language_model(self.llm) if isinstance(self.llm, str) else self.llm
        generator = built(given, llm=llm)
        if not isinstance(generator, HarmonicGenerator):
            problem = "is a generator of another method"
            raise ConfigError("method", self.method, problem, "method=harmonic_dense or method=harmonic")
        check_fields(generator)
        return generator

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        condition: Mapping[str, Any] | None = None,
        between: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Exactly n synthetic rows, with the columns, their order and the dtypes of the learnt frame.

        The same seed (default: the model's) gives the same rows. condition, such as {"churn": "yes"}, and between, such
        as {"age": [18, 65]}, hold every row to values and ranges. An integer or boolean column with missing values has
        pandas' nullable dtype. Raises RuntimeError before `fit`, and ConfigError for conditions that no row can
        satisfy.
        """
        if not hasattr(self, "_generator"):
            raise RuntimeError("nothing is learnt yet: call fit(frame) first")
        check_value(Count, n, "n", 100)
        seed = self.seed if seed is None else seed
        check_value(Natural, seed, "seed", 0)
        conditions = read_conditions(self._splits.train, _words(condition), _words(between), self._splits.layout)
        self._generator.load(self._splits, prepared=self._folder / "prompts", directory=self._folder)
        with TemporaryDirectory(prefix="harmonic-") as scratch:
            rows = self._generator.draw(n, seed=seed, directory=Path(scratch), conditions=conditions).frame
        assert self._splits.layout is not None
        return self._dtypes.frame(self._splits.layout.release(Table(rows, self.schema).texts(), seed))


def _words(wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """Conditions as texts, as on the command line."""

    def text(value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return [text(one) for one in value] if isinstance(value, list | tuple) else str(value)

    return {str(name): text(value) for name, value in (wanted or {}).items()}
