"""What happens when the time of a stage is up: its cache entry says so, and the run fails with an error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from harmonic.errors import OverTimeError
from harmonic.runs.cache import Build, Entry
from harmonic.shell import override
from harmonic.storage import remove
from harmonic.time_limit import TimeIsUp, over_time


def stopped_in_time(build: Build) -> Build:
    """The build; if its time is up, it leaves an empty entry that says so, and later runs do not try it again."""

    def built(folder: Path) -> dict[str, Any] | None:
        try:
            return build(folder)
        except TimeIsUp as stopped:
            for path in folder.iterdir():
                remove(path)
            facts = {"expected_seconds": stopped.expected, "so_far": stopped.so_far}
            return {"over_time": True, **{name: fact for name, fact in facts.items() if fact}}

    return built


def check_time(work: str, entry: Entry, minutes: float | None) -> None:
    """Raise OverTimeError if the entry took longer than allowed, or was stopped."""
    if not (entry.facts.get("over_time") or over_time(entry.seconds, minutes)):
        return
    spent, limit = entry.seconds / 60, minutes or 1.0
    problem, enough = f"{work} did not end within {limit:g} minutes ({spent:.1f} spent)", round(2 * limit, 6)
    if expected := entry.facts.get("expected_seconds"):
        problem = f"{work} would not end within {limit:g} minutes: at its pace, {expected / 60:.3g} ({spent:.1f} spent"
        problem += f"; {so_far})" if (so_far := entry.facts.get("so_far")) else ")"
        enough = max(enough, math.ceil(1.2 * expected / 60))
    raise OverTimeError(f"{problem}\n  fix: give it more, {override('minutes', enough)}, or no limit: minutes=null")
