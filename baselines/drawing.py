"""Rows from a language model that may write something else: batches under a budget, and reasons counted.

A batch's answers depend on its seed and size alone. A finished batch is appended to progress.jsonl, so that a killed
run goes on after its last whole batch and ends with the same table as an unbroken one.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from harmonic.decoding.batch_log import BatchLog
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.sample import Sample
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.settings import Count, Positive
from harmonic.storage import key_of
from harmonic.tables.table import Schema, Table

OUT_OF_TIME = "out_of_time"
"""The reason of an answer that was not finished when the time was up; it counts for nothing in the model's favour."""

_SMALLEST_SHARE = 0.05  # a batch is never made larger on account of a smaller accepted share than this
_SHOWN = 3  # columns named for each reason


class NoRow(ValueError):
    """An answer that is no row of the schema: a short tag for counting, and the column ("" where none is at fault)."""

    def __init__(self, reason: str, column: str = "") -> None:
        self.reason, self.column = reason, column
        super().__init__(f"{reason}: {column!r}")


Ask = Callable[[int, int, float], Sequence[Mapping[str, Any] | NoRow]]
"""Draws a batch: how many answers, the seed, and the deadline (time.monotonic). One row, or the reason, an answer."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to go on asking.

    seconds: for all rows, of one call. empty_batches: give up after so many in a row without a single row.
    batch_size: answers at once, at most.
    """

    seconds: Positive = 3600.0
    empty_batches: Count = 5
    batch_size: Count = 64

    def check(self) -> None:
        """Raise ConfigError for what cannot be."""
        for name, example in (("seconds", 600), ("empty_batches", 5), ("batch_size", 64)):
            if not getattr(self, name) > 0:
                key = f"generator.sampling.{name}"
                raise ConfigError(key, getattr(self, name), "must be above 0", f"{key}={example}")

    def answers_alone(self) -> dict[str, Any]:
        """The settings that the rows depend on: those that say when to stop are left out."""
        return {name: value for name, value in asdict(self).items() if name not in ("seconds", "empty_batches")}


def draw_rows(
    ask: Ask, n: int, schema: Schema, budget: Budget, *, seed: int, directory: Path, advice: str
) -> Sample:  # fmt: skip
    """Exactly n rows, in the order in which they came.

    Validity: raw (accepted share of the answers), answers, rejected/<reason>. When the budget ends first, the rows
    there are go to `directory`/partial.csv, and SamplingError tells the reasons, with the columns at fault, and the
    `advice`. Called again with the same arguments, it goes on from progress.jsonl, with the whole budget.
    """
    budget.check()
    identity = key_of({"seed": seed, "n": n, "settings": budget.answers_alone(), "schema": repr(schema)})
    log = BatchLog(directory / "progress.jsonl", identity, {})
    tally, empty, number = _Tally(), 0, 0
    deadline = time.monotonic() + budget.seconds
    with Progress("sample", n, "rows") as progress:
        while len(tally.rows) < n:
            asked = list(range(tally.next_size(n, budget.batch_size)))
            brought = log.find(str(number), asked)
            if brought is None:
                if empty >= budget.empty_batches:
                    _give_up(tally, n, schema, directory, f"{empty} batches in a row held no row", advice)
                if time.monotonic() > deadline:
                    _give_up(tally, n, schema, directory, f"the {budget.seconds:g} s are over", advice)
                brought = _brought(ask(len(asked), derive(seed, "batch", number), deadline))
                if brought["cut"]:  # what depends on the clock is told and saved, but never part of a table
                    tally.add(brought)
                    _give_up(tally, n, schema, directory, f"the {budget.seconds:g} s are over", advice)
                log.append(str(number), asked, brought)
                empty = 0 if brought["rows"] else empty + 1
            tally.add(brought)
            progress.advance(min(len(tally.rows), n) - progress.done, answers=len(asked))
            progress.note(rejected=sum(tally.rejected.values()))
            number += 1
    frame = pd.DataFrame(tally.rows[:n], columns=schema.names)
    return Sample(schema.conform(frame), tally.validity())


@dataclass
class _Tally:
    """What came so far. rejected: {(reason, column): answers}."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def answers(self) -> int:
        return len(self.rows) + sum(self.rejected.values())

    def next_size(self, n: int, most: int) -> int:
        """How many answers to ask for: as many as should bring the rows still missing."""
        share = len(self.rows) / self.answers if self.answers else 1.0
        return min(most, math.ceil((n - len(self.rows)) / max(share, _SMALLEST_SHARE)))

    def add(self, brought: dict[str, Any]) -> None:
        self.rows += brought["rows"]
        self.rejected.update({(reason, column): count for reason, column, count in brought["rejected"]})

    def by_reason(self) -> dict[str, Counter[str]]:
        """{reason: {column: answers}}."""
        found: dict[str, Counter[str]] = {}
        for (reason, column), count in sorted(self.rejected.items()):
            found.setdefault(reason, Counter())[column] += count
        return found

    def validity(self) -> dict[str, float]:
        """The counts, as `draw_rows` names them."""
        reasons = {f"rejected/{reason}": float(counts.total()) for reason, counts in self.by_reason().items()}
        return {"raw": len(self.rows) / self.answers, "answers": float(self.answers), **reasons}

    def told(self) -> str:
        """The reasons in words: "missing_column 40 (Insulin 30, BMI 10), not_a_number 2 (Age 2)"."""
        parts = []
        for reason, counts in sorted(self.by_reason().items(), key=lambda item: -item[1].total()):
            columns = ", ".join(f"{name} {count}" for name, count in counts.most_common(_SHOWN) if name)
            parts.append(f"{reason} {counts.total()}" + (f" ({columns})" if columns else ""))
        return ", ".join(parts) or "none"


def _brought(answers: Sequence[Mapping[str, Any] | NoRow]) -> dict[str, Any]:
    """A batch in JSON's terms. cut: whether the time was up before all answers were there."""
    rejected = Counter((answer.reason, answer.column) for answer in answers if isinstance(answer, NoRow))
    return {
        "rows": [dict(answer) for answer in answers if not isinstance(answer, NoRow)],
        "rejected": [[reason, column, count] for (reason, column), count in sorted(rejected.items())],
        "cut": any(reason == OUT_OF_TIME for reason, _ in rejected),
    }


def _give_up(tally: _Tally, n: int, schema: Schema, directory: Path, why: str, advice: str) -> NoReturn:
    """Save the rows there are, and raise."""
    path = directory / "partial.csv"
    rows = schema.conform(pd.DataFrame(tally.rows, columns=schema.names))
    Table(rows, schema).texts().to_csv(path, index=False)
    raise SamplingError(
        f"{min(len(tally.rows), n)} of {n} rows from {tally.answers} answers: {why}; rejected answers: {tally.told()}\n"
        f"  fix: {advice}\n"
        f"  the rows so far: {path}; repeat the command, and it goes on from the finished batches"
    )
