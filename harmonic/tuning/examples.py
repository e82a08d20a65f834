"""Tuning prompts as token ids with labels, as a trainer takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonic.prompts.chat import Chat, check_lengths
from harmonic.prompts.prompt import Prompt
from harmonic.tuning.vocabulary import Vocabulary

IGNORED = -100  # the label of a token that does not count in the loss

Encoded = dict[str, list[int]]
"""{"input_ids", "labels"} of one example. With a vocabulary, a label is a position in it."""


def encode(prompts: Sequence[Prompt], chat: Chat, limit: int, vocabulary: Vocabulary | None = None) -> list[Encoded]:
    """The input_ids and labels of each prompt. Raises ConfigError if one has more than `limit` tokens."""
    found = chat.encode(prompts)
    check_lengths([len(ids) for ids, _ in found], limit, what="the tuning prompt number")
    examples = []
    for ids, learnt in found:
        numbers = np.array(ids) if vocabulary is None else vocabulary.index(ids)
        examples.append({"input_ids": ids, "labels": np.where(learnt, numbers, IGNORED).tolist()})
    return examples


def occurring(prompts: Sequence[Prompt], chat: Chat) -> Vocabulary:
    """The vocabulary of the learnt parts of these prompts."""
    written = [
        [token for token, is_learnt in zip(ids, learnt, strict=True) if is_learnt]
        for ids, learnt in chat.encode(prompts)
    ]
    return Vocabulary.of(chat.tokenizer, [*written, [chat.end, chat.line_end]])
