"""The folder of a generator's prompts: one place that knows its files, for every stage that writes or reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonic.prompts.prompt import Prompt, read_prompts, write_prompts

TRAINING, SAMPLING, VALIDATION = "train.jsonl", "sample.jsonl", "validation.jsonl"


@dataclass(frozen=True)
class PromptFiles:
    """train.jsonl, sample.jsonl and, if rows are kept back for validation, validation.jsonl in `directory`."""

    directory: Path

    def write(self, training: Sequence[Prompt], sampling: Sequence[Prompt], validation: Sequence[Prompt]) -> None:
        """Write the files; validation.jsonl only if there are such prompts."""
        write_prompts(training, self.directory / TRAINING)
        write_prompts(sampling, self.directory / SAMPLING)
        if validation:
            write_prompts(validation, self.directory / VALIDATION)

    def training(self) -> list[Prompt]:
        """What the model is tuned on."""
        return read_prompts(self.directory / TRAINING)

    def count_training(self) -> int:
        """How many prompts there are to tune on."""
        with (self.directory / TRAINING).open("rb") as lines:
            return sum(1 for _ in lines)

    def sampling(self) -> list[Prompt]:
        """What the first round of sampling asks."""
        return read_prompts(self.directory / SAMPLING)

    def validation(self) -> list[Prompt]:
        """Prompts whose learnt rows decide when tuning stops; empty if no rows were kept back."""
        path = self.directory / VALIDATION
        return read_prompts(path) if path.is_file() else []
