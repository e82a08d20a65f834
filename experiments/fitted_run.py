"""A finished run, opened again to draw more rows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError

if TYPE_CHECKING:
    from harmonic.generators.base import Generator
    from harmonic.tables.splits import Splits


@dataclass(frozen=True)
class FittedRun:
    """A fitted run, opened again. `given` are the splits as generators see them.

    `prepared` and `fitted` are the folders that its stages left.
    """

    report: dict[str, Any]
    generator: Generator
    splits: Splits
    given: Splits
    prepared: Path
    fitted: Path

    @property
    def rows_drawn(self) -> int:
        """How many rows the run itself drew."""
        return int(self.report["config"]["n_samples"] or len(self.splits.train))


def reopened_run(folder: Path, temperature: float | None) -> FittedRun:
    """The run with the rows that it learnt from, and with this temperature if there is one."""
    from experiments.configuration.building import reopened
    from harmonic.tables.training_view import for_generators

    report = _report(folder)
    parts = reopened(folder)
    splits: Splits = parts["dataset"].load(report["seed"])
    if splits.fingerprint() != report["data"]:
        problem = f"the rows of {report['dataset']} are not those that the run learnt from ({splits.source})"
        raise ConfigError("RUN_FOLDER", folder, problem, "restore the data, or run again")
    generator: Generator = parts["generator"]
    if temperature is not None:
        sampling = getattr(generator, "sampling", None)
        if not isinstance(sampling, dict) or "temperature" not in sampling:
            raise ConfigError("temperature", temperature, f"{report['generator']} has none", "leave it out")
        sampling["temperature"] = temperature
    prepared, fitted = (_stage_folder(folder, report, stage) for stage in ("prompts", "fit"))
    return FittedRun(report, generator, splits, for_generators(splits), prepared, fitted)


def _report(folder: Path) -> dict[str, Any]:
    """The report of a run that has been fitted."""
    import json

    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        key = report["stages"].get("fit", {}).get("key")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "give the folder that the run printed last, as `run: <folder>`"
        raise ConfigError("RUN_FOLDER", folder, f"is no run's folder ({type(error).__name__})", fix) from None
    if not key:
        problem = f"nothing is fitted in it: its status is {report.get('status')}"
        raise ConfigError("RUN_FOLDER", folder, problem, "finish the run first")
    return dict(report)


def _stage_folder(folder: Path, report: dict[str, Any], stage: str) -> Path:
    """What a stage of the run left: in the cache, or in the run's folder if the cache has been cleared."""
    cached = folder.resolve().parents[3] / "cache" / stage / str(report["stages"][stage]["key"])
    if (cached / "entry.json").is_file():
        return cached
    placed, mark = (folder / "prompts", "sample.jsonl") if stage == "prompts" else (folder, "adapter")
    if (placed / mark).exists():
        return placed
    raise ConfigError(
        "RUN_FOLDER", folder, f"its {stage} is gone from {cached.parent}", "run it again, with force=true"
    )


def loaded(run: FittedRun, seed: int) -> tuple[Generator, int]:
    """The run's generator, ready to draw, and the seed to draw with, which the run itself did not use."""
    from harmonic.generators.ruled import fitted_to
    from harmonic.randomness import derive

    generator = fitted_to(run.generator, run.given)
    generator.load(run.given, prepared=run.prepared, directory=run.fitted)
    # Derived, since the run's own rows are drawn with its seed itself, and these must be other rows.
    return generator, derive(seed, "draw", run.report["seed"])
