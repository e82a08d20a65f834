"""Tuning prompts: a row as the answer to its neighbours, or lists of neighbours (paper, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harmonic.prompts import covering
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import Nearest, near, spread
from harmonic.prompts.instruction import question, row_list
from harmonic.prompts.neighbors import Metric, NearestRows, label_filter
from harmonic.prompts.prompt import Order, Prompt
from harmonic.prompts.row_format import RowFormat, RowTexts
from harmonic.randomness import derive
from harmonic.tables.missing_values import Imputation
from harmonic.tables.table import Table

_CHUNK = 4096  # prompts whose rows are written together
_SPARE = 3  # times the wanted neighbours are searched for if some rows must not be neighbours


@dataclass(frozen=True)
class Neighborhoods:
    """The nearest other rows of every row, and the rows that the label filter keeps.

    nearest: (n, k) positions, or as many columns as asked for, the nearest first; for a large table a function that
    finds them for some rows. kept: positions.
    """

    nearest: Nearest
    kept: NDArray[np.int64]

    @classmethod
    def of(
        cls, table: Table, *, k: int, metric: Metric, filter: bool, threshold: int, seed: int,
        pool: int | None = None, rows: NDArray[np.int64] | None = None,
    ) -> Neighborhoods:  # fmt: skip
        """`filter` keeps a row if more than `threshold` of its k neighbours share its label.

        pool: how many neighbours to find (None: k), at most as many as there are. rows: positions of the rows to learn
        (None: all); the other rows have neighbours among these, and are not kept. Raises ConfigError as `nearest` and
        `label_filter` do.
        """
        whole = Imputation.of(table).table(table)  # a missing value is far from any other
        most = len(table) - 1
        wanted = min(max(pool or k, k), (most if rows is None else len(rows) - 1))
        search = NearestRows(whole, wanted if rows is None else min(_SPARE * wanted, most), metric, seed)

        def find(places: NDArray[np.int64]) -> NDArray[np.int64]:
            found = search.of(places)
            return found if rows is None else _among(found, places, rows, wanted, seed)

        # The filter needs the neighbours of every row.
        found: Nearest = find if len(table) > covering.LARGE and not filter else find(np.arange(len(table)))
        passed = np.ones(len(table), dtype=bool)
        if filter and isinstance(found, np.ndarray):
            passed = label_filter(table, found[:, :k], threshold)
        if rows is not None:
            passed &= np.isin(np.arange(len(table)), rows)
        return cls(found, np.flatnonzero(passed))


def validation_rows(rows: int, share: float, seed: int) -> NDArray[np.int64]:
    """Positions of the training rows that are kept back for validation: a seeded share, in ascending order."""
    generator = np.random.default_rng(derive(seed, "validation rows"))
    return np.sort(generator.permutation(rows)[: round(share * rows)])


def _among(
    found: NDArray[np.int64], places: NDArray[np.int64], rows: NDArray[np.int64], k: int, seed: int
) -> NDArray[np.int64]:
    """The first k neighbours of each row that are among `rows`; if there are too few, random ones are added.

    places: the rows whose neighbours were found, (m,).
    """
    learnt = np.isin(found, rows)
    order = np.argsort(~learnt, axis=1, kind="stable")[:, :k]
    nearer = np.take_along_axis(found, order, axis=1)
    for place in np.flatnonzero(learnt.sum(axis=1) < k):
        row = int(places[place])
        own = nearer[place][: learnt[place].sum()]
        others = np.setdiff1d(rows, [*own, row])
        generator = np.random.default_rng(derive(seed, "further neighbors", row))
        nearer[place] = [*own, *generator.choice(others, size=k - len(own), replace=False)]
    return nearer


def answers(
    table: Table, row_format: RowFormat, around: Neighborhoods, orders: ColumnOrders, *, shown: int, seed: int,
    most: int | None = None, groups: NDArray[np.int64] | None = None,
) -> Iterator[Prompt]:  # fmt: skip
    """For each kept row, in order: a prompt with its `shown` nearest rows as examples, and the row as the answer.

    most: for at most so many of these rows. They have rows of all `groups`, (n,), in their shares.
    """
    texts = RowTexts(table, row_format)
    generator = np.random.default_rng(derive(seed, "tuning answers"))
    kept = around.kept
    if most is not None and most < len(kept):
        kept = np.sort(spread(kept, groups, np.random.default_rng(derive(seed, "answered rows")))[:most])
    every = np.column_stack([near(around.nearest, kept)[:, :shown], kept])
    for start in range(0, len(kept), _CHUNK):  # in chunks, for memory
        together = every[start : start + _CHUNK]
        drawn = row_orders(orders, generator, *together.shape)
        written = iter(texts.render(together.ravel(), drawn))
        for rows, own in zip(together.tolist(), order_tuples(drawn, *together.shape), strict=True):
            *examples, answer = [(next(written), row, order) for row, order in zip(rows, own, strict=True)]
            yield question(row_format, examples, answer, None if orders.permutation == "row" else own[-1])


def lists(
    table: Table,
    row_format: RowFormat,
    around: Neighborhoods,
    orders: ColumnOrders,
    *,
    shown: int,
    passes: float,
    seed: int,
    most: int | None = None,
    groups: NDArray[np.int64] | None = None,
) -> Iterator[Prompt]:
    """Lists of `shown` + 1 rows, a row and its nearest rows in random order. All of them are learnt.

    There are so many lists that each row is learnt `passes` times on average, or `most`. Every kept row is the centre
    of one list before any is the centre of a second; every part of the lists has centres of all `groups`, (n,), in
    their shares.
    """
    generator = np.random.default_rng(derive(seed, "tuning lists"))
    texts = RowTexts(table, row_format)
    count = max(math.ceil(passes * len(table) / (shown + 1)), 1)
    count = count if most is None else min(count, most)
    rounds = [spread(around.kept, groups, generator) for _ in range(-(-count // len(around.kept)))]
    anchors = np.concatenate(rounds)[:count]
    together = np.column_stack([anchors, near(around.nearest, anchors)[:, :shown]])
    together = generator.permuted(together, axis=1)
    for start in range(0, count, _CHUNK):
        chunk, centers = together[start : start + _CHUNK], anchors[start : start + _CHUNK].tolist()
        drawn = shared_orders(orders, generator, *chunk.shape)
        written = iter(texts.render(chunk.ravel(), drawn))
        for rows, own, center in zip(chunk.tolist(), order_tuples(drawn, *chunk.shape), centers, strict=True):
            learnt = [(next(written), row, order) for row, order in zip(rows, own, strict=True)]
            yield row_list(row_format, [], learnt, own[-1])._replace(center=center)


def validation_prompts(
    table: Table, row_format: RowFormat, around: Neighborhoods, orders: ColumnOrders, rows: NDArray[np.int64], *,
    shown: int, document: bool, seed: int,
) -> list[Prompt]:  # fmt: skip
    """For each of these rows, a prompt that shows its neighbours and has the row as its learnt part."""
    generator = np.random.default_rng(derive(seed, "validation prompts"))
    texts = RowTexts(table, row_format)
    together = np.column_stack([near(around.nearest, rows)[:, :shown], rows])
    drawn = shared_orders(orders, generator, *together.shape)
    written = iter(texts.render(together.ravel(), drawn))
    prompts = []
    for places, own in zip(together.tolist(), order_tuples(drawn, *together.shape), strict=True):
        *shown_rows, answer = [(next(written), row, order) for row, order in zip(places, own, strict=True)]
        prompts.append(
            row_list(row_format, shown_rows, [answer], own[-1])
            if document
            else question(row_format, shown_rows, answer, own[-1])
        )
    return prompts


def row_orders(orders: ColumnOrders, generator: np.random.Generator, prompts: int, rows: int) -> NDArray[np.int64]:
    """An order for each row of each prompt: (prompts * rows, columns)."""
    if orders.permutation == "row":
        return orders.draw(generator, prompts * rows)
    return shared_orders(orders, generator, prompts, rows)


def shared_orders(orders: ColumnOrders, generator: np.random.Generator, prompts: int, rows: int) -> NDArray[np.int64]:
    """An order for each prompt, the same in all its rows: (prompts * rows, columns)."""
    return orders.draw(generator, prompts).repeat(rows, axis=0)


def order_tuples(drawn: NDArray[np.int64], prompts: int, rows: int) -> Iterator[list[Order]]:
    """The same orders as tuples, prompt by prompt."""
    found = list(map(tuple, drawn.tolist()))
    return (found[start : start + rows] for start in range(0, prompts * rows, rows))
