"""CTAB-GAN+'s networks and losses: convolutions over rows folded into squares, an auxiliary network, WGAN-GP.

Zhao et al., arXiv 2102.08369, sections 3.1 and 3.4, and arXiv 2204.00401; the gradient penalty is Gulrajani et al.'s
(arXiv 1704.00028, eq. 3). Own code. Networks are plain nn.Sequential objects, so that torch is imported only when
they are built. B: rows in a batch.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDES = (4, 8, 16, 24, 32, 48, 64, 96, 128)
MOST_CONVOLUTIONS = 3
TEMPERATURE = 0.2
"""Of the Gumbel softmax: nearly one-hot, as in CTGAN."""


def side_of(width: int) -> int:
    """The side of the smallest square with room for a row of this width."""
    return next(side for side in (*SIDES, int(width**0.5) // 16 * 16 + 16) if side * side >= width)


def fold(rows: Tensor, side: int) -> Tensor:
    """(B, width) to (B, 1, side, side), filled with zeros."""
    from torch.nn import functional

    return functional.pad(rows, (0, side * side - rows.shape[1])).reshape(-1, 1, side, side)


def pyramid(side: int, channels: int) -> list[tuple[int, int]]:
    """(channels, side) of every layer, beginning with the square.

    Sides are halved until they are 2 or 3, but at most three times; channels are doubled.
    """
    layers = [(1, side), (channels, side // 2)]
    while layers[-1][1] > 3 and len(layers) <= MOST_CONVOLUTIONS:
        layers.append((layers[-1][0] * 2, layers[-1][1] // 2))
    return layers


def generator(inputs: int, side: int, channels: int) -> nn.Sequential:
    """(B, inputs) noise and condition to (B, side²) before activation."""
    from torch import nn

    layers = pyramid(side, channels)[::-1]
    first, size = layers[0]
    parts: list[nn.Module] = [nn.Unflatten(1, (inputs, 1, 1)), nn.ConvTranspose2d(inputs, first, size, bias=False)]
    for (before, size), (after, _) in pairwise(layers):
        parts += [nn.LayerNorm([before, size, size]), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
    return initialised(nn.Sequential(*parts, nn.Flatten()))


def critic(side: int, channels: int) -> nn.Sequential:
    """(B, 1, side, side) to (B, 1) scores. All but the last two modules give the features of the information loss.

    The score of a critic has no bounds, so no activation follows the last convolution.
    """
    from torch import nn

    layers = pyramid(side, channels)
    parts: list[nn.Module] = []
    for (before, _), (after, size) in pairwise(layers):
        convolution = nn.Conv2d(before, after, 4, 2, 1, bias=False)
        parts += [convolution, nn.LayerNorm([after, size, size]), nn.LeakyReLU(0.2)]
    last, size = layers[-1]
    return initialised(nn.Sequential(*parts, nn.Conv2d(last, 1, size), nn.Flatten()))


def initialised(network: nn.Sequential) -> nn.Sequential:
    """The network with DCGAN's initial weights (arXiv 1511.06434, section 4)."""
    from torch import nn

    for module in network:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return network


def auxiliary(inputs: int, outputs: int, hidden: tuple[int, ...] = (256, 256, 256, 256)) -> nn.Sequential:
    """(B, inputs) features to (B, outputs): logits of the target's classes, or one number for a regression."""
    from torch import nn

    parts: list[nn.Module] = []
    for before, after in pairwise((inputs, *hidden)):
        parts += [nn.Linear(before, after), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
    return nn.Sequential(*parts, nn.Linear(hidden[-1], outputs))


def activate(raw: Tensor, numbers: list[int], selectors: list[slice]) -> Tensor:
    """From raw values (B, width) to encoded rows: tanh for numbers, the Gumbel softmax for one-hot choices."""
    import torch
    from torch.nn import functional

    rows = torch.empty_like(raw)
    rows[:, numbers] = raw[:, numbers].tanh()
    for selector in selectors:
        rows[:, selector] = functional.gumbel_softmax(raw[:, selector], tau=TEMPERATURE)
    return rows


def gradient_penalty(network: nn.Module, real: Tensor, fake: Tensor, side: int) -> Tensor:
    """Mean of (|gradient of the score| - 1)² at random points between real and fake rows, both (B, width)."""
    import torch

    share = torch.rand(len(real), 1, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network(fold(between, side)).sum(), between, create_graph=True)
    return ((gradient.norm(dim=1) - 1) ** 2).mean()


def condition_loss(raw: Tensor, options: Tensor, selectors: list[slice]) -> Tensor:
    """Mean cross-entropy between the wanted option and the logits of its selector.

    raw: (B, width), before activation. options: (B,), positions in the condition vector.
    """
    from torch.nn import functional

    total, start = raw.new_zeros(()), 0
    for selector in selectors:
        size = selector.stop - selector.start
        asked = (options >= start) & (options < start + size)
        total = total + functional.cross_entropy(raw[asked, selector], options[asked] - start, reduction="sum")
        start += size
    return total / len(raw)


def information_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The distance between the means of the features, plus that between their standard deviations; (B, …) each."""
    real, fake = real.flatten(1), fake.flatten(1)
    return (real.mean(0) - fake.mean(0)).norm() + (real.std(0) - fake.std(0)).norm()
