"""synthcity's plugins: their names, how one is imported, and how the progress of its training is shown."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from harmonic.errors import ConfigError, unknown
from harmonic.progress import Progress
from harmonic.time_limit import time_is_up

FOLDERS = ("generic", "privacy")
"""The packages below synthcity.plugins with plugins for a single table of any kind."""

ELSEWHERE = {
    "aim": "generator=aim", "dpgan": "generator=tabularargn_dp", "dummy_sampler": "generator=copy",
    "great": "generator=great", "marginal_distributions": "generator=marginals", "privbayes": "generator=privbayes",
    "uniform_sampler": "generator=marginals",
}  # fmt: skip
"""Plugins that are not offered, and what is in their place.

baselines/private_marginals says why AIM and PrivBayes are not taken from there. dpgan fails with Opacus 1.6; rows of
marginal_distributions and uniform_sampler follow no seed.
"""

EXTRA = "pip install 'harmonic[synthcity]'"
LOOPS = {"tvae": ("vae", "tqdm"), "ctgan": ("gan", "tqdm"), "ddpm": ("tabular_ddpm", "trange")}
"""Where each goes through its epochs, under synthcity.plugins.core.models, and the bar that it draws there."""


def known_plugins() -> dict[str, str]:
    """The plugins' modules by name, from the installed files, not imported. Raises ConfigError if there are none."""
    try:
        found = find_spec("synthcity")
    except ValueError:  # it stands among the loaded modules as None
        found = None
    if found is None or not found.submodule_search_locations:
        raise ConfigError("generator.plugin", "(any)", "needs synthcity, which is not installed", EXTRA)
    root = Path(found.submodule_search_locations[0])
    return {
        file.stem.removeprefix("plugin_"): f"synthcity.plugins.{folder}.{file.stem}"
        for folder in FOLDERS
        for file in sorted((root / "plugins" / folder).glob("plugin_*.py"))
    }


def check_plugin(plugin: str) -> None:
    """Raise ConfigError if there is no such plugin, without importing any."""
    known = known_plugins()
    if plugin in ELSEWHERE:
        raise ConfigError("generator.plugin", plugin, "of synthcity is not offered", ELSEWHERE[plugin])
    if plugin not in known:
        raise unknown("generator.plugin", plugin, "plugin", known.keys() - ELSEWHERE)


def plugin_class(plugin: str) -> Any:
    """Import a plugin. Raises ConfigError for an unknown name, or if synthcity cannot be imported."""
    check_plugin(plugin)
    found = imported(known_plugins()[plugin], "generator.plugin", plugin).plugin
    if found is None:  # goggle, where what it needs is missing
        fix = f"see the documentation of synthcity's plugin {plugin}"
        raise ConfigError("generator.plugin", plugin, "needs packages that synthcity does not install", fix)
    return found


def imported(module: str, key: str, value: str) -> Any:
    """Import one of synthcity's modules; `key` and `value` are the setting that needs it. Raises ConfigError."""
    chained = "mode.chained_assignment"  # synthcity sets it for the whole process, and prints while it is imported
    try:
        with quiet(), pd.option_context(chained, pd.get_option(chained)):
            found = importlib.import_module(module)
            importlib.import_module("synthcity.logger").remove()  # its log goes to stderr through a thread
    except ImportError as error:
        raise ConfigError(key, value, f"needs synthcity, and an import failed ({error})", EXTRA) from error
    return found


@contextmanager
def older_numpy() -> Iterator[None]:
    """Inside this context, NumPy has `in1d`, which arfpy 0.1.1 calls and NumPy 2.4 no longer has."""
    import numpy as np

    name = "in1d"
    if hasattr(np, name):
        yield
        return
    setattr(np, name, np.isin)
    try:
        yield
    finally:
        delattr(np, name)


@contextmanager
def shown(plugin: str, progress: Progress) -> Iterator[None]:
    """Inside this context, the plugin's epochs, if it has any, move `progress`, which replaces its progress bar."""
    if plugin not in LOOPS:
        yield
        progress.advance()
        return
    place, name = LOOPS[plugin]
    module = importlib.import_module(f"synthcity.plugins.core.models.{place}")
    before = getattr(module, name)
    setattr(module, name, lambda epochs, **_: _Epochs(epochs, progress))
    try:
        yield
    finally:
        setattr(module, name, before)


class _Epochs:
    """Replaces synthcity's progress bar in its loop over epochs; made with the epochs, or their number."""

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
        """Ignore TabDDPM's losses, which are not comparable with others."""


@contextmanager
def quiet() -> Iterator[None]:
    """Inside this context, synthcity and its dependencies do not print, warn or draw progress bars."""
    from joblib import parallel_config

    with warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as sink:
        warnings.simplefilter("ignore")
        # Processes of their own would warn nevertheless.
        with redirect_stdout(sink), redirect_stderr(sink), parallel_config("sequential"):
            yield
