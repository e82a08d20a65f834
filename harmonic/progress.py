"""The progress of a stage: a live bar on a terminal, or a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

logger = logging.getLogger(__name__)

QUIET_SECONDS = 15.0
"""Without a terminal, the time between two lines."""


History = Callable[[dict[str, float], int], None]
"""Receives a point of a training, such as {"train/loss": …}, and the optimizer step."""


class Progress:
    """Counts a stage's work and shows it: `with Progress("sample", 491, "rows") as progress: progress.advance(8)`.

    `advance` also takes other counts, such as tokens, which are shown as rates. `note` shows a value, such as the loss.
    """

    def __init__(self, stage: str, total: float, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.done = 0.0
        self._skipped = 0.0
        self._counts: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._start = self._said = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        self._start = self._said = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = ("{task.description}", BarColumn(bar_width=24), MofNCompleteColumn())
            # The stream as it is now: code inside may redirect it.
            console = Console(file=sys.stderr)
            self._bar = Bar(*columns, TextColumn("{task.fields[detail]}"), TimeRemainingColumn(), console=console)
            self._task = self._bar.add_task(self.stage, total=self.total, detail="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._new and self._bar is None:
            self._say()

    def advance(self, amount: float = 1, **counts: float) -> None:
        """Add finished work, and other counts."""
        self.done += amount
        for name, count in counts.items():
            self._counts[name] = self._counts.get(name, 0.0) + count
        self._show()

    def skip(self, amount: float) -> None:
        """Count work that was done earlier; the rates leave it out."""
        self.done += amount
        self._skipped += amount
        self._show()

    def note(self, **values: object) -> None:
        """Show these values beside the rates from now on."""
        self._notes |= {name: str(value) for name, value in values.items()}
        self._show()

    @property
    def seconds(self) -> float:
        """Seconds since the work began; never 0."""
        return max(time.monotonic() - self._start, 1e-9)

    @property
    def _new(self) -> float:
        return self.done - self._skipped

    @property
    def left(self) -> float | None:
        """The seconds that the rest takes at the pace so far; None before any work is done."""
        return (self.total - self.done) * self.seconds / self._new if self._new else None

    def so_far(self) -> str:
        """The work that is done, in words: "10 of 30 forests"."""
        return f"{self.done:g} of {self.total:g} {self.unit}"

    def rate(self, name: str) -> float:
        """The count per second so far."""
        return self._counts.get(name, 0.0) / self.seconds

    def detail(self) -> str:
        """The rates and notes in words."""
        rates = {self.unit: self._new / self.seconds} | {name: self.rate(name) for name in self._counts}
        parts = [f"{rate:,.2f} {name}/s" if rate < 10 else f"{rate:,.0f} {name}/s" for name, rate in rates.items()]
        return "  ".join([*parts, *(f"{name} {value}" for name, value in self._notes.items())])

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, total=self.total, completed=self.done, detail=self.detail())
        elif time.monotonic() - self._said > QUIET_SECONDS:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        left = self.left or 0.0
        remaining = f"  {left:.0f} s left" if left >= 0.5 else ""
        logger.info("%s: %s  %s%s", self.stage, self.so_far(), self.detail(), remaining)
