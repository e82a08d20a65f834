"""How time and memory grow with the rows of a table, from reading the file up to tuning.

    python -m experiments.benchmarks.large_tables [--rows 10000 100000 1000000] [--data-dir DIR] [--llm tiny]

The tables are like Adult: with a data folder its rows, drawn with replacement, with jittered numbers; without one, made
up with its columns. Each is written as a CSV file. For each size, each in a process of its own:

- prompts: `harmonic dataset=csv dataset.path=FILE stage=prompts`, which reads, types and splits the table, finds rules,
  and writes the prompts of tuning and sampling; with the command's start and its imports;
- neighbors: the neighbours of all training rows, as the paper's size of a run needs them, by the default's metric. From
  a number of pairs on they are approximate; `recall` is the share of true neighbours found, measured on 200 rows.

Processor seconds are of all threads. `growth` compares the largest table with the smallest: their seconds (or memory)
beyond those of a table of 1,000 rows, over the same for n log n. It is at most 1 if they grow no faster than that.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from harmonic.randomness import derive

SEED, TARGET = 0, "class"
SMALLEST = 1000  # its seconds and memory are those of the program itself
CATEGORIES = {  # of Adult, and how many of each it has
    "workclass": 9, "education": 16, "marital-status": 7, "occupation": 15, "relationship": 6, "race": 5, "sex": 2,
    "native-country": 42,
}  # fmt: skip
JITTERED = {"age": (2, 17, 90), "hours-per-week": (2, 1, 99)}  # by at most so much, within the bounds
SPREAD = 0.05  # of the jitter of fnlwgt, as a share


def adult_like(rows: int, data_dir: str | None) -> pd.DataFrame:
    """A table of 14 features and a class, like Adult's; the same for the same number of rows."""
    draw = np.random.default_rng(derive(SEED, "large table", rows))
    frame = _made_up(rows, draw) if data_dir is None else _resampled(rows, draw, Path(data_dir))
    for name, (most, low, high) in JITTERED.items():
        frame[name] = np.clip(frame[name] + draw.integers(-most, most + 1, rows), low, high)
    frame["fnlwgt"] = np.rint(frame["fnlwgt"] * draw.lognormal(0, SPREAD, rows))
    return frame.astype(dict.fromkeys(frame.select_dtypes("number"), "int64"))


def _resampled(rows: int, draw: np.random.Generator, data_dir: Path) -> pd.DataFrame:
    files = sorted((data_dir / "adult" / "raw").glob("adult_*.csv"))
    real = pd.concat([pd.read_csv(file, keep_default_na=False) for file in files], ignore_index=True)
    return real.iloc[draw.integers(len(real), size=rows)].reset_index(drop=True)


def _made_up(rows: int, draw: np.random.Generator) -> pd.DataFrame:
    """Rows in which everything depends on one hidden number."""
    hidden = draw.normal(size=rows)
    cells: dict[str, Any] = {
        "age": np.clip(38 + 10 * hidden + draw.normal(0, 8, rows), 17, 90).round(),
        "fnlwgt": draw.lognormal(12, 0.6, rows).round(),
        "education-num": np.clip(10 + 2 * hidden + draw.normal(0, 1.5, rows), 1, 16).round(),
        "capital-gain": np.where(draw.random(rows) < 0.08, draw.lognormal(8.5, 1, rows), 0).round(),
        "capital-loss": np.where(draw.random(rows) < 0.05, draw.normal(1900, 300, rows), 0).round(),
        "hours-per-week": np.clip(40 + 3 * hidden + draw.normal(0, 10, rows), 1, 99).round(),
    }
    for name, count in CATEGORIES.items():
        usual = np.argsort(draw.normal(size=count)) + 1.0
        shares = 1 / usual / (1 / usual).sum()
        moved = np.clip(draw.random(rows) + 0.1 * hidden, 0, 1 - 1e-9)
        cells[name] = np.array([f"{name} {place}" for place in range(count)], dtype=object)[
            np.searchsorted(np.cumsum(shares), moved)
        ]
    cells[TARGET] = np.where(hidden + draw.normal(size=rows) > 1, "1", "0").astype(object)
    return pd.DataFrame(cells)


