"""Other files of a run than its report: series, loss history, rows. They are in its folder or in the stage cache."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.collect.record import RunRecord
from harmonic.errors import HarmonicError
from harmonic.tables.canaries import uproot
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


class Unavailable(Exception):
    """A file of a run is not available; the message says why."""


def series(record: RunRecord) -> dict[str, NDArray[np.float64]]:
    """The evaluators' arrays for plots, by name ("dcr", "perplexity/train"); {} if there are none."""
    found: dict[str, NDArray[np.float64]] = {}
    for stage in record.report.get("stages", {}):
        name = stage.removeprefix("evaluate_")
        path = _product(record, f"series/{name}.npz", stage, "series.npz") if name != stage else None
        if path is not None:
            try:
                with np.load(path) as arrays:
                    found |= {key.replace("__", "/"): arrays[key] for key in arrays.files}
            except (OSError, ValueError, EOFError) as error:
                raise Unavailable(f"{path} cannot be read: {error}") from error
    return found


def history(record: RunRecord) -> list[dict[str, float]]:
    """The points of the tuning, {"step", "train/loss"}; [] if nothing was tuned."""
    path = _product(record, "history.json", "fit", "history.json")
    try:
        points = [] if path is None else json.loads(path.read_text(encoding="utf-8"))
        return [point for point in points if "step" in point and "train/loss" in point]
    except (OSError, ValueError, TypeError) as error:
        raise Unavailable(f"{path} cannot be read: {error}") from error


def _product(record: RunRecord, name: str, stage: str, cached: str) -> Path | None:
    """The file in the run's folder, or else in the cache entry of the stage; None if it is in neither."""
    key = record.report.get("stages", {}).get(stage, {}).get("key", "")
    places = [record.folder / name]
    if key and len(record.folder.parents) > 3:
        places.append(record.folder.parents[3] / "cache" / stage / key / cached)
    return next((place for place in places if place.is_file()), None)


@dataclass(slots=True)
class RowsOfRuns:
    """Loads the real and synthetic rows of runs; each real table is loaded once."""

    _loaded: dict[str, Splits | str] = field(default_factory=dict)

    def beside(self, record: RunRecord) -> tuple[Table, Table]:
        """The run's training rows and its synthetic rows, imputed. Raises Unavailable if one cannot be loaded."""
        from experiments.stages.products import read_csv

        splits = self._splits(record)
        try:
            imputation = Imputation.of(splits.train)
            synthetic = read_csv(record.folder / "synthetic.csv", splits)
            return imputation.table(splits.train), imputation.table(synthetic)
        except FileNotFoundError as error:
            raise Unavailable("synthetic.csv is not in the run's folder") from error
        except (HarmonicError, ValueError, KeyError) as error:
            raise Unavailable(f"synthetic.csv cannot be read: {error}") from error

    def _splits(self, record: RunRecord) -> Splits:
        config = record.report["config"]
        key = json.dumps([config["dataset"], config["seed"]], sort_keys=True)
        if key not in self._loaded:
            self._loaded[key] = _load(record)
        splits = self._loaded[key]
        if isinstance(splits, str):
            raise Unavailable(splits)
        if splits.fingerprint() != record.report["data"]:
            raise Unavailable("the data have changed since the run")
        return uproot(splits)


def _load(record: RunRecord) -> Splits | str:
    """The splits, or why they cannot be loaded: the file moved, there is no network, or settings changed."""
    from experiments.configuration.building import reopened

    try:
        parts: dict[str, Any] = reopened(record.folder)
        splits: Splits = parts["dataset"].load(parts["seed"])
        return splits
    except Exception as error:  # the page shows the error, and everything else
        return f"the real rows cannot be loaded: {type(error).__name__}: {error}".partition("\n")[0]
