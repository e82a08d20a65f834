"""What happens when the time of a stage is up: its cache entry says so, and the run fails with an error."""

from __future__ import annotations

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
        except TimeIsUp:
            for path in folder.iterdir():
                remove(path)
            return {"over_time": True}

    return built


def check_time(work: str, entry: Entry, minutes: float | None) -> None:
    """Raise OverTimeError if the entry took longer than allowed, or was stopped."""
    if entry.facts.get("over_time") or over_time(entry.seconds, minutes):
        fix = f"give it more, {override('minutes', round(2 * (minutes or 1), 6))}, or no limit: minutes=null"
        raise OverTimeError(
            f"{work} did not end within {minutes:g} minutes ({entry.seconds / 60:.1f} spent)\n  fix: {fix}"
        )
