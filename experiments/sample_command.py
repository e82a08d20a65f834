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

from experiments.fitted_run import FittedRun, loaded, reopened_run
from experiments.sample_shards import ShardedSample, check_shard, parts_key
from harmonic.errors import ConfigError, HarmonicError, unknown
from harmonic.locks import locked
from harmonic.shell import setting
from harmonic.storage import key_of, replacing, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Sample
    from harmonic.tables.conditions import Condition

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
  shards=8 shard=3                for very many rows: divide them into 8 shards, and draw only the fourth, from 0
                                  (default: all of them, one after another)

Every row satisfies every condition. HARMONIC follows them while it writes a row, and its prompts show training rows
that satisfy them (where these are few, new rows may be close to them, and a warning says so). Other generators draw
rows until enough of them satisfy the conditions. <name>.json beside the rows says how they were drawn. New identifiers
differ from those of the run. A condition on an identifier, or on another column that is not learnt, is an error.

With shards the rows are a folder of Parquet files. Any number of processes may draw shards at the same time, and the
rows are the same for any number of shards. A process that was killed goes on when its command is given again. The one
that finds all rows there writes <name>.json.

examples:
  harmonic-sample outputs/runs/diabetes/harmonic/seed0-1a2b3c4d n=500
  harmonic-sample RUN_FOLDER n=200 seed=3 'condition={Outcome: 1}' 'range={Age: [18, 65], BMI: [30, null]}'
  harmonic-sample RUN_FOLDER n=1000000 shards=8 shard=$SLURM_ARRAY_TASK_ID
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
    shards: int | None = None
    shard: int | None = None


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

    kinds: dict[str, Any] = {"n": int, "seed": int, "temperature": float, "out": str, "budget": int,
                             "shards": int, "shard": int}  # fmt: skip
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
    for key, least in (("n", 1), ("budget", 1), ("temperature", 0), ("seed", 0), ("shards", 1), ("shard", 0)):
        if found.get(key) is not None and not found[key] >= least:
            raise ConfigError(key, found[key], f"must be at least {least}", f"{key}={least}")
    check_shard(found.get("shards"), found.get("shard"))
    return SampleSettings(**found)


def sample_again(folder: Path, wanted: SampleSettings) -> list[Path]:
    """Draw the wanted rows from the run in `folder`. Returns the paths of the CSV and of the JSON beside it.

    With shards, of the folder of Parquet files and, when the last one is there, of the JSON beside it.

    Raises ConfigError before any model is loaded if the folder is no fitted run, if its data has changed since, or if
    a condition is invalid; SamplingError if the generator cannot find enough rows.
    """
    from harmonic.tables.conditions import described, read_conditions, satisfying

    run = reopened_run(folder, wanted.temperature)
    conditions = read_conditions(run.given.train, wanted.condition, wanted.range, run.splits.layout)
    n = wanted.n or run.rows_drawn
    settings = {"n": n, "seed": wanted.seed, "temperature": wanted.temperature, "condition": wanted.condition,
                "range": wanted.range}  # fmt: skip
    name = f"seed{wanted.seed}-n{n}-{key_of({**settings, 'run': run.report['run_id']})[:6]}"
    matching = int(satisfying(run.splits.train.frame, conditions).sum()) if conditions else len(run.splits.train)
    if conditions:
        logger.info("%s: %d of %d training rows", described(conditions), matching, len(run.splits.train))
    about = {
        "run": str(folder), "run_id": run.report["run_id"], "dataset": run.report["dataset"],
        "generator": run.report["generator"], **settings, "conditions": [str(one) for one in conditions.values()],
        "training_rows_that_satisfy": matching,
    }  # fmt: skip
    if wanted.shards is not None:
        place = _target(folder, wanted.out, f"{name}-{parts_key(run)}", "")
        table = ShardedSample(run=run, folder=place, n=n, seed=wanted.seed, conditions=conditions, about=about)
        return table.draw(wanted.shards, wanted.shard)
    target = _target(folder, wanted.out, name, ".csv")
    scratch = folder / "samples" / f".{key_of({**settings, 'fit': str(run.fitted), 'budget': wanted.budget})}.partial"
    with storage_errors(folder):
        scratch.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)

    with locked(scratch.with_name(f"{scratch.name}.lock"), f"drawing these rows for {target}"):
        started = time.monotonic()
        sample, seed = _drawn(run, n, wanted, conditions, scratch)
        seconds = time.monotonic() - started
        about |= {"rows": len(sample.frame), "validity": sample.validity, "seconds": round(seconds, 1)}
        with storage_errors(target.parent):
            _write_rows(run, sample, seed, target)
            write_json(target.with_suffix(".json"), about)
        shutil.rmtree(scratch, ignore_errors=True)
    return [target, target.with_suffix(".json")]


def _drawn(
    run: FittedRun, n: int, wanted: SampleSettings, conditions: dict[str, Condition], scratch: Path
) -> tuple[Sample, int]:
    """`n` rows of the generator, and the seed that they were drawn with."""
    generator, seed = loaded(run, wanted.seed)
    return generator.draw(n, seed=seed, directory=scratch, conditions=conditions, budget=wanted.budget), seed


def _write_rows(run: FittedRun, sample: Sample, seed: int, target: Path) -> None:
    """Write the CSV in the form of the file that the run learnt from; new identifiers follow the run's own."""
    from experiments.stages.products import released, write_csv
    from harmonic.tables.table import Table

    table = Table(run.splits.schema.conform(sample.frame), run.splits.schema)
    with replacing(target) as incoming:
        write_csv(released(table, run.splits, seed, after=run.rows_drawn), incoming, run.splits)


def _target(folder: Path, out: str | None, name: str, suffix: str) -> Path:
    """Where to write, with this suffix; never over what the run wrote."""
    target = Path(out) if out else folder / "samples" / f"{name}{suffix}"
    if suffix and target.suffix != suffix:
        target = target.with_name(f"{target.name}{suffix}")
    home, own = folder.resolve(), target.resolve()
    if home in own.parents and home / "samples" not in own.parents:
        raise ConfigError(
            "out", out, "is among the run's own files", setting("out", str(folder / "samples" / own.name))
        )
    return target


if __name__ == "__main__":
    main()
