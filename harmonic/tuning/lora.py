"""LoRA tuning with TRL's SFTTrainer: the loss is on the learnt parts of prompts (paper, section 3.2, eq. 3).

Compared with TRL the loss is the same, and the speed is higher: no gradient checkpointing by default; logits for the
learnt positions only and, as an option, only for the tokens that can occur; no entropy or accuracy per step; adapters
computed in the autocast type, not in float32; no attention mask if right padding makes it useless; dropout masks drawn
in bulk on CPUs. experiments/benchmarks/tuning.py compares it with TRL's defaults.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from harmonic.errors import DataError
from harmonic.llm.language_model import LanguageModel
from harmonic.llm.machine import rank
from harmonic.llm.weights import quiet_libraries
from harmonic.progress import History, Progress
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import Prompt
from harmonic.randomness import derive, fixed_order, seeded
from harmonic.tuning.examples import Encoded, Examples, encode, occurring, stored_examples
from harmonic.tuning.folder import TuningFolder
from harmonic.tuning.settings import Tuning
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harmonic.tuning.trainer import AnswerTrainer


def tune(
    llm: LanguageModel,
    examples: Sequence[Prompt],
    settings: Tuning,
    *,
    seed: int,
    directory: Path,
    stage: str = "tune",
    history: History | None = None,
    validation: Sequence[Prompt] = (),
) -> dict[str, float]:
    """Tune a LoRA adapter on prompts with learnt parts; write it to `directory`/adapter.

    validation: prompts whose learnt parts are only scored, to stop in time. history.json becomes a list of points:
    {"step", "train/loss"} and {"step", "validation/loss"}. The seed decides the adapter's first weights, the subset and
    the order of the examples. A killed run continues from `directory`/checkpoints, and ends with the same adapter.
    Under `accelerate launch` or `torchrun` all processes call this, and the first one writes.

    Returns {"examples", "steps", "tokens" (without padding), "learnt_tokens", "seconds", "tokens_per_s", "loss" (mean
    of the last five steps)}, with validation also "validation_loss". Tokens and seconds are those of this call, not of
    a killed one before it. Raises ConfigError before any tuning if an example is longer than the model's context.
    """
    settings.check()
    examples = subset(examples, settings.max_examples, seed)
    if not examples:
        raise DataError("there is no example to tune on\n  fix: lower generator.filter_threshold")
    with seeded(derive(seed, "tuning")), fixed_order(llm.resolved_device()):
        facts = _tune(llm, examples, validation, settings, seed, TuningFolder(directory), stage, history)
    free_memory()
    return facts


def _tune(
    llm: LanguageModel, prompts: Sequence[Prompt], validation: Sequence[Prompt], settings: Tuning, seed: int,
    folder: TuningFolder, stage: str, history: History | None,
) -> dict[str, float]:  # fmt: skip
    from harmonic.tuning.trainer import answer_trainer

    model, tokenizer = llm.load()
    chat, limit = Chat(tokenizer), llm.max_tokens(model.config)
    vocabulary = occurring(chain(prompts, validation), chat) if settings.vocabulary == "occurring" else None
    held_out = list(encode(validation, chat, limit, vocabulary))
    with stored_examples(prompts, chat, limit, vocabulary, folder.examples(rank())) as examples:
        if vocabulary is not None:
            vocabulary.narrow(model)
        trainer = answer_trainer(llm, model, tokenizer, examples, settings, seed, folder.checkpoints)
        return _trained(trainer, examples, held_out, vocabulary, settings, folder, stage, history)


def _trained(
    trainer: AnswerTrainer, examples: Examples, validation: list[Encoded], vocabulary: Vocabulary | None,
    settings: Tuning, folder: TuningFolder, stage: str, history: History | None,
) -> dict[str, float]:  # fmt: skip
    """Train, and write what was learnt. Every process must call it."""
    from harmonic.tuning.budget import Minutes, Validation
    from harmonic.tuning.trainer import Reporter

    rows = len(examples.dataset)
    if settings.minutes is not None:
        trainer.add_callback(Minutes(trainer, settings.minutes, folder.steps))
    held_out = Validation(trainer, validation, folder.best, history)
    if validation:
        trainer.add_callback(held_out)
    with Progress(stage, rows * settings.epochs, "rows") as progress:
        trainer.add_callback(Reporter(progress, trainer, settings.batch_size, history))
        trainer.train(resume_from_checkpoint=folder.last_checkpoint())
        seconds = progress.seconds
    facts = _facts(trainer, examples, seconds)
    if trainer.is_world_process_zero():
        points = [{"step": step, "validation/loss": loss} for step, loss in held_out.points]
        save = trainer.accelerator.unwrap_model(trainer.model).save_pretrained
        folder.write(save, [*_losses(trainer), *points], best=bool(held_out.points))
        if vocabulary is not None:
            vocabulary.write(folder.adapter)
    trainer.accelerator.wait_for_everyone()  # no process may look for the adapter before it is written
    return facts | ({"validation_loss": held_out.lowest} if held_out.points else {})


def _losses(trainer: AnswerTrainer) -> list[dict[str, float]]:
    """The training loss of each step."""
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [{"step": entry["step"], "train/loss": float(entry["loss"])} for entry in logged]


def _facts(trainer: AnswerTrainer, examples: Examples, seconds: float) -> dict[str, float]:
    """The facts that `tune` returns. Every process must call it."""
    tokens = float(trainer.tokens_seen_everywhere())
    last = [point["train/loss"] for point in _losses(trainer)[-5:]]
    return {
        "examples": float(len(examples.dataset)),
        "steps": float(trainer.state.global_step),
        "tokens": tokens,
        "learnt_tokens": float(examples.learnt_tokens),
        "seconds": seconds,
        "tokens_per_s": tokens / seconds,
        "loss": sum(last) / max(len(last), 1),
    }


def load_tuned(llm: LanguageModel, adapter: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with the adapter merged into its weights. Quantized weights keep the adapter separate."""
    from peft import PeftModel

    quiet_libraries()
    model, tokenizer = llm.load()
    with seeded(derive(0, "adapter to fill")):  # peft draws weights for the adapter before it reads them
        # peft would read the adapter onto a GPU wherever there is one
        tuned = PeftModel.from_pretrained(model, adapter, torch_device=llm.resolved_device())
    merged = tuned if llm.quantization else tuned.merge_and_unload()
    return merged.eval(), tokenizer


def subset(examples: Sequence[Prompt], limit: int | None, seed: int) -> Sequence[Prompt]:
    """At most `limit` of the examples, drawn without replacement, in their own order."""
    import numpy as np

    if limit is None or len(examples) <= limit:
        return examples
    chosen = np.random.default_rng(derive(seed, "tuning examples")).choice(len(examples), size=limit, replace=False)
    return [examples[index] for index in sorted(chosen.tolist())]


def free_memory() -> None:
    """Free the memory of a trained model, which is in reference cycles, before another one is loaded."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
