"""Rows learnt and rows drawn a second: lists of rows (harmonic_dense) against the paper's prompts (harmonic).

    python -m experiments.benchmarks.dense
    python -m experiments.benchmarks.dense --rows 128 --learnt 96

Both use the same model, table and number of rows, one after the other. Tuning uses `--learnt` rows as answers of the
paper's prompts, and six times as many rows in lists: the same number of prompts, less than a third as long. Rows are
then drawn with these adapters: the paper's way freely (only valid rows count) and constrained, ours constrained.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.configuration.building import configured
from harmonic.errors import SamplingError


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dataset", default="diabetes")
    options.add_argument("--llm", default="smollm2_135m")
    options.add_argument("--rows", type=int, default=64, help="rows to draw in each way")
    options.add_argument("--learnt", type=int, default=32, help="prompts to tune on in each way")
    given = options.parse_args(arguments)
    with TemporaryDirectory() as scratch:
        paper = measured(given, "harmonic", Path(scratch), ("free", "constrained"))
        ours = measured(given, "harmonic_dense", Path(scratch), ("constrained",))
    ways = {"the paper's prompts": paper, "lists of rows": ours}
    print(f"{'':22}{'learnt rows/s':>14}{'drawn rows/s, free':>20}{'constrained':>13}")
    for name, found in ways.items():
        free = f"{found['free']:.2f}" if "free" in found else ""
        print(f"{name:22}{found['learnt']:14.2f}{free:>20}{found['constrained']:13.2f}")
    ratios = {
        "learnt": ours["learnt"] / paper["learnt"],
        "drawn_against_constrained": ours["constrained"] / paper["constrained"],
        "drawn_against_free": ours["constrained"] / paper["free"] if paper["free"] else None,
    }
    print(json.dumps({"paper": paper, "dense": ours, "ratios": ratios}))


def measured(given: argparse.Namespace, generator: str, scratch: Path, ways: tuple[str, ...]) -> dict[str, float]:
    """Rows learnt per second, and rows drawn per second in each way."""
    words = [f"dataset={given.dataset}", f"llm={given.llm}", f"generator={generator}", "evaluator=fidelity"]
    parts = configured(*words, f"generator.tuning.max_examples={given.learnt}", "generator.tuning.max_tokens=null")
    splits, made = parts["dataset"].load(0), parts["generator"]
    prepared, fitted = scratch / generator / "prompts", scratch / generator / "fit"
    made.prepare(splits, given.rows, seed=0, directory=prepared)
    facts = made.fit(splits, seed=0, prepared=prepared, directory=fitted)
    rows_each = made.neighbors["k"] + 1 if made.supervision == "rows" else 1
    found = {"learnt": facts["examples"] * rows_each / facts["seconds"]}
    for way in ways:
        made.sampling |= {"mode": "reject", "attempts": 1} if way == "free" else {"mode": "constrained"}
        made.load(splits, prepared=prepared, directory=fitted)
        _ = made.fitted.tuned  # loaded before the clock starts
        found[way] = drawn(made, given.rows, scratch / generator / way)
    made.unload()
    return found


def drawn(made: Any, rows: int, directory: Path) -> float:
    """Valid rows per second; invalid free answers do not count."""
    started = time.perf_counter()
    try:
        made.sample(rows, seed=0, directory=directory)
        count = rows
    except SamplingError as error:
        count = int(str(error).split("only ")[1].split(" of")[0])
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
