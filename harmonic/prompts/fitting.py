"""How many rows prompts show, and under which column names, so that they fit the model's context.

Decided before anything is tuned, from the tokenizer alone. A table whose prompts are too long with k rows shown gets
prompts with fewer, the same number in all of them; the label filter still looks at k neighbours. Nothing is ever cut.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, unknown
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.file_tokenizer import FileTokenizer
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.short_names import short_names
from harmonic.shell import override
from harmonic.storage import write_json
from harmonic.tables.table import Schema, Table

logger = logging.getLogger(__name__)

ANSWER_SLACK = 1.25  # an answer may be this much longer than the longest one in training
FILE = "prompt_fit.json"
_LONG_NAMES = 12  # characters on average, from which aliases=auto shortens
_SAMPLE = 256  # texts whose tokens are counted before it is decided which others must be
_MARGIN = 1.1  # how much more tokens a character another text may take than those
_CHUNK = 1024  # prompts tokenized at once
_ROWS = 4096  # prompts whose rows are looked at first

_Piece = TypeVar("_Piece")

PromptSets = tuple[list[Prompt], list[Prompt]]
"""Tuning prompts and sampling prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFit:
    """The decision. k: rows that a prompt shows, of the `wanted` ones. aliases: {column: its name in prompts}.

    In tokens, None where they could not be counted: `context`, what fits; {"mean", "max"} of `row`, a row's text; of
    `tuning` prompts with their answer, and of `sampling` prompts with `room` for one.
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
        """The rows under their own names again."""
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


@dataclass(frozen=True)
class Gauge:
    """Counts what prompts take. context: tokens that fit; max_new_tokens: room for an answer, None: by the answers."""

    chat: Chat
    context: int
    max_new_tokens: int | None
    largest: int | None = None  # context that the model itself allows

    @classmethod
    def of(cls, llm: LanguageModel, max_new_tokens: int | None) -> Gauge | None:
        """The gauge of this model; None, and a warning, where its tokenizer is out of reach for now."""
        try:
            found = _from_files(llm)
            if found is None:
                found = llm.tokenizer(), getattr(llm.config(), "max_position_embeddings", None)
            tokenizer, largest = found
            return cls(Chat(tokenizer), llm.longest(largest), max_new_tokens, largest)
        except ConfigError as error:
            logger.warning("the lengths of the prompts are not checked: %s", error)
            return None

    def measure(self, fit: PromptFit, train: Sequence[Prompt], ask: Sequence[Prompt]) -> PromptFit:
        """The decision with its counts filled in. Maxima are exact where they come near the context."""
        row, mean_row = self._longest_row(train[:_ROWS], np.inf)
        room = self.max_new_tokens or answer_room(row)
        shown, shown_mean = self._longest(ask, self.context - _MARGIN * room)
        if self.max_new_tokens is None and shown + _MARGIN * room > self.context:
            row, mean_row = self._longest_row(train, 0)
            room = answer_room(row)
        longest, mean = self._longest(train, self.context)
        return replace(
            fit, context=self.context, room=room, row=_counted(mean_row, row), tuning=_counted(mean, longest),
            sampling=_counted(shown_mean + room, shown + room),
        )  # fmt: skip

    def fits(self, fit: PromptFit) -> bool:
        """Whether all prompts of a measured fit fit."""
        assert fit.tuning is not None and fit.sampling is not None
        return max(fit.tuning["max"], fit.sampling["max"]) <= self.context

    def mean_row(self, rows: Sequence[str]) -> float:
        """About what a row takes, on average, from some rows' texts."""
        return float(np.mean([len(ids) for ids in self.chat.completions(rows)]))

    def _longest(self, prompts: Sequence[Prompt], limit: float) -> tuple[int, float]:
        """The most tokens of a prompt, exact from near `limit` on, and about the mean."""
        sizes = [sum(len(part.text) for part in prompt.parts) for prompt in prompts]
        return _most(prompts, sizes, self.chat.lengths, limit)

    def _longest_row(self, prompts: Sequence[Prompt], limit: float) -> tuple[int, float]:
        """The same of the rows that these prompts have the model write."""
        rows = [part.text for prompt in prompts for part in prompt.parts if part.learnt]
        document = bool(prompts) and prompts[0].document

        def counted(texts: Sequence[str]) -> list[int]:
            return [len(ids) for ids in self.chat.rows(texts, document=document)]

        return _most(rows, list(map(len, rows)), counted, limit)


def _most(
    pieces: Sequence[_Piece], sizes: Sequence[int], count: Callable[[Sequence[_Piece]], list[int]], limit: float
) -> tuple[int, float]:
    """The most tokens of a piece, exact from near `limit` on, and about the mean. sizes: their characters."""
    if not pieces:
        return 0, 0.0

    def counted(places: NDArray[np.int64]) -> list[int]:
        chunks = np.split(places, range(_CHUNK, len(places), _CHUNK))
        return [found for chunk in chunks for found in count([pieces[place] for place in chunk])]

    characters = np.array(sizes)
    some = np.unique(np.linspace(0, len(pieces) - 1, min(len(pieces), _SAMPLE)).astype(int))
    first = np.union1d(some, np.argsort(-characters, kind="stable")[:_SAMPLE])
    counts = np.zeros(len(pieces), dtype=np.int64)
    counts[first] = counted(first)
    rate = (counts[first] / np.maximum(characters[first], 1)).max() * _MARGIN
    doubtful = np.setdiff1d(np.flatnonzero(characters * rate > limit), first)
    if len(doubtful):
        counts[doubtful] = counted(doubtful)
    return int(counts.max()), float(counts[some].mean())


