"""Batched decoding, free or constrained, with a key-value cache that is never copied.

A batch is decoded in two parts. Prefill: each prompt goes through the model alone, without padding, into its row of the
cache. The common start of all prompts is computed once, and so is a prompt that a batch contains several times. Decode:
a step feeds every open row the token drawn for it, and more tokens behind it. In constrained decoding these are the
tokens that the schema forces. In free decoding they are guesses (harmonic.decoding.prompt_lookup), which are
kept as far as the draws agree with them. Rows may be fed different numbers of tokens.

A row is drawn with its own random numbers, and its logits do not depend on the other rows. So the same batch (the same
prompts in the same order) gives the same answers, bit for bit, on the same machine with the same number of threads. In
another batch a row's logits differ by rounding: a matrix product sums in another order for another number of rows. This
changes a draw now and then, and with it the rest of that row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harmonic.decoding.memory import affordable_tokens
from harmonic.decoding.next_token import choose
from harmonic.decoding.prompt_lookup import PromptLookup
from harmonic.decoding.settings import BATCH_TOKENS

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from harmonic.decoding.constraints import RowConstraint
    from harmonic.decoding.sequence_batch import SequenceBatch
    from harmonic.tuning.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_SHORTEST_PREFIX = 8  # tokens; copying a shorter one does not pay


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer: its token ids without the end token, and whether it ended by itself."""

    ids: list[int]
    finished: bool


class _Answer:
    """One answer while it is written: the drawn tokens and, if `guessing`, guesses at the next ones."""

    def __init__(self, prompt: Sequence[int], end: int, limit: int, guessing: bool) -> None:
        self.ids: list[int] = []
        self.finished = False
        self._end, self._limit = end, limit
        self._lookup = PromptLookup(prompt) if guessing else None
        self._guesses: list[int] = []

    @property
    def over(self) -> bool:
        return self.finished or len(self.ids) >= self._limit

    def next_tokens(self) -> list[int]:
        """What the model reads next: the last drawn token, and the guesses after it."""
        room = self._limit - len(self.ids) - 1
        self._guesses = self._lookup.guess(room) if self._lookup else []
        return [self.ids[-1], *self._guesses]

    def take(self, drawn: Sequence[int]) -> int:
        """Take the tokens drawn after each token of `next_tokens`; return the number of wrong guesses.

        A draw counts only if all guesses before it were right.
        """
        for place, token in enumerate(drawn):
            if token == self._end:
                self.finished = True
                return len(self._guesses) - place
            self.ids.append(token)
            if self._lookup:
                self._lookup.extend([token])
            if place >= len(self._guesses) or token != self._guesses[place]:
                return len(self._guesses) - place
        return 0


