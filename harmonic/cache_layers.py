"""A key-value cache that is written in place: no step copies what is there already."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class SlotLayer(DynamicLayer):
    """Keys and values of one layer for `rows` sequences of up to `capacity` tokens.

    The buffers are (rows, heads, capacity, head size). `update` writes at the current length of the active
    rows and returns views; `DynamicLayer` concatenates, which copies the whole cache at every step.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.capacity = rows, capacity
        self.active = slice(0, rows)
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate once the heads' number and size are known."""
        self.dtype, self.device = key_states.dtype, key_states.device

        def buffer(like: torch.Tensor) -> torch.Tensor:
            return like.new_zeros((self.rows, like.shape[1], self.capacity, like.shape[3]))

        self.keys, self.values = buffer(key_states), buffer(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append to the active rows; return views of all they hold."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        keys, values = self.keys[self.active], self.values[self.active]
        keys[:, :, self.length : end] = key_states
        values[:, :, self.length : end] = value_states
        self.length = end
        return keys[:, :, self.start : end], values[:, :, self.start : end]

    start = 0  # where the active rows' first token lies

    def get_seq_length(self) -> int:
        """Tokens held by the active rows."""
        return self.length - self.start


class SlotCache(Cache):
    """A SlotLayer for each of the model's layers."""

    def __init__(self, layers: int, rows: int, capacity: int) -> None:
        super().__init__(layers=[SlotLayer(rows, capacity) for _ in range(layers)])

    def focus(self, rows: slice, start: int, length: int) -> None:
        """Let the next forward pass see these rows, whose tokens lie at [start, length)."""
        for layer in self.layers:
            layer.active, layer.start, layer.length = rows, start, length

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only these rows, in this order, at the front."""
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
            layer.active = slice(0, len(rows))

    def copy_rows(self, source: int, targets: slice, start: int, end: int) -> None:
        """Copy one row's tokens at [start, end) to other rows."""
        for layer in self.layers:
            layer.keys[targets, :, start:end] = layer.keys[source, :, start:end]
            layer.values[targets, :, start:end] = layer.values[source, :, start:end]
