"""The tokens that rows can consist of, and a model whose output layer has only these.

A table's rows use a few hundred of a model's tens of thousands of tokens. An output layer for those alone saves a fifth
of the arithmetic of SmolLM2-135M in tuning and decoding, and gives no probability to impossible tokens. The model can
still read all tokens.
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
    """ids: the token ids in ascending order, (size,)."""

    ids: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, texts: Iterable[Sequence[int]]) -> Vocabulary:
        """The tokens of these texts, and all tokens of one character or byte, so that any text can be written."""
        single = (number for text, number in tokenizer.get_vocab().items() if len(text) == 1 or _BYTE.fullmatch(text))
        return cls(np.array(sorted({*single, *(token for ids in texts for token in ids)}), dtype=np.int64))

    @classmethod
    def read(cls, directory: Path) -> Vocabulary | None:
        """The vocabulary in this folder; None if there is none, and all tokens are used."""
        path = directory / FILE
        return cls(np.array(json.loads(path.read_text()), dtype=np.int64)) if path.is_file() else None

    def write(self, directory: Path) -> None:
        """Write vocabulary.json."""
        (directory / FILE).write_text(json.dumps(self.ids.tolist()))

    def index(self, tokens: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each token in `ids`; -1 for a token that is not there."""
        wanted = np.asarray(tokens, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, place, -1)

    def narrow(self, model: PreTrainedModel) -> None:
        """Give the model an output layer for these tokens alone: its logits are (..., size), in the order of `ids`."""
        import torch

        full = model.get_output_embeddings()
        kept = torch.from_numpy(self.ids).to(full.weight.device)
        head = torch.nn.utils.skip_init(  # or it would draw random weights from the global state
            torch.nn.Linear, full.weight.shape[1], len(self.ids), bias=full.bias is not None,
            device=full.weight.device, dtype=full.weight.dtype,
        ).requires_grad_(False)  # fmt: skip
        head.weight.data = full.weight.data[kept].clone()
        if full.bias is not None:
            head.bias.data = full.bias.data[kept].clone()
        if hasattr(full, "_hf_hook"):  # layers are split: the input may come from another device
            from accelerate.hooks import AlignDevicesHook, add_hook_to_module

            add_hook_to_module(head, AlignDevicesHook(head.weight.device))
        model.config.get_text_config().tie_word_embeddings = False
        model.set_output_embeddings(head)
