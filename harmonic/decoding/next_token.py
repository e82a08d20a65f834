"""Draw the next token from a model's logits, with random numbers of the row's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_BLOCK = 256  # tokens summed together when one is drawn


def choose(logits: torch.Tensor, uniforms: NDArray[np.float64], temperature: float) -> torch.Tensor:
    """The next token of each row, (rows,): the likeliest at temperature 0, else drawn by inverting the CDF.

    logits: (rows, vocabulary), -inf for tokens that are not allowed. uniforms: (rows,), in [0, 1). The CDF is built in
    two stages, over blocks and inside one block, so that the vocabulary is summed only once.
    """
    import torch
    from torch.nn import functional

    if temperature == 0:
        return logits.argmax(dim=-1)
    single_or_double = torch.promote_types(logits.dtype, torch.float32)
    weights = torch.softmax(logits.to(single_or_double) / temperature, dim=-1)
    blocks = functional.pad(weights, (0, -weights.shape[1] % _BLOCK)).view(len(weights), -1, _BLOCK)
    upper = blocks.sum(dim=-1).double().cumsum(dim=-1)
    points = torch.as_tensor(uniforms, device=logits.device)[:, None] * upper[:, -1:]
    block, rest = _invert(upper, points)
    inside = blocks[torch.arange(len(blocks), device=block.device), block[:, 0]].double().cumsum(dim=-1)
    token, _ = _invert(inside, rest)
    return (block * _BLOCK + token)[:, 0]


def _invert(upper: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place with a cumulated weight above the point, (rows, 1), and what is left of the point there."""
    import torch

    # Never after the last place with any weight, however the sums are rounded.
    points = torch.minimum(points, torch.nextafter(upper[:, -1:], torch.zeros_like(points)))
    place = torch.searchsorted(upper, points, right=True)
    before = torch.where(place > 0, upper.gather(1, (place - 1).clamp(min=0)), 0.0)
    return place, (points - before).clamp(min=0.0)
