"""How the time and memory of each evaluator grow with the rows of a table.

    python -m experiments.benchmarks.large_evaluation [--rows 10000 100000 1000000] [--data-dir DIR]
        [--evaluators privacy fairness ...] [--synthetic jittered|independent] [SETTING=VALUE ...]

The tables are those of experiments.benchmarks.large_tables, read and split as in a run. There are as many synthetic
rows as rows in the table: its training rows drawn with replacement, with jittered numbers (jittered), or each column
drawn by itself (independent). Each evaluator measures them in a process of its own. Processor seconds are of all its
threads and processes. The peak of its memory includes the tables themselves, which are told, too. Settings are those of
a run: `evaluator.membership_inference.max_pairs=1000000000000` measures without that limit.

Evaluators that need a language model are left out: how many rows it reads is limited in every case.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from experiments.benchmarks.large_tables import SEED, TARGET, apart
from experiments.configuration.building import configured
from experiments.stages.measuring import measured_by
from harmonic.evaluation.base import Evaluator
from harmonic.peak_memory import peaks, reset_peaks
from harmonic.randomness import derive
from harmonic.tables.columns import Kind
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

FILES = ("fidelity", "structure", "utility", "privacy", "membership", "epsilon", "anonymeter", "fairness")
JITTER = 0.05  # of the jittered numbers, in standard deviations of their column


@dataclass(frozen=True)
class Tables:
    """What every evaluator gets, and the memory that it takes."""

    splits: Splits
    synthetic: Table
    imputation: Imputation


def synthetic_rows(splits: Splits, rows: int, kind: str) -> Table:
    """So many rows made of the training rows; the same for the same number."""
    draw = np.random.default_rng(derive(SEED, "synthetic rows", kind, rows))
    train, schema, count = splits.train.frame, splits.schema, len(splits.train)
    if kind == "independent":
        cells = {name: train[name].to_numpy()[draw.integers(count, size=rows)] for name in schema.names}
        return Table(schema.conform(pd.DataFrame(cells)), schema)
    frame = train.iloc[draw.integers(count, size=rows)].reset_index(drop=True)
    for column in schema.columns:
        if column.is_numeric:
            known = train[column.name].to_numpy(np.float64)
            moved = frame[column.name].to_numpy(np.float64) + draw.normal(0, JITTER * np.nanstd(known), rows)
            moved = np.clip(moved, np.nanmin(known), np.nanmax(known))
            frame[column.name] = np.rint(moved) if column.kind is Kind.INTEGER else moved
    return Table(schema.conform(frame), schema)


def prepared(file: Path, rows: int, kind: str) -> Tables:
    """The splits of the file, read as a run reads them, and the synthetic rows."""
    words = ["dataset=csv", f"dataset.path={file}", f"dataset.target={TARGET}", "llm=tiny", "tracker=off"]
    splits = configured(*words)["dataset"].load(SEED)
    return Tables(splits, synthetic_rows(splits, rows, kind), Imputation.of(splits.train))


def measured(tables: Tables, evaluator: Evaluator) -> dict[str, Any]:
    """One evaluator in a process of its own: its seconds, its processor seconds, its peak memory, and its measures."""
    fork = multiprocessing.get_context("fork")  # the tables are not written and read again
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_measure, args=(tables, evaluator, sender))
    child.start()
    sender.close()
    try:
        found: dict[str, Any] = receiver.recv()
    except EOFError:
        found = {}
    child.join()
    return found or {"failed": f"ended with {child.exitcode}"}


def _measure(tables: Tables, evaluator: Evaluator, sender: Connection) -> None:
    reset_peaks()
    before, started = peaks()["peak_rss_mb"], time.perf_counter()
    cpu = _cpu_seconds()
    found = measured_by(evaluator, tables.splits, tables.synthetic, tables.imputation, seed=SEED, scorer=None)
    sender.send(
        {
            "seconds": round(time.perf_counter() - started, 1), "cpu_seconds": round(_cpu_seconds() - cpu, 1),
            "peak_mb": peaks()["peak_rss_mb"], "tables_mb": before,
            "measures": {name: round(value, 6) for name, value in found.items()},
        }
    )  # fmt: skip


def _cpu_seconds() -> float:
    """Of this process and of those that it has started and waited for."""
    used = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(arguments: argparse.Namespace) -> dict[int, dict[str, dict[str, Any]]]:
    """All that is measured, by number of rows and by evaluator."""
    words = [f"evaluator=[{','.join(FILES)}]", *arguments.settings]
    evaluators = configured("dataset=csv", "dataset.path=table.csv", f"dataset.target={TARGET}", *words)["evaluator"]
    wanted = arguments.evaluators or list(evaluators)
    found: dict[int, dict[str, dict[str, Any]]] = {}
    with TemporaryDirectory(prefix="harmonic-") as folder:
        for rows in arguments.rows:
            file = Path(folder) / f"rows{rows}.csv"
            asked = ["--write", str(file), "--rows", str(rows)]
            asked += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
            apart("experiments.benchmarks.large_tables", *asked)
            tables = prepared(file, rows, arguments.synthetic)
            file.unlink()
            found[rows] = {}
            for name in wanted:
                found[rows][name] = measured(tables, evaluators[name])
                shown = {key: value for key, value in found[rows][name].items() if key != "measures"}
                print(rows, name, json.dumps(shown), flush=True)
    return found


def show(found: dict[int, dict[str, dict[str, Any]]]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("evaluator", *(f"{rows:,}: processor s, peak MB" for rows in found), title="Evaluators alone")
    for name in next(iter(found.values())):
        cells = [rows[name] for rows in found.values()]
        told = [one.get("failed") or f"{one['cpu_seconds']}, {one['peak_mb']:,.0f}" for one in cells]
        grid.add_row(name, *told)
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--evaluators", nargs="*", help="their names in a report; without it, all")
    parser.add_argument("--synthetic", choices=["jittered", "independent"], default="jittered")
    parser.add_argument("--data-dir", default=os.environ.get("HARMONIC_DATA_DIR"), help="folder of <name>/raw/*.csv")
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE")
    arguments = parser.parse_intermixed_args()
    found = measure(arguments)
    show(found)
    print(json.dumps({"benchmark": "large_evaluation", "rows": found}))


if __name__ == "__main__":
    main()
