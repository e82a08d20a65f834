"""What HARMONIC has learnt, read back: the prompts, the codes, the tuned model, and the likelihoods of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.decoding.decoder import Decoder
from harmonic.decoding.sampler import Decodes
from harmonic.decoding.settings import Sampling
from harmonic.decoding.vllm_decoder import VLLMDecoder
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.instruction import question, row_list
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.prompt_files import PromptFiles
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.prompts.prompt_style import PromptStyle
from harmonic.prompts.row_format import RowFormat, RowTexts
from harmonic.prompts.stored_prompts import chunks
from harmonic.prompts.token_counts import answer_room
from harmonic.tables.codes.coding import Coding
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table
from harmonic.tables.training_view import to_score
from harmonic.tuning.lora import load_tuned
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(kw_only=True)
class FittedModel:
    """A tuned model with all that reads and writes its rows. The model itself is loaded when it is first needed.

    fit: how prompts show rows. coding: the codes of the values. adapter: the folder with the LoRA weights. vocabulary:
    the tokens that the model was tuned with (None: all).
    """

    llm: LanguageModel
    splits: Splits
    style: PromptStyle
    coding: Coding
    files: PromptFiles
    fit: PromptFit
    chat: Chat
    adapter: Path
    vocabulary: Vocabulary | None
    _model: PreTrainedModel | None = field(default=None, init=False, repr=False)

    @property
    def tuned(self) -> PreTrainedModel:
        """The model with its adapter."""
        if self._model is None:
            self._model = self._narrowed(load_tuned(self.llm, self.adapter)[0])
        return self._model

    def untuned(self) -> PreTrainedModel:
        """The model without the adapter. The tuned one is unloaded first."""
        self.unload()
        return self._narrowed(self.llm.load()[0])

    def unload(self) -> None:
        """Give the model's memory back."""
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def schema(self) -> Schema:
        """The columns as prompts show them."""
        return self.fit.schema(self.coding.coded)

    def shown_table(self, table: Table) -> Table:
        """The table as prompts show it: in codes, under the names that prompts use."""
        return self.fit.table(self.coding.encode(table))

    def learnt(self) -> NDArray[np.int64]:
        """Positions of the training rows that may be learnt and shown: all that were not kept back for validation."""
        kept_back = [row for prompt in self.files.validation() for row in prompt.learnt_rows]
        return np.setdiff1d(np.arange(len(self.splits.train)), np.array(kept_back, dtype=np.int64))

    def decoder(self, settings: Sampling) -> tuple[Decodes, int]:
        """The decoder, and the longest prompt with answer, in tokens."""
        document = self.style.lists
        longest = settings.max_new_tokens or self._longest_row()
        how = (self.chat.ends(document), settings.temperature, longest, settings.batch_tokens)
        if settings.backend == "vllm":
            served = VLLMDecoder(self.llm, self.adapter, *how, document=document)
            return served, served.context()
        return Decoder(self.tuned, *how, vocabulary=self.vocabulary), self.llm.max_tokens(self.tuned.config)

    def token_nll(self, model: PreTrainedModel, rows: pd.DataFrame, stage: str) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of each row's text under `model`: (tokens,) a row, nats."""
        from harmonic.tuning.scoring import answer_token_nll

        table = self.shown_table(to_score(self.splits, rows))
        row_format = self.style.row_format_of(table.schema)
        texts = RowTexts(table, row_format).render(np.arange(len(rows)))
        context, _ = self.chat.encode([self.scoring_prompt(row_format)])[0]
        answers = self.chat.rows(texts, document=self.style.lists)
        return answer_token_nll(model, context, answers, stage=stage, vocabulary=self.vocabulary)

    def scoring_prompt(self, row_format: RowFormat) -> Prompt:
        """The context of every score: a list without rows, or an instruction with rows of the validation part."""
        order = tuple(range(len(row_format.schema.columns)))
        if self.style.lists:
            return row_list(row_format, [], [], order)
        spare = self.splits.val
        rows = np.arange(min(self.fit.k, len(spare)))
        table = self.shown_table(spare)
        shown = [(text, None, order) for text in RowTexts(table, row_format).render(rows)] if len(rows) else []
        return question(row_format, shown, None, order)

    def _longest_row(self) -> int:
        """Room for a row, in tokens, from the rows that were learnt."""
        longest = 0
        for some in chunks(self.files.training()):
            rows = [part.text for prompt in some for part in prompt.parts if part.learnt]
            longest = max(longest, *map(len, self.chat.rows(rows, document=self.style.lists)))
        return answer_room(longest)

    def _narrowed(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model with an output layer for its own vocabulary."""
        if self.vocabulary is not None:
            self.vocabulary.narrow(model)
        return model
