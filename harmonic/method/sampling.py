"""How HARMONIC draws rows: prompts for what is shown, one round of sampling or two (paper, section 3.3, and beyond)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harmonic.decoding.sampler import Decodes, Sampler
from harmonic.decoding.settings import Sampling
from harmonic.generators.sample import Sample
from harmonic.method.second_round import first_rows, synthetic_context
from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import Context, Contexts, NeighborRows, NoRows, RandomRows
from harmonic.prompts.fitting import PromptFit
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import RowFormat
from harmonic.prompts.sampling_prompts import sampling_prompts
from harmonic.randomness import derive
from harmonic.tables.codes.coding import Coding
from harmonic.tables.conditions import Conditions, renamed
from harmonic.tables.table import Table


@dataclass(frozen=True)
class PromptSource:
    """Makes sampling prompts. k: rows that a prompt shows; wanted: as the user asked. lists: prompts are lists of rows.

    rows: positions of the training rows that prompts may show. pool: the nearest rows to draw neighbours from (None:
    k).
    """

    form: RowFormat
    orders: ColumnOrders
    k: int
    wanted: int
    metric: Metric
    lists: bool
    rows: NDArray[np.int64]
    pool: int | None = None

    def context(
        self, kind: Context, nearest: Callable[[], NDArray[np.int64]], seed: int, *, taken: Iterable[Prompt] = (),
        among: NDArray[np.int64] | None = None,
    ) -> Contexts:  # fmt: skip
        """What prompts show, of real rows. nearest: the neighbours of every row, (n, k) positions.

        taken: the tuning prompts. among: the rows to show, or to have at the centre, before others.
        """
        if kind == "none":
            return NoRows(seed)
        if kind == "neighbors":
            centers = self.rows if among is None or not len(among) else np.intersect1d(among, self.rows)
            return NeighborRows(
                nearest()[:, : self.pool or self.k], self.k, seed, centers=centers if len(centers) else self.rows
            )
        # Of a single row nearly all are shown by some tuning prompt: the few others would be the odd ones out. A list
        # teaches all of its rows, so that none of them is an answer that a prompt could give away.
        if among is not None:
            among = np.intersect1d(among, self.rows)
        exclude = taken if not self.lists and (self.k > 1 or self.wanted == 1) else ()
        return RandomRows(self.rows, self.k, seed, metric=self.metric, exclude=exclude, among=among)

    def prompts(
        self, table: Table, context: Contexts, n: int, first: Sequence[str] = (), real: bool = True
    ) -> list[Prompt]:
        """Prompts, n of them, that show rows of the table, as prompts write it."""
        return sampling_prompts(
            table, self.form, context, self.orders, n, document=self.lists, first=first, real=real
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Draws rows in one round, or in two where prompts are to show synthetic rows.

    train: the training rows. conditions: on their columns. decoder: makes the decoder, and says the longest prompt
    with answer, tokens; asked for once.
    """

    train: Table
    fit: PromptFit
    chat: Chat
    coding: Coding
    source: PromptSource
    settings: Sampling
    decoder: Callable[[], tuple[Decodes, int]]
    conditions: Conditions

    def sample(self, first: Callable[[int], list[Prompt]], n: int, *, seed: int, directory: Path) -> Sample:
        """Exactly n rows. `first` makes the prompts that show real rows, or none, for so many rows."""
        decoder, context = self.decoder()
        try:
            if self.settings.context != "synthetic":
                return self._round(decoder, context, first(n), n, seed, directory)
            count = first_rows(n, len(self.train))
            drawn = self._round(decoder, context, first(count), count, seed, directory / "first_round")
            prompts = self._second(Table(drawn.frame, self.train.schema), n, seed)
            sample = self._round(decoder, context, prompts, n, derive(seed, "second round rows"), directory)
        finally:
            decoder.close()
        return Sample(sample.frame, sample.validity | {"first_round": float(count)})

    def first(self) -> list[str]:
        """The columns that stand first in a row's order: those of the conditions, unless orders are all the same."""
        if self.source.orders.permutation == "none":
            return []
        return [self.fit.aliases.get(name, name) for name in self.conditions]

    def _round(
        self, decoder: Decodes, context: int, prompts: list[Prompt], n: int, seed: int, directory: Path
    ) -> Sample:
        coded = self.coding.conditions(self.conditions)
        sampler = Sampler(
            decoder=decoder, chat=self.chat, form=self.source.form, settings=self.settings,
            orders=self.source.orders, context=context, conditions=renamed(coded, self.fit.aliases),
        )  # fmt: skip
        sample = sampler.sample(prompts, n, seed=seed, directory=directory)
        restored = self.fit.restore(sample.frame)
        decoded = self.coding.decode(restored, seed, self.conditions)
        return Sample(decoded, sample.validity)

    def _second(self, drawn: Table, n: int, seed: int) -> list[Prompt]:
        """The prompts of the second round."""
        k, metric = self.source.k, self.source.metric
        pool = self.source.pool or k
        context = synthetic_context(drawn, self.train, k=k, pool=pool, metric=metric, seed=seed)
        shown = self.fit.table(self.coding.encode(drawn))
        return self.source.prompts(shown, context, self.settings.prompts_needed(n), first=self.first(), real=False)
