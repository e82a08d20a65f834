"""A batch of token sequences that grow at different speeds, and the forward passes that extend them.

SlotBatch is the fast one: a cache for all sequences, written in place, and an attention that does not copy it.
SingleBatch works for every model: one sequence at a time, with the model's own cache and attention. `supports_slots`
decides which one a model gets, by comparing the numbers that both compute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from harmonic.decoding.cache_layers import PackedPass, PromptPass, SlotCache

    Prefix = tuple[list[int], SlotCache | None]

_PROBE = 12  # tokens on which both are compared
_TOLERANCE = {2: 0.08, 4: 1e-3, 8: 1e-3}  # by bytes per number, as a share of the logits' norm
_ROUNDING = 3  # times the rounding error of this model's logits is also allowed


class SequenceBatch(ABC):
    """Sequences while they are decoded. open: the numbers of the prompts that are still open, in any order."""

    open: list[int]

    @abstractmethod
    def prefill(self, prompts: Sequence[Sequence[int]], prefix: Prefix) -> torch.Tensor:
        """Read the prompts; the logits after each, (rows, vocabulary). prefix: tokens and their cache."""

    @abstractmethod
    def step(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append these tokens to the open rows, in the order of `open`; the logits after each row.

        A row without new tokens gets its old logits.
        """

    @abstractmethod
    def verify(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append tokens, at least one, to each open row; the logits after every token, (tokens, vocabulary), by row."""

    @abstractmethod
    def shorten(self, place: int, count: int) -> None:
        """Remove the last `count` tokens of the row `open[place]`."""

    @abstractmethod
    def close(self, rows: Sequence[int]) -> None:
        """Drop the rows of these prompts."""


class SlotBatch(SequenceBatch):
    """All sequences in one SlotCache, with room for `capacity` tokens each."""

    def __init__(self, model: PreTrainedModel, count: int, capacity: int) -> None:
        from harmonic.decoding.cache_layers import SlotCache

        config = model.config.get_text_config()
        self.model = model
        self.cache = SlotCache(int(config.num_hidden_layers), count, capacity)
        self.groups = config.num_attention_heads // _key_value_heads(config)
        self.open = list(range(count))
        self.texts: list[list[int]] = []  # of each open row: the tokens in its cache

    def prefill(self, prompts: Sequence[Sequence[int]], prefix: Prefix) -> torch.Tensor:
        import torch

        from harmonic.decoding.cache_layers import PromptPass

        shared, source = prefix
        seen: dict[tuple[int, ...], int] = {}
        logits: list[torch.Tensor] = []
        for row, prompt in enumerate(prompts):
            twin = seen.setdefault(tuple(prompt), row)
            if twin < row:
                self.cache.copy_row(self.cache, twin, row, len(prompt))
                logits.append(logits[twin])
                continue
            known = len(shared) if source is not None and list(prompt[: len(shared)]) == shared else 0
            if source is not None and known:
                self.cache.copy_row(source, 0, row, known)
            positions = torch.arange(known, len(prompt), device=self.model.device)
            logits.append(self._forward(list(prompt[known:]), positions, PromptPass(row, known, len(prompt)), 1)[0])
        self.texts = [list(prompt) for prompt in prompts]
        return torch.stack(logits)

    def step(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        import torch

        # On the CPU: if layers are split, the last ones are on another device than the first.
        return self._append(fed, torch.tensor([max(len(more), 1) for more in fed]).cumsum(0) - 1)

    def verify(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        return self._append(fed, 0)

    def shorten(self, place: int, count: int) -> None:
        if count:  # their columns are overwritten later
            del self.texts[place][-count:]

    def _append(self, fed: Sequence[Sequence[int]], wanted: int | torch.Tensor) -> torch.Tensor:
        from harmonic.decoding.cache_layers import WIDTH_STEP, PackedPass

        columns = []
        for text, more in zip(self.texts, fed, strict=True):
            text.extend(more)
            # No new token: feed the last one again, into its own column.
            columns.append(range(len(text) - max(len(more), 1), len(text)))
        width = -(-max(map(len, self.texts)) // WIDTH_STEP) * WIDTH_STEP
        place = PackedPass.of(
            columns, min(width, self.cache.capacity), self.groups, self.model.dtype, self.model.device
        )
        tokens = [text[column] for text, own in zip(self.texts, columns, strict=True) for column in own]
        return self._forward(tokens, place.column, place, wanted)

    def close(self, rows: Sequence[int]) -> None:
        gone = set(rows)
        for place in reversed(range(len(self.open))):
            if self.open[place] not in gone:
                continue
            last = len(self.open) - 1
            if place < last:  # the last open row takes its place: a smaller batch reads less
                self.cache.copy_row(self.cache, last, place, len(self.texts[last]))
                self.open[place], self.texts[place] = self.open[last], self.texts[last]
            self.open.pop()
            self.texts.pop()

    def _forward(
        self, tokens: list[int], positions: torch.Tensor, place: PromptPass | PackedPass, wanted: int | torch.Tensor
    ) -> torch.Tensor:
        """The logits after the tokens `wanted`, (wanted, vocabulary)."""
        import torch

        self.cache.focus(place)
        device = self.model.device
        return self.model(
            input_ids=torch.tensor([tokens], device=device),
            # `folded_attention` ignores it; a mask of four dimensions is passed on unchanged.
            attention_mask=torch.zeros((1, 1, 1, 1), dtype=self.model.dtype, device=device),
            position_ids=positions[None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=wanted,
        ).logits[0]


class SingleBatch(SequenceBatch):
    """Each sequence by itself, with the model's own cache."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.open = []
        self._states: dict[int, tuple[Any, torch.Tensor]] = {}

    def prefill(self, prompts: Sequence[Sequence[int]], prefix: Prefix) -> torch.Tensor:
        self.open = list(range(len(prompts)))
        return self.step(prompts)

    def step(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        import torch

        for row, tokens in zip(self.open, fed, strict=True):
            if tokens:
                cache, _ = self._states.get(row, (None, None))
                ids = torch.tensor([list(tokens)], device=self.model.device)
                out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
                self._states[row] = (out.past_key_values, out.logits[0, -1])
        return torch.stack([self._states[row][1] for row in self.open])

    def verify(self, fed: Sequence[Sequence[int]]) -> torch.Tensor:
        return self.step(fed)  # nothing is guessed here: one token per row

    def shorten(self, place: int, count: int) -> None:
        if count:
            raise NotImplementedError("the caches of some architectures cannot be shortened")

    def close(self, rows: Sequence[int]) -> None:
        self.open = [row for row in self.open if row not in set(rows)]
        for row in rows:
            del self._states[row]


@contextmanager
def folded(model: PreTrainedModel) -> Iterator[None]:
    """Inside this context the model's attention is `cache_layers.folded_attention`."""
    from harmonic.decoding.cache_layers import ATTENTION

    before = model.config.get_text_config()._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def supports_slots(model: PreTrainedModel) -> bool:
    """Whether the slot cache gives the model's own numbers: by the configuration, then by comparing logits.

    A model is not tried if some layers are not plain attention over all tokens (windows, state spaces, capped scores),
    or if its code does not accept another attention.
    """
    import torch

    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    capped = getattr(config, "attn_logit_softcapping", None)
    if kinds != {"full_attention"} or window or capped or not getattr(model, "_supports_attention_backend", False):
        return False
    ids = [token % config.vocab_size for token in range(5, 5 + _PROBE)]
    try:
        with torch.inference_mode():
            own = _own_logits(model, [ids])
            again = _own_logits(model, [ids[: _PROBE // 2], ids[_PROBE // 2 :]])
            with folded(model):
                ours = _probe(model, ids).float()
    except Exception:  # any error of another architecture: it is decoded with its own cache
        return False
    limit = max(_TOLERANCE[model.dtype.itemsize], _ROUNDING * float(_distance(again, own)))
    return bool((_distance(ours, own) <= limit).all())


def _own_logits(model: PreTrainedModel, pieces: list[list[int]]) -> torch.Tensor:
    """The logits after the last token, by the model's own attention and cache, reading the tokens piece by piece."""
    import torch

    cache = None
    for ids in pieces:
        out = model(input_ids=torch.tensor([ids], device=model.device), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
    return out.logits[0, -1].float()


def _distance(ours: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """The distance of logits (..., vocabulary) from the model's own (vocabulary,), as a share of their norm.

    A common shift is removed, because it changes no probability. The norm over all logits is used, because rounding
    can move a single logit far.
    """
    own, ours = own - own.mean(), ours - ours.mean(dim=-1, keepdim=True)
    return (ours - own).norm(dim=-1) / own.norm()


def _probe(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """The logits after `ids`, (3, vocabulary), by three ways through prefix, prefill and steps of different length."""
    prefix = SlotBatch(model, 1, 4)
    prefix.prefill([ids[:4]], ([], None))
    rows = SlotBatch(model, 3, len(ids))
    rows.prefill([ids[:6], ids[:3], ids[:9]], (ids[:4], prefix.cache))
    rows.step([ids[6:9], ids[3:8], ids[9:11]])
    return rows.step([ids[9:], ids[8:], ids[11:]])


def _key_value_heads(config: Any) -> int:
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
