"""REaLTabFormer's training by the library itself, in the run's folder (see baselines/realtabformer/generator.py)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from baselines.realtabformer.encoding import RowTokens, coded
from harmonic.errors import ConfigError
from harmonic.llm.machine import processes
from harmonic.progress import History, Progress
from harmonic.randomness import derive, seeded
from harmonic.settings import Count, Natural, Positive
from harmonic.tables.table import Kind, Table
from harmonic.tuning.lora import free_memory

DROPPED = ("overwrite_output_dir", "evaluation_strategy")
"""Arguments that realtabformer passes to TrainingArguments, and that transformers 5 no longer has."""

_MAX_LEN = 10  # the library's own numeric_max_len


@dataclass(frozen=True, kw_only=True)
class RealTabFormerTuning:
    """Settings of the training; the defaults are the library's.

    An optimizer step sees batch_size * gradient_accumulation_steps rows. max_steps: end after this many steps, even if
    `epochs` are not over (only with n_critic 0). n_critic: epochs between two checks how near samples are to training
    rows, which may end the training; 0 means no check. num_bootstrap: resamples for the threshold. gpt2: arguments of
    GPT2Config (None: the library's own). numeric_precision: decimals that are kept. numeric_max_len: characters of a
    decimal number that are kept (None: 10, or as many as the longest needs for one decimal).
    """

    epochs: Count = 1000
    batch_size: Count = 8
    gradient_accumulation_steps: Count = 4
    learning_rate: Positive = 5e-5
    max_steps: Count | None = None
    n_critic: Natural = 5
    num_bootstrap: Count = 500
    gpt2: dict[str, Any] | None = None
    numeric_precision: Natural = 4
    numeric_max_len: Count | None = None

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        key = "generator.tuning"
        for name in ("epochs", "batch_size", "gradient_accumulation_steps", "learning_rate", "max_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{key}.{name}", value, "must be above 0", f"{key}.{name}=1")
        if processes() > 1:
            raise ConfigError("generator", "realtabformer", "trains in one process", "start it without a launcher")


def library() -> Any:
    """The realtabformer package. Raises ConfigError if it is missing."""
    return imported("realtabformer", package="realtabformer", generator="realtabformer")


def train(
    table: Table, settings: RealTabFormerTuning, *, device: str, seed: int, directory: Path, history: History | None
) -> dict[str, float]:
    """Train on the rows; write model/ (safetensors), vocabulary.json, history.json and learnt.json into `directory`.

    learnt.json: the rows of all batches. Returns {"examples", "tokens", "seconds", "tokens_per_s", "loss" (mean
    of the last five points)}.
    """
    library()  # raises the error if it is missing
    try:
        with muted(), seeded(derive(seed, "realtabformer", "fit")):
            return _train(table, settings, device, seed, directory, history)
    finally:
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
        free_memory()


def _train(
    table: Table, settings: RealTabFormerTuning, device: str, seed: int, directory: Path, history: History | None
) -> dict[str, float]:
    trained_on: set[int] = set()
    with Progress("fit", 1, "steps") as progress:
        report = reporter(progress, history)
        former = _former(table, settings, device, seed, directory / "checkpoints", report, trained_on)
        with _no_bars():
            trainer = former.fit(
                coded(table),
                device=device,
                n_critic=settings.n_critic,
                num_bootstrap=settings.num_bootstrap,
                save_full_every_epoch=0,  # or it fails, because it saves itself before it has a name
                gen_kwargs={},  # its default, None, cannot be unpacked
            )
        seconds = progress.seconds
    former.model.save_pretrained(directory / "model")
    write_learnt(trained_on, directory)
    tokens = RowTokens.of(former)
    (directory / "vocabulary.json").write_text(json.dumps(tokens.to_dict()), encoding="utf-8")
    seen = float(trainer.state.epoch * len(table) * (len(tokens.processed) + 2))
    return {
        "examples": float(len(table)), "tokens": seen, "seconds": seconds, "tokens_per_s": seen / seconds,
        "loss": write_history(report.points, directory),
    }  # fmt: skip


def _former(
    table: Table, settings: RealTabFormerTuning, device: str, seed: int, checkpoints: Path, report: Any, seen: set[int]
) -> Any:
    """The library's model with repaired arguments, and with `report` in every trainer that it builds.

    seen: receives the positions of the rows that these trainers train on.
    """
    from transformers import GPT2Config

    a_step = settings.batch_size * settings.gradient_accumulation_steps
    steps = settings.epochs * -(-len(table) // a_step)
    limit = binding(settings.max_steps, steps)
    if limit and settings.n_critic > 0:
        problem = f"cannot be kept while the stopping rule trains in parts, {steps} steps in all"
        fix = "generator.tuning.n_critic=0, or generator.tuning.max_steps=null"
        raise ConfigError("generator.tuning.max_steps", limit, problem, fix)
    former = _reported_class(report, seen, keep_checkpoints=settings.n_critic > 0)(
        model_type="tabular",
        tabular_config=GPT2Config(**{"n_layer": 6, **settings.gpt2}) if settings.gpt2 else None,
        checkpoints_dir=str(checkpoints),
        samples_save_dir=str(checkpoints / "samples"),
        full_save_dir=str(checkpoints / "full"),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        random_state=derive(seed, "realtabformer", "split"),
        numeric_precision=settings.numeric_precision,
        numeric_max_len=settings.numeric_max_len or _characters(table),
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        max_steps=limit or -1,
        seed=derive(seed, "realtabformer", "trainer"),
        data_seed=derive(seed, "realtabformer", "order"),
        use_cpu=device == "cpu",
        logging_steps=logging_steps(limit or steps),
        save_strategy="no",  # except at the end of an epoch
        save_total_limit=1,
        remove_unused_columns=False,  # or a batch would not have the positions of its rows
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    for name in DROPPED:
        former.training_args_kwargs.pop(name, None)
    return former


def _reported_class(report: Any, seen: set[int], *, keep_checkpoints: bool) -> Any:
    """The library's class, with numbered rows, and with `report` and `seen` in every trainer that it builds."""
    from transformers import PrinterCallback

    package = library()

    class Reported(package.REaLTabFormer):  # type: ignore[name-defined]
        def _split_train_eval_dataset(self, dataset: Any) -> Any:
            return super()._split_train_eval_dataset(dataset.add_column(ROW, list(range(len(dataset)))))

        def _build_tabular_trainer(self, *args: Any, **kwargs: Any) -> Any:
            trainer = super()._build_tabular_trainer(*args, **kwargs)
            trainer.remove_callback(PrinterCallback)
            if not keep_checkpoints:  # no training continues from one
                trainer.remove_callback(package.rtf_trainer.SaveEpochEndCallback)
            trainer.add_callback(report)
            note_rows(trainer, seen)
            return trainer

    return Reported


def _characters(table: Table) -> int:
    """The library's default length of a decimal number, or the length of the largest with a point and one decimal."""
    wholes = [
        len(str(int(value)))
        for column in table.schema.columns
        if column.kind is Kind.FLOAT
        for value in (table.frame[column.name].min(), table.frame[column.name].max())
    ]
    return max([_MAX_LEN, *(digits + 3 for digits in wholes)])


@contextmanager
def _no_bars() -> Iterator[None]:
    """Inside this context, the library's own progress bars, in bootstrap and sampling, are not drawn."""
    modules = library().rtf_analyze, library().rtf_sampler
    before = [module.tqdm for module in modules]
    try:
        for module in modules:
            module.tqdm = partial(module.tqdm, disable=True)
        yield
    finally:
        for module, bar in zip(modules, before, strict=True):
            module.tqdm = bar
