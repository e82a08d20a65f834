"""TVAE, CTGAN, TabDDPM, ARF, a Bayesian network, and any other plugin for tables, as implemented in synthcity.

TVAE, CTGAN: Xu, Skoularidou, Cuesta-Infante, Veeramachaneni, NeurIPS 2019, arXiv 1907.00503.
TabDDPM: Kotelnikov, Baranchuk, Rubachev, Babenko, ICML 2023, arXiv 2209.15421.
ARF, adversarial random forests: Watson, Blesch, Kapar, Wright, AISTATS 2023, arXiv 2205.09435; through arfpy (MIT).
Bayesian network: a tree of columns by mutual information (Chow and Liu 1968), through pgmpy (MIT).
Code: synthcity (Qian, Cebere, van der Schaar, arXiv 2301.07573), Apache-2.0, in its maintained fork
`schneiderkamplab-synthcity`.

Differences from the papers, all made by synthcity: a column with at most ten values is one-hot encoded (TabDDPM:
diffused as a category), and any other column counts as numeric, even if it has category codes. Rows outside the ranges
of the training rows, and rows that repeat within a draw, are drawn again. TVAE and CTGAN may stop early. Here, columns
are renamed and categories are coded before synthcity gets them, so that nothing depends on names. Integers and decimals
are rounded afterwards.

The fitted plugin is pickled (cloudpickle) into the stage cache of the run, and read only from there. A pickle runs code
when it is loaded, so never put a file of unknown origin there. It needs the device that it was fitted on.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from baselines.device import resolved_device
from baselines.synthcity.coding import coded, decoded, names
from baselines.synthcity.plugins import LOOPS, check_plugin, older_numpy, plugin_class, quiet, shown
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive, seeded
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

logger = logging.getLogger(__name__)

_FILE = "plugin.pkl"


@dataclass(kw_only=True)
class SynthcityGenerator(Generator):
    """One of synthcity's plugins.

    plugin: its name in synthcity, such as "tvae". settings: the plugin's own arguments, such as {"n_iter": 1000}, and
    max_steps, the most batches of a training: the number of epochs, n_iter, is lowered to fit, but not below one (None:
    no limit). device: "auto" (a GPU if there is one), "cpu" or "cuda".
    """

    versions: ClassVar[Versions] = Versions()

    plugin: str
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Only check. Raises ConfigError for an unknown plugin."""
        check_plugin(self.plugin)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train the plugin; write it into `directory`. Raises ConfigError for an unknown plugin or invalid settings."""
        progress = Progress("fit", 1, "epochs" if self.plugin in LOOPS else "fits")
        directory = directory.resolve()
        # Some plugins leave checkpoints in the working folder.
        with progress, quiet(), seeded(derive(seed, self.plugin)), _elsewhere() as workspace:
            plugin = self._build(splits.train, seed, workspace)
            from synthcity.plugins.core.dataloader import GenericDataLoader
            from synthcity.utils.serialization import save_to_file

            logger.info("fitting synthcity's %s: %s", self.plugin, self._given(len(splits.train)))
            target = names(splits.train)[splits.schema.names.index(splits.schema.target)]
            with older_numpy(), shown(self.plugin, progress):
                plugin.fit(GenericDataLoader(self._taken(coded(splits.train), target), target_column=target))
            save_to_file(directory / _FILE, plugin)
        self._table, self._plugin = splits.train, plugin
        return {}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the pickled plugin back."""
        plugin_class(self.plugin)  # raises the error if synthcity is missing
        with quiet():
            from synthcity.utils.serialization import load_from_file

            # not the plugin's own load: it leaves the model inside as bytes
            self._plugin = load_from_file(directory / _FILE)
        self._table = splits.train

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows. Raises SamplingError if the plugin gives fewer: it limits its own tries."""
        drawing = derive(seed, self.plugin, "sample")
        with older_numpy(), quiet(), seeded(drawing):
            try:
                frame = self._plugin.generate(n, random_state=drawing).dataframe()
            except (RuntimeError, ValueError, KeyError) as error:
                raise SamplingError(f"synthcity's {self.plugin} gave no rows within the schema: {error}") from error
        if len(frame) < n:
            raise SamplingError(
                f"synthcity's {self.plugin} gave {len(frame)} of {n} rows: too many repeat, or lie outside the ranges "
                "of the training rows\n  fix: train longer (generator.settings.n_iter)"
            )
        return Sample(decoded(frame, self._table))

    def _taken(self, frame: pd.DataFrame, target: str) -> pd.DataFrame:
        """The columns that the plugin learns. Its network has no place for a column with a single value."""
        if self.plugin != "bayesian_network":
            return frame
        return frame[[name for name in frame if name == target or frame[name].nunique() > 1]]

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
            fix = f"use the arguments of {kind.__module__}.{kind.__name__}, and max_steps"
            raise ConfigError("generator.settings", self.settings, str(error), fix) from error

    def _given(self, rows: int) -> dict[str, Any]:
        """The plugin's own arguments for a table with this number of rows. Raises ConfigError if they are invalid."""
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


@contextmanager
def _elsewhere() -> Iterator[Path]:
    """Inside this context, the working folder is a new one, which is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        yield Path(folder)