@dataclass
class Decoder:
    """Draws answers from one model. `temperature` 0 takes the likeliest token.

    max_new_tokens: the longest answer, including its end token; a longer constrained answer is completed without the
    model (see `constrained`). batch_tokens: prompt and answer tokens in the cache at once (see `budget`). vocabulary:
    the tokens of the model's logits (None: all, in the tokenizer's order).
    """

    model: PreTrainedModel
    end: int
    temperature: float
    max_new_tokens: int
    batch_tokens: int = BATCH_TOKENS
    vocabulary: Vocabulary | None = None

    largest_batch: ClassVar[int] = 64  # rows; with more, a step takes longer for each row

    def __post_init__(self) -> None:
        self._prefix: tuple[list[int], Any] = ([], None)

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None:
        """Compute the common start of these prompts once, for all batches to come."""
        from harmonic.decoding.sequence_batch import SlotBatch

        common = common_prefix(prompts)
        self._prefix = ([], None)
        if self.fast and len(common) >= _SHORTEST_PREFIX:
            with self._inference():
                rows = SlotBatch(self.model, 1, len(common))
                rows.prefill([common], ([], None))
            self._prefix = (common, rows.cache)

    def free(self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator]) -> list[Decoded]:
        """One answer for each prompt, until its end token or max_new_tokens. draws: the random numbers of each row."""
        uniforms = np.stack([draw.random(self.max_new_tokens) for draw in draws])
        answers = [_Answer(prompt, self.end, self.max_new_tokens, self.fast) for prompt in prompts]
        with self._inference():
            rows, logits = self._prefill(prompts)
            for answer, token in zip(answers, self._draw(logits, uniforms[:, 0]), strict=True):
                answer.take([token])
            while True:
                rows.close([row for row in rows.open if answers[row].over])
                if not rows.open:
                    break
                fed = [answers[row].next_tokens() for row in rows.open]
                logits = rows.verify(fed)
                points = [
                    uniforms[row, len(answers[row].ids) :][: len(more)]
                    for row, more in zip(rows.open, fed, strict=True)
                ]
                drawn = iter(self._draw(logits, np.concatenate(points)))
                for place, (row, more) in enumerate(zip(rows.open, fed, strict=True)):
                    wrong = answers[row].take([next(drawn) for _ in more])
                    rows.shorten(place, wrong)
        return [Decoded(answer.ids, answer.finished) for answer in answers]

    def constrained(
        self,
        prompts: Sequence[Sequence[int]],
        draws: Sequence[np.random.Generator],
        constraints: Sequence[RowConstraint],
    ) -> list[Decoded]:
        """One valid answer for each prompt. Tokens without a choice are not drawn.

        An answer that reaches max_new_tokens is completed without the model, with equal chances for all allowed tokens;
        it ends, because every constraint is finite. `finished` is False for such an answer.
        """
        with self._inference():
            rows, logits = self._prefill(prompts)
            # The first token may be forced: then nothing is drawn after the prompt itself.
            fed = [constraint.forced() for constraint in constraints]
            answers = [list(tokens) for tokens in fed]
            while True:
                rows.close([row for row in rows.open if self._is_over(constraints[row], answers[row])])
                if not rows.open:
                    break
                if any(fed[row] for row in rows.open):
                    logits = rows.step([fed[row] for row in rows.open])
                allowed = np.stack([self._allowed(constraints[row], logits.shape[1]) for row in rows.open])
                tokens = self._choose(logits, [draws[row] for row in rows.open], allowed)
                for row, token in zip(rows.open, tokens, strict=True):
                    fed[row] = constraints[row].accept(token)
                    answers[row] += fed[row]
        return [finish(*answer) for answer in zip(answers, constraints, draws, strict=True)]

    @cached_property
    def fast(self) -> bool:
        """Whether the model works with the slot cache: compared with its own forward pass on a few tokens."""
        from harmonic.decoding.sequence_batch import supports_slots

        found = supports_slots(self.model)
        if not found:
            logger.info(
                "%s is decoded one row at a time, because it has an attention of its own", type(self.model).__name__
            )
        return found

    def budget(self) -> int:
        """Tokens that a batch may hold in the cache: batch_tokens, or fewer if the memory is too small."""
        token_bytes = cache_bytes_per_token(self.model.config, self.model.dtype)
        return affordable_tokens(self.batch_tokens, token_bytes, self.model.device)

    def close(self) -> None:
        """Do nothing: the model belongs to the caller."""

    def _is_over(self, constraint: RowConstraint, answer: list[int]) -> bool:
        return constraint.finished or len(answer) >= self.max_new_tokens

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[SequenceBatch, torch.Tensor]:
        from harmonic.decoding.sequence_batch import SingleBatch, SlotBatch

        capacity = max(map(len, prompts)) + self.max_new_tokens
        rows = SlotBatch(self.model, len(prompts), capacity) if self.fast else SingleBatch(self.model)
        return rows, rows.prefill(prompts, self._prefix)

    def _allowed(self, constraint: RowConstraint, size: int) -> NDArray[np.bool_]:
        """Which of the logits belong to allowed tokens, (size,)."""
        if self.vocabulary is None:
            return constraint.allowed(size)
        return constraint.allowed()[self.vocabulary.ids]

    def _choose(
        self, logits: torch.Tensor, draws: Sequence[np.random.Generator], allowed: NDArray[np.bool_]
    ) -> list[int]:
        """An allowed token for each row."""
        import torch

        held = logits.masked_fill(torch.from_numpy(~allowed).to(logits.device), float("-inf"))
        return self._draw(held, np.array([draw.random() for draw in draws]))

    def _draw(self, logits: torch.Tensor, uniforms: NDArray[np.float64]) -> list[int]:
        """A token for each row of logits (rows, vocabulary), by its uniform number."""
        places = choose(logits, uniforms, self.temperature).cpu().numpy()
        return list(map(int, places if self.vocabulary is None else self.vocabulary.ids[places]))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """Without gradients, and with our attention if the model works with it."""
        import torch

        from harmonic.decoding.sequence_batch import folded

        if not self.fast:
            with torch.inference_mode():
                yield
        else:
            with torch.inference_mode(), folded(self.model):
                yield


def finish(ids: list[int], constraint: RowConstraint, draw: np.random.Generator) -> Decoded:
    """Complete the answer without the model, with equal chances for all allowed tokens."""
    whole = constraint.finished
    while not constraint.finished:
        ids += constraint.accept(int(draw.choice(np.flatnonzero(constraint.allowed()))))
    return Decoded(ids, whole)


def cache_bytes_per_token(config: Any, dtype: torch.dtype) -> int:
    """Bytes of one token in the key-value cache of a model with this transformers config."""
    config = config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * dtype.itemsize)


def common_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The token ids that all prompts start with, without the last token of any prompt."""
    # In lexicographic order, the first and the last differ earliest.
    first, last = min(prompts, key=list), max(prompts, key=list)
    shortest = min(map(len, prompts)) - 1
    same = 0
    while same < shortest and first[same] == last[same]:
        same += 1
    return list(first[:same])
