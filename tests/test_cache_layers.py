"""The slot cache and its attention: what is written where, and the same numbers as the textbook's."""

from __future__ import annotations

import math

import pytest
import torch

from harmonic.cache_layers import Place, SlotCache, SlotLayer, folded_attention, step_mask


def states(rows: int, tokens: int, seed: int, heads: int = 2, size: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(rows, heads, tokens, size, generator=draw) for _ in range(2))  # type: ignore[return-value]


def textbook(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """softmax(QK'/sqrt(d))V head by head; visible: (rows, tokens, width)."""
    groups = query.shape[1] // key.shape[1]
    out = torch.empty(query.shape)
    for head in range(query.shape[1]):
        k, v = key[:, head // groups], value[:, head // groups]
        scores = query[:, head] @ k.transpose(1, 2) / math.sqrt(query.shape[-1])
        out[:, head] = scores.masked_fill(~visible, -math.inf).softmax(-1) @ v
    return out.transpose(1, 2)


def test_ragged_writes_land_in_each_rows_own_columns_and_padding_in_the_spare_one() -> None:
    layer = SlotLayer(rows=2, capacity=6)
    first = states(2, 3, seed=0)
    layer.place = Place(slice(0, 2), slice(0, 3), 3)
    layer.update(*first)
    more = states(2, 2, seed=1)
    layer.place = Place(slice(0, 2), torch.tensor([[3, 4], [6, 1]]), 5)  # row 1: padding, then column 1 once more
    keys, values = layer.update(*more)
    assert keys.shape == (2, 2, 5, 4) and keys.data_ptr() == layer.keys.data_ptr()
    assert torch.equal(keys[0], torch.cat([first[0][0], more[0][0]], dim=1))
    assert torch.equal(keys[1, :, 1], more[0][1, :, 1]) and torch.equal(keys[1, :, 2], first[0][1, :, 2])
    assert torch.equal(values[1, :, 0], first[1][1, :, 0]) and not values[1, :, 3:].any()


def test_copy_row_copies_the_tokens_asked_for_and_no_more() -> None:
    cache = SlotCache(layers=1, rows=3, capacity=5)
    cache.focus(Place(slice(0, 1), slice(0, 4), 4))
    cache.layers[0].update(*states(1, 4, seed=2))
    cache.copy_row(cache, 0, 2, 3)
    keys = cache.layers[0].keys
    assert torch.equal(keys[2, :, :3], keys[0, :, :3]) and not keys[2, :, 3:].any() and not keys[1].any()


@pytest.mark.parametrize("tokens", [1, 3])
def test_folded_attention_of_a_step_is_the_textbooks(tokens: int) -> None:
    query, _ = states(2, tokens, seed=3, heads=6)
    key, value = states(2, 8, seed=4, heads=2)
    positions = torch.tensor([[4, 5, 6], [0, 0, 2]])[:, -tokens:]
    mask = step_mask(positions, 8, groups=3, dtype=torch.float32)
    out, _ = folded_attention(torch.nn.Module(), query, key, value, mask, scaling=0.5)
    visible = torch.arange(8) <= positions[:, :, None]
    assert torch.allclose(out, textbook(query, key, value, visible), atol=1e-6)


@pytest.mark.parametrize("before", [0, 5])
def test_folded_attention_of_a_prompt_is_causal_behind_what_is_known(before: int) -> None:
    query, _ = states(1, 4, seed=5, heads=4)
    key, value = states(1, before + 4, seed=6, heads=2)
    out, _ = folded_attention(torch.nn.Module(), query, key, value, None, scaling=0.5)
    visible = torch.ones(4, before + 4, dtype=torch.bool).tril(before)[None]
    assert torch.allclose(out, textbook(query, key, value, visible), atol=1e-6)


def test_attention_with_a_part_that_is_not_computed_here_is_refused() -> None:
    query, key = states(1, 1, seed=7)
    with pytest.raises(NotImplementedError, match="softcap"):
        folded_attention(torch.nn.Module(), query, key, key, None, softcap=30.0)
