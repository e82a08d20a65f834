"""The instruction, and the two prompt sets (paper, section 3.1 and 3.3).

A tuning prompt shows the k neighbours of a training row and its answer is that row; a sampling prompt
shows k random training rows and has no answer. The instruction's wording is that of the published data.

    Here are 5 tabular data about diabetic patients, each containing 8 columns of features and 1 column
    of labels, where the Outcome column is a binary classification label. I will transmit the data to you
    in JSON format. Please generate an approximate sample based on these 5 examples.
    Example one: {"Pregnancies": "10.0", "Glucose": "68.0", …, "Outcome": "0"}
    …
    Generate one sample: {"Pregnancies": "8.0", "Glucose": "74.0", …, "Outcome": "0"}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.prompts.neighbors import Metric, check_neighbors, label_filter, nearest
from harmonic.prompts.row_json import RowTexts, as_json
from harmonic.tables.missing_values import Completion
from harmonic.tables.table import Schema, Table

_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()

# First entry of a seed sequence: no two purposes share a stream of random numbers (neighbors.py has 3).
_TUNING_ORDER, _SAMPLING = 1, 2
_REDRAWS = 1000
_CHUNK = 4096  # tuning prompts rendered at once


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt and its answer ("" in a sampling prompt).

    `rows` are the positions in the training table of the rows that the prompt shows, in order.
    """

    prompt: str
    completion: str = ""
    rows: tuple[int, ...] = ()


# ---- prompts


def instruction(schema: Schema, k: int) -> tuple[str, list[str], str]:
    """The fixed parts of a prompt with k examples: head, what stands before each example, and tail."""
    columns = f"{len(schema.features)} columns of features"
    if schema.has_target:
        columns += f" and 1 column of labels, where the {schema.target} column is a {schema.task.value} label"
    head = (
        f"Here are {k} tabular data about {schema.description}, each containing {columns}. "
        "I will transmit the data to you in JSON format. "
        f"Please generate an approximate sample based on these {k} examples."
    )
    numbers = [*_WORDS[:k], *map(str, range(len(_WORDS) + 1, k + 1))]
    return head, [f"\nExample {number}: " for number in numbers], "\nGenerate one sample: "


def training_prompts(
    table: Table, *, k: int, metric: Metric, filter: bool, threshold: int, permutation: bool, seed: int,
    shown: int | None = None,
) -> list[Prompt]:  # fmt: skip
    """The tuning set: for each training row kept, its k neighbours as examples and the row as the answer.

    In row order. `filter` keeps a row if more than `threshold` neighbours share its label (for
    classification). `permutation` shuffles the columns of every example and answer, each by its own
    draw. `shown`: examples that a prompt has room for, the nearest of the k (None: all). Raises ConfigError as
    `nearest` and `label_filter` do.
    """
    neighbors = nearest(Completion.of(table).table(table), k, metric, seed)  # a missing value is far from any other
    kept = np.flatnonzero(label_filter(table, neighbors, threshold)) if filter else np.arange(len(table))
    neighbors = neighbors[:, :shown]
    texts = RowTexts(table)
    generator = np.random.default_rng([_TUNING_ORDER, seed]) if permutation else None
    prompts: list[Prompt] = []
    for start in range(0, len(kept), _CHUNK):  # in chunks, for memory
        answers = kept[start : start + _CHUNK]
        together = np.column_stack([neighbors[answers], answers])
        orders = _orders(generator, together.size, len(table.schema.columns)) if generator else None
        written = texts.render(together.ravel(), orders)
        prompts += _assemble(table.schema, neighbors[answers], _groups(written, together.shape[1]))
    return prompts


