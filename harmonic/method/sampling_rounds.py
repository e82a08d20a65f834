"""How HARMONIC draws rows: in one round, or in two, where the second shows rows of the first (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonic.decoding.sampler import Decodes, Sampler
from harmonic.decoding.settings import Sampling
from harmonic.generators.sample import Sample
from harmonic.method.fitted import FittedModel
from harmonic.method.second_round import first_rows, synthetic_context
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.sampling_prompts import SamplingPrompts
from harmonic.randomness import derive
from harmonic.tables.conditions import Conditions, renamed
from harmonic.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class SamplingRounds:
    """Draws rows. conditions: on the columns of the training table."""

    fitted: FittedModel
    prompts: SamplingPrompts
    settings: Sampling
    conditions: Conditions

    def rows_in_first(self, n: int) -> int:
        """How many rows the first round draws if n are wanted in the end."""
        return first_rows(n, len(self.fitted.splits.train)) if self.settings.context == "synthetic" else n

    def first_columns(self) -> list[str]:
        """The columns that come first in a row: those of the conditions, unless all rows have the table's order."""
        if self.prompts.orders.permutation == "none":
            return []
        return [self.fitted.fit.aliases.get(name, name) for name in self.conditions]

    def sample(self, first: Sequence[Prompt], n: int, *, seed: int, directory: Path) -> Sample:
        """Exactly n rows. first: the prompts of the first round."""
        decoder, context = self.fitted.decoder(self.settings)
        try:
            if self.settings.context != "synthetic":
                return self.draw(self.sampler(decoder, context), first, n, seed, directory)
            count = self.rows_in_first(n)
            drawn = self.draw(self.sampler(decoder, context), first, count, seed, directory / "first_round")
            second = self._second_prompts(Table(drawn.frame, self.fitted.splits.train.schema), n, seed)
            again = derive(seed, "second round rows")
            sample = self.draw(self.sampler(decoder, context), second, n, again, directory)
        finally:
            decoder.close()
        return Sample(sample.frame, sample.validity | {"first_round": float(count)})

    def sampler(self, decoder: Decodes, context: int) -> Sampler:
        """What asks the model. context: the longest prompt with answer, in tokens."""
        return Sampler(
            decoder=decoder, chat=self.fitted.chat, row_format=self.prompts.row_format, settings=self.settings,
            orders=self.prompts.orders, context=context,
            conditions=renamed(self.fitted.coding.conditions(self.conditions), self.fitted.fit.aliases),
        )  # fmt: skip

    def draw(
        self, sampler: Sampler, prompts: Sequence[Prompt], n: int, seed: int, directory: Path, start: int = 0
    ) -> Sample:
        """N rows of one round, as values. start: see `Sampler.sample`."""
        sample = sampler.sample(prompts, n, seed=seed, directory=directory, start=start)
        frame = self.fitted.fit.restore(sample.frame)
        return Sample(self.fitted.coding.decode(frame, seed, self.conditions, start), sample.validity)

    def _second_prompts(self, drawn: Table, n: int, seed: int) -> list[Prompt]:
        made, train = self.prompts, self.fitted.splits.train
        pool = made.pool or made.shown
        context = synthetic_context(drawn, train, k=made.shown, pool=pool, metric=made.metric, seed=seed)
        needed = self.settings.prompts_needed(n)
        return made.make(self.fitted.shown_table(drawn), context, range(needed), first=self.first_columns(), real=False)
