"""Parts of a large table of new rows, for several processes: each makes the prompts of its own rows alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harmonic.decoding.sampler import Decodes, Sampler
from harmonic.generators.sample import Sample
from harmonic.method.sampling_rounds import SamplingRounds
from harmonic.prompts.contexts import Contexts
from harmonic.prompts.row_format import RowTexts
from harmonic.tables.table import Table


@dataclass(kw_only=True)
class DrawnParts:
    """Draws any of the rows that one round of sampling draws with this seed.

    table: the training rows as prompts show them. context: which of them each prompt shows. The model, and what
    constrains it, are loaded for the first part and kept for the next ones.
    """

    rounds: SamplingRounds
    table: Table
    context: Contexts
    seed: int
    _texts: RowTexts | None = field(default=None, init=False, repr=False)
    _opened: tuple[Decodes, Sampler] | None = field(default=None, init=False, repr=False)

    def draw(self, rows: range, *, directory: Path) -> Sample:
        """The rows with these numbers. directory: for progress that survives a kill, one for each part."""
        made, settings = self.rounds.prompts, self.rounds.settings
        places = range(settings.prompt_of(rows.start), settings.prompt_of(rows.stop - 1) + 1)
        if self._texts is None:
            self._texts = RowTexts(self.table, made.row_format)
        first = self.rounds.first_columns()
        prompts = made.make(self.table, self.context, places, first=first, texts=self._texts)
        return self.rounds.draw(self._sampler(), prompts, len(rows), self.seed, directory, rows.start)

    def close(self) -> None:
        """Give back the decoder's memory."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _sampler(self) -> Sampler:
        if self._opened is None:
            decoder, context = self.rounds.fitted.decoder(self.rounds.settings)
            self._opened = decoder, self.rounds.sampler(decoder, context)
        return self._opened[1]