def sampling_prompts(
    table: Table,
    *,
    k: int,
    n: int,
    permutation: bool,
    seed: int,
    exclude: Iterable[Prompt] = (),
    metric: Metric = "mixed",
    start: int = 0,
    among: NDArray[np.int64] | None = None,
) -> list[Prompt]:
    """Prompts number start … start + n - 1 for sampling, each with k distinct random training rows.

    Prompt i depends on (seed, i), the table and `exclude`, never on n: a set of prompts can be extended.
    A prompt that would show the same set of rows as one of `exclude` (the tuning prompts) is drawn
    again. `permutation` shuffles the columns of every example by its own draw. With metric
    "reference" the draw, too, is the published one: `DataFrame.sample(n=k, random_state=seed + i)`.
    `among`: positions of rows to show before any others; where they are fewer than k, others join them.
    Raises ConfigError when the table has fewer than k + 1 rows, or no new set of rows is found.
    """
    check_neighbors(len(table), k, metric)
    taken = {frozenset(prompt.rows) for prompt in exclude}
    shown = np.empty((n, k), dtype=np.int64)
    orders = np.empty((n, k, len(table.schema.columns)), dtype=np.int64) if permutation else None
    for place in range(n):
        generator = np.random.default_rng([_SAMPLING, seed, start + place])
        draws: Iterator[NDArray[np.int64]] = _draws(generator, len(table), k, among)
        if metric == "reference" and among is None:
            published = np.random.RandomState(seed + start + place).choice(len(table), size=k, replace=False)
            draws = chain([published], draws)
        shown[place] = _outside(taken, draws, len(table), k)
        if orders is not None:
            orders[place] = _orders(generator, k, orders.shape[2])
    flat = None if orders is None else orders.reshape(n * k, -1)
    return _assemble(table.schema, shown, _groups(RowTexts(table).render(shown.ravel(), flat), k))


def _outside(
    taken: set[frozenset[int]], draws: Iterator[NDArray[np.int64]], population: int, k: int
) -> NDArray[np.int64]:
    """The first of the draws whose set of rows is not taken."""
    for rows in draws:
        if frozenset(rows.tolist()) not in taken:
            return rows
    problem = f"of {population} training rows, nearly every set of {k} is shown by a tuning prompt already"
    raise ConfigError("generator.neighbors.k", k, problem, "lower it, or use more training rows")


def _draws(
    generator: np.random.Generator, population: int, k: int, among: NDArray[np.int64] | None
) -> Iterator[NDArray[np.int64]]:
    """Sets of k rows to show, each drawn anew: of `among` as many as there are, and in the end of all rows."""
    if among is not None:
        others = np.setdiff1d(np.arange(population), among)
        for _ in range(_REDRAWS if len(among) else 0):
            first = generator.choice(among, size=min(k, len(among)), replace=False)
            rest = generator.choice(others, size=k - len(first), replace=False)
            yield generator.permutation(np.concatenate([first, rest]))
    for _ in range(_REDRAWS):
        yield generator.choice(population, size=k, replace=False)


def _orders(generator: np.random.Generator, count: int, columns: int) -> NDArray[np.int64]:
    """`count` independent random orders of the columns: (count, columns)."""
    return generator.random((count, columns)).argsort(axis=1)


def _groups(texts: list[str], size: int) -> Iterator[list[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _assemble(schema: Schema, shown: NDArray[np.int64], groups: Iterable[list[str]]) -> list[Prompt]:
    """Prompts from each one's row texts: k examples, then the answer if there is one."""
    k = shown.shape[1]
    head, before, tail = instruction(schema, k)
    prompts = []
    for rows, texts in zip(shown.tolist(), groups, strict=True):
        body = "".join([part for pair in zip(before, texts, strict=False) for part in pair])
        prompts.append(Prompt(f"{head}{body}{tail}", texts[k] if len(texts) > k else "", tuple(rows)))
    return prompts


# ---- files


def write_prompts(prompts: Iterable[Prompt], path: Path) -> None:
    """One {"prompt", "completion", "rows"} a line, UTF-8. The file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for prompt in prompts:
            line = {"prompt": prompt.prompt, "completion": prompt.completion, "rows": prompt.rows}
            file.write(as_json(line) + "\n")
    os.replace(partial, path)


def read_prompts(path: Path) -> list[Prompt]:
    """The inverse of `write_prompts`; "rows" may be absent. Raises DataError naming the line."""
    prompts = []
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                plain = json.loads(line)
                prompts.append(Prompt(plain["prompt"], plain["completion"], tuple(plain.get("rows", ()))))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problem = f"{path}, line {number} is no prompt: {error!r}"
                raise DataError(f"{problem}\n  fix: remove the file, and it is written anew") from error
    return prompts
