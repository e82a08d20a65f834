"""The folder of a generator's prompts: one place that knows its files, for every stage that writes or reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonic.prompts.prompt import Prompt
from harmonic.prompts.stored_prompts import StoredPrompts, write_prompts

TRAINING, SAMPLING, VALIDATION = "train.jsonl", "sample.jsonl", "validation.jsonl"


@dataclass(frozen=True)
class PromptFiles:
    """train.jsonl, sample.jsonl and, if rows are kept back for validation, validation.jsonl in `directory`.

    Prompts are written one after another, as they are made, and read back when they are needed.
    """

    directory: Path

    def write_training(self, prompts: Iterable[Prompt]) -> StoredPrompts:
        """Write what the model is tuned on."""
        return write_prompts(prompts, self.directory / TRAINING)

    def write_sampling(self, prompts: Iterable[Prompt]) -> StoredPrompts:
        """Write what the first round of sampling asks."""
        return write_prompts(prompts, self.directory / SAMPLING)

    def write_validation(self, prompts: Sequence[Prompt]) -> None:
        """Write the prompts for validation; no file if there are none."""
        if prompts:
            write_prompts(prompts, self.directory / VALIDATION)

    def training(self) -> StoredPrompts:
        """What the model is tuned on."""
        return StoredPrompts(self.directory / TRAINING)

    def sampling(self) -> StoredPrompts:
        """What the first round of sampling asks."""
        return StoredPrompts(self.directory / SAMPLING)

    def validation(self) -> Sequence[Prompt]:
        """Prompts whose learnt rows decide when tuning stops; empty if no rows were kept back."""
        path = self.directory / VALIDATION
        return StoredPrompts(path) if path.is_file() else ()
