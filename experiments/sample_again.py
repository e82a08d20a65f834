"""More rows from a finished run, also under conditions: the settings of `harmonic-sample`, and what they ask for."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.fitted_run import FittedRun, loaded, reopened_run
from experiments.sample_shards import PART_ROWS, ShardedSample, check_shard
from harmonic.errors import ConfigError, unknown
from harmonic.locks import locked
from harmonic.shell import quoted, setting
from harmonic.storage import key_of, replacing, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Sample
    from harmonic.tables.conditions import Condition

logger = logging.getLogger(__name__)


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
    part_rows: int | None = None
    launcher: str | None = None
    hydra_words: tuple[str, ...] = ()


KINDS: dict[str, Any] = {
    "n": int, "seed": int, "temperature": float, "out": str, "budget": int, "condition": None, "range": None,
    "shards": int, "shard": int, "part_rows": int, "launcher": str,
}  # fmt: skip
"""What makes a value of each setting's text; None: YAML, with texts alone."""
LEAST = {"n": 1, "budget": 1, "temperature": 0, "seed": 0, "shards": 1, "shard": 0, "part_rows": 1}


def read_settings(words: Sequence[str]) -> SampleSettings:
    """The settings from "key=value" words; words of Hydra ("hydra.launcher.n_jobs=4") are kept as they are.

    Raises ConfigError if a key is unknown, if a value is invalid, or if two do not go together.
    """
    import yaml

    found: dict[str, Any] = {}
    hydra = tuple(word for word in words if is_for_hydra(word))
    for word in words:
        if word in hydra:
            continue
        key, equals, text = word.partition("=")
        if key not in KINDS:
            raise unknown(key, text, "setting", KINDS, name=key)
        try:
            # The base loader keeps every value a text: the file has 1, no and 2024-01-01 as texts, too.
            found[key] = KINDS[key](text) if KINDS[key] else yaml.load(text, Loader=yaml.BaseLoader)
        except (ValueError, yaml.YAMLError) as error:
            fix = "see harmonic-sample --help" if equals else f"{key}=value"
            raise ConfigError(key, text, f"cannot be read: {str(error).splitlines()[0]}", fix) from None
    for key, least in LEAST.items():
        if found.get(key) is not None and not found[key] >= least:
            raise ConfigError(key, found[key], f"must be at least {least}", f"{key}={least}")
    check_shard(found.get("shards"), found.get("shard"))
    wanted = SampleSettings(**found, hydra_words=hydra)
    _check_together(wanted)
    return wanted


def is_for_hydra(word: str) -> bool:
    """Whether a word of the command line is one of Hydra's own settings."""
    return re.match(r"[+~]*hydra[./]", word) is not None


def _check_together(wanted: SampleSettings) -> None:
    """Raise ConfigError for settings that need others, or exclude them."""
    if wanted.launcher is None and wanted.hydra_words:
        key, _, value = wanted.hydra_words[0].partition("=")
        raise ConfigError(
            key, value, "says how a launcher runs jobs, and none is chosen", "add launcher=joblib shards=8"
        )
    if wanted.launcher is not None and wanted.shard is not None:
        problem = f"launcher={wanted.launcher} draws all shards, and shard is one of them"
        raise ConfigError("shard", wanted.shard, problem, "leave out shard, or leave out launcher")
    for key in ("launcher", "part_rows"):
        if (value := getattr(wanted, key)) is not None and wanted.shards is None:
            raise ConfigError(key, value, "is for rows in shards, and their number is not given", "add shards=8")
    if wanted.shards is not None and wanted.out is not None and Path(wanted.out).suffix in (".csv", ".parquet"):
        problem = "is the name of a file, and rows in shards are a folder of Parquet files"
        raise ConfigError("out", wanted.out, problem, quoted(f"out={Path(wanted.out).with_suffix('')}"))


