"""How a model is tuned: the fields of generator.tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harmonic.errors import ConfigError, suggest
from harmonic.settings import Chance, Count, NotNegative, Positive
from harmonic.tuning.weights import processes

CPU_TOKENS = 3072  # at once: the more, the better two cores share the work; experiments/benchmarks/tuning.py
VOCABULARIES = ("all", "occurring")
SCHEDULERS = ("constant", "constant_with_warmup", "cosine", "linear", "polynomial")

History = Callable[[dict[str, float], int], None]
"""Receives {"train/loss": …} and the optimizer step."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a tuning run.

    batch_size is the number of examples an optimizer step sees, over all devices; device_batch_size how many
    of them at most go through the model at once on each device. None: 4 on a GPU; on a CPU as many as fit into
    CPU_TOKENS. The device batch changes speed and memory, not the result. max_examples (None: all) tunes on a
    seeded subset.

    Of lists of rows: passes is how often each row is learnt on average (None: 1), max_tokens cuts this to about so many
    tokens; the prompts are made for both. minutes: stop in that time, the learning rate's schedule fitted to it (None:
    no limit). validation: the share of the training rows that is kept back; tuning stops when they are told worse, and
    the best adapter is kept. vocabulary: "occurring" leaves out of the output layer what cannot come
    (harmonic.tuning.vocabulary). checkpoint_every: optimizer steps between checkpoints from which a killed run goes on
    (None: none).
    """

    epochs: Positive = 1.0
    learning_rate: Positive = 3e-4
    scheduler: str = "cosine"
    warmup_ratio: Chance = 0.01
    weight_decay: NotNegative = 1e-5
    batch_size: Count = 16
    device_batch_size: Count | None = None
    max_examples: Count | None = None
    passes: Positive | None = None
    max_tokens: Count | None = None
    minutes: Positive | None = None
    validation: Chance = 0.0
    vocabulary: str = "all"
    rank: Count = 16
    alpha: Count = 32
    dropout: Chance = 0.05
    gradient_checkpointing: bool = False
    checkpoint_every: Count | None = 50

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        for name in ("epochs", "learning_rate", "batch_size", "rank", "alpha"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"tuning.{name}", getattr(self, name), "must be above 0", "set it to 1")
        for name in ("passes", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"tuning.{name}", value, "must be above 0", "set it to null, or to more than 0")
        if not 0 <= self.validation <= 0.5:
            problem = "must be from 0 to 0.5"
            raise ConfigError("tuning.validation", self.validation, problem, "set it to 0.1")
        if self.vocabulary not in VOCABULARIES:
            fix = suggest(str(self.vocabulary), VOCABULARIES)
            raise ConfigError("tuning.vocabulary", self.vocabulary, "is not known", fix)
        for name in ("device_batch_size", "max_examples", "max_tokens", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"tuning.{name}", value, "must be at least 1", "set it to null, or to 1 or more")
        for name, example in (("dropout", 0.05), ("warmup_ratio", 0.01)):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"tuning.{name}", getattr(self, name), "must be in [0, 1)", f"set it to {example}")
        if self.scheduler not in SCHEDULERS:
            raise ConfigError("tuning.scheduler", self.scheduler, "is not known", suggest(self.scheduler, SCHEDULERS))

    def device_batch(self, device: str, longest: int) -> int:
        """How many examples, the longest of so many tokens, go through the model at once.

        It divides what falls to one process; ConfigError if the processes cannot share batch_size.
        """
        share, rest = divmod(self.batch_size, processes())
        if rest or not share:
            problem = f"cannot be divided among {processes()} processes"
            raise ConfigError(
                "tuning.batch_size", self.batch_size, problem, f"generator.tuning.batch_size={processes()}"
            )
        most = self.device_batch_size or (max(CPU_TOKENS // longest, 1) if device == "cpu" else 4)
        return max(size for size in range(1, min(most, share) + 1) if share % size == 0)
