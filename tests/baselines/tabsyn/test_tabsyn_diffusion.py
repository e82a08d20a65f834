"""TabSyn's second stage against closed forms: Gaussian data, whose best denoiser and probability flow are known."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.tabsyn.diffusion import Denoiser, DiffusionSettings, denoised, noise_levels, train_denoiser
from harmonic.errors import ConfigError
from harmonic.randomness import seeded

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 1.5, -0.3], [0.0, -0.3, 0.2]])


def test_levels_are_those_of_the_published_formula() -> None:
    levels = noise_levels(5, 0.002, 80.0, 7.0)
    i = np.arange(5)
    expected = (80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(levels.numpy(), [*expected, 0.0], rtol=1e-12)


def test_the_flow_of_a_gaussian_takes_each_noise_where_the_closed_form_does() -> None:
    import torch

    mean, covariance = torch.from_numpy(MEAN), torch.from_numpy(COVARIANCE)

    def best(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """E[clean | noisy] of a normal distribution."""
        gain = covariance @ torch.linalg.inv(covariance + sigma[0] ** 2 * torch.eye(3, dtype=torch.float64))
        return mean + (noisy - mean) @ gain.T

    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(40_000, 3)))
    found = denoised(best, noise, noise_levels(50, 0.002, 80.0, 7.0)).numpy()

    # In the eigenbasis each coordinate shrinks by sqrt(variance / (variance + ceiling²)).
    variances, basis = np.linalg.eigh(COVARIANCE)
    started = (noise.numpy() * 80 - MEAN) @ basis
    expected = MEAN + started * np.sqrt(variances / (variances + 80**2)) @ basis.T
    np.testing.assert_allclose(found, expected, atol=0.04)  # what 50 steps leave, of values up to 7
    np.testing.assert_allclose(found.mean(0), MEAN, atol=0.05)
    np.testing.assert_allclose(np.cov(found.T), COVARIANCE, atol=0.05)


def test_more_steps_come_nearer_to_the_flow_at_second_order() -> None:
    import torch

    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(100, 1)))
    exact = noise * 80 / np.sqrt(1 + 80**2)
    errors = []
    for steps in (20, 40):
        levels = noise_levels(steps, 0.002, 80.0, 7.0)
        found = denoised(lambda noisy, sigma: noisy / (1 + sigma[:, None] ** 2), noise, levels)
        errors.append(float((found - exact).abs().max()))
    assert errors[0] < 0.1 and errors[0] / errors[1] > 3  # Euler's steps would come to 2


def test_an_empty_network_is_the_best_linear_denoiser_and_its_loss_is_one() -> None:
    import torch

    with seeded(0):
        denoiser = Denoiser.build(2, 8)
        for parameter in denoiser.parts["body"][-1].parameters():  # type: ignore[union-attr]
            torch.nn.init.zeros_(parameter)
        clean = torch.randn(50_000, 2)
        noisy, sigma = torch.tensor([[3.0, -1.0]]), torch.tensor([2.0])
        torch.testing.assert_close(denoiser(noisy, sigma), noisy / 5)
        # what is left of unit variance is sigma² / (1 + sigma²), whatever the level: weighted, 1
        for mean in (-2.0, 1.0):
            assert denoiser.loss(clean, mean, 1.2).item() == pytest.approx(1, abs=0.02)


def test_a_trained_denoiser_draws_the_two_clusters_that_it_saw() -> None:
    import torch

    settings = DiffusionSettings(epochs=200, batch_size=256, width=32, learning_rate=5e-3, averaging=0.98)
    with seeded(0):
        side = torch.where(torch.rand(512, 1) < 0.7, 1.0, -1.0)
        latents = torch.cat([side, side], dim=1) + 0.1 * torch.randn(512, 2)
        denoiser = Denoiser.build(2, settings.width)
        facts = train_denoiser(denoiser, latents, settings)
        found = denoised(denoiser, torch.randn(2000, 2), noise_levels(30, 0.002, 80.0, 7.0))
    assert facts["loss"] < 0.8
    assert float((found[:, 0] > 0).float().mean()) == pytest.approx(float((side > 0).float().mean()), abs=0.06)
    assert float((found.abs() - 1).square().mean()) < 0.06 and float((found.sign().prod(1) > 0).float().mean()) > 0.98


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 7), ("sampling_steps", 0), ("noise_std", 0.0), ("noise_floor", 0.0), ("noise_ceiling", 0.001)],
)
def test_settings_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"generator\.diffusion\.{name}={value}"):
        DiffusionSettings(**{"epochs": 1, name: value}).check("diffusion")
