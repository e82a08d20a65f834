"""How constrained decoding changes the rows, compared with free decoding.

    python -m experiments.benchmarks.constrained_bias RUN_FOLDER [--rows 200] [--seeds 0 1 2]

RUN_FOLDER is a finished run of a HARMONIC generator. With its adapter and its sampling prompts, rows are drawn freely
with two seeds (invalid answers are drawn again), and constrained with a third seed. Two numbers compare constrained
with free rows; the same numbers for free and free rows show what chance does:

- column shapes: mean over the columns of sdmetrics' KSComplement and TVComplement, in [0, 1], 1 is equal;
- C2ST: 1 - |2 AUC - 1| of boosted trees that tell the two apart (5 folds), in [0, 1], 1 is inseparable.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from experiments.configuration.building import reopened
from harmonic.evaluation.comparison.encoding import Encoder
from harmonic.evaluation.fidelity.separability import c2st
from harmonic.generators.sample import Sample
from harmonic.tables.table import Schema, Table


def load(folder: Path) -> tuple[Any, Schema]:
    """The run's generator with its adapter, and the schema."""
    parts = reopened(folder)
    splits, generator = parts["dataset"].load(parts["seed"]), parts["generator"]
    generator.load(splits, prepared=folder / "prompts", directory=folder)
    return generator, splits.schema


def draw(generator: Any, mode: str, rows: int, seed: int) -> Sample:
    """Rows drawn in one way, with everything else as in the run."""
    generator.sampling = {**generator.sampling, "mode": mode, "attempts": None}
    with TemporaryDirectory() as scratch:
        return generator.sample(rows, seed=seed, directory=Path(scratch))


def column_shapes(first: pd.DataFrame, second: pd.DataFrame, schema: Schema) -> dict[str, float]:
    """Similarity of the columns' distributions, in [0, 1]."""
    from sdmetrics.single_column import KSComplement, TVComplement

    return {
        column.name: float(
            (KSComplement if column.is_numeric else TVComplement).compute(first[column.name], second[column.name])
        )
        for column in schema.columns
    }


def main() -> None:
    """Parse the command line, draw, compare, print."""
    from rich.console import Console
    from rich.table import Table as Grid

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--rows", type=int, default=200, help="rows of each draw; at most the run's n_samples")
    parser.add_argument("--seeds", type=int, nargs=3, default=[101, 102, 103], help="free, free again, constrained")
    arguments = parser.parse_args()
    generator, schema = load(arguments.run)
    ways = ("reject", "reject", "constrained")
    free, again, constrained = (
        draw(generator, way, arguments.rows, seed) for way, seed in zip(ways, arguments.seeds, strict=True)
    )
    pairs = {"free, free": (free, again), "free, constrained": (free, constrained)}
    pairs["free again, constrained"] = (again, constrained)
    shapes = {name: column_shapes(a.frame, b.frame, schema) for name, (a, b) in pairs.items()}
    encoder = Encoder.fit(Table(free.frame, schema))
    separability = {name: c2st(a.frame, b.frame, encoder, seed=0) for name, (a, b) in pairs.items()}
    grid = Grid("", *pairs, title=f"{arguments.rows} rows of each; 1 is equal")
    for column in schema.names:
        grid.add_row(column, *(f"{found[column]:.3f}" for found in shapes.values()))
    mean = {name: float(np.mean(list(found.values()))) for name, found in shapes.items()}
    grid.add_section()
    grid.add_row("column shapes", *(f"{value:.3f}" for value in mean.values()))
    grid.add_row("C2ST", *(f"{value:.3f}" for value in separability.values()))
    Console(width=100).print(grid)
    report = {"benchmark": "constrained_bias", "run": arguments.run.name, "rows": arguments.rows}
    report |= {"column_shapes": mean, "c2st": separability, "columns": shapes, "raw_validity": free.validity["raw"]}
    report["constrained_cut"] = constrained.validity["constrained_cut"]
    report["ratio"] = mean["free, constrained"] / mean["free, free"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
