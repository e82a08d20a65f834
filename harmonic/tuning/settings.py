"""How a model is tuned: the fields of generator.tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from harmonic.errors import ConfigError
from harmonic.llm.machine import processes
from harmonic.settings import Chance, Count, NotNegative, Positive, check_fields

CPU_TOKENS = 3072  # at once: with more, two cores share the work better (experiments/benchmarks/tuning.py)
Scheduler = Literal["constant", "constant_with_warmup", "cosine", "linear", "polynomial"]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a tuning run.

    batch_size: examples in an optimizer step, over all devices. device_batch_size: the most examples that go through
    the model at once on each device. None means 4 on a GPU, and on a CPU as many as fit into CPU_TOKENS. It changes
    speed and memory, not the result. max_examples: tune on a seeded subset of this size (None: all).

    For lists of rows, passes is how often each row is learnt on average (None: 1), and max_tokens limits the lists to
    about this many tokens; both decide how many prompts are made. minutes: stop after this time, with the learning
    rate's schedule fitted to it (None: no limit). validation: the share of the training rows that is kept back; tuning
    stops when their loss rises, and the best adapter is kept. vocabulary: "occurring" limits the output layer to the
    tokens that can occur (harmonic.tuning.vocabulary). checkpoint_every: optimizer steps between checkpoints, from
    which a killed run continues (None: no checkpoints).
    """

    epochs: Positive = 1.0
    learning_rate: Positive = 3e-4
    scheduler: Scheduler = "cosine"
    warmup_ratio: Chance = 0.01
    weight_decay: NotNegative = 1e-5
    batch_size: Count = 16
    device_batch_size: Count | None = None
    max_examples: Count | None = None
    passes: Positive | None = None
    max_tokens: Count | None = None
    minutes: Positive | None = None
    validation: Annotated[float, Ge(0), Le(0.5)] = 0.0
    vocabulary: Literal["all", "occurring"] = "all"
    rank: Count = 16
    alpha: Count = 32
    dropout: Chance = 0.05
    gradient_checkpointing: bool = False
    checkpoint_every: Count | None = 50

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        check_fields(self, "tuning")

    def device_batch(self, device: str, longest: int) -> int:
        """How many examples go through the model at once, if the longest has `longest` tokens.

        The number divides the share of one process. Raises ConfigError if the processes cannot share batch_size evenly.
        """
        share, rest = divmod(self.batch_size, processes())
        if rest or not share:
            problem = f"cannot be divided among {processes()} processes"
            raise ConfigError(
                "tuning.batch_size", self.batch_size, problem, f"generator.tuning.batch_size={processes()}"
            )
        most = self.device_batch_size or (max(CPU_TOKENS // longest, 1) if device == "cpu" else 4)
        return max(size for size in range(1, min(most, share) + 1) if share % size == 0)
