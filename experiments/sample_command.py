"""The command `harmonic-sample`: more rows from a finished run, also under conditions.

Example: `harmonic-sample RUN_FOLDER n=500 'condition={Outcome: 1}'`.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError, HarmonicError, unknown
from harmonic.locks import locked
from harmonic.shell import setting
from harmonic.storage import key_of, replacing, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Generator, Sample
    from harmonic.tables.conditions import Condition
    from harmonic.tables.splits import Splits

logger = logging.getLogger(__name__)

SETTINGS = """\
settings, each as key=value (quote those with braces or spaces for the shell):
  n=500                           rows to draw (default: as many as the run drew)
  seed=1                          each seed gives other rows than the run and than other seeds (default: 0)
  temperature=0.9                 of a language generator (default: the run's)
  out=more.csv                    where to write (default: samples/<name>.csv in the run's folder)
  'condition={Outcome: 1}'        values of columns, as in the file; several of one column: {Job: [nurse, clerk]}
  'range={Age: [18, 65]}'         bounds of numbers and dates, both included; no upper bound: {Age: [18, null]}
  budget=50000                    most rows to draw, for generators that draw and reject (default: 100 n, at least 2000)

Every row satisfies every condition. HARMONIC follows them while it writes a row, and its prompts show training rows
that satisfy them (where these are few, new rows may be close to them, and a warning says so). Other generators draw
rows until enough of them satisfy the conditions. <name>.json beside the rows says how they were drawn. New identifiers
differ from those of the run. A condition on an identifier, or on another column that is not learnt, is an error.

examples:
  harmonic-sample outputs/runs/diabetes/harmonic/seed0-1a2b3c4d n=500
  harmonic-sample RUN_FOLDER n=200 seed=3 'condition={Outcome: 1}' 'range={Age: [18, 65], BMI: [30, null]}'
  harmonic-sample RUN_FOLDER 'range={admitted: [2024-01-01, 2024-06-30]}' out=first_half.csv
"""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """The command's settings. Values of conditions and ranges are texts, as in the file."""

    n: int | None = None
    seed: int = 0
    temperature: float | None = None
    out: str | None = None
    condition: dict[str, Any] = field(default_factory=dict)
    range: dict[str, Any] = field(default_factory=dict)
    budget: int | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exits with 1 on an error, which is printed with its fix."""
    options = argparse.ArgumentParser(
        prog="harmonic-sample", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=SETTINGS,
        description="Draw more rows from a finished run. The run's own files stay as they are.",
    )  # fmt: skip
    options.add_argument("run", type=Path, metavar="RUN_FOLDER", help="the folder with the run's report.json")
    options.add_argument("settings", nargs="*", metavar="key=value", help="see below")
    given = options.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        written = sample_again(given.run, read_settings(given.settings))
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    for path in written:
        print(f"wrote {path}")


def read_settings(words: Sequence[str]) -> SampleSettings:
    """The settings from "key=value" words. Raises ConfigError if a key is unknown or a value invalid."""
    import yaml

    kinds: dict[str, Any] = {"n": int, "seed": int, "temperature": float, "out": str, "budget": int}
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if key not in SampleSettings.__dataclass_fields__:
            raise unknown(key, text, "setting", SampleSettings.__dataclass_fields__, name=key)
        try:
            # The base loader keeps every value a text: the file has 1, no and 2024-01-01 as texts, too.
            found[key] = kinds[key](text) if key in kinds else yaml.load(text, Loader=yaml.BaseLoader)
        except (ValueError, yaml.YAMLError) as error:
            fix = "see harmonic-sample --help" if equals else f"{key}=value"
            raise ConfigError(key, text, f"cannot be read: {str(error).splitlines()[0]}", fix) from None
    for key, least in (("n", 1), ("budget", 1), ("temperature", 0), ("seed", 0)):
        if found.get(key) is not None and not found[key] >= least:
            raise ConfigError(key, found[key], f"must be at least {least}", f"{key}={least}")
    return SampleSettings(**found)


def sample_again(folder: Path, wanted: SampleSettings) -> list[Path]:
    """Draw the wanted rows from the run in `folder`. Returns the paths of the CSV and of the JSON beside it.

    Raises ConfigError before any model is loaded if the folder is no fitted run, if its data has changed since, or if
    a condition is invalid; SamplingError if the generator cannot find enough rows.
    """
    from harmonic.tables.conditions import described, read_conditions, satisfying

    run = _reopened(folder, wanted.temperature)
    conditions = read_conditions(run.given.train, wanted.condition, wanted.range, run.splits.layout)
    n = wanted.n or run.rows_drawn
    settings = {"n": n, "seed": wanted.seed, "temperature": wanted.temperature, "condition": wanted.condition,
                "range": wanted.range}  # fmt: skip
    name = f"seed{wanted.seed}-n{n}-{key_of({**settings, 'run': run.report['run_id']})[:6]}"
    target = _target(folder, wanted.out, name)
    scratch = folder / "samples" / f".{key_of({**settings, 'fit': str(run.fitted), 'budget': wanted.budget})}.partial"
    with storage_errors(folder):
        scratch.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
    matching = int(satisfying(run.splits.train.frame, conditions).sum())
    if conditions:
        logger.info("%s: %d of %d training rows", described(conditions), matching, len(run.splits.train))

    with locked(scratch.with_name(f"{scratch.name}.lock"), f"drawing these rows for {target}"):
        started = time.monotonic()
        sample, seed = _drawn(run, n, wanted, conditions, scratch)
        seconds = time.monotonic() - started
        about = {
            "run": str(folder), "run_id": run.report["run_id"], "dataset": run.report["dataset"],
            "generator": run.report["generator"], **settings, "conditions": [str(one) for one in conditions.values()],
            "training_rows_that_satisfy": matching, "rows": len(sample.frame), "validity": sample.validity,
            "seconds": round(seconds, 1),
        }  # fmt: skip
        with storage_errors(target.parent):
            _write_rows(run, sample, seed, target)
            write_json(target.with_suffix(".json"), about)
        shutil.rmtree(scratch, ignore_errors=True)
    return [target, target.with_suffix(".json")]


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


def _reopened(folder: Path, temperature: float | None) -> FittedRun:
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


def _drawn(
    run: FittedRun, n: int, wanted: SampleSettings, conditions: dict[str, Condition], scratch: Path
) -> tuple[Sample, int]:
    """`n` rows of the generator, and the seed that they were drawn with."""
    from harmonic.generators.ruled import fitted_to
    from harmonic.randomness import derive

    generator = fitted_to(run.generator, run.given)
    generator.load(run.given, prepared=run.prepared, directory=run.fitted)
    # Derived, since the run's own rows are drawn with its seed itself, and these must be other rows.
    seed = derive(wanted.seed, "draw", run.report["seed"])
    return generator.draw(n, seed=seed, directory=scratch, conditions=conditions, budget=wanted.budget), seed


def _write_rows(run: FittedRun, sample: Sample, seed: int, target: Path) -> None:
    """Write the CSV in the form of the file that the run learnt from; new identifiers follow the run's own."""
    from experiments.stages.products import released, write_csv
    from harmonic.tables.table import Table

    table = Table(run.splits.schema.conform(sample.frame), run.splits.schema)
    with replacing(target) as incoming:
        write_csv(released(table, run.splits, seed, after=run.rows_drawn), incoming, run.splits)


def _target(folder: Path, out: str | None, name: str) -> Path:
    """Where to write; never over what the run wrote."""
    target = Path(out) if out else folder / "samples" / f"{name}.csv"
    if target.suffix != ".csv":
        target = target.with_name(f"{target.name}.csv")
    home, own = folder.resolve(), target.resolve()
    if home in own.parents and home / "samples" not in own.parents:
        raise ConfigError(
            "out", out, "is among the run's own files", setting("out", str(folder / "samples" / own.name))
        )
    return target


if __name__ == "__main__":
    main()
