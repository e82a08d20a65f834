"""LoRA instruction tuning with TRL's SFTTrainer: loss on the answers only (paper, section 3.2, eq. 3).

What is ours on top of TRL is speed, with the same loss: no gradient checkpointing unless asked for, logits
for the answers' positions alone, no entropy or accuracy per step, adapters computed in the autocast type
rather than widened to float32, no attention mask where right padding makes it idle, and dropout masks drawn
in bulk on CPUs. experiments/benchmarks/tuning.py measures it against TRL's defaults.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.llm import LanguageModel
from harmonic.progress import Progress
from harmonic.prompts.chat import Dialogue, check_lengths
from harmonic.prompts.prompt_sets import Prompt
from harmonic.randomness import seeded
from harmonic.tuning.weights import processes, quiet_libraries

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

IGNORED = -100  # the label of a token that has no part in the loss
CPU_TOKENS = 3072  # at once: the more, the better two cores share the work; experiments/benchmarks/tuning.py
SCHEDULERS = ("constant", "constant_with_warmup", "cosine", "linear", "polynomial")

History = Callable[[dict[str, float], int], None]
"""Receives {"train/loss": …} and the optimizer step."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a tuning run.

    batch_size is the number of examples an optimizer step sees, over all devices; device_batch_size how many
    of them at most go through the model at once on each device. None: 4 on a GPU; on a CPU as many as fit into
    CPU_TOKENS. The device batch changes speed and memory, not the result. max_examples (None: all) tunes on a
    seeded subset. checkpoint_every: optimizer steps between checkpoints from which a killed run goes on (None:
    none).
    """

    epochs: float = 1.0
    learning_rate: float = 3e-4
    scheduler: str = "cosine"
    warmup_ratio: float = 0.01
    weight_decay: float = 1e-5
    batch_size: int = 16
    device_batch_size: int | None = None
    max_examples: int | None = None
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    gradient_checkpointing: bool = False
    checkpoint_every: int | None = 50

    def check(self) -> None:
        """Raise ConfigError for numbers that cannot be."""
        for name in ("epochs", "learning_rate", "batch_size", "rank", "alpha"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"tuning.{name}", getattr(self, name), "must be above 0", f"tuning.{name}=1")
        for name in ("device_batch_size", "max_examples", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"tuning.{name}", value, "must be at least 1", f"tuning.{name}=null")
        for name, example in (("dropout", 0.05), ("warmup_ratio", 0.01)):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"tuning.{name}", getattr(self, name), "must be in [0, 1)", f"tuning.{name}={example}"
                )
        if self.scheduler not in SCHEDULERS:
            raise ConfigError("tuning.scheduler", self.scheduler, "is not known", suggest(self.scheduler, SCHEDULERS))

    def device_batch(self, device: str, longest: int) -> int:
        """How many examples, the longest of so many tokens, go through the model at once.

        It divides what falls to one process; ConfigError if the processes cannot share batch_size.
        """
        share, rest = divmod(self.batch_size, processes())
        if rest or not share:
            problem = f"cannot be divided among {processes()} processes"
            raise ConfigError("tuning.batch_size", self.batch_size, problem, f"tuning.batch_size={processes()}")
        most = self.device_batch_size or (max(CPU_TOKENS // longest, 1) if device == "cpu" else 4)
        return max(size for size in range(1, min(most, share) + 1) if share % size == 0)


def tune(
    llm: LanguageModel,
    examples: Sequence[Prompt],
    settings: Tuning,
    *,
    seed: int,
    directory: Path,
    stage: str = "tune",
    history: History | None = None,
) -> dict[str, float]:
    """Tune a LoRA adapter on prompt and completion pairs; write it to `directory`/adapter.

    Also writes history.json: a list of {"step", "train/loss"}. The seed fixes the adapter's start, the subset
    and the order. Checkpoints in `directory`/checkpoints let a killed run go on, to the same adapter. Under
    `accelerate launch` or `torchrun` all processes call it, and the first one writes. Returns {"examples",
    "tokens" (without padding), "seconds", "tokens_per_s", "loss" (mean of the last five steps)}; tokens and
    seconds are of this call, not of one that it resumed. Raises ConfigError before any tuning when an
    example is longer than the model's context.
    """
    settings.check()
    examples = subset(examples, settings.max_examples, seed)
    if not examples:
        raise DataError("there is no example to tune on\n  fix: lower generator.filter_threshold")
    with seeded(seed):
        facts = _tune(llm, examples, settings, seed, directory, stage, history)
    free_memory()
    return facts


def _tune(
    llm: LanguageModel,
    examples: list[Prompt],
    settings: Tuning,
    seed: int,
    directory: Path,
    stage: str,
    history: History | None,
) -> dict[str, float]:
    from harmonic.tuning.trainer import Reporter, answer_trainer

    model, tokenizer = llm.load()
    rows = encode(examples, Dialogue(tokenizer), llm.max_tokens(model.config))
    trainer = answer_trainer(llm, model, tokenizer, rows, settings, seed, directory)
    with Progress(stage, len(rows) * settings.epochs, "rows") as progress:
        trainer.add_callback(Reporter(progress, trainer, settings.batch_size, history))
        trainer.train(resume_from_checkpoint=_last_checkpoint(directory / "checkpoints"))
        seconds = progress.seconds
    tokens = float(trainer.tokens_seen_everywhere())
    points = [
        {"step": entry["step"], "train/loss": float(entry["loss"])}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(directory / "adapter")
        (directory / "adapter" / "README.md").unlink(missing_ok=True)  # peft's empty form of a model card
        (directory / "history.json").write_text(json.dumps(points))
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    trainer.accelerator.wait_for_everyone()  # no process may look for the adapter before it is there
    last = [point["train/loss"] for point in points[-5:]]
    return {
        "examples": float(len(rows)),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_s": tokens / seconds,
        "loss": sum(last) / max(len(last), 1),
    }


def load_tuned(llm: LanguageModel, adapter: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with the adapter merged into its weights (quantized weights keep it beside them)."""
    from peft import PeftModel

    quiet_libraries()
    model, tokenizer = llm.load()
    with seeded(0):  # peft draws weights for the adapter before it reads them
        tuned = PeftModel.from_pretrained(model, adapter)
    merged = tuned if llm.quantization else tuned.merge_and_unload()
    return merged.eval(), tokenizer


def subset(examples: Sequence[Prompt], limit: int | None, seed: int) -> list[Prompt]:
    """At most `limit` of the examples, drawn without replacement, in their order."""
    import numpy as np

    if limit is None or len(examples) <= limit:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
    return [examples[index] for index in sorted(chosen.tolist())]


def encode(examples: Sequence[Prompt], dialogue: Dialogue, limit: int) -> list[dict[str, list[int]]]:
    """input_ids and labels of each example; the prompt's labels are ignored. Raises ConfigError above `limit`."""
    prompts = dialogue.prompts([example.prompt for example in examples])
    completions = dialogue.completions([example.completion for example in examples])
    rows = [
        {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}
        for prompt, answer in zip(prompts, completions, strict=True)
    ]
    check_lengths([len(row["input_ids"]) for row in rows], limit, what="the tuning prompt number")
    return rows


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: trainer_state.json is the last of its files."""
    numbered = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*")}
    for _, path in sorted(numbered.items(), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        return str(path)
    return None


def free_memory() -> None:
    """Give back what a trained model held: it sits in reference cycles, and another one may be loaded next."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
