"""Time and memory of building the instruction set: neighbours, filter, texts and prompts.

    python -m experiments.benchmarks.instruction_set [--data-dir DIR] [--dataset buddy adult]

Three procedures, each in its own process (peak memory is that of the whole process, including reading; the time does
not include reading):

- ours: metric=mixed, with permuted columns;
- ours, reference metric: without permutation, which makes the same prompts as
- plain: the row-by-row procedure in experiments/benchmarks/reference.py, on the first --limit rows; time that grows
  with the rows is scaled to all of them.

Without a data folder, the tables are made up, with the size and the columns of the named tables.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from experiments.benchmarks.reference import plain_tuning_set
from harmonic.peak_memory import peaks
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.training_prompts import Neighborhoods, answers
from harmonic.randomness import derive
from harmonic.tables.table import Column, Kind, Schema, Table, Task

PROCEDURES = ("ours", "ours_reference_metric", "plain")
K, THRESHOLD, SEED = 5, 2, 0

# Made-up tables: rows, float columns, distinct values of the category columns, classes.
SHAPES = {"buddy": (12053, 6, (56, 3, 4), 3), "adult": (26048, 6, (8, 16, 7, 14, 6, 5, 2, 41), 2)}


def load(name: str, data_dir: str | None) -> Table:
    """The training split of a dataset in `data_dir`, or a made-up table of the same shape."""
    if data_dir is None:
        return made_up(*SHAPES[name])
    from experiments.configuration.building import configured

    train: Table = configured(f"dataset={name}", f"data_dir={data_dir}")["dataset"].load(SEED).train
    return train


def made_up(rows: int, floats: int, cardinalities: tuple[int, ...], classes: int) -> Table:
    """Random rows: skewed categories, and numbers that depend on the class, which is the last column."""
    generator = np.random.default_rng(derive(SEED, "instruction set"))
    label = generator.integers(classes, size=rows)
    values: dict[str, Any] = {f"number {i}": generator.normal(label, 2.0).round(2) for i in range(floats)}
    for i, cardinality in enumerate(cardinalities):
        drawn = np.minimum(generator.geometric(min(0.5, 4 / cardinality), rows) - 1, cardinality - 1)
        values[f"category {i}"] = np.char.add("value ", drawn.astype(str)).astype(object)
    values["label"] = label.astype(str).astype(object)
    columns = tuple(
        Column(name=name, kind=Kind.FLOAT, decimals=2)
        if name.startswith("number")
        else Column(name=name, kind=Kind.CATEGORY, categories=tuple(sorted(set(cells))))
        for name, cells in values.items()
    )
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    schema = Schema(columns=columns, target="label", task=task, description="made-up rows")
    return Table(schema.conform(pd.DataFrame(values)), schema)


def measure(procedure: str, table: Table, limit: int) -> dict[str, Any]:
    """Run one procedure in this process: seconds (scaled to all rows), rows measured, peak, prompt hashes."""
    schema = table.schema
    filtered = schema.task.is_classification
    if procedure == "plain":
        text = table.texts().to_csv(index=False)
        frame = pd.read_csv(io.StringIO(text), keep_default_na=False, float_precision="round_trip")
        measured = min(limit, len(table))
        pairs, seconds = plain_tuning_set(
            frame,
            target=schema.target,
            task=schema.task.value,
            description=schema.description,
            k=K,
            threshold=THRESHOLD,
            limit=measured,
            filter=filtered,
        )
        taken = seconds["fit"] + seconds["rows"] * len(table) / measured
    else:
        ours = procedure == "ours"
        started = time.perf_counter()
        metric: Metric = "mixed" if ours else "reference"
        around = Neighborhoods.of(table, k=K, metric=metric, filter=filtered, threshold=THRESHOLD, seed=SEED)
        orders = ColumnOrders.of(schema, permutation=ours)
        prompts = list(answers(table, find_row_format("json", schema), around, orders, shown=K, seed=SEED))
        taken, measured = time.perf_counter() - started, len(table)
        pairs = [(prompt.prompt, prompt.completion) for prompt in prompts]
    hashes = [sha256("\0".join(pair).encode()).hexdigest()[:16] for pair in pairs]
    return {"seconds": taken, "rows": len(table), "rows_measured": measured, "hashes": hashes, **peaks()}


def run_apart(procedure: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """`measure` in its own process."""
    command = [sys.executable, "-m", "experiments.benchmarks.instruction_set", "--procedure", procedure]
    command += ["--dataset", name, "--limit", str(arguments.limit)]
    command += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All procedures on one dataset; ours is the median of --repeats runs."""
    runs = [run_apart("ours", name, arguments) for _ in range(arguments.repeats)]
    same_metric = run_apart("ours_reference_metric", name, arguments)
    plain = run_apart("plain", name, arguments)
    seconds = statistics.median(run["seconds"] for run in runs)
    count = len(plain["hashes"])
    return {
        "rows": plain["rows"],
        "prompts": len(runs[0]["hashes"]),
        "seconds": round(seconds, 3),
        "peak_mb": max(run["peak_rss_mb"] for run in runs),
        "reference_metric_seconds": round(same_metric["seconds"], 3),
        "reference_metric_peak_mb": same_metric["peak_rss_mb"],
        "plain_seconds": round(plain["seconds"], 3),
        "plain_peak_mb": plain["peak_rss_mb"],
        "plain_rows_measured": plain["rows_measured"],
        "same_prompts": sum(a == b for a, b in zip(same_metric["hashes"], plain["hashes"], strict=False)) / count,
        "ratio": round(plain["seconds"] / seconds, 1),
    }


