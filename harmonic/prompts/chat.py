"""Prompts as token ids: the turns of a chat, in the model's own format if it has one, or a plain text.

Tuning, sampling and scoring all use this module, so that the model reads the same tokens each time. A question and its
answer are tokenized separately, and so are the lines of a plain text, so no token spans the border. A mark of the chat
format in a cell ("<|im_end|>") is ordinary text: it does not end an answer or begin a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harmonic.errors import ConfigError
from harmonic.prompts.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_USER, _ASSISTANT = "\u241fuser\u241f", "\u241fassistant\u241f"


@dataclass(frozen=True)
class Chat:
    """Turns prompts into token ids with one tokenizer."""

    tokenizer: PreTrainedTokenizerBase  # or a harmonic.prompts.file_tokenizer.FileTokenizer, to count tokens

    @cached_property
    def template_parts(self) -> tuple[str, str, str]:
        """What the chat template writes before the prompt, between prompt and answer, and after the answer.

        A model without a chat template gets the bare prompt, as in the published code.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            return self.tokenizer.bos_token or "", "", ""
        turns = [{"role": "user", "content": _USER}, {"role": "assistant", "content": _ASSISTANT}]
        written = str(self.tokenizer.apply_chat_template(turns, tokenize=False))
        before, _, rest = written.partition(_USER)
        between, _, after = rest.partition(_ASSISTANT)
        return before, between, after

    @cached_property
    def end(self) -> int:
        """The token that ends an answer: the special token that the chat template writes there, or else "eos".

        White space before it, as in LLaMA-2's template, is left out: an answer ends where its text ends.
        """
        after = self._ids([self.template_parts[2].lstrip()])[0]
        special = bool(after) and after[0] in self.tokenizer.all_special_ids
        return int(after[0] if special else self.tokenizer.eos_token_id)

    @cached_property
    def line_end(self) -> int:
        """The token that ends a line of a plain text."""
        return int(self._ids(["\n"])[0][-1])

    def ends(self, document: bool) -> int:
        """The token that ends a row: the end of a line in a plain text, or the end of an answer."""
        return self.line_end if document else self.end

    def encode(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], list[bool]]]:
        """Token ids of each prompt, and which of them are learnt.

        A sampling prompt ends where the row begins. The end of an answer, or of a line, is learnt with it.
        """
        documents = [prompt for prompt in prompts if prompt.document]
        texts = iter(self.lines([part.text for prompt in documents for part in prompt.parts]))
        turns = [prompt for prompt in prompts if not prompt.document]
        asked = iter(self.prompts([prompt.prompt for prompt in turns]))
        answered = [prompt.completion for prompt in turns]
        answers = iter(self.completions(answered))
        found = []
        for prompt in prompts:
            if prompt.document:
                pieces = [(next(texts), part.learnt) for part in prompt.parts]
                pieces.insert(0, (self._start, False))
            else:
                answer = next(answers)
                pieces = [(next(asked), False), *([(answer, True)] if prompt.completion else [])]
            ids = [token for piece, _ in pieces for token in piece]
            found.append((ids, [learnt for piece, learnt in pieces for _ in piece]))
        return found

    def lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        """The number of tokens of each prompt."""
        return [len(ids) for ids, _ in self.encode(prompts)]

    def rows(self, texts: Sequence[str], *, document: bool) -> list[list[int]]:
        """Token ids of each row as a model writes it, with its end: a line of a plain text, or an answer."""
        return self.lines(texts) if document else self.completions(texts)

    def lines(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each line of a plain text, with the token of its line break."""
        bare = self._ids([text.removesuffix("\n") for text in texts], as_text=True)
        return [[*ids, self.line_end] for ids in bare]

    def completions(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each answer, with the token that ends it."""
        return [[*ids, self.end] for ids in self._ids(list(texts), as_text=True)]

    @cached_property
    def _start(self) -> list[int]:
        """The start of a plain text: the token that the tokenizer itself adds there, if any."""
        beginning = getattr(self.tokenizer, "add_bos_token", False) and self.tokenizer.bos_token_id is not None
        return [int(self.tokenizer.bos_token_id)] if beginning else []

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each prompt, up to the start of the answer."""
        before, between, _ = self.template_parts
        ids = self._ids([f"{before}{text}{between}" for text in texts])
        marked = [row for row, text in enumerate(texts) if any(mark in text for mark in self.marks)]
        if marked:  # marks in the template are meant, marks in cells are not
            (start,), (end,) = self._ids([before]), self._ids([between])
            for row, middle in zip(marked, self._ids([texts[row] for row in marked], as_text=True), strict=True):
                ids[row] = [*start, *middle, *end]
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer's ids, without the end token."""
        return str(self.tokenizer.decode([token for token in ids if token != self.end], skip_special_tokens=True))

    @cached_property
    def marks(self) -> list[str]:
        """The texts of the special tokens."""
        return [token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special]

    def _ids(self, texts: list[str], *, as_text: bool = False) -> list[list[int]]:
        """Token ids of each text. as_text: the name of a special token is split into ordinary tokens."""
        if not texts:
            return []
        return self.tokenizer(texts, add_special_tokens=False, split_special_tokens=as_text)["input_ids"]


def check_lengths(lengths: Sequence[int], limit: int, *, what: str) -> None:
    """Raise ConfigError if one of these token counts is above the limit; the message names the largest."""
    if not lengths or max(lengths) <= limit:
        return
    row = max(range(len(lengths)), key=lengths.__getitem__)
    over = sum(length > limit for length in lengths)
    problem = f"{what} {row} takes {lengths[row]} tokens with its answer ({over} of {len(lengths)} are too long)"
    fix = "lower generator.neighbors.k, raise llm.context if the model allows it, or use an llm with a longer context"
    raise ConfigError("llm.context", limit, problem, fix)
