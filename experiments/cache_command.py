"""The command `harmonic-cache`: what is in the stage cache, which runs use it, and what can be deleted.

    harmonic-cache outputs            all entries: stage, key, date, seconds, size, number of runs that use it
    harmonic-cache outputs --prune    delete entries that no run's report names, and unfinished ones

A run's log says why it computes a stage again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harmonic.runs.cache import Cache


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="harmonic-cache", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("outputs", nargs="?", type=Path, default=Path("outputs"), help="the output_dir of the runs")
    options.add_argument("--prune", action="store_true", help="delete entries that no run uses")
    given = options.parse_args(arguments)
    cache = Cache(given.outputs)
    if not cache.root.is_dir():
        options.exit(1, f"error: no such folder: {cache.root}\n  fix: give the output_dir of the runs\n")
    used = keys_in_use(given.outputs)
    if given.prune:
        gone = cache.prune(list(used))
        print("\n".join([*(f"deleted {path}" for path in gone), f"{len(gone)} entries deleted"]))
    else:
        show(cache, used)


def keys_in_use(outputs: Path) -> Counter[str]:
    """How many runs in the folder have each key in their reports."""
    used: Counter[str] = Counter()
    for path in outputs.rglob("report.json"):
        try:
            stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
            used.update({stage["key"] for stage in stages.values() if "key" in stage})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not the report of a run
    return used


def show(cache: Cache, used: Counter[str]) -> None:
    """Print the entries, the oldest first."""
    from rich.table import Table

    from experiments.summary.console import wide_console

    grid = Table("stage", "key", "made", "seconds", "MB", "runs", title=str(cache.root))
    total = 0.0
    for entry in cache.entries():
        size = sum(path.stat().st_size for path in entry.path.rglob("*") if path.is_file()) / 2**20
        total += size
        row = (f"{entry.seconds:.1f}", f"{size:.1f}", str(used[entry.key]))
        grid.add_row(entry.stage, entry.key, entry.created[:19], *row)
    wide_console().print(grid)
    print(f"{grid.row_count} entries, {total:.0f} MB; --prune deletes those that no run uses")


if __name__ == "__main__":
    main()
