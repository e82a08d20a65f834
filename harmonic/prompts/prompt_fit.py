"""How many rows prompts show, and under which column names: what was decided, and what it takes in tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from harmonic.errors import unknown
from harmonic.prompts.short_names import short_names
from harmonic.storage import write_json
from harmonic.tables.table import Schema, Table

FILE = "prompt_fit.json"
_LONG_NAMES = 12  # characters on average; aliases=auto shortens longer names


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFit:
    """The decision. k: rows that a prompt shows; wanted: as many as the user asked for. aliases: {column: short name}.

    In tokens, None if they could not be counted: context, the longest prompt with answer; room, kept for an answer;
    {"mean", "max"} of row, the text of a row; of tuning, prompts with answer; and of sampling, prompts with room.
    """

    k: int
    wanted: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    context: int | None = None
    room: int | None = None
    row: Mapping[str, float] | None = None
    tuning: Mapping[str, float] | None = None
    sampling: Mapping[str, float] | None = None

    def write(self, directory: Path) -> None:
        """Write prompt_fit.json."""
        write_json(directory / FILE, asdict(self))

    @classmethod
    def read(cls, directory: Path, wanted: int) -> PromptFit:
        """The inverse of `write`; without the file, `wanted` rows under the columns' own names."""
        path = directory / FILE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls(k=wanted, wanted=wanted)

    @property
    def longest(self) -> float:
        """The tokens of the longest prompt with its answer. Only for a fit with counts."""
        assert self.tuning is not None and self.sampling is not None
        return max(self.tuning["max"], self.sampling["max"])

    def shortened(self, schema: Schema) -> PromptFit:
        """The same with short column names."""
        return replace(self, aliases=short_names(schema.names))

    def schema(self, schema: Schema) -> Schema:
        """The schema with the names that prompts use."""
        if not self.aliases:
            return schema
        columns = tuple(replace(column, name=self.aliases[column.name]) for column in schema.columns)
        return replace(schema, columns=columns, target=self.aliases.get(schema.target, schema.target))

    def table(self, table: Table) -> Table:
        """The table with the names that prompts use."""
        return Table(table.frame.rename(columns=dict(self.aliases)), self.schema(table.schema))

    def restore(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows under the columns' own names again."""
        return frame.rename(columns={alias: name for name, alias in self.aliases.items()})

    def note(self) -> str:
        """The decision in words."""
        names = " under short column names" if self.aliases else ""
        if self.tuning is None or self.sampling is None or self.row is None:
            return f"prompts show {self.k} rows{names}; their lengths are not checked"
        few = f" of the {self.wanted} asked for, since more do not fit" if self.k < self.wanted else ""
        return (
            f"prompts show {self.k} rows{few}{names}: at most {self.tuning['max']:,.0f} tokens in tuning and "
            f"{self.sampling['max']:,.0f} in sampling of {self.context:,} ({self.row['max']:,.0f} the longest row)"
        )


def possible_fits(schema: Schema, k: int, aliases: bool | str) -> Iterator[PromptFit]:
    """What to try, the best first: k rows, then fewer.

    aliases: whether to use short column names, or "auto": if names have more than 12 characters on average, or if the
    prompts are too long otherwise. Raises ConfigError for any other value.
    """
    if aliases not in (True, False, "auto"):
        raise unknown("generator.aliases", aliases, "way to name columns", ("true", "false", "auto"))
    short = short_names(schema.names)
    if aliases is False or all(name == alias for name, alias in short.items()):
        yield from (PromptFit(k=fewer, wanted=k) for fewer in range(max(k, 1), 0, -1))
        return
    if aliases == "auto" and np.mean([len(name) for name in schema.names]) <= _LONG_NAMES:
        yield PromptFit(k=k, wanted=k)
    yield from (PromptFit(k=fewer, wanted=k, aliases=short) for fewer in range(max(k, 1), 0, -1))
