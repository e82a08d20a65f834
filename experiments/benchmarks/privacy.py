"""Time and memory of the privacy metrics for tables of the size of Adult and larger.

    python -m experiments.benchmarks.privacy [--data-dir DIR] [--parts copies distances texts suite]

Each procedure runs in its own process (peak memory is that of the whole process, including reading; the time does not
include reading):

- copies: `nrs` with as many synthetic as training rows; compared with SDMetrics' NewRowSynthesis on the first --limit
  synthetic rows, scaled to all; both must find the same new rows in this part;
- distances: dcr, dcr/share and nndr of --distance-rows made-up rows, with as many training rows and a fifth as many
  held-out rows (it also looks for copies); compared with a plain blocked cdist on the first --limit rows, scaled;
- texts: LevAtt with --texts candidates and as many synthetic rows; compared with rapidfuzz, all with all, for the first
  --limit candidates, scaled;
- suite: each evaluator of fidelity, structure, privacy and membership that needs no language model.

The columns of the synthetic table are drawn independently from the training rows, and every tenth row is a copy.
Without a data folder, the tables are made up, with the size and the columns of Adult.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from experiments.benchmarks.instruction_set import SHAPES, made_up
from harmonic.evaluation.attacks.text import row_texts, smallest_distances
from harmonic.evaluation.base import Evaluator
from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.comparison.matching import matching_rows
from harmonic.evaluation.comparison.nearest import nearest_distances
from harmonic.evaluation.fidelity.authenticity import SampleQuality
from harmonic.evaluation.fidelity.columns_and_pairs import Fidelity
from harmonic.evaluation.fidelity.global_utility import GlobalUtility
from harmonic.evaluation.fidelity.separability import Separability
from harmonic.evaluation.privacy.copies_and_distances import Privacy
from harmonic.evaluation.privacy.membership import ON_ROWS, MembershipInference
from harmonic.peak_memory import peaks
from harmonic.randomness import derive
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table

SEED = 0
SIZES = (26048, 6513, 16281)  # of Adult's parts
PARTS = ("copies", "distances", "texts", "suite")


def load(data_dir: str | None) -> Splits:
    """Adult, or a made-up table with the same shape and split."""
    if data_dir is None:
        return split(made_up(sum(SIZES), *SHAPES["adult"][1:]), *SIZES)
    from experiments.configuration.building import configured

    found: Splits = configured("dataset=adult", f"data_dir={data_dir}")["dataset"].load(SEED)
    return found


def split(table: Table, *sizes: int) -> Splits:
    """The rows in order, as train, validation and test."""
    train, val, test = (table.take(part) for part in np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]))
    return Splits(train, val, test)


def synthetic(train: Table, rows: int) -> Table:
    """Independent columns; every tenth row is a copy."""
    generator = np.random.default_rng(derive(SEED, "made rows"))
    drawn = {name: values.to_numpy()[generator.integers(len(train), size=rows)] for name, values in train.frame.items()}
    frame = pd.DataFrame(drawn)
    frame.iloc[::10] = train.frame.iloc[generator.integers(len(train), size=len(frame.iloc[::10]))].to_numpy()
    return Table(train.schema.conform(frame), train.schema)


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of the work, and its wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}


def compared(ours: dict[str, float], plain: dict[str, float], share: float, same: bool) -> dict[str, Any]:
    """Ours and the plain procedure, which did this share of the work."""
    scaled = {f"plain_{name}": value / share for name, value in plain.items()}
    ratio = {"ratio": scaled["plain_seconds"] / ours["seconds"]}
    return {**ours, **scaled, **ratio, "cpu_ratio": scaled["plain_cpu_seconds"] / ours["cpu_seconds"], "same": same}


def copies(arguments: argparse.Namespace) -> dict[str, Any]:
    """`nrs` against SDMetrics."""
    from sdmetrics.single_table import NewRowSynthesis

    train = load(arguments.data_dir).train
    rows, schema = synthetic(train, len(train)).frame, train.schema
    columns = {c.name: {"sdtype": "numerical" if c.is_numeric else "categorical"} for c in schema.columns}
    found, ours = timed(lambda: matching_rows(train.frame, rows, schema))
    part = rows[: arguments.limit]
    score, plain = timed(lambda: NewRowSynthesis.compute(train.frame, part, {"columns": columns}))
    same = bool(np.isclose(1 - found[: len(part)].mean(), score))
    return {"rows": len(rows)} | compared(ours, plain, len(part) / len(rows), same)


def distances(arguments: argparse.Namespace) -> dict[str, Any]:
    """Distances to the closest records against cdist."""
    from scipy.spatial.distance import cdist

    count = arguments.distance_rows
    splits = split(made_up(count + count // 5, *SHAPES["adult"][1:]), count, 0, count // 5)
    made = synthetic(splits.train, count)
    measures, ours = timed(lambda: Privacy().evaluate(splits, made, seed=SEED))
    part, encoder = made.frame[: arguments.limit], Encoder.fit(splits.train)
    points, queries = (encoder.dense(rows, one=0.5**0.5) for rows in (splits.train.frame, part))
    step = max(1, 2**24 // count)
    blocks = range(0, len(queries), step)
    plain_found, plain = timed(lambda: [np.sort(cdist(queries[i : i + step], points))[:, :2] for i in blocks])
    found = nearest_distances(part, splits.train.frame, encoder, neighbors=2)
    same = np.allclose(np.vstack(plain_found), found, atol=1e-6) and np.allclose(
        found[:, 0], measures.series["dcr"][: len(part)]
    )
    share = len(part) / len(made)  # the plain procedure does not use the held-out rows
    return {"rows": count} | compared(ours, plain, share, bool(same))


def texts(arguments: argparse.Namespace) -> dict[str, Any]:
    """LevAtt's distances against all with all."""
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    splits, count = load(arguments.data_dir), arguments.texts
    queries = row_texts(splits.test.frame[:count], splits.schema)
    known = row_texts(synthetic(splits.train, count).frame, splits.schema)
    found, ours = timed(lambda: smallest_distances(queries, known))
    part = queries[: arguments.limit]
    matrix, plain = timed(lambda: process.cdist(part, known, scorer=Levenshtein.distance, dtype=np.uint16))
    same = bool((matrix.min(axis=1) == found[: len(part)]).all())
    return {"rows": count} | compared(ours, plain, len(part) / len(queries), same)


