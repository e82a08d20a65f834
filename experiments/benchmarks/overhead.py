"""Processor time of a grid of fast jobs that is not spent in their stages, against a process for each job.

    python -m experiments.benchmarks.overhead [--seeds 3] [--generators smote,marginals] [--tables diabetes]

The grid has 12 fast generators, 2 tables and 3 seeds at quick scale, with fidelity and utility. It runs twice, each
time into an empty folder and one job after another:

- warm: one command with `-m`; all jobs are in one process, which imports its packages once;
- plain: a command for each job, as a shell loop or Hydra's launchers with a process per job do it.

`overhead` is the processor time of all processes without that of the stages (from the cache's entry.json), divided by
the number of jobs. If a stage imports a package on its first use, that counts as the stage's time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

GENERATORS = (
    "copy", "holdout", "marginals", "real", "smote", "fw_smote", "privbayes", "bayesian_network", "arf", "aim",
    "ctabgan", "tabddpm",
)  # fmt: skip
TABLES = ("diabetes", "german")


def measure(jobs: Sequence[Sequence[str]], commands: Sequence[Sequence[str]], output: Path) -> dict[str, Any]:
    """Run the commands, which do the jobs, and take the times."""
    before, started = _processor_seconds(), time.perf_counter()
    for words in commands:
        command = [sys.executable, "-m", "experiments.run", *words, "evaluator=[fidelity,utility]", "tracker=off"]
        command += ["n_samples=null", f"output_dir={output}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    spent, wall = _processor_seconds() - before, time.perf_counter() - started
    entries = [json.loads(path.read_text(encoding="utf-8")) for path in output.glob("cache/*/*/entry.json")]
    stages = sum(entry["processor_seconds"] for entry in entries)
    return {
        "wall_s": round(wall, 1), "processor_s": round(spent, 1), "stages_s": round(stages, 1),
        "overhead_s_per_job": round((spent - stages) / len(jobs), 2),
    }  # fmt: skip


def _processor_seconds() -> float:
    """Seconds of all processes that this one has waited for, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(generators: Sequence[str], tables: Sequence[str], seeds: int) -> dict[str, dict[str, Any]]:
    """Both ways, by name."""
    axes = [[f"dataset={name}" for name in tables], [f"generator={name}" for name in generators]]
    jobs = list(product(*axes, [f"seed={seed}" for seed in range(seeds)]))
    grid = ["-m", f"dataset={','.join(tables)}", f"generator={','.join(generators)}", f"seed=range({seeds})"]
    found = {}
    for name, commands in (("warm", [grid]), ("plain", jobs)):
        with TemporaryDirectory(prefix="harmonic-") as folder:
            found[name] = measure(jobs, commands, Path(folder))
    return found


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generators", default=",".join(GENERATORS))
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    generators, tables = arguments.generators.split(","), arguments.tables.split(",")
    found = compare(generators, tables, arguments.seeds)
    jobs = len(generators) * len(tables) * arguments.seeds
    print("| | wall s | processor s | of these in stages | overhead, s per job |")
    print("|:--|--:|--:|--:|--:|")
    for name, one in found.items():
        print(f"| {name} | {one['wall_s']} | {one['processor_s']} | {one['stages_s']} | {one['overhead_s_per_job']} |")
    print(json.dumps({"benchmark": "overhead", "jobs": jobs, **found}))


if __name__ == "__main__":
    main()
