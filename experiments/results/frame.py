"""The data frame of a comparison: every metric of every run, with versions and machine, and the missing cells.

One Parquet file has everything that the pictures and the page are made from, so that anyone can make them again. Paths
of the machine are removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.collect.frame import tidy
from experiments.collect.record import RunRecord
from experiments.collect.runs import failed_jobs, read_runs
from harmonic.errors import ConfigError

FILE = "results.parquet"
ADDED = ("versions", "machine", "budget", "rows", "settings")
"""Columns beside the tidy frame's: JSON texts, the same in each row of a run. settings: the generator's, as given."""


def collect(outputs: Sequence[Path], machine: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The tidy frame of all runs in `outputs`, with ADDED; `machine`: for runs with a report that does not name theirs.

    Raises ConfigError if there is no run.
    """
    records = [record for record in read_runs(outputs) if not record.superseded]
    for folder in outputs:  # one experiment's: what failed before it had a folder stands beside it
        if not (folder / "sweeps").is_dir():
            records += failed_jobs(folder.resolve().parent, folder.resolve().name)
    frame = tidy(records)
    told = {str(record.folder): _told(record, machine) for record in records}
    for name in ADDED:
        frame[name] = [told[folder][name] for folder in frame["folder"]]
    frame["folder"] = [_named(folder) for folder in frame["folder"]]
    for name in ("error", "reason", "dataset"):
        frame[name] = [_without(text, outputs) for text in frame[name]]
    # The first line of an error says what happened. The rest is for the person who runs the job again.
    frame["error"] = [str(text).partition("\n")[0] for text in frame["error"]]
    return frame


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Write the frame as a small file: equal texts are stored once."""
    path = folder / FILE
    texts = [name for name in frame.columns if frame[name].dtype == object]
    frame.astype(dict.fromkeys(texts, "category")).to_parquet(path, index=False, compression="zstd")
    return path


def read(folder: Path) -> pd.DataFrame:
    """The frame in a folder of results. Raises ConfigError if there is none."""
    path = folder / FILE
    if not path.is_file():
        raise ConfigError("outputs", folder, f"there is no {FILE}", "name a folder that harmonic-results wrote")
    frame = pd.read_parquet(path)
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    plain = frame.astype(dict.fromkeys(texts, object))
    return plain.where(plain.notna() | ~plain.columns.isin(texts), None)


def runs_of(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each run, without its metrics."""
    return frame.drop_duplicates("folder").drop(columns=["metric", "value", "higher_is_better", "ideal", "reason"])


def finished_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each finished run, without its metrics."""
    runs = runs_of(frame)
    return runs[runs["status"] == "done"]


def missing_cells(frame: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """(dataset, generators, seeds, why) of the cells of the grid without a finished run.

    The grid has every dataset, generator and seed of any run. Cells that are missing for the same reason are listed
    together.
    """
    runs = runs_of(frame)
    done = {(r.dataset, r.generator, r.seed) for r in runs.itertuples() if r.status == "done"}
    why = {(r.dataset, r.generator, r.seed): _why(r) for r in runs.itertuples() if r.status != "done"}
    failed = {(r.dataset, r.generator, r.seed) for r in runs.itertuples() if r.status == "failed"}
    found: dict[tuple[str, str, str], list[str]] = {}
    axes = [sorted(set(runs[name].dropna())) for name in ("dataset", "generator", "seed")]
    for dataset in axes[0]:
        for generator in axes[1]:
            for seed in axes[2]:
                cell = (dataset, generator, seed)
                if cell not in done and dataset and generator:
                    reason = why.get(cell) or _not_run([s for s in axes[2] if (dataset, generator, s) in failed])
                    found.setdefault((dataset, generator, reason), []).append(str(seed))
    alike: dict[tuple[str, str, str], list[str]] = {}
    for (dataset, generator, reason), missing in found.items():
        alike.setdefault((dataset, ", ".join(missing), reason), []).append(generator)
    return [(dataset, ", ".join(names), seeds, reason) for (dataset, seeds, reason), names in alike.items()]


def ended_by_time(frame: pd.DataFrame) -> list[str]:
    """The finished fits that the time limit ended before their own number of steps: "tvae on german"."""
    cut = [run for run in finished_runs(frame).itertuples() if json.loads(str(run.budget)).get("ended_by_time")]
    return sorted({f"{run.generator} on {run.dataset}" for run in cut})


def on_gpu(frame: pd.DataFrame) -> list[str]:
    """The finished runs on a GPU, if others had none: "smote (seeds 1, 2): NVIDIA H200"."""
    done = finished_runs(frame)
    cards = [str(json.loads(str(text)).get("gpu") or "") for text in done["machine"]]
    if all(cards):
        return []
    found: dict[tuple[str, str], set[int]] = {}
    for run, card in zip(done.itertuples(), cards, strict=True):
        if card:
            found.setdefault((str(run.generator), card), set()).add(int(str(run.seed)))
    return [f"{name} (seeds {', '.join(map(str, sorted(seeds)))}): {card}" for (name, card), seeds in found.items()]


def given_settings(frame: pd.DataFrame) -> list[str]:
    """Settings of a method that some of its runs were given: "great on german: generator.sampling.top_p=0.9"."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in finished_runs(frame).itertuples():
        for key, value in json.loads(str(getattr(run, "settings", "{}"))).items():  # older frames have no settings
            found.setdefault((str(run.generator), f"{key}={value}"), set()).add(str(run.dataset))
    return [f"{name} on {', '.join(sorted(where))}: {given}" for (name, given), where in sorted(found.items())]


