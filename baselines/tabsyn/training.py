"""The training loop of both stages of TabSyn: Adam, a falling learning rate, and the weights of the best epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError
from harmonic.progress import Progress
from harmonic.settings import Between, Chance, Count
from harmonic.time_limit import time_is_up

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class NetworkTraining:
    """Settings of one stage's training.

    epochs, max_steps (null: no limit): training ends with the first of them. batch_size: rows in a step, at most all.
    decay: factor on the learning rate if the loss has not fallen for more than `decay_patience` epochs. patience:
    training ends after this many epochs without a lower loss (null: never). averaging: weight, in [0, 1), of the past
    in a moving average of the network's weights, which is kept instead of them (null: none).
    """

    epochs: Count
    max_steps: Count | None = None
    batch_size: Count = 4096
    learning_rate: Between = 1e-3
    decay: Between = 0.95
    decay_patience: Count = 10
    patience: Count | None = None
    averaging: Chance | None = None

    def check(self, stage: str) -> None:
        """Raise ConfigError if a setting is invalid."""
        for name in ("epochs", "max_steps", "batch_size", "decay_patience", "patience"):
            value = getattr(self, name)
            self._require(value is None or value >= 1, stage, name, "must be at least 1", 1)
        self._require(0 < self.learning_rate < 1, stage, "learning_rate", "must be between 0 and 1", 1e-3)
        self._require(0 < self.decay < 1, stage, "decay", "must be between 0 and 1", 0.9)
        averaging = 0.0 if self.averaging is None else self.averaging
        self._require(0 <= averaging < 1, stage, "averaging", "must be in [0, 1)", "null")

    def _require(self, holds: bool, stage: str, name: str, problem: str, example: object) -> None:
        if not holds:
            key = f"generator.{stage}.{name}"
            raise ConfigError(key, getattr(self, name), problem, f"{key}={example}")

    def steps(self, rows: int) -> int:
        """Optimizer steps, if patience does not end the training earlier."""
        whole = self.epochs * -(-rows // self.batch_size)
        return whole if self.max_steps is None else min(whole, self.max_steps)


def train(
    network: nn.Module,
    loss: Callable[[Tensor], tuple[Tensor, Tensor]],
    rows: int,
    settings: NetworkTraining,
    *,
    stage: str,
    after_epoch: Callable[[float], None] = lambda _: None,
    until: float = 1.0,
) -> dict[str, float]:
    """Train `network` in place; leave it with the weights of the epoch whose loss was lowest.

    loss: takes the positions of a batch's rows, (batch,), and returns the objective and the watched loss, both scalars.
    after_epoch: receives the mean watched loss of each epoch. until: the share of the time for fitting
    (harmonic.time_limit) after which this training ends. Draws from torch's global state. Returns {"loss": the
    lowest mean, "steps"}. Raises ConfigError if the loss becomes infinite or NaN.
    """
    import torch
    from torch.optim.lr_scheduler import ReduceLROnPlateau
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    total = settings.steps(rows)
    schedule = ReduceLROnPlateau(optimizer, factor=settings.decay, patience=settings.decay_patience)
    average = settings.averaging and AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
    best, kept, waited, step = math.inf, _copy(network), 0, 0
    network.train()
    with Progress(stage, total, "steps") as progress:
        while step < total and (settings.patience is None or waited < settings.patience):
            if step and time_is_up(until):
                break
            watched = seen = 0.0
            for batch in torch.randperm(rows).split(settings.batch_size)[: total - step]:
                objective, measure = loss(batch)
                optimizer.zero_grad()
                objective.backward()
                optimizer.step()
                watched, seen, step = watched + float(measure.detach()) * len(batch), seen + len(batch), step + 1
                if average:
                    average.update_parameters(network)
                progress.advance()
                if time_is_up(until):
                    break
            mean = watched / seen
            _check_finite(mean, settings, stage)
            progress.note(loss=f"{mean:.4f}")
            schedule.step(mean)
            after_epoch(mean)
            waited = 0 if mean < best else waited + 1
            if mean < best:
                best, kept = mean, _copy(average.module if average else network)
    network.load_state_dict(kept)
    network.eval()
    return {"loss": best, "steps": float(step)}


def _copy(network: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _check_finite(loss: float, settings: NetworkTraining, stage: str) -> None:
    if not math.isfinite(loss):
        key = f"generator.{stage}.learning_rate"
        smaller = f"{key}={settings.learning_rate / 10:g}"
        raise ConfigError(key, settings.learning_rate, f"made the training loss {loss}", smaller)
