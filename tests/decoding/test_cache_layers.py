"""The slot cache and its attention: what is written where, and the same numbers as the textbook's."""

from __future__ import annotations

import math

import pytest
import torch

from harmonic.decoding.cache_layers import PackedPass, PromptPass, SlotCache, folded_attention


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


def test_a_pack_lands_in_each_rows_own_columns() -> None:
    cache = SlotCache(layers=1, rows=3, capacity=6)
    layer = cache.layers[0]
    prompt = states(1, 3, seed=0)
    cache.focus(PromptPass(row=1, start=0, width=3))
    keys, values = layer.update(*prompt)
    assert torch.equal(keys, prompt[0]) and torch.equal(values, prompt[1])
    more = states(1, 3, seed=1)
    cache.focus(PackedPass.of([range(4, 6), range(1, 2)], 6, groups=1, dtype=torch.float32, device="cpu"))
    keys, values = layer.update(*more)
    assert keys.shape == (2, 2, 6, 4) and keys.data_ptr() == layer.keys.data_ptr()
    assert torch.equal(keys[0, :, 4:], more[0][0, :, :2]) and not keys[0, :, :4].any()
    assert torch.equal(keys[1, :, 1], more[0][0, :, 2])
    assert torch.equal(values[1, :, [0, 2]], prompt[1][0, :, [0, 2]]) and not layer.keys[2].any()


def test_copy_row_copies_the_tokens_asked_for_and_no_more() -> None:
    cache = SlotCache(layers=1, rows=3, capacity=5)
    cache.focus(PromptPass(row=0, start=0, width=4))
    cache.layers[0].update(*states(1, 4, seed=2))
    cache.copy_row(cache, 0, 2, 3)
    keys = cache.layers[0].keys
    assert torch.equal(keys[2, :, :3], keys[0, :, :3]) and not keys[2, :, 3:].any() and not keys[1].any()


@pytest.mark.parametrize("columns", [[range(4, 5), range(2, 3)], [range(4, 7), range(2, 3)]], ids=["even", "ragged"])
def test_attention_of_a_pack_is_the_textbooks_row_by_row(columns: list[range]) -> None:
    cache = SlotCache(layers=1, rows=2, capacity=8)
    pack = PackedPass.of(columns, 8, groups=3, dtype=torch.float32, device="cpu")
    cache.focus(pack)
    tokens = sum(map(len, columns))
    query, _ = states(1, tokens, seed=3, heads=6)
    key, value = states(2, 8, seed=4, heads=2)
    out, _ = folded_attention(torch.nn.Module(), query, key, value, None, scaling=0.5)
    expected = torch.empty(1, tokens, 6, 4)
    for token, (row, column) in enumerate(zip(pack.row.tolist(), pack.column.tolist(), strict=True)):
        visible = (torch.arange(8) <= column)[None, None]
        one = textbook(query[:, :, token : token + 1], key[row : row + 1], value[row : row + 1], visible)
        expected[0, token] = one[0, 0]
    assert torch.allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize("before", [0, 5])
def test_folded_attention_of_a_prompt_is_causal_behind_what_is_known(before: int) -> None:
    SlotCache(1, 1, 1).focus(PromptPass(row=0, start=before, width=before + 4))
    query, _ = states(1, 4, seed=5, heads=4)
    key, value = states(1, before + 4, seed=6, heads=2)
    out, _ = folded_attention(torch.nn.Module(), query, key, value, None, scaling=0.5)
    visible = torch.ones(4, before + 4, dtype=torch.bool).tril(before)[None]
    assert torch.allclose(out, textbook(query, key, value, visible), atol=1e-6)


def test_attention_with_a_part_that_is_not_computed_here_is_refused() -> None:
    query, key = states(1, 1, seed=7)
    with pytest.raises(NotImplementedError, match="softcap"):
        folded_attention(torch.nn.Module(), query, key, key, None, softcap=30.0)