def show(results: dict[str, dict[str, Any]], made_up_rows: bool) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    title = "Instruction set: neighbours, filter, texts, prompts" + (" (made-up tables)" if made_up_rows else "")
    grid = Grid("dataset", "procedure", "rows timed", "seconds", "peak MB", "plain / this", title=title)
    for name, found in results.items():
        for label, prefix, timed in (
            ("ours: mixed, permuted", "", found["rows"]),
            ("ours: reference metric, not permuted", "reference_metric_", found["rows"]),
            ("plain, row by row", "plain_", found["plain_rows_measured"]),
        ):
            part = f"{timed:,}" + (f" of {found['rows']:,}, scaled" if timed < found["rows"] else "")
            seconds, peak = found[f"{prefix}seconds"], found[f"{prefix}peak_mb"]
            ratio = f"{found['plain_seconds'] / seconds:.1f}"
            grid.add_row(name, label, part, f"{seconds:.2f}", f"{peak:.0f}", ratio)
        grid.add_row("", f"prompts equal to the plain ones: {found['same_prompts']:.1%}", end_section=True)
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line. With --procedure measure in this process, else compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default=os.environ.get("HARMONIC_DATA_DIR"), help="folder of <name>/raw/*.csv")
    parser.add_argument("--dataset", nargs="+", default=["buddy", "adult"])
    parser.add_argument("--limit", type=int, default=2000, help="rows for the plain procedure")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours; the median counts")
    parser.add_argument("--procedure", choices=PROCEDURES, help="measure only this one, in this process")
    arguments = parser.parse_args()
    if arguments.data_dir is None and (unknown := set(arguments.dataset) - set(SHAPES)):
        parser.error(f"no made-up table for {sorted(unknown)}: give --data-dir, or one of {sorted(SHAPES)}")
    if arguments.procedure:
        print(json.dumps(measure(arguments.procedure, load(arguments.dataset[0], arguments.data_dir), arguments.limit)))
        return
    results = {name: compare(name, arguments) for name in arguments.dataset}
    show(results, arguments.data_dir is None)
    total = sum(found["plain_seconds"] for found in results.values()) / sum(f["seconds"] for f in results.values())
    print(json.dumps({"benchmark": "instruction_set", "datasets": results, "ratio": round(total, 1)}))


if __name__ == "__main__":
    main()
