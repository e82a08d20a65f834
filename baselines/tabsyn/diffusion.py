"""TabSyn's second stage: a diffusion model of the latents, with noise of standard deviation σ(t) = t (section 3.3).

Preconditioning, noise levels and steps are those of Karras, Aittala, Aila, Laine ("Elucidating the design space of
diffusion-based generative models", NeurIPS 2022, arXiv 2206.00364), as in the published code. All of it assumes
latents with about unit variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baselines.tabsyn.training import NetworkTraining, train
from harmonic.settings import Count, NotNegative, Positive

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(NetworkTraining):
    """Settings of the second stage.

    width: of the denoiser's layers. noise_mean, noise_std: of ln σ in training. sampling_steps, noise_floor,
    noise_ceiling, curvature: from noise to latents, see `noise_levels`.
    """

    width: Count = 1024
    noise_mean: float = -0.5
    noise_std: NotNegative = 1.2
    noise_floor: Positive = 0.002
    noise_ceiling: Positive = 80.0
    curvature: Positive = 7.0
    sampling_steps: Count = 50

    def check(self, stage: str) -> None:
        super().check(stage)
        self._require(self.width >= 2 and self.width % 2 == 0, stage, "width", "must be even, and at least 2", 1024)
        self._require(self.sampling_steps >= 1, stage, "sampling_steps", "must be at least 1", 50)
        for name, example in (("noise_std", 1.2), ("noise_floor", 0.002), ("curvature", 7)):
            self._require(getattr(self, name) > 0, stage, name, "must be above 0", example)
        above = self.noise_ceiling > self.noise_floor
        self._require(above, stage, "noise_ceiling", f"must be above noise_floor={self.noise_floor}", 80)


@dataclass(frozen=True, slots=True)
class Denoiser:
    """D(x; σ): the expected clean latent for a noisy one; latents are (n, size), σ is (n,)."""

    parts: nn.ModuleDict
    width: int

    @classmethod
    def build(cls, size: int, width: int) -> Denoiser:
        """A new denoiser with weights drawn from torch's global state: the paper's MLP with a noise embedding."""
        from torch import nn

        body = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(),
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, size),
        )  # fmt: skip
        level = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        return cls(nn.ModuleDict({"entry": nn.Linear(size, width), "level": level, "body": body}), width)

    def __call__(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Karras et al., equation 7 and table 1, with σ_data = 1."""
        spread = (sigma**2 + 1).sqrt()[:, None]
        level = self.parts["level"](sinusoids(sigma.log() / 4, self.width))
        found = self.parts["body"](self.parts["entry"](noisy / spread) + level)
        return noisy / spread**2 + sigma[:, None] / spread * found

    def loss(self, clean: Tensor, noise_mean: float, noise_std: float) -> Tensor:
        """Weighted squared error of denoising, scalar: Karras et al., equation 2 with λ(σ) = (σ² + 1) / σ².

        ln σ is normal with this mean and std. The levels of a batch are stratified, one in each equal share of the
        distribution: the same expectation with less noise.
        """
        import torch

        shares = (torch.arange(len(clean)) + torch.rand(len(clean))) / len(clean)
        levels = torch.special.ndtri(shares.double().clamp(1e-6, 1 - 1e-6)).float()
        sigma = (noise_mean + noise_std * levels).exp().to(clean.device)
        noise = torch.randn(clean.shape).to(clean.device)
        error = self(clean + sigma[:, None] * noise, sigma) - clean
        return ((1 + sigma**-2)[:, None] * error**2).mean()


def sinusoids(values: Tensor, width: int) -> Tensor:
    """Cosines and sines of (n,) values at width/2 frequencies from 1 down to 1/10,000: (n, width)."""
    import torch

    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=values.device) / half)
    angles = values[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def noise_levels(steps: int, floor: float, ceiling: float, curvature: float) -> Tensor:
    """(steps + 1,): from ceiling to floor, evenly spaced in σ^(1/curvature), then 0 (Karras et al., equation 5)."""
    import torch

    ends = ceiling ** (1 / curvature), floor ** (1 / curvature)
    levels = torch.linspace(*ends, steps, dtype=torch.float64) ** curvature
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)])


def denoised(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, levels: Tensor) -> Tensor:
    """Follow the probability flow from noise, (n, size) standard normal, to latents, (n, size).

    Heun's second-order steps, the last one Euler's (Karras et al., algorithm 1): 2 · steps - 1 calls of `denoise`.
    """
    import torch

    points = noise * levels[0]
    with torch.inference_mode():
        for now, then in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
            slope = (points - denoise(points, points.new_full((len(points),), now))) / now
            following = points + (then - now) * slope
            if then > 0:
                ahead = (following - denoise(following, points.new_full((len(points),), then))) / then
                following = points + (then - now) * (slope + ahead) / 2
            points = following
    return points


def train_denoiser(denoiser: Denoiser, latents: Tensor, settings: DiffusionSettings) -> dict[str, float]:
    """Train in place on latents of unit variance, (n, size). Returns {"loss": the lowest of an epoch, "steps"}."""

    def loss(batch: Tensor) -> tuple[Tensor, Tensor]:
        value = denoiser.loss(latents[batch], settings.noise_mean, settings.noise_std)
        return value, value

    return train(denoiser.parts, loss, len(latents), settings, stage="diffusion")
