"""LoRA instruction tuning with TRL's SFTTrainer: loss on the answers only (paper, section 3.2, eq. 3).

What is ours on top of TRL is speed, with the same loss: no gradient checkpointing unless asked for, logits
for the answers' positions alone, no entropy or accuracy per step, adapters computed in the autocast type
rather than widened to float32, no attention mask where right padding makes it idle, and dropout masks drawn
in bulk on CPUs. experiments/benchmarks/tuning.py measures it against TRL's defaults.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.dialogue import Dialogue, check_lengths
from harmonic.errors import ConfigError
from harmonic.llm import LanguageModel
from harmonic.progress import Progress
from harmonic.prompts import Prompt
from harmonic.randomness import seeded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

IGNORED = -100  # the label of a token that has no part in the loss

History = Callable[[dict[str, float], int], None]
"""Receives {"train/loss": …} and the optimizer step."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a tuning run.

    batch_size is the number of examples an optimizer step sees; device_batch_size how many of them go
    through the model at once on each device. max_examples (None: all) tunes on a seeded subset.
    checkpoint_every: optimizer steps between checkpoints from which a killed run goes on (None: none).
    """

    epochs: float = 1.0
    learning_rate: float = 3e-4
    scheduler: str = "cosine"
    warmup_ratio: float = 0.01
    weight_decay: float = 1e-5
    batch_size: int = 16
    device_batch_size: int = 4
    max_examples: int | None = None
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    gradient_checkpointing: bool = False
    checkpoint_every: int | None = 50

    def check(self) -> None:
        """Raise ConfigError for numbers that cannot be."""
        positive = ("epochs", "learning_rate", "batch_size", "device_batch_size", "rank", "alpha")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigError(f"tuning.{name}", getattr(self, name), "must be above 0", f"tuning.{name}=1")
        if not 0 <= self.dropout < 1:
            raise ConfigError("tuning.dropout", self.dropout, "must be in [0, 1)", "tuning.dropout=0.05")


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

    Also writes history.json: a list of {"step", "train/loss", …}. The seed fixes the adapter's start, the
    subset and the order. Checkpoints in `directory`/checkpoints let a killed run go on. Returns
    {"examples", "tokens", "seconds", "tokens_per_s", "loss"}. Raises ConfigError before any tuning when an
    example is longer than the model's context.
    """
    settings.check()
    examples = _subset(examples, settings.max_examples, seed)
    with seeded(seed):
        model, tokenizer = llm.load()
        rows = _encode(examples, Dialogue(tokenizer), llm.max_tokens(model.config))
        trainer = _trainer(llm, model, tokenizer, rows, settings, seed, directory)
        epochs = math.ceil(settings.epochs) if settings.epochs > 1 else settings.epochs
        with Progress(stage, round(len(rows) * epochs), "rows") as progress:
            trainer.add_callback(_reporter(progress, trainer, settings, history))
            checkpoints = sorted((directory / "checkpoints").glob("checkpoint-*"))
            trainer.train(resume_from_checkpoint=True if checkpoints else None)
            facts = {
                "examples": float(len(rows)),
                "tokens": float(trainer.tokens_seen),
                "seconds": progress.seconds,
                "tokens_per_s": trainer.tokens_seen / progress.seconds,
            }
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    facts["loss"] = sum(float(e["loss"]) for e in log[-5:]) / max(len(log[-5:]), 1)
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(directory / "adapter")
        points = [{"step": e["step"], "train/loss": float(e["loss"])} for e in log]
        (directory / "history.json").write_text(json.dumps(points))
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    return facts


def load_tuned(llm: LanguageModel, adapter: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with the adapter merged into its weights (quantized weights keep it beside them)."""
    from peft import PeftModel

    model, tokenizer = llm.load()
    tuned = PeftModel.from_pretrained(model, adapter)
    merged = tuned if llm.quantization else tuned.merge_and_unload()
    return merged.eval(), tokenizer


def _subset(examples: Sequence[Prompt], limit: int | None, seed: int) -> list[Prompt]:
    import numpy as np

    if limit is None or len(examples) <= limit:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
    return [examples[index] for index in sorted(chosen.tolist())]


def _encode(examples: Sequence[Prompt], dialogue: Dialogue, limit: int) -> list[dict[str, list[int]]]:
    """input_ids and labels of each example; the prompt's labels are ignored."""
    prompts = dialogue.prompts([example.prompt for example in examples])
    completions = dialogue.completions([example.completion for example in examples])
    rows = [
        {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}
        for prompt, answer in zip(prompts, completions, strict=True)
    ]
    check_lengths([len(row["input_ids"]) for row in rows], limit, what="the tuning prompt number")
    return rows


def _trainer(
    llm: LanguageModel,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict[str, list[int]]],
    settings: Tuning,
    seed: int,
    directory: Path,
) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import SFTConfig

    from harmonic.trainer import AnswerTrainer, BulkDropout

    half = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(llm.resolved_dtype())
    micro = min(settings.device_batch_size, settings.batch_size, len(rows))
    arguments = SFTConfig(
        output_dir=str(directory / "checkpoints"),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_ratio,  # below 1 it is the share of all steps
        weight_decay=settings.weight_decay,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=max(settings.batch_size // (micro * _processes()), 1),
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=half == "bf16",
        fp16=half == "fp16",
        use_cpu=llm.resolved_device() == "cpu",
        seed=seed,
        data_seed=seed,
        max_length=None,  # lengths were checked: nothing is cut
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=1,
        save_strategy="steps" if settings.checkpoint_every else "no",
        save_steps=settings.checkpoint_every or 500,
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    adapter = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(llm.target_modules) or "all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = AnswerTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
        peft_config=adapter,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    for module in trainer.model.modules():
        if half and hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False  # autocast brings adapter and input to one type
        dropouts = getattr(module, "lora_dropout", None)
        if arguments.use_cpu and settings.dropout and dropouts is not None:
            dropouts["default"] = BulkDropout(settings.dropout)
    return trainer


def _reporter(progress: Progress, trainer: Any, settings: Tuning, history: History | None) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        seen = 0.0  # tokens up to the last optimizer step

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            tokens, self.seen = trainer.tokens_seen - self.seen, trainer.tokens_seen
            rows = min(settings.batch_size, progress.total - progress.done)
            progress.advance(rows, tokens=tokens)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                progress.note(loss=f"{float(logs['loss']):.3f}")
                if history is not None:
                    rate = float(logs.get("learning_rate", "nan"))
                    history({"train/loss": float(logs["loss"]), "train/learning_rate": rate}, state.global_step)

    return Reporter()


def _processes() -> int:
    """How many processes `accelerate launch` or `torchrun` started."""
    import os

    with contextlib.suppress(ValueError):
        return int(os.environ.get("WORLD_SIZE", "1"))
    return 1