def apart(*command: str) -> tuple[str, dict[str, float]]:
    """Run a command. What it printed, and its seconds: {"seconds", "cpu_seconds"}."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, {"seconds": round(time.perf_counter() - started, 1), "cpu_seconds": round(cpu, 1)}


def prompts(file: Path, output: Path, llm: str) -> dict[str, Any]:
    """The command up to the prompts, on one file."""
    said, found = apart(
        "experiments.run", "dataset=csv", f"dataset.path={file}", f"dataset.target={TARGET}", f"llm={llm}",
        "stage=prompts", "tracker=off", f"output_dir={output}",
    )  # fmt: skip
    folder = Path(said.strip().splitlines()[-1].removeprefix("run: "))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    stages = {name: stage["seconds"] for name, stage in report["stages"].items()}
    return {**found, "peak_mb": report["peak_rss_mb"], "stages": stages, "coverage": report.get("coverage")}


def neighbors(file: str, exact: bool) -> dict[str, Any]:
    """In this process: the neighbours of all training rows of the file."""
    from harmonic.datasets import Dataset
    from harmonic.peak_memory import peaks
    from harmonic.prompts import neighbors as module
    from harmonic.prompts.neighbors import NearestRows

    train = Dataset(path=file, target=TARGET, formats="plain", missing_values=()).load(SEED).train
    if exact:
        module.EXACT_PAIRS = 10**15
    search = NearestRows(train, 5, "same_label")
    started, cpu = time.perf_counter(), time.process_time()
    found = search.of(np.arange(len(train)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    module.EXACT_PAIRS = 10**15
    some = np.random.default_rng(derive(SEED, "measured rows")).permutation(len(train))[:200]
    true = search.of(some)
    return {
        "training_rows": len(train), "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), **peaks(),
        "recall": float(np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found[some], true, strict=True)])),
    }  # fmt: skip


def growth(found: dict[int, dict[str, Any]], name: str) -> float:
    """How the largest table compares with the smallest, over n log n; at most 1 if it grows no faster."""
    base, low, *_, high = sorted(found)
    over = [max(found[rows][name] - found[base][name], 1e-9) for rows in (low, high)]
    return round(over[1] / over[0] / (high * math.log(high) / (low * math.log(low))), 3)


def measure(arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """All that is measured, by number of rows."""
    found = {}
    with TemporaryDirectory(prefix="harmonic-") as folder:
        for rows in sorted({SMALLEST, *arguments.rows}):
            file = Path(folder) / f"rows{rows}.csv"
            asked = ["--write", str(file), "--rows", str(rows)]
            asked += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
            apart("experiments.benchmarks.large_tables", *asked)  # not here: the peak of a child starts at its parent's
            found[rows] = prompts(file, Path(folder) / "outputs", arguments.llm)
            if rows in arguments.neighbors:
                said, _ = apart("experiments.benchmarks.large_tables", "--neighbors-of", str(file))
                found[rows]["neighbors"] = json.loads(said.splitlines()[-1])
            print(rows, json.dumps(found[rows]), flush=True)
            file.unlink()
    return found


def show(found: dict[int, dict[str, Any]]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    titles = ("rows", "seconds", "processor s", "peak MB", "split s", "prompts s", "neighbours of all: s", "recall")
    grid = Grid(*titles, title="From the file to the prompts")
    for rows, one in found.items():
        near = one.get("neighbors", {})
        cells = (one["seconds"], one["cpu_seconds"], one["peak_mb"], one["stages"]["split"], one["stages"]["prompts"])
        last = (str(near.get("cpu_seconds", "")), f"{near['recall']:.1%}" if near else "")
        grid.add_row(f"{rows:,}", *map(str, cells), *last)
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line. With --write or --neighbors-of do only that, in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000])
    parser.add_argument("--neighbors", type=int, nargs="*", default=[10_000, 100_000], help="sizes to find all of")
    parser.add_argument("--data-dir", default=os.environ.get("HARMONIC_DATA_DIR"), help="folder of <name>/raw/*.csv")
    parser.add_argument("--llm", default="smollm2_135m", help="whose tokens are counted")
    parser.add_argument("--write", help="only write the table of --rows rows to this file")
    parser.add_argument("--neighbors-of", help="only find the neighbours of all training rows of this file")
    parser.add_argument("--exact", action="store_true", help="with --neighbors-of: compare every pair")
    arguments = parser.parse_args()
    if arguments.write:
        adult_like(arguments.rows[0], arguments.data_dir).to_csv(arguments.write, index=False)
    elif arguments.neighbors_of:
        print(json.dumps(neighbors(arguments.neighbors_of, arguments.exact)))
    else:
        found = measure(arguments)
        show(found)
        ratios = {name: growth(found, name) for name in ("cpu_seconds", "peak_mb")}
        print(
            json.dumps({"benchmark": "large_tables", "rows": found, "growth": ratios, "ratio": ratios["cpu_seconds"]})
        )


if __name__ == "__main__":
    main()
