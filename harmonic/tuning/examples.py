"""Tuning prompts as token ids with labels, as a trainer takes them: in a file, of which it reads what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harmonic.prompts.chat import Chat, check_lengths
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.stored_prompts import chunks
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset

IGNORED = -100  # the label of a token that does not count in the loss

Encoded = dict[str, list[int]]
"""{"input_ids", "labels"} of one example. With a vocabulary, a label is a position in it."""


@dataclass(frozen=True)
class Examples:
    """Encoded prompts in an Arrow file. longest: tokens of the longest one. learnt_tokens: of all together."""

    dataset: Dataset
    longest: int
    learnt_tokens: int


@contextmanager
def stored_examples(
    prompts: Iterable[Prompt], chat: Chat, limit: int, vocabulary: Vocabulary | None, path: Path
) -> Iterator[Examples]:
    """The encoded prompts, in a file that is removed in the end. Raises ConfigError as `encode` does."""
    import pyarrow as pa
    from datasets import Dataset

    ids = pa.list_(pa.int32())
    schema = pa.schema({"input_ids": ids, "labels": ids})
    longest = learnt = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as written:
            for some in chunks(encode(prompts, chat, limit, vocabulary)):
                longest = max(longest, *(len(example["input_ids"]) for example in some))
                learnt += sum(label != IGNORED for example in some for label in example["labels"])
                written.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
        yield Examples(Dataset.from_file(str(path)), longest, learnt)
    finally:
        path.unlink(missing_ok=True)


def encode(
    prompts: Iterable[Prompt], chat: Chat, limit: int, vocabulary: Vocabulary | None = None
) -> Iterator[Encoded]:
    """The input_ids and labels of each prompt. Raises ConfigError in the end if one has more than `limit` tokens."""
    lengths = []
    for some in chunks(prompts):
        for ids, learnt in chat.encode(some):
            lengths.append(len(ids))
            numbers = np.array(ids) if vocabulary is None else vocabulary.index(ids)
            yield {"input_ids": ids, "labels": np.where(learnt, numbers, IGNORED).tolist()}
    check_lengths(lengths, limit, what="the tuning prompt number")


def occurring(prompts: Iterable[Prompt], chat: Chat) -> Vocabulary:
    """The vocabulary of the learnt parts of these prompts."""
    written = {chat.end, chat.line_end}
    for some in chunks(prompts):
        for ids, learnt in chat.encode(some):
            written.update(token for token, is_learnt in zip(ids, learnt, strict=True) if is_learnt)
    return Vocabulary.of(chat.tokenizer, [sorted(written)])
