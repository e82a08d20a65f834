"""TVAE, CTGAN and TabDDPM, as synthcity implements them.

TVAE, CTGAN: Xu, Skoularidou, Cuesta-Infante, Veeramachaneni, NeurIPS 2019, arXiv 1907.00503.
TabDDPM: Kotelnikov, Baranchuk, Rubachev, Babenko, ICML 2023, arXiv 2209.15421.
Code: synthcity (Qian, Cebere, van der Schaar, arXiv 2301.07573), Apache-2.0, in its maintained fork
`schneiderkamplab-synthcity`.

What differs from the papers is synthcity's: a column with at most ten values is one-hot encoded (TabDDPM: diffused as
a category), any other is taken for a number, category codes among them; rows outside the training rows' ranges and
rows that repeat within a draw are drawn again; TVAE and CTGAN may stop early. Here, columns are renamed and categories
coded before synthcity sees them, and integers and decimals rounded after, so that nothing depends on names.

The fitted plugin is pickled (cloudpickle) into the stage cache of the run, and read from there alone: a pickle runs
code when it is loaded, so never put a stranger's file there. It needs the device that it was fitted on.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from baselines.device import resolved_device
from baselines.rounding import rounded
from harmonic.errors import ConfigError, SamplingError, unknown
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive, seeded
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.time_limit import time_is_up

logger = logging.getLogger(__name__)

PLUGINS = {"tvae": "TVAEPlugin", "ctgan": "CTGANPlugin", "ddpm": "TabDDPMPlugin"}
_LOOPS = {"tvae": ("vae", "tqdm"), "ctgan": ("gan", "tqdm"), "ddpm": ("tabular_ddpm", "trange")}
"""Where each goes through its epochs, under synthcity.plugins.core.models, and the bar that it draws there."""
_FILE = "plugin.pkl"


@dataclass(kw_only=True)
class SynthcityGenerator(Generator):
    """One of synthcity's plugins.

    plugin: "tvae", "ctgan" or "ddpm". settings: the plugin's own arguments, such as {"n_iter": 1000}, and max_steps:
    n_iter, which counts epochs, is lowered to those that have at most so many batches, one at least (None: it is not).
    device: "auto" (a GPU where there is one), "cpu" or "cuda".
    """

    versions: ClassVar[Versions] = Versions()

    plugin: str
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train the plugin; write it into `directory`. Raises ConfigError for a plugin or settings that cannot be."""
        progress = Progress("fit", 1, "epochs")
        with progress, quiet(), seeded(derive(seed, self.plugin)), tempfile.TemporaryDirectory() as workspace:
            plugin = self._build(splits.train, seed, Path(workspace))
            from synthcity.plugins.core.dataloader import GenericDataLoader
            from synthcity.utils.serialization import save_to_file

            logger.info("fitting synthcity's %s: %s", self.plugin, self._given(len(splits.train)))
            target = _names(splits.train)[splits.schema.names.index(splits.schema.target)]
            with _shown(self.plugin, progress):
                plugin.fit(GenericDataLoader(coded(splits.train), target_column=target))
            save_to_file(directory / _FILE, plugin)
        self._table, self._plugin = splits.train, plugin
        return {}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the pickled plugin back."""
        plugin_class(self.plugin)  # for its error where synthcity is missing
        with quiet():
            from synthcity.utils.serialization import load_from_file

            # not the plugin's own load: it leaves the model inside as bytes
            self._plugin = load_from_file(directory / _FILE)
        self._table = splits.train

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows. Raises SamplingError where the plugin's own patience ends before."""
        drawing = derive(seed, self.plugin, "sample")
        with quiet(), seeded(drawing):
            try:
                frame = self._plugin.generate(n, random_state=drawing).dataframe()
            except RuntimeError as error:
                raise SamplingError(f"synthcity's {self.plugin} gave no rows within the schema: {error}") from error
        if len(frame) < n:
            raise SamplingError(
                f"synthcity's {self.plugin} gave {len(frame)} of {n} rows: too many repeat, or lie outside the ranges "
                "of the training rows\n  fix: train longer (generator.settings.n_iter)"
            )
        return Sample(decoded(frame, self._table))

    def _build(self, table: Table, seed: int, workspace: Path) -> Any:
        import torch

        kind = plugin_class(self.plugin)
        given: dict[str, Any] = {"device": torch.device(resolved_device(self.device)), "workspace": workspace}
        given["random_state"] = derive(seed, self.plugin)
        if self.plugin == "ddpm":
            given["is_classification"] = table.schema.task.is_classification
        try:
            return kind(**given, **self._given(len(table)))
        except (TypeError, ValueError) as error:
            known = f"synthcity.plugins.generic.plugin_{self.plugin}.{PLUGINS[self.plugin]}"
            fix = f"use the arguments of {known}, and max_steps"
            raise ConfigError("generator.settings", self.settings, str(error), fix) from error

    def _given(self, rows: int) -> dict[str, Any]:
        """The plugin's own arguments for a table of so many rows. Raises ConfigError."""
        settings = dict(self.settings)
        limit = settings.pop("max_steps", None)
        if limit is None:
            return settings
        needed = {"max_steps": limit, "n_iter": settings.get("n_iter"), "batch_size": settings.get("batch_size")}
        for name, value in needed.items():
            if not (isinstance(value, int) and value >= 1):
                fix = "generator.settings.max_steps=null" if name == "max_steps" else f"generator.settings.{name}=200"
                problem = "must be a whole number of at least 1" + (" beside max_steps" if name != "max_steps" else "")
                raise ConfigError(f"generator.settings.{name}", value, problem, fix)
        an_epoch = -(-rows // settings["batch_size"])
        settings["n_iter"] = max(min(settings["n_iter"], limit // an_epoch), 1)
        return settings


def plugin_class(plugin: str) -> Any:
    """Import a plugin. Raises ConfigError where there is none of that name, or no synthcity."""
    if plugin not in PLUGINS:
        raise unknown("generator.plugin", plugin, "plugin", PLUGINS)
    chained = "mode.chained_assignment"  # synthcity sets it for the whole process, and prints while it is imported
    try:
        with quiet(), pd.option_context(chained, pd.get_option(chained)):
            module = importlib.import_module(f"synthcity.plugins.generic.plugin_{plugin}")
            importlib.import_module("synthcity.logger").remove()  # its log goes to stderr through a thread
    except ImportError as error:
        problem = f"needs synthcity, which cannot be imported ({error})"
        raise ConfigError("generator.plugin", plugin, problem, "pip install 'harmonic[synthcity]'") from error
    return getattr(module, PLUGINS[plugin])


@contextmanager
def _shown(plugin: str, progress: Progress) -> Iterator[None]:
    """Within it, the plugin's epochs move `progress`: in synthcity's module, its name for a bar stands for ours."""
    place, name = _LOOPS[plugin]
    module = importlib.import_module(f"synthcity.plugins.core.models.{place}")
    before = getattr(module, name)
    setattr(module, name, lambda epochs, **_: _Epochs(epochs, progress))
    try:
        yield
    finally:
        setattr(module, name, before)


class _Epochs:
    """What synthcity goes through instead of its bar: epochs, or their number."""

    def __init__(self, epochs: int | range, progress: Progress) -> None:
        self.epochs, self.progress = range(epochs) if isinstance(epochs, int) else epochs, progress

    def __iter__(self) -> Iterator[int]:
        self.progress.total = len(self.epochs)
        for epoch in self.epochs:
            yield epoch
            self.progress.advance()
            if time_is_up():
                return

    def set_postfix(self, **values: object) -> None:
        """TabDDPM's losses; their units are its own."""


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, nothing is printed or warned of: synthcity and its parts do both, and draw bars of their own."""
    with warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as sink:
        warnings.simplefilter("ignore")
        with redirect_stdout(sink), redirect_stderr(sink):
            yield


def coded(table: Table) -> pd.DataFrame:
    """The table as synthcity takes it, (n, columns): categories, and a classification's target, as codes from 0."""
    columns = {}
    for column, name, values in zip(table.schema.columns, _names(table), _values(table), strict=True):
        given = table.frame[column.name].to_numpy()
        columns[name] = given if values is None else np.searchsorted(values, given).astype(np.int64)
    return pd.DataFrame(columns)


def decoded(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The inverse of `coded`, in the schema's dtypes; numbers are rounded and kept to the training rows' range."""
    columns = {}
    for column, name, values in zip(table.schema.columns, _names(table), _values(table), strict=True):
        drawn = frame[name].to_numpy(np.float64)
        if values is not None:
            columns[column.name] = values[np.clip(np.rint(drawn), 0, len(values) - 1).astype(np.int64)]
        else:
            seen = table.frame[column.name]
            columns[column.name] = np.clip(drawn, seen.min(), seen.max())
    return rounded(pd.DataFrame(columns), table.schema)


def _names(table: Table) -> list[str]:
    return [f"c{position}" for position in range(len(table.schema.columns))]


def _values(table: Table) -> list[np.ndarray | None]:
    """Per column its sorted values in the training rows, where it is coded; else None."""
    schema = table.schema
    is_coded = [
        not column.is_numeric or (column.name == schema.target and schema.task.is_classification)
        for column in schema.columns
    ]
    return [
        np.unique(table.frame[column.name].to_numpy()) if flag else None
        for column, flag in zip(schema.columns, is_coded, strict=True)
    ]