def suite(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every evaluator that needs no language model."""
    splits = load(arguments.data_dir)
    made = synthetic(splits.train, len(splits.train))
    evaluators: list[Evaluator] = [
        *(Fidelity(), SampleQuality(), Separability(), GlobalUtility(), Privacy(), MembershipInference(list(ON_ROWS)))
    ]
    each = {}
    for evaluator in evaluators:
        _, each[type(evaluator).__name__] = timed(lambda e=evaluator: e.evaluate(splits, made, seed=SEED))  # type: ignore[misc]
    total = {name: sum(clock[name] for clock in each.values()) for name in ("seconds", "cpu_seconds")}
    return {"rows": len(made), **total, "evaluators": each}


def run_apart(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One part in its own process, with its peak memory."""
    command = [sys.executable, "-m", "experiments.benchmarks.privacy", "--procedure", part]
    command += ["--limit", str(arguments.limit), "--texts", str(arguments.texts)]
    command += ["--distance-rows", str(arguments.distance_rows)]
    command += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return json.loads(done.stdout.splitlines()[-1])


def show(results: dict[str, dict[str, Any]], made_up_rows: bool) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    title = "Privacy measures" + (" (made-up tables)" if made_up_rows else "")
    grid = Grid("part", "rows", "seconds", "cpu seconds", "peak MB", "plain / this", "same", title=title)
    for part, found in results.items():
        clocks = [f"{found[name]:.1f}" for name in ("seconds", "cpu_seconds")]
        ratio = f"{found['ratio']:,.1f}" if "ratio" in found else ""
        grid.add_row(
            part, f"{found['rows']:,}", *clocks, f"{found['peak_rss_mb']:.0f}", ratio, str(found.get("same", ""))
        )
        for name, clock in found.get("evaluators", {}).items():
            grid.add_row(f"  {name}", "", f"{clock['seconds']:.1f}", f"{clock['cpu_seconds']:.1f}")
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line. With --procedure measure in this process, else each part in its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default=os.environ.get("HARMONIC_DATA_DIR"), help="folder of adult/raw/*.csv")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--limit", type=int, default=100, help="rows for a plain procedure")
    parser.add_argument("--distance-rows", type=int, default=100_000)
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--procedure", choices=PARTS, help="measure only this one, in this process")
    arguments = parser.parse_args()
    if arguments.procedure:
        measured = {"copies": copies, "distances": distances, "texts": texts, "suite": suite}[arguments.procedure](
            arguments
        )
        print(json.dumps(measured | peaks()))
        return
    results = {part: run_apart(part, arguments) for part in arguments.parts}
    show(results, arguments.data_dir is None)
    ratios = {part: round(found["ratio"], 1) for part, found in results.items() if "ratio" in found}
    print(json.dumps({"benchmark": "privacy", "parts": results, "ratios": ratios, "ratio": ratios.get("copies")}))


if __name__ == "__main__":
    main()
