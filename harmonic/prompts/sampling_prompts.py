"""Prompts that ask for new rows: they show rows, and have no answer (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import Context, Contexts, Nearest, NeighborRows, NoRows, RandomRows, target_groups
from harmonic.prompts.instruction import Shown, question, row_list
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.prompt import Order, Prompt
from harmonic.prompts.row_format import RowFormat, RowTexts
from harmonic.prompts.stored_prompts import CHUNK
from harmonic.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class SamplingPrompts:
    """Makes sampling prompts.

    lists: prompts are lists of rows. metric: of the neighbours. rows: positions of the training rows that prompts may
    show. shown: how many of them a prompt shows; wanted: as many as the user asked for in tuning. pool: how many
    nearest rows the shown neighbours are drawn from (None: `shown`). label: the new rows have the label of the row at
    the centre.
    """

    row_format: RowFormat
    orders: ColumnOrders
    lists: bool
    metric: Metric
    rows: NDArray[np.int64]
    shown: int
    wanted: int
    pool: int | None = None
    label: bool = False

    def context(
        self, kind: Context, table: Table, seed: int, *, nearest: Nearest | None = None,
        training: Iterable[Prompt] = (), among: NDArray[np.int64] | None = None,
    ) -> Contexts:  # fmt: skip
        """Chooses the rows of `table`, the training rows, that prompts show.

        nearest: the neighbours of rows, for the kind "neighbors". training: the tuning prompts. among: positions of the
        rows to show, or to have at the centre, before others.
        """
        if kind == "none":
            return NoRows(seed)
        if among is not None:
            among = np.intersect1d(among, self.rows)
        if kind == "neighbors":
            assert nearest is not None
            centers = self.rows if among is None or not len(among) else among
            return NeighborRows(self._pooled(nearest), self.shown, seed, centers=centers, groups=target_groups(table))
        # Tuning prompts with one row show nearly every row: if those were excluded, only odd rows would be left. A list
        # teaches all of its rows, so none of them is an answer that a sampling prompt could give away.
        exclude = training if not self.lists and (self.shown > 1 or self.wanted == 1) else ()
        return RandomRows(self.rows, self.shown, seed, metric=self.metric, exclude=exclude, among=among)

    def make(
        self, table: Table, context: Contexts, places: range, *, first: Sequence[str] = (), real: bool = True,
        texts: RowTexts | None = None,
    ) -> list[Prompt]:  # fmt: skip
        """The prompts with these numbers, which show rows of the table; see `sampling_prompts`."""
        return sampling_prompts(
            table, self.row_format, context, self.orders, places, document=self.lists, first=first, real=real,
            label=self.label, texts=texts,
        )  # fmt: skip

    def stream(self, table: Table, context: Contexts, places: range) -> Iterator[Prompt]:
        """The same prompts one after another: only some of them are in memory at a time."""
        context.expect(places)  # of all together, because a search for a few of many rows takes as long as one for all
        texts = RowTexts(table, self.row_format)
        for start in range(places.start, places.stop, CHUNK):
            yield from self.make(table, context, range(start, min(start + CHUNK, places.stop)), texts=texts)

    def _pooled(self, nearest: Nearest) -> Nearest:
        """The neighbours of which a prompt shows some."""
        size = self.pool or self.shown
        return nearest[:, :size] if isinstance(nearest, np.ndarray) else lambda rows: nearest(rows)[:, :size]


def sampling_prompts(
    table: Table, row_format: RowFormat, contexts: Contexts, orders: ColumnOrders, places: range, *, document: bool,
    first: Sequence[str] = (), real: bool = True, label: bool = False, texts: RowTexts | None = None,
) -> list[Prompt]:  # fmt: skip
    """The prompts with these numbers, with rows of `table` that `contexts` chooses; each depends on its number alone.

    document: rows stand in a list, not as examples of an instruction. first: names of columns that come first in the
    row that is asked for, if prompts decide its order. real: whether these are training rows; then each part names the
    position of its row. label: a prompt says the label of the row at its centre, if the target is a category. texts: of
    the table, if they are there already.
    """
    contexts.expect(places)
    chosen = [contexts.shown(place) for place in places]
    ahead = {row_format.schema.names.index(name) for name in first}
    drawn = [_orders(orders, generator, len(rows), ahead) for rows, generator in chosen]
    flat = np.concatenate([rows for rows, _ in chosen])
    own_orders = np.array([order for own, _ in drawn for order in own], dtype=np.int64)
    texts = texts or RowTexts(table, row_format)
    written = iter(texts.render(flat, own_orders.reshape(len(flat), orders.columns)))
    labels = _labels(table, contexts, places) if label else [None] * len(places)
    prompts = []
    for (shown, _), (own, wanted), asked in zip(chosen, drawn, labels, strict=True):
        lines: Shown = [
            (next(written), row if real else None, order) for row, order in zip(shown.tolist(), own, strict=True)
        ]
        if document:
            prompt = row_list(row_format, lines, [], wanted or tuple(range(orders.columns)))
        else:
            prompt = question(row_format, lines, None, wanted)
        prompts.append(prompt._replace(label=asked))
    return prompts


def _labels(table: Table, contexts: Contexts, places: range) -> list[str | None]:
    """The label of the central row of each prompt, as text; None without a centre, or if the target is numeric."""
    if not table.schema.task.is_classification:
        return [None] * len(places)
    column, labels = table.schema[table.schema.target], table.target
    centers = [contexts.center(place) for place in places]
    return [None if center is None else column.format(labels.iat[center]) for center in centers]


def _orders(
    orders: ColumnOrders, generator: np.random.Generator, shown: int, ahead: set[int]
) -> tuple[list[Order], Order | None]:
    """The order of each row that is shown, and of the row asked for; None if each row has its own order."""
    if orders.permutation == "row":
        return list(map(tuple, orders.draw(generator, shown).tolist())) if shown else [], None
    order = tuple(sorted(orders.one(generator), key=lambda place: place not in ahead))
    return [order] * shown, order
