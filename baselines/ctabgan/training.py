"""CTAB-GAN+'s training: critic, generator and auxiliary network in turn. Papers: see baselines.ctabgan.generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines.ctabgan import networks as networks
from baselines.ctabgan.conditional_vector import ConditionVectors, TrainingSampler
from baselines.ctabgan.downstream import Downstream
from baselines.ctabgan.mode_encoding import RowEncoding
from baselines.ctabgan.networks import activate, fold
from harmonic.errors import ConfigError
from harmonic.progress import Progress
from harmonic.settings import Chance, Count, NotNegative
from harmonic.tables.table import Table
from harmonic.time_limit import time_is_up

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim.swa_utils import AveragedModel

_NOTED = 10  # steps between two checks of the losses


@dataclass(frozen=True, kw_only=True)
class CtabganTraining:
    """Settings of the training; the defaults are the published ones.

    An epoch has as many steps as there are full batches in the table, but at least one; max_steps (None: no limit) ends
    the training earlier. A step is critic_steps updates of the critic, then one of the generator and one of the
    auxiliary network. channels: of the convolution next to the square; each further one has twice as many. noise: its
    width. penalty, condition, information, downstream: weights of the losses besides the Wasserstein loss. averaging:
    the share, in [0, 1), that the running average of the generator's weights keeps at a step; rows are drawn from the
    average. With 0 this is the last step, as published, but with few steps the last one is a matter of chance.
    """

    epochs: Count = 300
    max_steps: Count | None = None
    batch_size: Count = 500
    critic_steps: Count = 5
    learning_rate: NotNegative = 2e-4
    weight_decay: NotNegative = 1e-5
    adam_epsilon: NotNegative = 1e-3
    channels: Count = 64
    noise: Count = 100
    penalty: NotNegative = 10.0
    condition: NotNegative = 1.0
    information: NotNegative = 1.0
    downstream: NotNegative = 1.0
    averaging: Chance = 0.0

    def check(self) -> None:
        """Raise ConfigError if a setting is invalid."""
        least = {"batch_size": 2, "epochs": 1, "max_steps": 1, "critic_steps": 1, "channels": 1, "noise": 1}
        for setting in fields(self):
            key, value, low = f"generator.training.{setting.name}", getattr(self, setting.name), least.get(setting.name)
            fix = f"{key}={'null' if setting.default is None else setting.default}"
            if setting.name in ("learning_rate", "adam_epsilon") and not 0 < value < math.inf:
                raise ConfigError(key, value, "must be above 0", fix)
            if setting.name == "averaging" and not 0 <= value < 1:
                raise ConfigError(key, value, "must be in [0, 1)", fix)
            if value is not None and not (low or 0) <= value < math.inf:
                raise ConfigError(key, value, f"must be a number of at least {low or 0}", fix)

    def steps(self, rows: int) -> int:
        """All generator steps."""
        steps = self.epochs * max(1, rows // self.batch_size)
        return steps if self.max_steps is None else min(steps, self.max_steps)

    def averaged(self, mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        """The running average of a weight at step `count`; at first it keeps little of the past."""
        return new.lerp(mean, min(self.averaging, float(count / (count + 10))))


@dataclass(frozen=True)
class Fitted:
    """A trained generator network, its condition vectors, and facts for the report."""

    network: nn.Module
    conditions: ConditionVectors
    facts: dict[str, float]


def train(
    table: Table, encoding: RowEncoding, settings: CtabganTraining, device: str, random: np.random.Generator
) -> Fitted:
    """Train on the table's rows. Draws from `random` and from torch's global state: seed it before.

    Raises ConfigError if a loss becomes infinite or NaN.
    """
    rows = encoding.encode(table.frame, random)
    duel = Duel.begin(rows, encoding, settings, table, device, random)
    steps = taken = settings.steps(len(rows))
    with Progress("fit", steps, "steps") as progress:
        for step in range(steps):
            losses = duel.step()
            if step % _NOTED == 0 or step == steps - 1:
                shown = {name: float(loss) for name, loss in losses.items()}
                if not all(math.isfinite(loss) for loss in shown.values()):
                    key, rate = "generator.training.learning_rate", settings.learning_rate
                    raise ConfigError(key, rate, f"the training diverged in step {step + 1}", f"{key}={rate / 4:g}")
                progress.note(**{name: f"{loss:.3f}" for name, loss in shown.items()})
            progress.advance(rows=settings.batch_size * settings.critic_steps)
            if time_is_up():
                taken = step + 1
                break
    facts = {"steps": float(taken), "rows_per_s": progress.rate("rows")}
    facts |= {f"loss/{name}": loss for name, loss in shown.items()}
    return Fitted(duel.average.module, duel.sampler.conditions, facts)


@dataclass
class Duel:
    """The networks, their optimizers, and the encoded training rows."""

    settings: CtabganTraining
    encoding: RowEncoding
    sampler: TrainingSampler
    random: np.random.Generator
    rows: Tensor  # (n, width)
    side: int  # of the critic's square
    generator: nn.Sequential
    average: AveragedModel  # of the generator, over the steps
    critic: nn.Sequential
    downstream: Downstream | None
    optimizers: dict[str, Any]

    @classmethod
    def begin(
        cls, rows: NDArray[np.float32], encoding: RowEncoding, settings: CtabganTraining, table: Table, device: str,
        random: np.random.Generator,
    ) -> Duel:  # fmt: skip
        """Untrained networks for these rows, (n, width), on the device."""
        import torch
        from torch.optim.swa_utils import AveragedModel

        sampler = TrainingSampler.of(rows, encoding.selectors)
        options, channels = sampler.conditions.width, settings.channels
        side = networks.side_of(encoding.width + options)
        generator = networks.generator(settings.noise + options, networks.side_of(encoding.width), channels).to(device)
        critic = networks.critic(side, channels).to(device)
        given = torch.from_numpy(rows).to(device)
        downstream = Downstream.of(encoding, table, given)
        trained = {"generator": generator, "critic": critic}
        if downstream is not None:
            trained["downstream"] = downstream.network
        rate, decay, epsilon = settings.learning_rate, settings.weight_decay, settings.adam_epsilon
        optimizers = {
            name: torch.optim.Adam(network.parameters(), rate, betas=(0.5, 0.9), eps=epsilon, weight_decay=decay)
            for name, network in trained.items()
        }
        average = AveragedModel(generator, avg_fn=settings.averaged)
        return cls(settings, encoding, sampler, random, given, side, generator, average, critic, downstream, optimizers)

    def step(self) -> dict[str, Tensor]:
        """Train each network once, the critic `critic_steps` times: {"name of the loss": its last value}."""
        for _ in range(self.settings.critic_steps):
            distance = self._train_critic()
        losses = {"distance": distance, **self._train_generator()}
        self.average.update_parameters(self.generator)
        return losses

    def _train_critic(self) -> Tensor:
        """One update; returns the critic's estimate of the Wasserstein distance between real and fake rows."""
        import torch

        real, conditions, _ = self._draw()
        with torch.no_grad():
            fake = self._fake(conditions)[1]
        real, fake = (torch.cat([rows, conditions], dim=1) for rows in (real, fake))
        real_score, fake_score = self.critic(fold(torch.cat([real, fake]), self.side)).chunk(2)
        distance = real_score.mean() - fake_score.mean()
        penalty = networks.gradient_penalty(self.critic, real, fake, self.side)
        self._update("critic", self.settings.penalty * penalty - distance)
        return distance.detach()

    def _train_generator(self) -> dict[str, Tensor]:
        """One update of the generator, and one of the auxiliary network."""
        import torch

        settings = self.settings
        real, conditions, options = self._draw()
        raw, fake = self._fake(conditions)
        with torch.no_grad():
            real_features = self.critic[:-2](fold(torch.cat([real, conditions], dim=1), self.side))
        features = self.critic[:-2](fold(torch.cat([fake, conditions], dim=1), self.side))
        losses = {
            "condition": networks.condition_loss(raw, options, self.encoding.selectors),
            "information": networks.information_loss(real_features, features),
        }
        total = settings.condition * losses["condition"] + settings.information * losses["information"]
        if self.downstream is not None:
            losses["downstream"] = self.downstream.loss(fake)
            total = total + settings.downstream * losses["downstream"]
        self._update("generator", total - self.critic[-2:](features).mean())
        if self.downstream is not None:
            self._update("downstream", self.downstream.loss(real))
        return {name: loss.detach() for name, loss in losses.items()}

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Real rows (B, width), the condition vectors that they satisfy (B, options), and their options (B,)."""
        import torch

        conditions, options, positions = self.sampler.draw(self.settings.batch_size, self.random)
        device = self.rows.device
        return (
            self.rows[torch.from_numpy(positions).to(device)],
            torch.from_numpy(conditions).to(device),
            torch.from_numpy(options).to(device),
        )

    def _fake(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Generated rows for these condition vectors, before and after activation, (B, width) each."""
        import torch

        noise = torch.randn(len(conditions), self.settings.noise, device=conditions.device)
        raw = self.generator(torch.cat([noise, conditions], dim=1))[:, : self.encoding.width]
        return raw, activate(raw, self.encoding.numbers, self.encoding.selectors)

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()
