"""More rows from a finished run, also under conditions: `harmonic-sample RUN_FOLDER n=500 'condition={Outcome: 1}'`."""

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

from harmonic.errors import ConfigError, HarmonicError, suggest
from harmonic.shell import setting
from harmonic.storage import key_of, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Generator, Sample
    from harmonic.tables.splits import Splits

logger = logging.getLogger(__name__)

SETTINGS = """\
settings, each as key=value (quote those with braces or spaces for the shell):
  n=500                           rows to draw (default: as many as the run drew)
  seed=1                          other seeds give other rows, none those of the run (default: 0)
  temperature=0.9                 of a language generator (default: the run's)
  out=more.csv                    where to write (default: samples/<name>.csv in the run's folder)
  'condition={Outcome: 1}'        values of columns, as in the file; several of one column: {Job: [nurse, clerk]}
  'range={Age: [18, 65]}'         bounds of numbers and dates, both included; open at an end: {Age: [18, null]}
  budget=50000                    rows that may be drawn where a generator knows no conditions (default: 100 n)

Every row satisfies every condition. HARMONIC is held to them in decoding, by its grammar, and its prompts show
training rows that satisfy them (where these are few, new rows may come close to them, and a warning says so); other
generators draw until enough rows do. Beside the rows, <name>.json says how they came. New identifiers begin where the
run's own began. A condition on an identifier or another column that is not learnt is an error.

examples:
  harmonic-sample outputs/runs/diabetes/harmonic/seed0-1a2b3c4d n=500
  harmonic-sample RUN_FOLDER n=200 seed=3 'condition={Outcome: 1}' 'range={Age: [18, 65], BMI: [30, null]}'
  harmonic-sample RUN_FOLDER 'range={admitted: [2024-01-01, 2024-06-30]}' out=first_half.csv
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The command's settings; values of conditions and ranges are texts, as in the file."""

    n: int | None = None
    seed: int = 0
    temperature: float | None = None
    out: str | None = None
    condition: dict[str, Any] = field(default_factory=dict)
    range: dict[str, Any] = field(default_factory=dict)
    budget: int | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; exits with 1 on an error, which says what to do."""
    options = argparse.ArgumentParser(
        prog="harmonic-sample", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=SETTINGS,
        description="Draw more rows from a finished run. The run's own files stay as they are.",
    )  # fmt: skip
    options.add_argument("run", type=Path, metavar="RUN_FOLDER", help="the folder with the run's report.json")
    options.add_argument("settings", nargs="*", metavar="key=value", help="see below")
    given = options.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        written = draw(given.run, read_settings(given.settings))
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    for path in written:
        print(f"wrote {path}")


def read_settings(words: Sequence[str]) -> Wanted:
    """The settings from "key=value" words. Raises ConfigError for unknown keys and values that are none."""
    import yaml

    kinds: dict[str, Any] = {"n": int, "seed": int, "temperature": float, "out": str, "budget": int}
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if key not in Wanted.__dataclass_fields__:
            raise ConfigError(key, text, "no such setting", suggest(key, Wanted.__dataclass_fields__))
        try:
            # The base loader leaves every value a text: 1, no and 2024-01-01 are what the file has.
            found[key] = kinds[key](text) if key in kinds else yaml.load(text, Loader=yaml.BaseLoader)
        except (ValueError, yaml.YAMLError) as error:
            fix = "see harmonic-sample --help" if equals else f"{key}=value"
            raise ConfigError(key, text, f"cannot be read: {str(error).splitlines()[0]}", fix) from None
    for key, least in (("n", 1), ("budget", 1), ("temperature", 0), ("seed", 0)):
        if found.get(key) is not None and not found[key] >= least:
            raise ConfigError(key, found[key], f"is below {least}", f"{key}={least} or more")
    return Wanted(**found)


def draw(folder: Path, wanted: Wanted) -> list[Path]:
    """Draw as wanted from the run in `folder`; the CSV and the JSON that were written.

    Raises ConfigError for a folder that is no fitted run, data that has changed since, and conditions that cannot
    be, before any model is loaded; SamplingError where the rows cannot be had.
    """
    from experiments.products import released, write_csv
    from harmonic.generators.ruled import fitted_to
    from harmonic.randomness import derive
    from harmonic.tables.conditions import described, read_conditions, satisfying
    from harmonic.tables.table import Table
    from harmonic.tables.training_view import for_generators

    report = _report(folder)
    generator, splits = _reopened(folder, report, wanted.temperature)
    given = for_generators(splits)
    conditions = read_conditions(given.train, wanted.condition, wanted.range, splits.layout)
    n = wanted.n or int(report["config"]["n_samples"] or len(splits.train))
    prepared, fitted = _stage(folder, report, "prompts"), _stage(folder, report, "fit")

    settings = {"n": n, "seed": wanted.seed, "temperature": wanted.temperature, "condition": wanted.condition,
                "range": wanted.range}  # fmt: skip
    target = _target(folder, wanted.out, f"seed{wanted.seed}-n{n}-{key_of({**settings, 'run': report['run_id']})[:6]}")
    scratch = folder / "samples" / f".{key_of({**settings, 'fit': str(fitted), 'budget': wanted.budget})}.partial"
    with storage_errors(folder):
        scratch.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
    if conditions:
        there = int(satisfying(splits.train.frame, conditions).sum())
        logger.info("%s: %d of %d training rows", described(conditions), there, len(splits.train))

    generator = fitted_to(generator, given)
    started = time.monotonic()
    generator.load(given, prepared=prepared, directory=fitted)
    # Derived: the run's own rows are drawn from its seed, and these are to be others.
    seed = derive(wanted.seed, "draw", report["seed"])
    sample: Sample = generator.draw(n, seed=seed, directory=scratch, conditions=conditions, budget=wanted.budget)
    seconds = time.monotonic() - started

    with storage_errors(target.parent):
        incoming = target.with_name(f".{target.name}.incoming")
        before = int(report["config"]["n_samples"] or len(splits.train))
        drawn = Table(splits.schema.conform(sample.frame), splits.schema)
        write_csv(released(drawn, splits, seed, before), incoming, splits)
        incoming.replace(target)
        about = {
            "run": str(folder), "run_id": report["run_id"], "dataset": report["dataset"],
            "generator": report["generator"], **settings, "conditions": [str(one) for one in conditions.values()],
            "training_rows_that_satisfy": int(satisfying(splits.train.frame, conditions).sum()),
            "rows": len(sample.frame), "validity": sample.validity, "seconds": round(seconds, 1),
        }  # fmt: skip
        write_json(target.with_suffix(".json"), about)
    shutil.rmtree(scratch, ignore_errors=True)
    return [target, target.with_suffix(".json")]


def _report(folder: Path) -> dict[str, Any]:
    import json

    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        key = report["stages"].get("fit", {}).get("key")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "give the folder that the run printed last, as `run: <folder>`"
        raise ConfigError("RUN_FOLDER", folder, f"is no run's folder ({type(error).__name__})", fix) from None
    if not key:
        problem = f"nothing is fitted in it: its status is {report.get('status')}"
        raise ConfigError("RUN_FOLDER", folder, problem, "run it to its end first")
    return dict(report)


def _reopened(folder: Path, report: dict[str, Any], temperature: float | None) -> tuple[Generator, Splits]:
    """The run's generator and its rows, the same ones as then."""
    from experiments.run import reopened

    parts = reopened(folder)
    splits: Splits = parts["dataset"].load(report["seed"])
    if splits.fingerprint() != report["data"]:
        problem = f"the rows of {report['dataset']} are not those that the run learnt from ({splits.source})"
        raise ConfigError("RUN_FOLDER", folder, problem, "give the data back as it was, or run anew")
    generator: Generator = parts["generator"]
    if temperature is not None:
        sampling = getattr(generator, "sampling", None)
        if not isinstance(sampling, dict) or "temperature" not in sampling:
            raise ConfigError("temperature", temperature, f"{report['generator']} has none", "leave it out")
        sampling["temperature"] = temperature
    return generator, splits


def _stage(folder: Path, report: dict[str, Any], stage: str) -> Path:
    """What a stage of the run left: in the cache, or in the run's folder if the cache has been cleared."""
    cached = folder.resolve().parents[3] / "cache" / stage / str(report["stages"][stage]["key"])
    if (cached / "entry.json").is_file():
        return cached
    placed, mark = (folder / "prompts", "sample.jsonl") if stage == "prompts" else (folder, "adapter")
    if (placed / mark).exists():
        return placed
    raise ConfigError("RUN_FOLDER", folder, f"its {stage} is gone from {cached.parent}", "run it anew, with force=true")


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
