"""Which temperature is best for unseen rows? Their likelihood after their neighbours, at several temperatures.

    python -m experiments.benchmarks.temperature RUN_FOLDER [--temperatures 0.7 0.8 0.9] [--rows 200]

RUN_FOLDER is a finished run of a HARMONIC generator. Each validation row (at most --rows) is scored after its nearest
training rows, as many as in the run's sampling prompts. The score is the negative log-likelihood of the row's text in
nats, mean over rows, and its difference to temperature 1 with a standard error. Less is better: a temperature with a
better score draws rows that are more similar to unseen rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.training_prompts import Neighborhoods, validation_prompts
from harmonic.tables.codes.coding import Coding
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tuning.lora import load_tuned
from harmonic.tuning.scoring import pairs_nll
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harmonic.method.generator import HarmonicGenerator

Pairs = tuple[list[list[int]], list[list[int]]]
"""Prompts and answers as token ids."""


def held_out(generator: HarmonicGenerator, splits: Splits, prepared: Path, most: int) -> Pairs:
    """At most this number of validation rows, each after its nearest training rows."""
    known, k = len(splits.train), int(generator.neighbors["k"])
    fit = PromptFit.read(prepared, k)
    frame = pd.concat([splits.train.frame, splits.val.frame.iloc[:most]], ignore_index=True)
    rows = Table(frame, splits.train.schema)
    around = Neighborhoods.of(
        rows, k=k, metric=generator.neighbors.get("metric", "mixed"), filter=False, threshold=0, seed=0,
        rows=np.arange(known),
    )  # fmt: skip
    table = fit.table(Coding.of(splits.train, generator.numbers, generator.categories).encode(rows))
    lists = generator.supervision == "rows"
    prompts = validation_prompts(
        table, find_row_format(generator.row_format, table.schema), around,
        ColumnOrders.of(table.schema, generator.permutation, generator.target), np.arange(known, len(rows)),
        shown=generator.checked()[0].rows_shown(fit.k), document=lists, seed=0,
    )  # fmt: skip
    encoded = Chat(generator.llm.tokenizer()).encode(prompts)
    starts = [learnt.index(True) for _, learnt in encoded]
    shown = [ids[:start] for (ids, _), start in zip(encoded, starts, strict=True)]
    return shown, [ids[start:] for (ids, _), start in zip(encoded, starts, strict=True)]


@contextmanager
def at_temperature(model: PreTrainedModel, temperature: float) -> Iterator[None]:
    """Within this block, the model's logits are divided by the temperature."""

    def cooled(module: Any, inputs: Any, output: Any) -> Any:
        output.logits = output.logits.float() / temperature
        return output

    handle = model.register_forward_hook(cooled)
    try:
        yield
    finally:
        handle.remove()


def nll_by_temperature(
    model: PreTrainedModel, pairs: Pairs, temperatures: Sequence[float], vocabulary: Vocabulary | None
) -> dict[float, NDArray[np.float64]]:
    """The negative log-likelihood of each answer, (answers,), nats, at each temperature."""
    found = {}
    for temperature in temperatures:
        with at_temperature(model, temperature):
            found[temperature] = pairs_nll(model, *pairs, stage=f"at {temperature:g}", vocabulary=vocabulary)
    return found


def main() -> None:
    """Parse the command line, score, print."""
    from rich.console import Console
    from rich.table import Table as Grid

    from experiments.configuration.building import reopened

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.6, 0.7, 0.8, 0.9, 1.1])
    parser.add_argument("--rows", type=int, default=200, help="most validation rows to score")
    arguments = parser.parse_args()
    parts = reopened(arguments.run)
    splits, generator = parts["dataset"].load(parts["seed"]), parts["generator"]
    if splits.rules is not None:
        splits = splits.reduced(splits.rules)  # columns that follow from others were not learnt
    pairs = held_out(generator, splits, arguments.run / "prompts", arguments.rows)
    vocabulary = Vocabulary.read(arguments.run / "adapter")
    model, _ = load_tuned(generator.llm, arguments.run / "adapter")
    if vocabulary is not None:
        vocabulary.narrow(model)
    found = nll_by_temperature(model, pairs, sorted({1.0, *arguments.temperatures}), vocabulary)
    grid = Grid("temperature", "nats a row", "against 1", "standard error", title=f"{len(pairs[0])} rows")
    for temperature, values in found.items():
        apart = values - found[1.0]
        error = apart.std(ddof=1) / len(apart) ** 0.5
        grid.add_row(f"{temperature:g}", f"{values.mean():.3f}", f"{apart.mean():+.3f}", f"{error:.3f}")
    Console(width=100).print(grid)
    means = {f"{temperature:g}": float(values.mean()) for temperature, values in found.items()}
    best = min(means, key=means.__getitem__)
    report = {"benchmark": "temperature", "run": arguments.run.name, "rows": len(pairs[0]), "nll": means, "best": best}
    print(json.dumps(report | {"ratio": means[best] / means["1"]}))


if __name__ == "__main__":
    main()