def _from_files(llm: LanguageModel) -> tuple[Any, int | None] | None:
    """The tokenizer and the model's longest sequence, from the model's folder alone: quick. None where that fails."""
    folder = llm.folder()
    try:
        if folder is None or not Path(folder).is_dir():
            return None
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        tokenizer = FileTokenizer(Path(folder))
        _ = Chat(tokenizer).end  # its template, too, must be one that we can read
        return tokenizer, config.get("max_position_embeddings")
    except Exception:  # a tokenizer of another kind: transformers knows them all
        return None


def _counted(mean: float, most: float) -> dict[str, float]:
    return {"mean": round(mean, 1), "max": most}


def answer_room(longest: int) -> int:
    """Tokens to leave for an answer, given the longest one in training."""
    return int(longest * ANSWER_SLACK) + 1


def fit_prompts(
    build: Callable[[Table, int], PromptSets],
    write: Callable[[Table], Sequence[str]],
    table: Table,
    *,
    k: int,
    aliases: bool | str,
    gauge: Gauge | None,
) -> tuple[PromptFit, PromptSets]:
    """The first way to show rows whose prompts fit, and its prompts.

    build: makes the prompts of a table that show so many rows each. write: texts of some of its rows. k rows at
    first, then fewer. aliases: True, False, or "auto": where names have more than 12 characters on average, or the
    prompts do not fit otherwise. Without a gauge, lengths are not looked at. Raises ConfigError where not even one
    row fits.
    """
    if aliases not in (True, False, "auto"):
        raise unknown("generator.aliases", aliases, "way to name columns", ("true", "false", "auto"))
    fit: PromptFit | None = None
    mean_rows: dict[bool, float] = {}
    for fit in _tries(table.schema, k, aliases):
        shown = fit.table(table)
        if gauge is not None and fit.k > 1:
            if bool(fit.aliases) not in mean_rows:
                mean_rows[bool(fit.aliases)] = gauge.mean_row(write(shown))
            if (fit.k + 1) * mean_rows[bool(fit.aliases)] > gauge.context:
                continue  # the rows alone are too long: no need to write the prompts
        prompts = build(shown, fit.k)
        fit = fit if gauge is None else gauge.measure(fit, *prompts)
        if gauge is None or gauge.fits(fit):
            logger.log(logging.WARNING if fit.k < k else logging.INFO, "%s", fit.note())
            return fit, prompts
    assert fit is not None and gauge is not None
    raise _too_long(fit, table, gauge, build)


def _tries(schema: Schema, k: int, aliases: bool | str) -> Iterator[PromptFit]:
    """What to try, in order."""
    short = short_names(schema.names)
    if aliases is False or all(name == alias for name, alias in short.items()):
        yield from (PromptFit(k=fewer, wanted=k) for fewer in range(max(k, 1), 0, -1))
        return
    if aliases == "auto" and np.mean([len(name) for name in schema.names]) <= _LONG_NAMES:
        yield PromptFit(k=k, wanted=k)
    yield from (PromptFit(k=fewer, wanted=k, aliases=short) for fewer in range(max(k, 1), 0, -1))


def _too_long(fit: PromptFit, table: Table, gauge: Gauge, build: Callable[[Table, int], PromptSets]) -> ConfigError:
    """The error for prompts that do not fit with one row."""
    assert fit.tuning is not None and fit.sampling is not None and fit.row is not None
    problem = (
        f"a row takes up to {fit.row['max']:,} tokens; with one example a tuning prompt takes "
        f"{fit.tuning['max']:,.0f} and a sampling prompt, with room for its answer, {fit.sampling['max']:,.0f}"
    )
    fixes = []
    largest = max(fit.tuning["max"], fit.sampling["max"])
    if not fit.aliases:
        other = replace(fit, aliases=short_names(table.schema.names))
        other = gauge.measure(other, *build(other.table(table), 1))
        assert other.tuning is not None and other.sampling is not None
        saved = largest - max(other.tuning["max"], other.sampling["max"])
        enough = ", which suffices" if gauge.fits(other) else ""
        if saved > 0:
            fixes.append(f"generator.aliases=true (short column names in prompts: saves {saved:,.0f} tokens{enough})")
    if gauge.largest is not None and largest <= gauge.largest:
        fixes.append(f"llm.context={largest:.0f} (the model allows {gauge.largest:,})")
    else:
        fixes.append("take an llm with a longer context")
    fixes.append(f"leave columns out ({override('dataset.kinds', {'COLUMN': 'drop'})})")
    return ConfigError("llm.context", gauge.context, problem, "; ".join(fixes))
