"""CTAB-GAN+'s networks and losses against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.ctabgan.networks import (
    activate,
    auxiliary,
    condition_loss,
    critic,
    fold,
    generator,
    gradient_penalty,
    information_loss,
    pyramid,
    side_of,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("width", [1, 16, 17, 200, 257, 600, 1100])
def test_networks_take_and_give_rows_of_any_width(width: int) -> None:
    side = side_of(width)
    assert side * side >= width
    raw = generator(5, side, 2)(torch.randn(3, 5))
    assert raw.shape == (3, side * side) and raw.isfinite().all() and raw.std() > 0
    network = critic(side, 2)
    scores = network(fold(torch.randn(3, width), side))
    assert scores.shape == (3, 1) and len(scores.unique()) == 3
    assert network[:-2](fold(torch.randn(3, width), side)).flatten(1).shape[1] > 1  # features for the information loss


def test_layers_are_those_of_the_paper_for_a_square_of_sixteen() -> None:
    assert pyramid(16, 64) == [(1, 16), (64, 8), (128, 4), (256, 2)]


def test_folding_keeps_a_row_and_fills_up_with_zeros() -> None:
    rows = torch.randn(2, 11)
    square = fold(rows, 4)
    assert square.shape == (2, 1, 4, 4)
    assert torch.equal(square.flatten(1)[:, :11], rows) and not square.flatten(1)[:, 11:].any()


def test_the_gradient_penalty_of_a_linear_critic_is_that_of_its_weights() -> None:
    linear = nn.Linear(16, 1)
    found = gradient_penalty(nn.Sequential(nn.Flatten(), linear), torch.randn(7, 11), torch.randn(7, 11), 4)
    expected = (linear.weight[0, :11].norm() - 1) ** 2  # the filled-up places are no part of a row
    torch.testing.assert_close(found, expected)
    found.backward()
    assert linear.weight.grad is not None and linear.weight.grad[0, :11].abs().sum() > 0


def test_the_gradient_penalty_of_a_quadratic_critic_lies_between_real_and_fake_rows() -> None:
    class Square(nn.Module):  # |x|²/2, whose gradient is x
        def forward(self, squares: torch.Tensor) -> torch.Tensor:
            return squares.flatten(1).square().sum(dim=1) / 2

    real, fake = torch.full((4000, 4), 1.0), torch.full((4000, 4), 3.0)
    found = gradient_penalty(Square(), real, fake, 4)
    assert found.item() == pytest.approx(31 / 3, rel=0.05)  # mean of (2v - 1)² for v uniform in [1, 3]


def test_the_condition_loss_is_the_cross_entropy_of_the_selector_asked() -> None:
    selectors, raw = [slice(1, 4), slice(5, 7)], torch.randn(3, 7)
    options = torch.tensor([2, 3, 0])  # the first selector's third option, the second's first, the first's first
    expected = torch.stack(
        [
            functional.cross_entropy(raw[0, 1:4], torch.tensor(2)),
            functional.cross_entropy(raw[1, 5:7], torch.tensor(0)),
            functional.cross_entropy(raw[2, 1:4], torch.tensor(0)),
        ]
    ).mean()
    torch.testing.assert_close(condition_loss(raw, options, selectors), expected)
    assert condition_loss(raw, options, []) == 0


def test_the_information_loss_compares_means_and_deviations() -> None:
    real = torch.randn(50, 3, 2, 2)
    assert information_loss(real, real).item() == 0
    torch.testing.assert_close(information_loss(real, real + 2), torch.tensor(2 * 12**0.5))  # 12 features, 2 apart
    spread = real.flatten(1)
    doubled = spread.mean(0) + 2 * (spread - spread.mean(0))
    torch.testing.assert_close(information_loss(spread, doubled), spread.std(0).norm())


def test_choices_are_drawn_by_their_probabilities_and_numbers_are_squashed() -> None:
    logits = torch.tensor([0.3, -1.0, 1.0, 0.0, 2.0]).expand(20_000, 5)
    rows = activate(logits, [0, 4], [slice(1, 4)])
    torch.testing.assert_close(rows[0, [0, 4]], torch.tensor([0.3, 2.0]).tanh())
    torch.testing.assert_close(rows[:, 1:4].sum(1), torch.ones(20_000))
    shares = np.bincount(rows[:, 1:4].argmax(1).numpy(), minlength=3) / 20_000
    assert shares == pytest.approx(logits[0, 1:4].softmax(0).numpy(), abs=0.01)


def test_the_auxiliary_network_has_four_hidden_layers() -> None:
    network = auxiliary(6, 3)
    assert network(torch.randn(2, 6)).shape == (2, 3)
    assert [module.out_features for module in network if isinstance(module, nn.Linear)] == [256, 256, 256, 256, 3]
