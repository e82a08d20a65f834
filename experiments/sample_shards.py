"""Very many rows from a finished run, drawn in shards by any number of processes: a folder of Parquet files.

The table is divided into parts of `part_rows` rows, whatever the number of shards, and a shard is a range of parts. A
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
from harmonic.storage import replacing, storage_errors, write_json

if TYPE_CHECKING:
    from harmonic.generators.base import Generator, Parts, Sample
    from harmonic.tables.conditions import Condition
    from harmonic.tables.reading.file_layout import Release

logger = logging.getLogger(__name__)

PART_ROWS = 4096
"""Rows of a part by default. Another number makes other batches, and rounding may then change rows."""

_ABOUT = b"harmonic"  # the key of a part's own description in its Parquet file


@dataclass(kw_only=True)
class ShardedSample:
    """A table of n rows in `folder`, drawn in shards. about: what its description says besides the counts.

    key: of all that decides about the rows and their parts.
    """

    run: FittedRun
    folder: Path
    key: str
    n: int
    seed: int
    conditions: dict[str, Condition]
    about: Mapping[str, Any]
    part_rows: int = PART_ROWS

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-self.n // self.part_rows)

    @property
    def description(self) -> Path:
        """The file that is written when all parts are there."""
        return self.folder.with_name(f"{self.folder.name}.json")

    def rows(self, part: int) -> range:
        """The numbers of a part's rows."""
        return range(part * self.part_rows, min((part + 1) * self.part_rows, self.n))

    def missing(self, shards: int = 1, shard: int = 0) -> list[int]:
        """The parts of a shard that are not there; by default those of the whole table."""
        return [part for part in self._parts(shards, shard) if not self._path(part).is_file()]

    def check(self) -> None:
        """Raise ConfigError if this generator cannot draw parts of this table. No model is loaded."""
        self._check_folder()
        self._drawer().close()

    def draw(self, shards: int, shard: int | None) -> list[Path]:
        """Draw the missing parts of one shard, or of all. Returns the folder, and the description if it is complete."""
        self._check_folder()
        its = (1, 0) if shard is None else (shards, shard)
        missing = self.missing(*its)
        logger.info("%d of the %d parts of this shard are to be drawn", len(missing), len(self._parts(*its)))
        if missing:
            self._draw_parts(missing)
        if left := self.missing():
            logger.info("%d of all %d parts are missing: the other shards draw them", len(left), self.count)
            return [self.folder]
        return self.describe()

    def describe(self) -> list[Path]:
        """Describe the table, all parts of which are there. Returns the folder and the description."""
        described = locked(self._lock("description"), "describing the table")
        with storage_errors(self.folder.parent, key="out"), described:
            write_json(self.description, self._described())
        self._lock("description").unlink(missing_ok=True)
        return [self.folder, self.description]

    def _parts(self, shards: int, shard: int) -> range:
        return range(self.count * shard // shards, self.count * (shard + 1) // shards)

    def _drawer(self) -> Parts:
        generator, seed = self._generator
        return generator.parts(seed=seed, conditions=self.conditions)

    def _draw_parts(self, missing: Sequence[int]) -> None:
        drawer = self._drawer()
        with storage_errors(self.folder.parent, key="out"):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for place, part in enumerate(missing, start=1):
                self._draw_part(part, drawer)
                logger.info("part %d is there (%d of %d)", part, place, len(missing))
        finally:
            drawer.close()

    def _draw_part(self, part: int, drawer: Parts) -> None:
        scratch, rows = self.folder / f".{part:06d}-{self.key[:6]}.partial", self.rows(part)
        lock = self._lock(f"{part:06d}")
        with storage_errors(self.folder, key="out"), locked(lock, f"drawing part {part}") as held:
            if not self._path(part).is_file():  # or another process was faster
                scratch.mkdir(exist_ok=True)
                started = time.monotonic()
                sample = drawer.draw(rows, directory=scratch)
                own = {
                    "table": self.key, "part": part, "first_row": rows.start, "rows": len(rows),
                    "validity": sample.validity, "seconds": round(time.monotonic() - started, 1),
                }  # fmt: skip
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
        found = [self._read(self._path(part)) for part in range(self.count)]
        own, schema = [one for one, _ in found], found[-1][1]
        counts: Counter[str] = Counter()
        for one in own:
            counts.update({name: count for name, count in one["validity"].items() if name != "raw"})
        asked = counts["answers"] - counts["constrained"]
        raw = {"raw": counts["free"] / asked} if asked else {}
        columns = {field.name: str(field.type) for field in schema}
        return {
            **self.about, "rows": sum(one["rows"] for one in own), "parts": self.count, "part_rows": self.part_rows,
            "columns": columns, "validity": {**raw, **counts},
            "seconds": round(sum(one["seconds"] for one in own), 1),
        }  # fmt: skip

    def _check_folder(self) -> None:
        """Raise ConfigError if the folder has parts of another table."""
        for path in sorted(self.folder.glob("part-*.parquet"))[:1]:
            self._read(path)

    def _read(self, path: Path) -> tuple[dict[str, Any], Any]:
        """What a part says of itself, and its schema. Raises ConfigError if it is one of another table."""
        from pyarrow.parquet import read_schema

        schema = read_schema(path)
        own: dict[str, Any] = json.loads(schema.metadata[_ABOUT])
        if own.get("table", self.key) != self.key:
            problem = "has parts of another table: its run, n, seed, temperature, conditions or part_rows differ"
            raise ConfigError("out", self.folder, problem, "write to another folder: out=FOLDER")
        return own, schema

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
