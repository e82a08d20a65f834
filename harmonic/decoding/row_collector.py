"""Rows as they come in, batch after batch: valid rows are kept, rejected answers are counted by their reason.

A finished batch is appended to progress.jsonl. A killed run continues after its last finished batch, and ends with the
same table as a run that was not killed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harmonic.decoding.batch_log import BatchLog
from harmonic.errors import SamplingError
from harmonic.progress import Progress
from harmonic.time_limit import check_pace

LOG = "progress.jsonl"
LOG_VERSION = 2
"""Part of a log's identity. It is raised when the log's lines change: logs of older code are then not used."""

_COLUMNS = 3  # named for each reason


@dataclass(slots=True)
class Answers:
    """The answers of one batch.

    rows: the valid ones, by the number under which each was asked for. rejected: {(reason, column): count}; the column
    is "" if no column is at fault. tokens: tokens written. cut: constrained rows that reached max_new_tokens.
    """

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: int = 0
    cut: int = 0

    def plain(self) -> dict[str, Any]:
        """The answers as JSON values."""
        rejected = [[reason, column, count] for (reason, column), count in sorted(self.rejected.items())]
        return {"rows": self.rows, "rejected": rejected, "tokens": self.tokens, "cut": self.cut}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Answers:
        """The inverse of `plain`, also after a way through JSON."""
        rows = {int(number): row for number, row in plain["rows"].items()}
        rejected = Counter({(reason, column): count for reason, column, count in plain["rejected"]})
        return cls(rows, rejected, plain["tokens"], plain["cut"])


class RowCollector:
    """Collects n rows. log: the finished batches, also those of a killed run; progress: the display to move.

    rows: the valid rows so far, by number. rejected: {(reason, column): count}. answers: all answers so far.
    """

    def __init__(self, n: int, log: BatchLog, progress: Progress) -> None:
        self.n, self.log, self.progress = n, log, progress
        self.rows: dict[int, dict[str, Any]] = {}
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.answers = 0

    @property
    def complete(self) -> bool:
        """Whether there are n rows."""
        return len(self.rows) >= self.n

    def batch(self, name: str, asked: Sequence[int], draw: Callable[[], Answers]) -> Answers:
        """Add the answers to the rows of these numbers: from the log if there, else from `draw`, and then logged."""
        answers = self.logged(name, asked)
        if answers is not None:
            self.add(asked, answers, new=False)
            return answers
        answers = draw()
        self.save(name, asked, answers)
        self.add(asked, answers)
        return answers

    def logged(self, name: str, asked: Sequence[int]) -> Answers | None:
        """The answers of a finished batch that asked for the same numbers; None if there is none."""
        found = self.log.find(name, asked)
        return None if found is None else Answers.read(found)

    def save(self, name: str, asked: Sequence[int], answers: Answers) -> None:
        """Append a finished batch to the log."""
        self.log.append(name, asked, answers.plain())

    def add(self, asked: Sequence[int], answers: Answers, *, new: bool = True) -> None:
        """Keep the rows, count the answers, and move the display. Raises TimeIsUp if rows come far too slowly.

        new: they were drawn now, not by the run that this one continues, whose rows say nothing about the pace.
        """
        self.rows |= answers.rows
        self.rejected.update(answers.rejected)
        self.answers += len(asked)
        more = min(len(self.rows), self.n) - self.progress.done
        if new:
            self.progress.advance(more, **({"tokens": answers.tokens} if answers.tokens else {"answers": len(asked)}))
        else:
            self.progress.skip(more)
        self.progress.note(rejected=self.rejected.total())
        check_pace(self.progress.left, self._so_far)

    def frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """The rows, at most n, in the order of their numbers."""
        rows = [self.rows[number] for number in sorted(self.rows)]
        return pd.DataFrame(rows[: self.n], columns=list(columns))

    def rejections(self) -> dict[str, float]:
        """{"rejected/<reason>": answers}."""
        return {f"rejected/{reason}": float(counts.total()) for reason, counts in sorted(self._by_reason().items())}

    def shortfall(self, why: str, fix: str, rows: object, *, condition: str = "") -> SamplingError:
        """The error if too few rows came. rows: the file with the rows so far; condition: what rows had to satisfy."""
        have = min(len(self.rows), self.n)
        return SamplingError(
            f"only {have} of {self.n} rows{condition} from {self.answers} answers: {why}; rejected answers: "
            f"{self._reasons()}\n"
            f"  fix: {fix}\n"
            f"  the rows so far: {rows}"
        )

    def _so_far(self) -> str:
        have = f"{self.progress.so_far()} from {self.answers} answers"
        return f"{have}; rejected answers: {self._reasons()}" if self.rejected else have

    def _by_reason(self) -> dict[str, Counter[str]]:
        """{reason: {column: answers}}."""
        found: dict[str, Counter[str]] = {}
        for (reason, column), count in sorted(self.rejected.items()):
            found.setdefault(reason, Counter())[column] += count
        return found

    def _reasons(self) -> str:
        """The reasons in words: "missing_column 40 (Insulin 30, BMI 10), not_a_number 2 (Age 2)"."""
        parts = []
        for reason, counts in sorted(self._by_reason().items(), key=lambda item: -item[1].total()):
            columns = ", ".join(f"{name} {count}" for name, count in counts.most_common(_COLUMNS) if name)
            parts.append(f"{reason} {counts.total()}" + (f" ({columns})" if columns else ""))
        return ", ".join(parts) or "none"
