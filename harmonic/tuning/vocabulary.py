"""The tokens that rows can be made of, and a model that speaks in no others.

A table's rows use a few hundred of a model's tens of thousands of tokens. With an output layer for those alone a step
of tuning or decoding leaves out a fifth of the arithmetic of SmolLM2-135M, and no probability goes to what cannot
come. What the model reads is not restricted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILE = "vocabulary.json"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """ids: the tokens, ascending, (size,)."""

    ids: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, texts: Iterable[Sequence[int]]) -> Vocabulary:
        """The tokens of these texts, and all that stand for one character or byte: any text can be written."""
        single = (number for text, number in tokenizer.get_vocab().items() if len(text) == 1 or _BYTE.fullmatch(text))
        return cls(np.array(sorted({*single, *(token for ids in texts for token in ids)}), dtype=np.int64))

    @classmethod
    def read(cls, directory: Path) -> Vocabulary | None:
        """The one that was written there; None where there is none: all tokens are in use."""
        path = directory / FILE
        return cls(np.array(json.loads(path.read_text()), dtype=np.int64)) if path.is_file() else None

    def write(self, directory: Path) -> None:
        """Write vocabulary.json."""
        (directory / FILE).write_text(json.dumps(self.ids.tolist()))

    def index(self, tokens: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each token stands among `ids`; -1 for one that does not."""
        wanted = np.asarray(tokens, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, place, -1)

    def narrow(self, model: PreTrainedModel) -> None:
        """Give the model an output layer of these tokens alone: its logits are (..., size), in the order of `ids`."""
        import torch

        full = model.get_output_embeddings()
        kept = torch.from_numpy(self.ids).to(full.weight.device)
        head = torch.nn.utils.skip_init(  # or it would draw weights, from the global state
            torch.nn.Linear, full.weight.shape[1], len(self.ids), bias=full.bias is not None,
            device=full.weight.device, dtype=full.weight.dtype,
        ).requires_grad_(False)  # fmt: skip
        head.weight.data = full.weight.data[kept].clone()
        if full.bias is not None:
            head.bias.data = full.bias.data[kept].clone()
        model.config.get_text_config().tie_word_embeddings = False
        model.set_output_embeddings(head)
