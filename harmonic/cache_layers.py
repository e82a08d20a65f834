"""A key-value cache that is written in place, and the attention that reads it: no step copies what is there.

Every row of a batch has its tokens from column 0 on, so that a token's column is its position; rows may be of
different lengths. A step may append another number of tokens to each row: its input is padded on the left.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, DynamicLayer

WIDTH_STEP = 64
"""The columns that a step reads are a multiple of this: few different shapes, few compiled kernels."""

ATTENTION = "harmonic_folded"
"""The name under which transformers knows `folded_attention`."""


class SlotLayer(DynamicLayer):
    """Keys and values of one layer for `rows` sequences of up to `capacity` tokens.

    The buffers are (rows, heads, capacity + 1, head size); the last column takes what padding writes and is
    read by nobody. `update` writes in place and returns views; `DynamicLayer` concatenates, which copies the
    whole cache at every step.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.capacity = rows, capacity
        self.place: Place = Place(slice(0, 0), slice(0, 0), 0)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate once the heads' number and size are known."""
        self.dtype, self.device = key_states.dtype, key_states.device

        def buffer(like: torch.Tensor) -> torch.Tensor:
            return like.new_zeros((self.rows, like.shape[1], self.capacity + 1, like.shape[3]))

        self.keys, self.values = buffer(key_states), buffer(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write where `place` says; return views of the columns that the step reads."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        rows, columns, width = self.place.rows, self.place.columns, self.place.width
        keys, values = self.keys[rows], self.values[rows]
        if isinstance(columns, slice):
            keys[:, :, columns], values[:, :, columns] = key_states, value_states
        else:
            columns = columns.to(keys.device)
            row = torch.arange(len(keys), device=keys.device)[:, None]
            keys.transpose(1, 2)[row, columns] = key_states.transpose(1, 2)
            values.transpose(1, 2)[row, columns] = value_states.transpose(1, 2)
        return keys[:, :, :width], values[:, :, :width]

    def get_seq_length(self) -> int:
        """Columns that the next step reads, less those that it writes (as transformers counts)."""
        written = self.place.columns
        return self.place.width - (written.stop - written.start if isinstance(written, slice) else written.shape[1])


class Place:
    """Where a forward pass writes and reads: these rows; columns, a slice or (rows, tokens); [0, width)."""

    __slots__ = ("columns", "rows", "width")

    def __init__(self, rows: slice, columns: slice | torch.Tensor, width: int) -> None:
        self.rows, self.columns, self.width = rows, columns, width


class SlotCache(Cache):
    """A SlotLayer for each of the model's layers."""

    def __init__(self, layers: int, rows: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(rows, capacity) for _ in range(layers)])
        self.rows, self.capacity = rows, capacity

    def focus(self, place: Place) -> None:
        """Let the next forward pass write and read there."""
        for layer in self.layers:
            layer.place = place

    def copy_row(self, source: SlotCache, row: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a row of `source` (which may be this cache) to a row of this one."""
        for ours, theirs in zip(self.layers, source.layers, strict=True):
            if not ours.is_initialized:
                ours.lazy_initialization(theirs.keys, theirs.values)
            ours.keys[target, :, :length] = theirs.keys[row, :, :length]
            ours.values[target, :, :length] = theirs.values[row, :, :length]


def step_mask(positions: torch.Tensor, width: int, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """What each token of a step may read, additive: (rows, 1, groups * tokens, width).

    positions: (rows, tokens), of the tokens fed; a token reads the columns up to its own. The tokens are
    repeated once for each query head of a key-value head, as `folded_attention` lays them out.
    """
    hidden = torch.arange(width, device=positions.device) > positions[:, :, None]
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min).repeat(1, groups, 1)[:, None]


def folded_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention that reads each key-value head once for all its query heads, without copying it.

    query: (rows, heads, tokens, size); key, value: (rows, key-value heads, width, size). attention_mask: None
    for the tokens of a prompt, which are the last of the width, else what `step_mask` gives. Returns (rows, tokens, heads, size).
    """
    unknown = [name for name in ("softcap", "s_aux", "position_bias", "head_mask") if kwargs.get(name) is not None]
    if unknown:
        raise NotImplementedError(f"attention with {unknown}")
    rows, heads, tokens, size = query.shape
    if attention_mask is None:  # the last tokens of the width, each reading up to itself
        before = key.shape[2] - tokens
        square = functional.pad(query, (0, 0, before, 0))  # is_causal counts from the upper left corner
        out = functional.scaled_dot_product_attention(
            square, key, value, is_causal=True, scale=scaling, enable_gqa=heads != key.shape[1]
        )
        return out[:, :, before:].transpose(1, 2), None
    if tokens == 1 and query.device.type == "cpu":
        # One query head at a time is the fastest here, and does not copy either.
        mask = attention_mask[:, :, :1]
        out = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scaling, enable_gqa=heads != key.shape[1]
        )
        return out.transpose(1, 2), None
    groups = heads // key.shape[1]
    folded = query.reshape(rows, key.shape[1], groups * tokens, size)
    out = functional.scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=scaling)
    return out.reshape(rows, heads, tokens, -1).transpose(1, 2), None


AttentionInterface.register(ATTENTION, folded_attention)
# The decoder hands over finished masks; where it gives none, none is needed.
AttentionMaskInterface.register(ATTENTION, lambda *args, **kwargs: None)
