"""A key-value cache that is written in place, and the attention that reads it: no step copies the cache.

Every row of a batch has its tokens from column 0 on, so the column of a token is its position. Rows may have different
lengths, and a step may append a different number of tokens to each. These tokens go through the model packed, one after
the other as if they were one sequence, so that nothing is computed for padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, DynamicLayer

WIDTH_STEP = 64
"""The columns that a step reads are a multiple of this: few different shapes, few compiled kernels."""

ATTENTION = "harmonic_folded"
"""The name under which transformers knows `folded_attention`."""

_CURRENT: ContextVar[PackedPass | None] = ContextVar("packed", default=None)  # of the pass that is being computed


class SlotLayer(DynamicLayer):
    """Keys and values of one layer for `rows` sequences of up to `capacity` tokens.

    The buffers are (rows, heads, capacity, head size). `update` writes in place and returns views;
    `DynamicLayer` concatenates, which copies the whole cache at every step.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.capacity = rows, capacity
        self.place: PromptPass | PackedPass

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers, now that the number and size of the heads are known."""
        self.dtype, self.device = key_states.dtype, key_states.device

        def buffer(like: torch.Tensor) -> torch.Tensor:
            return like.new_zeros((self.rows, like.shape[1], self.capacity, like.shape[3]))

        self.keys, self.values = buffer(key_states), buffer(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write at `place`; return views of the columns that the step reads."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self.place
        if isinstance(place, PromptPass):
            keys, values = self.keys[place.row : place.row + 1], self.values[place.row : place.row + 1]
            keys[:, :, place.start : place.width], values[:, :, place.start : place.width] = key_states, value_states
        else:
            keys, values = self.keys[: place.rows], self.values[: place.rows]
            row, column = place.row.to(keys.device), place.column.to(keys.device)
            keys[row, :, column] = key_states[0].transpose(0, 1)
            values[row, :, column] = value_states[0].transpose(0, 1)
        return keys[:, :, : place.width], values[:, :, : place.width]

    def get_seq_length(self) -> int:
        """The first column that the next pass writes."""
        return self.place.start


@dataclass(frozen=True, slots=True)
class PromptPass:
    """A pass that writes the columns [start, width) of one row and reads [0, width)."""

    row: int
    start: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class PackedPass:
    """A pass that appends tokens to the first `rows` rows and reads the columns [0, width).

    row, column: (tokens,), where each token is written. slot: (tokens,), its place if the tokens are laid out as (rows,
    longest), with the tokens of a row on the left. mask: see `step_mask`.
    """

    rows: int
    longest: int
    width: int
    row: torch.Tensor
    column: torch.Tensor
    slot: torch.Tensor
    mask: torch.Tensor
    start: int = 0

    @classmethod
    def of(cls, columns: Sequence[range], width: int, groups: int, dtype: torch.dtype, device: Any) -> PackedPass:
        """The pass that writes these columns, row by row."""
        longest = max(map(len, columns))
        row = torch.tensor([row for row, own in enumerate(columns) for _ in own], device=device)
        column = torch.tensor([column for own in columns for column in own], device=device)
        slot = torch.tensor(
            [row * longest + i for row, own in enumerate(columns) for i in range(len(own))], device=device
        )
        positions = torch.zeros(len(columns) * longest, dtype=torch.long, device=device)
        positions[slot] = column
        mask = step_mask(positions.view(len(columns), longest), width, groups, dtype)
        return cls(len(columns), longest, width, row, column, slot, mask)


class SlotCache(Cache):
    """A SlotLayer for each of the model's layers."""

    def __init__(self, layers: int, rows: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(rows, capacity) for _ in range(layers)])
        self.rows, self.capacity = rows, capacity

    def focus(self, place: PromptPass | PackedPass) -> None:
        """Let the next forward pass write and read at this place."""
        _CURRENT.set(place if isinstance(place, PackedPass) else None)
        for layer in self.layers:
            layer.place = place

    def copy_row(self, source: SlotCache, row: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a row of `source`, which may be this cache, to a row of this cache."""
        for ours, theirs in zip(self.layers, source.layers, strict=True):
            if not ours.is_initialized:
                ours.lazy_initialization(theirs.keys, theirs.values)
            ours.keys[target, :, :length] = theirs.keys[row, :, :length]
            ours.values[target, :, :length] = theirs.values[row, :, :length]


def step_mask(positions: torch.Tensor, width: int, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """What each token of a step may read, additive: (rows, 1, groups * tokens, width).

    positions: (rows, tokens), of the new tokens; a token reads the columns up to its own. The tokens are repeated for
    each query head of a key-value head, as `folded_attention` lays them out.
    """
    hidden = torch.arange(width, device=positions.device) > positions[:, :, None]
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min).repeat(1, groups, 1)[:, None]


def folded_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention that reads each key-value head once for all its query heads, without copying it.

    In a PromptPass: query (1, heads, tokens, size), key and value (1, key-value heads, width, size), where the tokens
    are the last ones of the width. In a PackedPass: query (1, heads, tokens, size), key and value (rows, key-value
    heads, width, size). Returns (1, tokens, heads, size).
    """
    unknown = [name for name in ("softcap", "s_aux", "position_bias", "head_mask") if kwargs.get(name) is not None]
    if unknown:
        raise NotImplementedError(f"attention with {unknown}")
    packed = _CURRENT.get()
    if packed is None:
        return _prompt_attention(query, key, value, scaling), None
    laid = _by_row(query, packed)
    if packed.longest == 1 and query.device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        out = _attention_by_head(laid, key, value, packed, scaling)
    else:
        out = _attention_by_group(laid, key, value, packed, scaling)
    return _in_pack_order(out, packed), None


def _prompt_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Causal attention of one row's last tokens to all of its tokens: (1, tokens, heads, size)."""
    before = key.shape[2] - query.shape[2]
    square = functional.pad(query, (0, 0, before, 0))  # is_causal counts from the upper left corner
    shared = query.shape[1] != key.shape[1]
    out = functional.scaled_dot_product_attention(square, key, value, is_causal=True, scale=scaling, enable_gqa=shared)
    return out[:, :, before:].transpose(1, 2)


def _by_row(query: torch.Tensor, packed: PackedPass) -> torch.Tensor:
    """The packed queries, (1, heads, tokens, size), as (rows, heads, longest, size)."""
    if packed.longest == 1:
        return query.transpose(0, 2)
    heads, _, size = query.shape[1:]
    laid = query.new_zeros(packed.rows * packed.longest, heads, size)
    laid[packed.slot.to(query.device)] = query[0].transpose(0, 1)
    return laid.view(packed.rows, packed.longest, heads, size).transpose(1, 2)


def _attention_by_head(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: PackedPass, scaling: float | None
) -> torch.Tensor:
    """One query head at a time: the fastest with AMX. Without AMX it takes five times as long as by group."""
    mask, shared = packed.mask.to(query.device)[:, :, :1], query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling, enable_gqa=shared)


def _attention_by_group(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: PackedPass, scaling: float | None
) -> torch.Tensor:
    """All query heads of a key-value head together, folded into its tokens."""
    rows, heads, longest, size = query.shape
    folded = query.reshape(rows, key.shape[1], -1, size)
    mask = packed.mask.to(query.device)
    out = functional.scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    return out.reshape(rows, heads, longest, -1)


def _in_pack_order(out: torch.Tensor, packed: PackedPass) -> torch.Tensor:
    """The inverse of `_by_row`: (rows, heads, longest, size) as (1, tokens, heads, size)."""
    heads, size = out.shape[1], out.shape[3]
    tokens = out.transpose(1, 2).reshape(packed.rows * packed.longest, heads, size)
    return (tokens if packed.longest == 1 else tokens[packed.slot.to(out.device)])[None]


AttentionInterface.register(ATTENTION, folded_attention)
# `folded_attention` has its own masks.
AttentionMaskInterface.register(ATTENTION, lambda *args, **kwargs: None)
