"""When tuning ends: after a number of minutes, or when the validation loss rises."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from harmonic.progress import History
from harmonic.storage import replacing, write_json
from harmonic.tuning.examples import IGNORED, Encoded

if TYPE_CHECKING:
    from harmonic.tuning.trainer import AnswerTrainer

_TIMED = (1, 4)  # the steps between which the speed is measured; the first one warms up
_CHECKS = 8  # of the validation loss, in a whole tuning
_PATIENCE = 2  # checks without a new lowest loss before tuning stops


class Minutes(TrainerCallback):
    """Decides how many steps fit into a time, from the speed of the first ones. file: keeps the number of a killed run.

    The learning rate's schedule covers that number of steps (trainer.total_steps). The number depends on the machine's
    speed, so a seed gives the same adapter only without a limit in minutes.
    """

    def __init__(self, trainer: AnswerTrainer, minutes: float, file: Path) -> None:
        self.trainer, self.seconds, self.file = trainer, 60 * minutes, file
        self.started = self.first = 0.0
        self.from_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock, or read the number of steps."""
        self.started, self.from_step = time.monotonic(), state.global_step
        if self.file.is_file():
            self.trainer.total_steps = min(json.loads(self.file.read_text()), state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the speed, decide the number of steps, and stop after the last one."""
        now = time.monotonic()
        done = state.global_step - self.from_step
        if done == _TIMED[0]:
            self.first = now
        if done == _TIMED[1] and not self.file.is_file():
            step = (now - self.first) / (_TIMED[1] - _TIMED[0])
            left = max(self.seconds - (now - self.started), 0.0)
            wanted = torch.tensor([state.global_step + int(left / step)], device=self.trainer.accelerator.device)
            # The slowest process decides: all must take the same number of steps.
            self.trainer.total_steps = min(int(self.trainer.accelerator.gather(wanted).min()), state.max_steps)
            if state.is_world_process_zero:
                write_json(self.file, self.trainer.total_steps)
        if state.global_step >= self.trainer.total_steps:
            control.should_training_stop = True


class Validation(TrainerCallback):
    """Scores rows that are not learnt, keeps the adapter with the lowest loss, and stops when the loss rises.

    examples: encoded prompts whose learnt parts are scored. best: the folder for the best adapter.
    """

    def __init__(self, trainer: AnswerTrainer, examples: list[Encoded], best: Path, history: History | None) -> None:
        self.trainer, self.examples, self.history = trainer, examples, history
        self.best, self.losses = best, best / "losses.json"
        self.points: list[tuple[int, float]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Read the losses of a killed run, up to the step from which it continues."""
        if self.losses.is_file():
            known = json.loads(self.losses.read_text())
            self.points = [(step, loss) for step, loss in known if step <= state.global_step]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the rows at regular steps and after the last one."""
        every = max(self.trainer.total_steps // _CHECKS, 1)
        if state.global_step % every and state.global_step < self.trainer.total_steps:
            return
        loss = self.loss()
        self.points.append((state.global_step, loss))
        if self.history is not None:
            self.history({"validation/loss": loss}, state.global_step)
        if loss <= self.lowest and state.is_world_process_zero:
            self.trainer.accelerator.unwrap_model(self.trainer.model).save_pretrained(self.best)
        if all(point > self.lowest for _, point in self.points[-_PATIENCE:]) and len(self.points) > _PATIENCE:
            control.should_training_stop = True
        if state.is_world_process_zero:
            self.best.mkdir(parents=True, exist_ok=True)
            with replacing(self.losses) as incoming:  # a kill in the middle must leave the losses before
                incoming.write_text(json.dumps(self.points))

    @property
    def lowest(self) -> float:
        """The lowest loss so far."""
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
