"""Rows from a language model that may write invalid answers: ask until there are enough, or the budget is used up.

The answers of a batch depend on its seed and size alone (see harmonic.decoding.row_collector for killed runs).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harmonic.decoding.batch_log import BatchLog
from harmonic.decoding.row_collector import LOG, LOG_VERSION, Answers, RowCollector
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.sample import Sample
from harmonic.progress import Progress
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.randomness import derive
from harmonic.settings import Count, Positive
from harmonic.storage import key_of
from harmonic.tables.table import Schema, Table

OUT_OF_TIME = "out_of_time"
"""The reason for an answer that was not finished in time. Its batch is not logged, since it depends on the clock."""

_SMALLEST_SHARE = 0.05  # of valid answers: a smaller share does not make batches larger

Ask = Callable[[int, int, float], Sequence[Mapping[str, Any] | InvalidAnswer]]
"""Draws a batch, given the number of answers, the seed and the deadline (time.monotonic): a row or an error each."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When to stop asking.

    seconds: the time for all rows of one call. empty_batches: give up after so many batches in a row without a valid
    row. batch_size: the most answers at once.
    """

    seconds: Positive = 3600.0
    empty_batches: Count = 5
    batch_size: Count = 64

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        for name, example in (("seconds", 600), ("empty_batches", 5), ("batch_size", 64)):
            if not getattr(self, name) > 0:
                key = f"generator.sampling.{name}"
                raise ConfigError(key, getattr(self, name), "must be above 0", f"{key}={example}")

    def row_settings(self) -> dict[str, Any]:
        """The settings that the rows depend on: all but those that say when to stop."""
        return {name: value for name, value in asdict(self).items() if name not in ("seconds", "empty_batches")}


def draw_rows(ask: Ask, n: int, schema: Schema, budget: Budget, *, seed: int, directory: Path, advice: str) -> Sample:
    """Exactly n rows, in the order in which they were written.

    Validity: raw (share of valid answers), answers, rejected/<reason>. If the budget is used up first, the rows so far
    are written to `directory`/partial.csv. The SamplingError then names the reasons with the columns at fault, and the
    `advice`. A second call with the same arguments continues from progress.jsonl, with the whole budget.
    """
    budget.check()
    identity = {"seed": seed, "n": n, "settings": budget.row_settings(), "schema": repr(schema), "log": LOG_VERSION}
    log = BatchLog(directory / LOG, key_of(identity), {})
    deadline = time.monotonic() + budget.seconds
    out_of_time = f"the {budget.seconds:g} s are over"
    with Progress("sample", n, "rows") as progress:
        found, empty, number = RowCollector(n, log, progress), 0, 0
        while not found.complete:
            asked = range(found.answers, found.answers + _next_size(found, budget.batch_size))
            earlier = answers = found.logged(str(number), asked)
            if answers is None:
                if empty >= budget.empty_batches:
                    raise _gave_up(found, schema, directory, f"{empty} batches in a row held no row", advice)
                if time.monotonic() > deadline:
                    raise _gave_up(found, schema, directory, out_of_time, advice)
                answers = _read(asked, ask(len(asked), derive(seed, "batch", number), deadline))
                if (OUT_OF_TIME, "") in answers.rejected:
                    found.add(asked, answers)
                    raise _gave_up(found, schema, directory, out_of_time, advice)
                found.save(str(number), asked, answers)
                empty = 0 if answers.rows else empty + 1
            found.add(asked, answers, new=earlier is None)
            number += 1
    validity = {"raw": len(found.rows) / found.answers, "answers": float(found.answers)}
    return Sample(schema.conform(found.frame(schema.names)), validity | found.rejections())


def _next_size(found: RowCollector, most: int) -> int:
    """How many answers to ask for: as many as should give the missing rows, by the share of valid answers so far."""
    share = len(found.rows) / found.answers if found.answers else 1.0
    return min(most, math.ceil((found.n - len(found.rows)) / max(share, _SMALLEST_SHARE)))


def _read(asked: Sequence[int], answers: Sequence[Mapping[str, Any] | InvalidAnswer]) -> Answers:
    rows = {
        number: dict(answer)
        for number, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, InvalidAnswer)
    }
    rejected = Counter((answer.reason, answer.column) for answer in answers if isinstance(answer, InvalidAnswer))
    return Answers(rows, rejected)


def _gave_up(found: RowCollector, schema: Schema, directory: Path, why: str, advice: str) -> SamplingError:
    """Write the rows so far; the error."""
    path = directory / "partial.csv"
    rows: pd.DataFrame = schema.conform(found.frame(schema.names))
    Table(rows, schema).texts().to_csv(path, index=False)
    return found.shortfall(why, advice, f"{path}; repeat the command to continue from the finished batches")
