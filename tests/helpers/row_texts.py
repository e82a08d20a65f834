"""One row as text, rows drawn at random under a constraint, and a tokenizer that merges. For tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonic.decoding.constraints import RowConstraint
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.table import Schema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def row_text(row: Mapping[str, Any], schema: Schema, order: Sequence[str] | None = None, form: str = "json") -> str:
    """The row's text, columns in `order` (default: the schema's)."""
    written = find_row_format(form, schema)
    return written.joined([written.cell(name, schema[name].format(row[name])) for name in order or schema.names])


def drawn_at_random(constraint: RowConstraint, draw: np.random.Generator) -> list[int]:
    """The tokens of a row, all that is allowed alike; without the token that ends it."""
    ids = constraint.forced()
    while not constraint.finished:
        ids += constraint.accept(int(draw.choice(np.flatnonzero(constraint.allowed()))))
    return ids


def merging_tokenizer(texts: Iterable[str], size: int = 700) -> PreTrainedTokenizerFast:
    """A byte-level BPE with tokens across the borders of values, learnt from these texts; "<end>" ends them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=["<end>"])
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<end>")
