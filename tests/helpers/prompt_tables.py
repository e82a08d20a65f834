"""Tables and schemas that the tests of prompts share."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from numpy.typing import NDArray

from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import RandomRows
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.sampling_prompts import sampling_prompts
from harmonic.prompts.training_prompts import Neighborhoods, answers
from harmonic.tables.table import Column, Kind, Schema, Table, Task

SCHEMA = Schema(
    columns=(
        Column(name="age", kind=Kind.INTEGER),
        Column(name="dose", kind=Kind.FLOAT, decimals=3),
        Column(name="city", kind=Kind.CATEGORY, categories=("Bern", "Paris")),
        Column(name="ill", kind=Kind.CATEGORY, categories=("0", "1")),
    ),
    target="ill",
    task=Task.BINARY,
    description="patients",
)


def make_table(n: int, seed: int = 0) -> Table:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 100, n),
            "dose": generator.normal(size=n).round(3),
            "city": generator.choice(["Bern", "Paris"], n).astype(object),
            "ill": generator.choice(["0", "1"], n, p=[0.95, 0.05]).astype(object),
        }
    )
    return Table(SCHEMA.conform(frame), SCHEMA)


def examples_of(prompt: Prompt) -> list[list[tuple[str, str]]]:
    """The rows that a prompt shows, and its answer if it has one, as (name, text) pairs in order."""
    lines = [line.partition(": ")[2] for line in prompt.prompt.split("\n")[1:-1]]
    return [json.loads(line, object_pairs_hook=list) for line in [*lines, prompt.completion] if line]


names = st.text(min_size=1)
texts = st.one_of(st.text(), st.sampled_from(['"', "}{", "a\nb", "\\", "😀 {", '{"x": "1"}', "\u2028", "\x00", "nan"]))


@st.composite
def schemas_and_rows(draw: st.DrawFn) -> tuple[Schema, dict[str, int | float | str]]:
    columns: list[Column] = []
    row: dict[str, int | float | str] = {}
    for name in draw(st.lists(names, min_size=1, max_size=6, unique=True)):
        kind = draw(st.sampled_from(Kind))
        if kind is Kind.INTEGER:
            row[name] = draw(st.integers(-(10**16), 10**16))
        elif kind is Kind.FLOAT:
            row[name] = draw(st.floats(allow_nan=False, allow_infinity=False))
        else:
            row[name] = draw(texts)
        categories = (str(row[name]), "other") if kind is Kind.CATEGORY else ()
        columns.append(Column(name=name, kind=kind, categories=categories, decimals=400))
    schema = Schema(columns=tuple(columns), target=columns[-1].name, task=Task.REGRESSION, description="rows")
    return schema, row


def tuning_set(
    table: Table, *, k: int = 3, metric: Metric = "mixed", filter: bool = False, threshold: int = 1,
    permutation: str | bool = "none", seed: int = 5, shown: int | None = None, form: str = "json",
) -> list[Prompt]:  # fmt: skip
    """The tuning prompts of the paper: a row as the answer to its neighbours."""
    around = Neighborhoods.of(table, k=k, metric=metric, filter=filter, threshold=threshold, seed=seed)
    orders = ColumnOrders.of(table.schema, permutation)
    return list(answers(table, find_row_format(form, table.schema), around, orders, shown=shown or k, seed=seed))


def sampling_set(
    table: Table, *, k: int, n: int, permutation: str | bool, seed: int, metric: Metric = "mixed",
    exclude: Sequence[Prompt] = (), among: NDArray[np.int64] | None = None,
) -> list[Prompt]:  # fmt: skip
    """The sampling prompts of the paper: random rows as examples."""
    context = RandomRows(np.arange(len(table)), k, seed, metric=metric, exclude=exclude, among=among)
    orders = ColumnOrders.of(table.schema, permutation)
    return sampling_prompts(table, find_row_format("json", table.schema), context, orders, range(n), document=False)
