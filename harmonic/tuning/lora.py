"""LoRA tuning with TRL's SFTTrainer: loss on what a prompt marks as learnt (paper, section 3.2, eq. 3).

What is ours on top of TRL is speed, with the same loss: no gradient checkpointing unless asked for, logits
for the learnt positions alone and, if wanted, for the tokens alone that can occur, no entropy or accuracy per step,
adapters computed in the autocast type rather than widened to float32, no attention mask where right padding makes it
idle, and dropout masks drawn in bulk on CPUs. experiments/benchmarks/tuning.py measures it against TRL's defaults.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harmonic.errors import DataError
from harmonic.llm.language_model import LanguageModel
from harmonic.llm.weights import quiet_libraries
from harmonic.progress import Progress
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import Prompt
from harmonic.randomness import derive, seeded
from harmonic.tuning.examples import IGNORED, encode, occurring
from harmonic.tuning.settings import History, Tuning

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harmonic.tuning.budget import Validation
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

    validation: prompts whose learnt parts are only looked at, to stop in time. Also writes history.json: a list of
    {"step", "train/loss"}, {"step", "validation/loss"} among them. The seed fixes the adapter's start, the subset
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
    with seeded(derive(seed, "tuning")):
        facts = _tune(llm, examples, settings, seed, directory, stage, history, validation)
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
    validation: Sequence[Prompt],
) -> dict[str, float]:
    from harmonic.tuning.budget import Minutes, Validation
    from harmonic.tuning.trainer import Reporter, answer_trainer

    model, tokenizer = llm.load()
    chat, limit = Chat(tokenizer), llm.max_tokens(model.config)
    vocabulary = occurring([*examples, *validation], chat) if settings.vocabulary == "occurring" else None
    rows = encode(examples, chat, limit, vocabulary)
    if vocabulary is not None:
        vocabulary.narrow(model)
    trainer = answer_trainer(llm, model, tokenizer, rows, settings, seed, directory)
    if settings.minutes is not None:
        trainer.add_callback(Minutes(trainer, settings.minutes, directory))
    watched = Validation(trainer, encode(validation, chat, limit, vocabulary), directory, history)
    if validation:
        trainer.add_callback(watched)
    with Progress(stage, len(rows) * settings.epochs, "rows") as progress:
        trainer.add_callback(Reporter(progress, trainer, settings.batch_size, history))
        trainer.train(resume_from_checkpoint=_last_checkpoint(directory / "checkpoints"))
        seconds = progress.seconds
    tokens = float(trainer.tokens_seen_everywhere())
    points: list[dict[str, float]] = [
        {"step": entry["step"], "train/loss": float(entry["loss"])}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
    last = [point["train/loss"] for point in points[-5:]]
    points += [{"step": step, "validation/loss": loss} for step, loss in watched.points]
    if trainer.is_world_process_zero():
        _keep(trainer, watched, directory / "adapter")
        if vocabulary is not None:
            vocabulary.write(directory / "adapter")
        (directory / "history.json").write_text(json.dumps(points))
        for scratch in ("checkpoints", "best"):
            shutil.rmtree(directory / scratch, ignore_errors=True)
        (directory / "steps.json").unlink(missing_ok=True)
    trainer.accelerator.wait_for_everyone()  # no process may look for the adapter before it is there
    found = {
        "examples": float(len(rows)),
        "steps": float(trainer.state.global_step),
        "tokens": tokens,
        "learnt_tokens": float(sum(label != IGNORED for row in rows for label in row["labels"])),
        "seconds": seconds,
        "tokens_per_s": tokens / seconds,
        "loss": sum(last) / max(len(last), 1),
    }
    return found | ({"validation_loss": watched.lowest} if watched.points else {})


def _keep(trainer: AnswerTrainer, watched: Validation, adapter: Path) -> None:
    """Write the adapter: the last one, or the one that told the validation rows best."""
    if watched.points and watched.best.is_dir():
        shutil.copytree(watched.best, adapter, dirs_exist_ok=True, ignore=shutil.ignore_patterns("losses.json"))
    else:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(adapter)
    (adapter / "README.md").unlink(missing_ok=True)  # peft's empty form of a model card


def load_tuned(llm: LanguageModel, adapter: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with the adapter merged into its weights (quantized weights keep it beside them)."""
    from peft import PeftModel

    quiet_libraries()
    model, tokenizer = llm.load()
    with seeded(derive(0, "adapter to fill")):  # peft draws weights for the adapter before it reads them
        tuned = PeftModel.from_pretrained(model, adapter)
    merged = tuned if llm.quantization else tuned.merge_and_unload()
    return merged.eval(), tokenizer


def subset(examples: Sequence[Prompt], limit: int | None, seed: int) -> list[Prompt]:
    """At most `limit` of the examples, drawn without replacement, in their order."""
    import numpy as np

    if limit is None or len(examples) <= limit:
        return list(examples)
    chosen = np.random.default_rng(derive(seed, "tuning examples")).choice(len(examples), size=limit, replace=False)
    return [examples[index] for index in sorted(chosen.tolist())]


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
