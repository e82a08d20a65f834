"""Very many rows from a finished run, drawn in shards by any number of processes: a folder of Parquet files.

The table is divided into parts of PART_ROWS rows, whatever the number of shards, and a shard is a range of parts. A
row's random numbers and its prompt follow from its number, and a part is decoded by itself. So the parts are the same
for any number of shards, and a part that is there is never drawn again. While a part is drawn, its finished batches are
kept beside it, so that a killed process goes on where it stopped. The process that finds all parts there writes the
JSON file that describes the table.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from experiments.fitted_run import FittedRun, loaded
from harmonic.errors import ConfigError
from harmonic.locks import locked
from harmonic.shell import setting
from harmonic.storage import key_of, replacing, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Generator, Parts, Sample
    from harmonic.tables.conditions import Condition
    from harmonic.tables.reading.file_layout import Release

logger = logging.getLogger(__name__)

PART_ROWS = 4096
"""Rows of a part. Another number makes other batches, and rounding may then change rows."""

_ABOUT = b"harmonic"  # the key of a part's own description in its Parquet file


@dataclass(kw_only=True)
class ShardedSample:
    """A table of n rows in `folder`, drawn in shards. about: what its description says besides the counts."""

    run: FittedRun
    folder: Path
    n: int
    seed: int
    conditions: dict[str, Condition]
    about: Mapping[str, Any]

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-self.n // PART_ROWS)

    @property
    def description(self) -> Path:
        """The file that is written when all parts are there."""
        return self.folder.with_name(f"{self.folder.name}.json")

    def rows(self, part: int) -> range:
        """The numbers of a part's rows."""
        return range(part * PART_ROWS, min((part + 1) * PART_ROWS, self.n))

    def draw(self, shards: int, shard: int | None) -> list[Path]:
        """Draw the missing parts of one shard, or of all. Returns the folder, and the description if it is complete."""
        parts = range(self.count)
        if shard is not None:
            parts = range(self.count * shard // shards, self.count * (shard + 1) // shards)
        missing = [part for part in parts if not self._path(part).is_file()]
        logger.info("%d of the %d parts of this shard are to be drawn", len(missing), len(parts))
        if missing:
            self._draw_parts(missing)
        left = sum(not self._path(part).is_file() for part in range(self.count))
        if left:
            logger.info("%d of all %d parts are missing: the other shards draw them", left, self.count)
            return [self.folder]
        with storage_errors(self.folder.parent), locked(self._lock("description"), "describing the table"):
            write_json(self.description, self._described())
        self._lock("description").unlink(missing_ok=True)
        return [self.folder, self.description]

    def _draw_parts(self, missing: Sequence[int]) -> None:
        generator, seed = self._generator
        drawer = generator.parts(seed=seed, conditions=self.conditions)
        with storage_errors(self.folder.parent):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for place, part in enumerate(missing, start=1):
                self._draw_part(part, drawer)
                logger.info("part %d is there (%d of %d)", part, place, len(missing))
        finally:
            drawer.close()

    def _draw_part(self, part: int, drawer: Parts) -> None:
        scratch, rows = self.folder / f".{part:06d}.partial", self.rows(part)
        lock = self._lock(f"{part:06d}")
        with storage_errors(self.folder), locked(lock, f"drawing part {part}") as held:
            if not self._path(part).is_file():  # or another process was faster
                scratch.mkdir(exist_ok=True)
                started = time.monotonic()
                sample = drawer.draw(rows, directory=scratch)
                own = {"part": part, "first_row": rows.start, "rows": len(rows), "validity": sample.validity,
                       "seconds": round(time.monotonic() - started, 1)}  # fmt: skip
                held.check()
                self._write(part, sample, own)
                shutil.rmtree(scratch, ignore_errors=True)
        lock.unlink(missing_ok=True)

    def _write(self, part: int, sample: Sample, own: Mapping[str, Any]) -> None:
        from harmonic.tables.reading.files import parquet_table, write_table
        from harmonic.tables.table import Table

        splits = self.run.splits
        drawn = Table(splits.schema.conform(sample.frame), splits.schema)
        texts = drawn.texts() if self._release is None else self._release.part(drawn.texts(), self.rows(part).start)
        dtypes = None if splits.layout is None else splits.layout.dtypes
        if dtypes is not None:
            table = parquet_table(dtypes.frame(texts), like=self.run.report["config"]["dataset"]["path"])
        else:
            spelt = {name for name, _ in splits.layout.spellings} if splits.layout else set()
            table = parquet_table(_typed(texts, drawn, spelt))
        with replacing(self._path(part)) as incoming:
            write_table(table, incoming, {_ABOUT: json.dumps(own).encode()})

    def _described(self) -> dict[str, Any]:
        """The description of the whole table, from what its parts say of themselves."""
        from pyarrow.parquet import read_schema

        own, schema = [], None
        for part in range(self.count):
            schema = read_schema(self._path(part))
            own.append(json.loads(schema.metadata[_ABOUT]))
        counts: Counter[str] = Counter()
        for one in own:
            counts.update({name: count for name, count in one["validity"].items() if name != "raw"})
        asked = counts["answers"] - counts["constrained"]
        raw = {"raw": counts["free"] / asked} if asked else {}
        columns = {} if schema is None else {field.name: str(field.type) for field in schema}
        return {
            **self.about, "rows": sum(one["rows"] for one in own), "parts": self.count, "part_rows": PART_ROWS,
            "columns": columns, "validity": {**raw, **counts},
            "seconds": round(sum(one["seconds"] for one in own), 1),
        }  # fmt: skip

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.parquet"

    def _lock(self, name: str) -> Path:
        return self.folder / f".{name}.lock"

    @cached_property
    def _generator(self) -> tuple[Generator, int]:
        return loaded(self.run, self.seed)

    @cached_property
    def _release(self) -> Release | None:
        from harmonic.tables.reading.file_layout import Release

        layout = self.run.splits.layout
        return None if layout is None else Release(layout, self.n, self._generator[1], self.run.rows_drawn)


def parts_key(run: FittedRun) -> str:
    """Part of the folder's name, so that parts of another fit, or of another size, never come together."""
    return key_of({"part_rows": PART_ROWS, "fit": run.report["stages"]["fit"]["key"]})[:6]


def check_shard(shards: int | None, shard: int | None) -> None:
    """Raise ConfigError if there is no shard with this number."""
    if shard is None:
        return
    if shards is None:
        raise ConfigError("shard", shard, "needs the number of all shards", setting("shards", shard + 1))
    if shard >= shards:
        raise ConfigError("shard", shard, f"shards are counted from 0 to {shards - 1}", setting("shard", shards - 1))


def _typed(texts: pd.DataFrame, drawn: Any, spelt: set[str]) -> pd.DataFrame:
    """The released texts with numbers as numbers, and null for missing values.

    Dates, and columns that the file `spelt` in a way of its own, stay texts.
    """
    cells: dict[str, Any] = {name: texts[name] for name in texts.columns}
    for column in drawn.schema.columns:
        values = drawn.frame[column.name]
        if column.is_numeric and not column.is_date and column.name not in spelt:
            whole = column.kind == "integer" and column.missing is not None
            cells[column.name] = values.astype("Int64") if whole else values
        elif column.missing is not None:
            cells[column.name] = texts[column.name].where(values.notna(), None)
    return pd.DataFrame(cells, columns=list(texts.columns))
