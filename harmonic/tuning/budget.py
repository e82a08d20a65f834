"""When tuning ends: after so many minutes, or when rows kept for validation are told worse."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from harmonic.tuning.examples import IGNORED

if TYPE_CHECKING:
    from harmonic.tuning.trainer import AnswerTrainer

_TIMED = (1, 4)  # the steps between which the speed is measured; the first one warms up
_LOOKS = 8  # at the validation rows, in a whole tuning
_PATIENCE = 2  # looks without a new best before tuning stops


class Minutes(TrainerCallback):
    """Fits the number of steps to a time, from the speed of the first ones; a killed run keeps the number it had.

    The learning rate's schedule is over that number (trainer.total_steps). Two runs at different speed take a
    different number of steps: without a limit in minutes a seed fixes it.
    """

    def __init__(self, trainer: AnswerTrainer, minutes: float, directory: Path) -> None:
        self.trainer, self.seconds, self.file = trainer, 60 * minutes, directory / "steps.json"
        self.started = self.first = 0.0
        self.from_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The clock starts; or the number of steps is known."""
        self.started, self.from_step = time.monotonic(), state.global_step
        if self.file.is_file():
            self.trainer.total_steps = min(json.loads(self.file.read_text()), state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure, decide, and stop after the last step."""
        now = time.monotonic()
        done = state.global_step - self.from_step
        if done == _TIMED[0]:
            self.first = now
        if done == _TIMED[1] and not self.file.is_file():
            step = (now - self.first) / (_TIMED[1] - _TIMED[0])
            left = max(self.seconds - (now - self.started), 0.0)
            wanted = torch.tensor([state.global_step + int(left / step)], device=self.trainer.accelerator.device)
            # The slowest of several processes decides: all must take the same number of steps.
            self.trainer.total_steps = min(int(self.trainer.accelerator.gather(wanted).min()), state.max_steps)
            if state.is_world_process_zero:
                self.file.write_text(json.dumps(self.trainer.total_steps))
        if state.global_step >= self.trainer.total_steps:
            control.should_training_stop = True


class Validation(TrainerCallback):
    """Looks at rows that are not learnt, keeps the weights that told them best, and stops when they are told worse.

    examples: encoded, their learnt parts being the rows to tell. The best adapter lies in `directory`/best.
    """

    def __init__(
        self, trainer: AnswerTrainer, examples: list[dict[str, list[int]]], directory: Path,
        report: Callable[[dict[str, float], int], None] | None,
    ) -> None:  # fmt: skip
        self.trainer, self.examples, self.report = trainer, examples, report
        self.best, self.losses = directory / "best", directory / "best" / "losses.json"
        self.points: list[tuple[int, float]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the looks of a run that was killed, up to where it goes on."""
        if self.losses.is_file():
            known = json.loads(self.losses.read_text())
            self.points = [(step, loss) for step, loss in known if step <= state.global_step]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look, every so many steps and after the last."""
        every = max(self.trainer.total_steps // _LOOKS, 1)
        if state.global_step % every and state.global_step < self.trainer.total_steps:
            return
        loss = self.loss()
        self.points.append((state.global_step, loss))
        if self.report is not None:
            self.report({"validation/loss": loss}, state.global_step)
        if loss <= self.lowest and state.is_world_process_zero:
            self.trainer.accelerator.unwrap_model(self.trainer.model).save_pretrained(self.best)
        if all(point > self.lowest for _, point in self.points[-_PATIENCE:]) and len(self.points) > _PATIENCE:
            control.should_training_stop = True
        if state.is_world_process_zero:
            self.best.mkdir(parents=True, exist_ok=True)
            self.losses.write_text(json.dumps(self.points))

    @property
    def lowest(self) -> float:
        """The least loss so far."""
        return min((loss for _, loss in self.points), default=math.inf)

    @torch.no_grad()
    def loss(self) -> float:
        """Mean negative log-likelihood of the rows' tokens, nats."""
        model = self.trainer.model
        was_training = model.training
        model.eval()
        total, count = 0.0, 0
        for example in self.examples:
            ids = torch.tensor([example["input_ids"]], device=self.trainer.accelerator.device)
            labels = torch.tensor([example["labels"]], device=ids.device)
            with self.trainer.compute_loss_context_manager():
                total += float(self.trainer.summed_loss(model, ids, labels))
            count += sum(label != IGNORED for label in example["labels"])
        model.train(was_training)
        return total / max(count, 1)
