"""What the stage cache holds, for which runs, and what of it no run needs any more: `harmonic-cache outputs`.

    harmonic-cache outputs            every entry: stage, key, age, seconds, size, how many runs have it
    harmonic-cache outputs --prune    delete the entries that no run's report names, and what is half-done

Why a stage is computed, though it was before with other settings, a run says in its log.
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
    options.add_argument("--prune", action="store_true", help="delete what no run needs")
    given = options.parse_args(arguments)
    cache = Cache(given.outputs)
    if not cache.root.is_dir():
        options.exit(1, f"error: {cache.root} is no folder\n  fix: give the output_dir of the runs\n")
    used = keys_in_use(given.outputs)
    if given.prune:
        gone = cache.prune(list(used))
        print("\n".join([*(f"deleted {path}" for path in gone), f"{len(gone)} entries deleted"]))
    else:
        show(cache, used)


def keys_in_use(outputs: Path) -> Counter[str]:
    """How many runs below the folder name each key in their reports."""
    used: Counter[str] = Counter()
    for path in outputs.rglob("report.json"):
        try:
            stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
            used.update({stage["key"] for stage in stages.values() if "key" in stage})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # no report of a run
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
    print(f"{grid.row_count} entries, {total:.0f} MB; --prune deletes those of no run")


if __name__ == "__main__":
    main()
