"""Time of running a finished sweep again, when there is nothing left to do.

    python -m experiments.benchmarks.sweep [--jobs 100]

The jobs are fast ones (anchors and SMOTE on Diabetes, only fidelity), because the benchmark measures how long it takes
to find that there is nothing to do. Three commands, each in its own process, with imports, in wall and processor time:

- first: runs the jobs;
- ours: our sweeper (experiments.sweeps.grid), the median of --repeats;
- plain: the same with Hydra's own sweeper, which launches every job; the job then finds that its run is finished.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

GENERATORS = ("marginals", "copy", "smote", "holdout")
PLAIN = "hydra/sweeper=basic"


def sweep(jobs: int, output: Path, *overrides: str) -> dict[str, Any]:
    """Run the command of a sweep of so many jobs: {"seconds", "cpu_seconds", "said": its last line but one}."""
    generators = GENERATORS[: min(jobs, len(GENERATORS))]
    command = [sys.executable, "-m", "experiments.run", "-m", f"generator={','.join(generators)}"]
    command += [f"seed=range({-(-jobs // len(generators))})", "dataset=diabetes", "data_dir=null"]
    command += ["evaluator=fidelity", "tracker=off", f"output_dir={output}", *overrides]
    before, started = _processor_seconds(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    (said,) = (line for line in done.stdout.splitlines() if line.startswith("sweep: "))
    return {"seconds": seconds, "cpu_seconds": _processor_seconds() - before, "said": said.removeprefix("sweep: ")}


def _processor_seconds() -> float:
    """Seconds of all processes that this one has waited for, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(jobs: int, repeats: int) -> dict[str, dict[str, Any]]:
    """The three commands on one output folder, by name."""
    with TemporaryDirectory(prefix="harmonic-") as folder:
        output = Path(folder)
        first = sweep(jobs, output)
        again = [sweep(jobs, output) for _ in range(repeats)]
        plain = sweep(jobs, output, PLAIN)
    ours = {name: statistics.median(found[name] for found in again) for name in ("seconds", "cpu_seconds")}
    return {"first": first, "ours": {**ours, "said": again[-1]["said"]}, "plain": plain}


def show(found: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("command", "wall s", "processor s", "plain / this", "what it said", title="Re-check of a sweep")
    for name, label in (("first", "first time"), ("ours", "again, ours"), ("plain", "again, plain")):
        one = found[name]
        ratio = found["plain"]["seconds"] / one["seconds"]
        grid.add_row(label, f"{one['seconds']:.1f}", f"{one['cpu_seconds']:.1f}", f"{ratio:.1f}", one["said"])
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="rounded up to full rows of the grid")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours; the median counts")
    arguments = parser.parse_args()
    found = compare(arguments.jobs, arguments.repeats)
    show(found)
    for one in found.values():
        one.update(seconds=round(one["seconds"], 2), cpu_seconds=round(one["cpu_seconds"], 2))
    ratio = found["plain"]["seconds"] / found["ours"]["seconds"]
    print(json.dumps({"benchmark": "sweep", "jobs": arguments.jobs, **found, "ratio": round(ratio, 1)}))


if __name__ == "__main__":
    main()