def machines(frame: pd.DataFrame) -> list[str]:
    """The machines of the runs, in words."""
    return sorted({_machine(json.loads(text)) for text in set(frame["machine"][frame["status"] == "done"])})


def versions(frame: pd.DataFrame) -> dict[str, list[str]]:
    """{package: the versions that the finished runs used}."""
    found: dict[str, set[str]] = {}
    for text in set(frame["versions"][frame["status"] == "done"]):
        for name, version in json.loads(text).items():
            found.setdefault(name, set()).add(str(version))
    return {name: sorted(found[name]) for name in sorted(found)}


def _told(record: RunRecord, machine: Mapping[str, Any] | None) -> dict[str, str]:
    report = record.report
    config = report.get("config") or {}
    budget = {"minutes": config["minutes"]} if config.get("minutes") is not None else {}
    if ((report.get("stages") or {}).get("fit") or {}).get("ended_by_time"):
        budget["ended_by_time"] = True
    return {
        "settings": _json({key: value for key, value in record.given.items() if key.startswith("generator.")}),
        "versions": _json(report.get("versions") or {}),
        "machine": _json(report.get("machine") or machine or {}),
        "budget": _json(budget),
        "rows": _json(report.get("rows") or {}),
    }


def _json(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True, ensure_ascii=False)


def _machine(said: Mapping[str, Any]) -> str:
    if not said:
        return "not recorded"
    parts = [said.get("cpu"), f"{said.get('cores')} cores", f"{said.get('memory_gb')} GB of memory", said.get("gpu")]
    return ", ".join(str(part) for part in parts if part)


def _why(run: Any) -> str:
    """Why an unfinished run has no numbers."""
    said = str(run.error or "")
    if run.status != "failed":
        return said or "stopped before its end"
    said = said.removeprefix("before the run began: ")
    return f"exceeded the time limit: {said}" if "OverTimeError" in said else f"failed: {said}"


def _not_run(failed: Sequence[int]) -> str:
    """The same of a run that was never begun; `failed`: seeds of the same method on the same table that failed."""
    if not failed:
        return "not run"
    return f"not run after seed{'s' * (len(failed) > 1)} {', '.join(map(str, failed))} failed"


def _named(folder: str) -> str:
    """The last four parts: <experiment>/<dataset>/<generator>/seed<seed>-<run id>."""
    return "/".join(Path(folder).parts[-4:])


def _without(text: Any, outputs: Sequence[Path]) -> str:
    """The text without the folders that the runs were written to, and without the home folder."""
    found = str(text or "")
    for place in (*outputs, *(path.resolve() for path in outputs), Path.home()):
        if str(place) not in (".", "/"):
            found = found.replace(str(place), "…")
    return found
