"""Prompts that ask for new rows: rows that are shown, and no answer (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import Contexts
from harmonic.prompts.instruction import Shown, question, row_list
from harmonic.prompts.prompt import Order, Prompt
from harmonic.prompts.row_format import RowFormat, RowTexts
from harmonic.tables.table import Table


def sampling_prompts(
    table: Table, form: RowFormat, contexts: Contexts, orders: ColumnOrders, n: int, *, document: bool,
    first: Sequence[str] = (), real: bool = True,
) -> list[Prompt]:  # fmt: skip
    """N prompts with rows of `table`, as `contexts` chooses them; prompt i does not depend on n.

    document: rows in a list rather than as examples of an instruction. first: names of columns to put first in the
    order of the row that is asked for, where prompts have one. real: whether the rows are training rows, so that the
    parts name their positions.
    """
    chosen = [contexts.shown(place) for place in range(n)]
    ahead = {form.schema.names.index(name) for name in first}
    drawn = [_orders(orders, generator, len(rows), ahead) for rows, generator in chosen]
    flat = np.concatenate([rows for rows, _ in chosen])
    own_orders = np.array([order for own, _ in drawn for order in own], dtype=np.int64)
    written = iter(RowTexts(table, form).render(flat, own_orders.reshape(len(flat), orders.columns)))
    prompts = []
    for (shown, _), (own, wanted) in zip(chosen, drawn, strict=True):
        lines: Shown = [
            (next(written), row if real else None, order) for row, order in zip(shown.tolist(), own, strict=True)
        ]
        if document:
            prompts.append(row_list(form, lines, [], wanted or tuple(range(orders.columns))))
        else:
            prompts.append(question(form, lines, None, wanted))
    return prompts


def _orders(
    orders: ColumnOrders, generator: np.random.Generator, shown: int, ahead: set[int]
) -> tuple[list[Order], Order | None]:
    """The order of each row that is shown, and of the one asked for: None where each row has its own."""
    if orders.permutation == "row":
        return list(map(tuple, orders.draw(generator, shown).tolist())) if shown else [], None
    order = tuple(sorted(orders.one(generator), key=lambda place: place not in ahead))
    return [order] * shown, order
