"""Batched free decoding with a key-value cache that is never copied.

A batch is decoded in two parts. Prefill: each prompt goes through the model alone, without padding and
without a mask, into its row of the cache, so that all prompts end at the same column; what all prompts of
a sampler have in common at the start is computed once. Decode: one token a step for all rows still open.

A row's draws depend on its own uniforms alone, so its text does not depend on the rows beside it (but for
the rounding of half-precision arithmetic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_COMPACT_BELOW = 0.5  # share of open rows under which the closed ones are dropped from the cache


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: its token ids without the end token, and whether it ended by itself."""

    ids: list[int]
    finished: bool


@dataclass(slots=True)
class Decoder:
    """Draws answers from one model. `temperature` 0 takes the likeliest token."""

    model: PreTrainedModel
    end: int
    temperature: float
    max_new_tokens: int
    _prefix: tuple[list[int], Any] | None = None

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None:
        """Compute once, for all coming batches, what these prompts have in common at their start."""
        import torch

        from harmonic.cache_layers import SlotCache

        common = common_prefix(prompts)
        if len(common) < 8:  # not worth a copy
            self._prefix = None
            return
        with torch.inference_mode():
            cache = SlotCache(self._layers, 1, len(common))
            self.model(input_ids=self._tensor([common]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        self._prefix = (list(common), cache)

    def decode(self, prompts: Sequence[Sequence[int]], uniforms: NDArray[np.float64]) -> list[Decoded]:
        """One answer for each prompt. uniforms: (prompts, max_new_tokens), in [0, 1)."""
        import torch

        with torch.inference_mode():
            return self._decode(prompts, uniforms)

    def _decode(self, prompts: Sequence[Sequence[int]], uniforms: NDArray[np.float64]) -> list[Decoded]:
        import torch

        longest = max(map(len, prompts))
        cache, logits = self._prefill(prompts, longest)
        answers: list[list[int]] = [[] for _ in prompts]
        finished = [False] * len(prompts)
        rows = np.arange(len(prompts))  # which prompt each row of the cache belongs to
        lengths = self._tensor([len(prompt) for prompt in prompts])
        mask = torch.arange(longest + self.max_new_tokens, device=lengths.device)[None, :] >= longest - lengths[:, None]
        for step in range(self.max_new_tokens):
            drawn = choose(logits, uniforms[rows, step], self.temperature)
            for place, token in enumerate(drawn.tolist()):
                row = rows[place]
                if not finished[row]:
                    if token == self.end:
                        finished[row] = True
                    else:
                        answers[row].append(token)
            still = [place for place, row in enumerate(rows) if not finished[row]]
            if not still or step == self.max_new_tokens - 1:
                break
            if len(still) < _COMPACT_BELOW * len(rows):
                kept = self._tensor(still)
                cache.keep(kept)
                rows, lengths, mask, drawn = rows[still], lengths[kept], mask[kept], drawn[kept]
            column = longest + step
            cache.focus(slice(0, len(rows)), 0, column)
            logits = self.model(
                input_ids=drawn[:, None],
                attention_mask=mask[:, : column + 1].long(),
                position_ids=(lengths + step)[:, None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        return [Decoded(ids, done) for ids, done in zip(answers, finished, strict=True)]

    def _prefill(self, prompts: Sequence[Sequence[int]], longest: int) -> tuple[Any, torch.Tensor]:
        """The cache with every prompt ending at column `longest`, and the logits behind each: (rows, vocabulary)."""
        import torch

        from harmonic.cache_layers import SlotCache

        cache = SlotCache(self._layers, len(prompts), longest + self.max_new_tokens)
        shared, source = self._prefix or ([], None)
        last = []
        for row, prompt in enumerate(prompts):
            start = longest - len(prompt)
            known = len(shared) if source is not None and list(prompt[: len(shared)]) == shared else 0
            if known:
                place_prefix(cache, row, start, source)
            cache.focus(slice(row, row + 1), start, start + known)
            out = self.model(
                input_ids=self._tensor([prompt[known:]]),
                position_ids=torch.arange(known, len(prompt), device=self.model.device)[None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            last.append(out.logits[0, -1])
        return cache, torch.stack(last)

    @property
    def _layers(self) -> int:
        return int(self.model.config.get_text_config().num_hidden_layers)

    def _tensor(self, values: Any) -> torch.Tensor:
        import torch

        return torch.tensor(values, device=self.model.device)


def place_prefix(cache: Any, row: int, start: int, source: Any) -> None:
    """Write the shared prefix's keys and values into a row of the cache, from column `start`."""
    for target, known in zip(cache.layers, source.layers, strict=True):
        if not target.is_initialized:
            target.lazy_initialization(known.keys, known.values)
        end = start + known.length
        target.keys[row, :, start:end] = known.keys[0]
        target.values[row, :, start:end] = known.values[0]


def common_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The token ids with which every prompt starts; one token of each is always left out."""
    shortest, longest = (
        min(map(list, prompts)),
        max(map(list, prompts)),
    )  # in lexicographic order: the two that differ soonest
    same = 0
    while same < min(len(shortest), len(longest)) - 1 and shortest[same] == longest[same]:
        same += 1
    return shortest[: min(same, min(map(len, prompts)) - 1)]


def choose(logits: torch.Tensor, uniforms: NDArray[np.float64], temperature: float) -> torch.Tensor:
    """The next token of each row, (rows,): the likeliest at temperature 0, else drawn by inverting the CDF.

    logits: (rows, vocabulary). uniforms: (rows,), in [0, 1).
    """
    import torch

    if temperature == 0:
        return logits.argmax(dim=-1)
    cumulated = torch.softmax(logits.float() / temperature, dim=-1).cumsum(dim=-1)
    # The last sum is 1 only up to rounding: scale the uniforms to it, so that no draw falls behind the end.
    points = torch.as_tensor(uniforms, dtype=torch.float32, device=logits.device)[:, None] * cumulated[:, -1:]
    return torch.searchsorted(cumulated, points, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