def sample_again(folder: Path, wanted: SampleSettings) -> list[Path]:
    """Draw the wanted rows from the run in `folder`. Returns the paths of the CSV and of the JSON beside it.

    With shards, of the folder of Parquet files and, when the last one is there, of the JSON beside it.

    Raises ConfigError before any model is loaded if the folder is no fitted run, if its data has changed since, or if
    a condition is invalid; SamplingError if the generator cannot find enough rows.
    """
    if wanted.shards is not None:
        return sharded_sample(folder, wanted).draw(wanted.shards, wanted.shard)
    asked = _asked(folder, wanted)
    target = _target(folder, wanted.out, asked.name, ".csv")
    key = key_of({**asked.settings, "fit": str(asked.run.fitted), "budget": wanted.budget})
    scratch = folder / "samples" / f".{key}.partial"
    with storage_errors(folder):
        scratch.mkdir(parents=True, exist_ok=True)
    with storage_errors(target.parent, key="out"):
        target.parent.mkdir(parents=True, exist_ok=True)

    with locked(scratch.with_name(f"{scratch.name}.lock"), f"drawing these rows for {target}"):
        started = time.monotonic()
        sample, seed = _drawn(asked.run, asked.n, wanted, asked.conditions, scratch)
        seconds = time.monotonic() - started
        about = asked.about | {
            "rows": len(sample.frame), "validity": sample.validity, "seconds": round(seconds, 1)
        }  # fmt: skip
        with storage_errors(target.parent, key="out"):
            _write_rows(asked.run, sample, seed, target)
            write_json(target.with_suffix(".json"), about)
        shutil.rmtree(scratch, ignore_errors=True)
    return [target, target.with_suffix(".json")]


def sharded_sample(folder: Path, wanted: SampleSettings) -> ShardedSample:
    """The table of the wanted rows, to be drawn in shards. Raises ConfigError as `sample_again` does."""
    asked, part_rows = _asked(folder, wanted), wanted.part_rows or PART_ROWS
    # Parts of another fit, or of another size, never come together.
    parts = {"part_rows": part_rows, "fit": asked.run.report["stages"]["fit"]["key"]}
    place = _target(folder, wanted.out, f"{asked.name}-{key_of(parts)[:6]}", "")
    key = key_of({**asked.settings, **parts, "run": asked.run.report["run_id"]})
    return ShardedSample(
        run=asked.run, folder=place, key=key, n=asked.n, seed=wanted.seed, conditions=asked.conditions,
        about=asked.about, part_rows=part_rows,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the settings ask of a run. settings: those that decide about the rows; about: for the description."""

    run: FittedRun
    n: int
    conditions: dict[str, Condition]
    settings: dict[str, Any]
    about: dict[str, Any]

    @property
    def name(self) -> str:
        key = key_of({**self.settings, "run": self.run.report["run_id"]})
        return f"seed{self.settings['seed']}-n{self.n}-{key[:6]}"


def _asked(folder: Path, wanted: SampleSettings) -> _Asked:
    """Open the run, and check what is asked of it."""
    from harmonic.tables.conditions import described, read_conditions, satisfying

    run = reopened_run(folder, wanted.temperature)
    conditions = read_conditions(run.given.train, wanted.condition, wanted.range, run.splits.layout)
    n = wanted.n or run.rows_drawn
    settings = {"n": n, "seed": wanted.seed, "temperature": wanted.temperature, "condition": wanted.condition,
                "range": wanted.range}  # fmt: skip
    matching = int(satisfying(run.splits.train.frame, conditions).sum()) if conditions else len(run.splits.train)
    if conditions:
        logger.info("%s: %d of %d training rows", described(conditions), matching, len(run.splits.train))
    about = {
        "run": str(folder), "run_id": run.report["run_id"], "dataset": run.report["dataset"],
        "generator": run.report["generator"], **settings, "conditions": [str(one) for one in conditions.values()],
        "training_rows_that_satisfy": matching,
    }  # fmt: skip
    return _Asked(run=run, n=n, conditions=conditions, settings=settings, about=about)


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
