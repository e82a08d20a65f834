"""Time limits: training loops ask whether their time is up, and other work is stopped.

    with time_limit(10) as limit:   # minutes
        generator.fit(...)          # its loop ends where time_is_up()

With a limit, the number of steps depends on the machine's speed; without one, the seed alone decides the result.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType

LENIENCY = 1.25
"""Work is stopped after this many times its limit, so that a step that has begun in time may end."""


FAR_TOO_LONG = 2.0
"""Work that would take this many times its limit, at its pace so far, is stopped early: see `check_pace`."""

_PACE_IS_KNOWN = 0.2  # the share of the time after which the pace so far is believed


class TimeIsUp(BaseException):
    """Raised in work that has not ended itself. It is no Exception, so that libraries do not catch it.

    `expected`: the seconds that the work would have taken, if it was stopped early; else None. `so_far`: what it had
    done, in words, or "".
    """

    def __init__(self, expected: float | None = None, so_far: str = "") -> None:
        super().__init__(expected, so_far)
        self.expected, self.so_far = expected, so_far


@dataclass(slots=True)
class Limit:
    """A time limit that is running. `ended`: a loop has ended because the time is up, after fewer steps."""

    seconds: float
    started: float = field(default_factory=lambda: time.monotonic())
    ended: bool = False

    @property
    def spent(self) -> float:
        return time.monotonic() - self.started

    def is_up(self, share: float = 1.0) -> bool:
        """Whether this share of the time is over."""
        up = self.spent >= share * self.seconds
        self.ended |= up
        return up


_limit: ContextVar[Limit | None] = ContextVar("limit", default=None)


def time_is_up(share: float = 1.0) -> bool:
    """Whether this share of the current time limit is over; never without a limit."""
    limit = _limit.get()
    return limit is not None and limit.is_up(share)


def minutes_left() -> float | None:
    """The minutes that are left, at least 0; None without a limit."""
    limit = _limit.get()
    return None if limit is None else max(limit.seconds - limit.spent, 0.0) / 60


def check_pace(left: float | None, so_far: Callable[[], str] = str) -> None:
    """Raise TimeIsUp if work that needs `left` more seconds would take more than FAR_TOO_LONG times its limit.

    `so_far` puts into words what is done, for the error. Nothing is raised in the first fifth of the time, without a
    limit, or if `left` is None (not known).
    """
    limit = _limit.get()
    if limit is None or left is None or limit.spent < _PACE_IS_KNOWN * limit.seconds:
        return
    if (expected := limit.spent + left) > FAR_TOO_LONG * limit.seconds:
        raise TimeIsUp(expected, so_far())


def over_time(seconds: float, minutes: float | None) -> bool:
    """Whether work of this number of seconds exceeded the limit by more than LENIENCY allows."""
    return minutes is not None and seconds > 60 * minutes * LENIENCY


@contextmanager
def time_limit(minutes: float | None) -> Iterator[Limit | None]:
    """Inside this context, work may take this many minutes (None: no limit); TimeIsUp is raised LENIENCY times later.

    It can be raised in the main thread of a system that has interval timers alone; elsewhere work that does not ask
    goes on to its end.
    """
    if minutes is None:
        yield None
        return
    limit = Limit(60 * minutes)
    token = _limit.set(limit)
    try:
        with _stopped_after(limit.seconds * LENIENCY):
            yield limit
    finally:
        _limit.reset(token)


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
