"""What prompts take in tokens, and whether they fit the model's context: counted with the tokenizer alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.file_tokenizer import FileTokenizer
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.prompts.stored_prompts import StoredPrompts, chunks

logger = logging.getLogger(__name__)

ANSWER_SLACK = 1.25  # an answer may be this much longer than the longest one in training
_SAMPLE = 256  # texts whose tokens are counted first, to decide which others must be counted
_MARGIN = 1.1  # how many more tokens per character another text may have than those
_ROWS = 4096  # prompts whose rows are counted first

_Piece = TypeVar("_Piece")


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of prompts.

    context: tokens that fit. max_new_tokens: room for an answer; None: as the answers need. largest: the context that
    the model itself allows.
    """

    chat: Chat
    context: int
    max_new_tokens: int | None
    largest: int | None = None

    @classmethod
    def of(cls, llm: LanguageModel, max_new_tokens: int | None) -> TokenCounter | None:
        """The counter for this model; None, with a warning, if its tokenizer cannot be loaded now."""
        try:
            found = _from_files(llm)
            if found is None:
                found = llm.tokenizer(), getattr(llm.config(), "max_position_embeddings", None)
            tokenizer, largest = found
            return cls(Chat(tokenizer), llm.longest(largest), max_new_tokens, largest)
        except ConfigError as error:
            logger.warning("the lengths of the prompts are not checked: %s", error)
            return None

    def measured(self, fit: PromptFit, training: StoredPrompts, sampling: StoredPrompts) -> PromptFit:
        """The fit with its counts filled in. Maxima near the context are exact."""
        row, row_mean = self._longest_row(training[:_ROWS], np.inf)
        room = self.max_new_tokens or answer_room(row)
        asked, asked_mean = self._longest(sampling, self.context - _MARGIN * room)
        if self.max_new_tokens is None and asked + _MARGIN * room > self.context:
            row = max((self._longest_row(some, 0)[0] for some in chunks(training)), default=row)
            room = answer_room(row)
        longest, mean = self._longest(training, self.context)
        return replace(
            fit, context=self.context, room=room, row=_counts(row_mean, row), tuning=_counts(mean, longest),
            sampling=_counts(asked_mean + room, asked + room),
        )  # fmt: skip

    def mean_row(self, rows: Sequence[str]) -> float:
        """The mean tokens of these rows' texts."""
        return float(np.mean([len(ids) for ids in self.chat.completions(rows)]))

    def _longest(self, prompts: StoredPrompts, limit: float) -> tuple[int, float]:
        """The most tokens of a prompt, exact if near `limit`, and the approximate mean."""
        return _most(prompts, prompts.characters, self.chat.lengths, limit)

    def _longest_row(self, prompts: Sequence[Prompt], limit: float) -> tuple[int, float]:
        """The same for the rows that these prompts teach."""
        rows = [part.text for prompt in prompts for part in prompt.parts if part.learnt]
        document = bool(prompts) and prompts[0].document

        def count(texts: Sequence[str]) -> list[int]:
            return [len(ids) for ids in self.chat.rows(texts, document=document)]

        return _most(rows, np.array(list(map(len, rows))), count, limit)


def answer_room(longest: int) -> int:
    """Tokens to keep free for an answer, given the longest one in training."""
    return int(longest * ANSWER_SLACK) + 1


def _most(
    pieces: Sequence[_Piece],
    characters: NDArray[np.int64],
    count: Callable[[Sequence[_Piece]], list[int]],
    limit: float,
) -> tuple[int, float]:
    """The most tokens of a piece, exact if near `limit`, and the approximate mean. characters: of each piece, (n,).

    A sample and the longest texts are counted. Others are counted only if they may have more than `limit` tokens.
    """
    if not len(pieces):
        return 0, 0.0

    def counted(places: NDArray[np.int64]) -> list[int]:
        return [found for few in chunks(places.tolist()) for found in count([pieces[place] for place in few])]

    some = np.unique(np.linspace(0, len(pieces) - 1, min(len(pieces), _SAMPLE)).astype(int))
    first = np.union1d(some, np.argsort(-characters, kind="stable")[:_SAMPLE])
    counts = np.zeros(len(pieces), dtype=np.int64)
    counts[first] = counted(first)
    rate = (counts[first] / np.maximum(characters[first], 1)).max() * _MARGIN
    doubtful = np.setdiff1d(np.flatnonzero(characters * rate > limit), first)
    if len(doubtful):
        counts[doubtful] = counted(doubtful)
    return int(counts.max()), float(counts[some].mean())


def _from_files(llm: LanguageModel) -> tuple[Any, int | None] | None:
    """The tokenizer and the model's longest sequence, read from the model's folder: quick. None if that fails."""
    folder = llm.folder()
    try:
        if folder is None or not Path(folder).is_dir():
            return None
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        tokenizer = FileTokenizer(Path(folder))
        _ = Chat(tokenizer).end  # its template must be readable, too
        return tokenizer, config.get("max_position_embeddings")
    except Exception:  # a tokenizer of another kind: transformers can read it
        return None


def _counts(mean: float, most: float) -> dict[str, float]:
    return {"mean": round(mean, 1), "max": most}
