"""GReaT's training: be-great's dataset, collator and trainer, with the language model of the run."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.foreign_training import (
    ROW,
    binding,
    imported,
    logging_steps,
    muted,
    note_rows,
    reporter,
    write_history,
    write_learnt,
)
from baselines.great.row_text import row_texts
from harmonic.errors import ConfigError
from harmonic.llm.hub_model import HubModel
from harmonic.llm.language_model import LanguageModel
from harmonic.llm.machine import processes
from harmonic.progress import History, Progress
from harmonic.randomness import derive, seeded
from harmonic.settings import Chance, Count, Positive
from harmonic.tables.table import Table
from harmonic.tuning.lora import free_memory, load_tuned

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class GreatTuning:
    """Settings of the training; the defaults are be-great's.

    batch_size: rows in an optimizer step on each device. max_steps: end after this many steps, even if `epochs` are not
    over. rank, alpha, dropout: of the LoRA adapter; without a rank, all weights are trained.
    """

    epochs: Positive = 100.0
    learning_rate: Positive = 5e-5
    scheduler: str = "linear"
    batch_size: Count = 8
    max_steps: Count | None = None
    rank: Count | None = None
    alpha: Count = 32
    dropout: Chance = 0.05

    def check(self, llm: LanguageModel) -> None:
        """Raise ConfigError if a setting is invalid."""
        for name in ("epochs", "learning_rate", "batch_size", "max_steps", "rank"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"generator.tuning.{name}", value, "must be above 0", f"generator.tuning.{name}=1")
        if llm.quantization and self.rank is None:
            problem = "quantized weights cannot be trained directly"
            raise ConfigError("llm.quantization", llm.quantization, problem, "generator.tuning.rank=16")


def be_great() -> Any:
    """The module of be-great with the parts used here. Raises ConfigError if it is missing."""
    return imported("be_great.great", package="be-great", generator="great")


def train(
    llm: LanguageModel, table: Table, settings: GreatTuning, *, seed: int, directory: Path, history: History | None
) -> dict[str, float]:
    """Train on the rows; write model/ or adapter/ (safetensors), great.json and history.json into `directory`.

    great.json: {"longest": tokens of the longest row}. learnt.json is written, too: the rows of all batches. Returns
    {"examples", "tokens" (without padding), "seconds", "tokens_per_s", "loss" (mean of the last five points)}.
    """
    try:
        with muted(), seeded(derive(seed, "great", "fit")):
            return _train(llm, table, settings, seed, directory, history)
    finally:
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)  # empty: be-great's trainer creates it
        free_memory()


def load_trained(llm: LanguageModel, directory: Path) -> PreTrainedModel:
    """The trained model, with a merged adapter if there is one."""
    with muted():
        if (directory / "adapter").is_dir():
            return load_tuned(llm, directory / "adapter")[0]
        folder = str(directory / "model")
        return HubModel(name=llm.name, path=folder, dtype=llm.dtype, device=llm.device).load()[0]


def longest_row(directory: Path) -> int:
    """Tokens of the longest training row."""
    return int(json.loads((directory / "great.json").read_text(encoding="utf-8"))["longest"])


def prepared_tokenizer(llm: LanguageModel) -> PreTrainedTokenizerBase:
    """The tokenizer as in be-great: padding on the left, with the end token if there is no padding token."""
    tokenizer = llm.tokenizer()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    tokenizer.split_special_tokens = True  # "<|im_end|>" in a cell is ordinary text
    return tokenizer


def _train(
    llm: LanguageModel, table: Table, settings: GreatTuning, seed: int, directory: Path, history: History | None
) -> dict[str, float]:
    from accelerate.utils import gather_object

    model, tokenizer = llm.load()[0], prepared_tokenizer(llm)
    lengths = [len(ids) for ids in tokenizer(row_texts(table))["input_ids"]]
    if max(lengths) > (limit := llm.max_tokens(model.config)):
        problem = f"the longest row takes {max(lengths)} tokens"
        raise ConfigError("llm.context", limit, problem, "raise it if the model allows it, or leave columns out")
    seen: set[int] = set()
    with Progress("fit", 1, "steps") as progress:
        report = reporter(progress, history)
        trainer = _trainer(llm, _trainable(llm, model, settings), tokenizer, table, settings, seed, directory)
        trainer.add_callback(report)
        note_rows(trainer, seen)
        trainer.train()
        seconds = progress.seconds
    loss = float("nan")
    everywhere = set(gather_object(sorted(seen)))  # of all processes
    if trainer.is_world_process_zero():
        write_learnt(everywhere, directory)
        _save(llm, trainer.accelerator.unwrap_model(trainer.model), tokenizer, directory)
        (directory / "great.json").write_text(json.dumps({"longest": max(lengths)}), encoding="utf-8")
        loss = write_history(report.points, directory)
    trainer.accelerator.wait_for_everyone()  # no process may look for the model before it is written
    tokens = float(trainer.state.epoch * sum(lengths))
    return {
        "examples": float(len(table)), "tokens": tokens, "seconds": seconds, "tokens_per_s": tokens / seconds,
        "loss": loss,
    }  # fmt: skip


def _trainer(
    llm: LanguageModel, model: Any, tokenizer: PreTrainedTokenizerBase, table: Table, settings: GreatTuning,
    seed: int, directory: Path,
) -> Any:  # fmt: skip
    """The trainer of be-great, as in its `GReaT.fit`."""
    import torch
    from transformers import PrinterCallback, TrainingArguments

    half = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(llm.resolved_dtype())
    dataset = _numbered_rows().from_pandas(table.texts())
    dataset.set_tokenizer(tokenizer)
    steps = max(int(settings.epochs * -(-len(table) // (settings.batch_size * processes()))), 1)
    limit = binding(settings.max_steps, steps)
    arguments = TrainingArguments(
        output_dir=str(directory / "checkpoints"),
        num_train_epochs=settings.epochs,
        max_steps=limit or -1,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        bf16=half == "bf16",
        fp16=half == "fp16",
        use_cpu=llm.resolved_device() == "cpu",
        seed=derive(seed, "great", "trainer"),
        data_seed=derive(seed, "great", "order"),
        logging_steps=logging_steps(limit or steps),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one process uses one GPU
    trainer = be_great().GReaTTrainer(
        model, arguments, train_dataset=dataset, processing_class=tokenizer,
        data_collator=be_great().GReaTDataCollator(tokenizer),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def _numbered_rows() -> Any:
    """The dataset of be-great, with the position of each row."""

    class NumberedRows(be_great().GReaTDataset):  # type: ignore[misc]
        def _getitem(self, key: Any, *args: Any, **more: Any) -> Any:
            return {**super()._getitem(key, *args, **more), ROW: key}

    return NumberedRows


def _trainable(llm: LanguageModel, model: PreTrainedModel, settings: GreatTuning) -> Any:
    """The model with an adapter, or all of it in float32: in half precision, small steps are lost to rounding."""
    if settings.rank is None:
        return model.float()
    from peft import LoraConfig, get_peft_model

    adapter = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, task_type="CAUSAL_LM",
        target_modules=list(llm.target_modules) or "all-linear",
    )  # fmt: skip
    return get_peft_model(model, adapter)


def _save(llm: LanguageModel, model: Any, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    if hasattr(model, "peft_config"):
        model.save_pretrained(directory / "adapter")
        (directory / "adapter" / "README.md").unlink(missing_ok=True)  # peft's empty form of a model card
    else:
        model.to(llm.resolved_dtype()).save_pretrained(directory / "model")
        tokenizer.save_pretrained(directory / "model")
