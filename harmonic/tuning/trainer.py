"""TRL's SFTTrainer with a cheaper loss. It imports torch: import it only where torch is needed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from harmonic.llm.language_model import LanguageModel
from harmonic.llm.machine import processes
from harmonic.llm.weights import quiet_libraries
from harmonic.progress import History, Progress
from harmonic.randomness import derive
from harmonic.tuning.examples import IGNORED, Examples
from harmonic.tuning.settings import Tuning


class AnswerTrainer(SFTTrainer):
    """Mean negative log-likelihood of the learnt tokens, from the logits of their positions alone.

    tokens_seen: tokens that this process has trained on, without padding. total_steps: the optimizer steps that the
    learning rate's schedule covers; it may be lowered while tuning (harmonic.tuning.budget).
    """

    tokens_seen: int = 0
    total_steps: int = 0
    lr_scheduler: Any

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of transformers, stretched to `total_steps`."""
        self.total_steps = self.total_steps or num_training_steps
        if self.lr_scheduler is None:
            shape = super().create_scheduler(num_training_steps, optimizer).lr_lambdas[0]
            stretched = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda step: shape(step * num_training_steps / self.total_steps)
            )
            self.lr_scheduler = stretched
        return self.lr_scheduler

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over the learnt tokens of the whole optimizer step, as SFTTrainer's "nll".

        inputs: input_ids, attention_mask and labels, all (batch, length), padded on the right.
        """
        ids, labels = inputs["input_ids"], inputs["labels"]
        total, outputs = self._summed(model, ids, labels)
        count = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(count, device=total.device).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages the sums of all processes
        self.tokens_seen += int(inputs["attention_mask"].sum())
        return (loss, outputs) if return_outputs else loss

    def summed_loss(self, model: nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of the learnt tokens of a batch, summed. ids, labels: (batch, length)."""
        return self._summed(model, ids, labels)[0]

    def _summed(self, model: nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Any]:
        # A position predicts the next one: logits start one before the first learnt token of the batch.
        # They go on to the last position, which predicts nothing. A number, not the positions themselves: if layers are
        # split, the last ones are on another device than the inputs.
        start = max(int((labels != IGNORED).any(dim=0).nonzero()[0]) - 1, 0)
        # No attention mask: only ignored tokens come after right padding.
        outputs = model(input_ids=ids, logits_to_keep=ids.shape[1] - start, use_cache=False)
        logits = outputs.logits[:, :-1]
        targets = labels[:, start + 1 :].to(logits.device)
        learnt = targets != IGNORED
        return functional.cross_entropy(logits[learnt].float(), targets[learnt], reduction="sum"), outputs

    def tokens_seen_everywhere(self) -> int:
        """The sum of tokens_seen over all processes. Every process must call it."""
        return int(self.accelerator.reduce(torch.tensor(self.tokens_seen, device=self.accelerator.device)))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as Trainer does, because SFTTrainer's per-token metrics are not computed."""
        Trainer.log(self, logs, start_time)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the adapter is not for a hub."""


class BulkDropout(nn.Module):
    """Dropout with 64 random bits for every four elements: about ten times as fast on a CPU.

    The probability is rounded to 1/65536. It uses torch's own generator, so seeds and checkpoints work as usual.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropped = min(round(probability * 2**16), 2**16 - 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """In training, `values` with random elements set to zero and the others scaled up; else `values` unchanged."""
        if not self.training or not self.dropped:
            return values
        words = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        shorts = words.view(torch.int16)[: values.numel()].view(values.shape)
        kept = (shorts >= self.dropped - 2**15).to(values.dtype)
        return values * kept.mul_(2**16 / (2**16 - self.dropped))


class Reporter(TrainerCallback):
    """Moves a progress display and sends points to a history, in the first process only."""

    def __init__(self, progress: Progress, trainer: AnswerTrainer, batch_size: int, history: History | None) -> None:
        self.progress, self.trainer, self.history = progress, trainer, history
        self.rows, self.batch_size = len(trainer.train_dataset), batch_size
        self.tokens = 0  # of this process, up to the last optimizer step

    def rows_after(self, step: int) -> int:
        """Examples seen after a number of optimizer steps; the last step of an epoch takes what is left."""
        epochs, steps = divmod(step, math.ceil(self.rows / self.batch_size))
        return epochs * self.rows + steps * self.batch_size

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.total = self.rows_after(state.max_steps)
        self.progress.skip(self.rows_after(state.global_step))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        new, self.tokens = self.trainer.tokens_seen - self.tokens, self.trainer.tokens_seen
        if state.is_world_process_zero:
            if self.trainer.total_steps < state.max_steps:  # tuning.minutes ends it earlier
                self.progress.total = self.rows_after(self.trainer.total_steps)
            self.progress.advance(self.rows_after(state.global_step) - self.progress.done, tokens=new * processes())

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not (state.is_world_process_zero and logs and "loss" in logs):
            return
        self.progress.note(loss=f"{float(logs['loss']):.3f}")
        if self.history is not None:
            rate = float(logs.get("learning_rate", "nan"))
            self.history({"train/loss": float(logs["loss"]), "train/learning_rate": rate}, state.global_step)


def answer_trainer(
    llm: LanguageModel,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    settings: Tuning,
    seed: int,
    checkpoints: Path,
) -> AnswerTrainer:
    """The trainer for these examples. checkpoints: the folder for its checkpoints."""
    quiet_libraries()
    at_once = settings.device_batch(llm.resolved_device(), examples.longest)
    trainer = AnswerTrainer(
        model=model, args=_arguments(llm, settings, at_once, seed, checkpoints), train_dataset=examples.dataset,
        processing_class=tokenizer, peft_config=_adapter(llm, settings),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    _quicken(trainer.model, llm, settings.dropout)
    return trainer


def _arguments(llm: LanguageModel, settings: Tuning, at_once: int, seed: int, checkpoints: Path) -> SFTConfig:
    """TRL's arguments. at_once: examples that go through the model together."""
    half = llm.resolved_dtype()
    arguments = SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_ratio,  # a number below 1 is a share of all steps
        weight_decay=settings.weight_decay,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=settings.batch_size // (at_once * processes()),
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=half == torch.bfloat16,
        fp16=half == torch.float16,
        use_cpu=llm.resolved_device() == "cpu",
        seed=derive(seed, "tuning", "trainer"),
        data_seed=derive(seed, "tuning", "order"),
        max_length=None,  # lengths were checked: nothing is cut
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=1,
        save_strategy="steps" if settings.checkpoint_every else "no",
        save_steps=settings.checkpoint_every or 500,
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one process uses one GPU: TRL refuses to spread a batch over several
    return arguments


def _adapter(llm: LanguageModel, settings: Tuning) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(llm.target_modules) or "all-linear",
        task_type="CAUSAL_LM",
    )


def _quicken(model: Any, llm: LanguageModel, dropout: float) -> None:
    """Compute adapters in the autocast type, and draw dropout masks in bulk on a CPU."""
    autocast, on_cpu = llm.resolved_dtype() in (torch.bfloat16, torch.float16), llm.resolved_device() == "cpu"
    for module in model.modules():
        if autocast and hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False  # autocast brings adapter and input to one type
        dropouts = getattr(module, "lora_dropout", None)
        if on_cpu and dropout and dropouts is not None:
            dropouts["default"] = BulkDropout(dropout)
