"""Constrained decoding with llguidance: which tokens a valid row may contain, step by step.

A row format writes the grammar of a row, with the columns in that row's order (harmonic.prompts.row_format). llguidance
turns it into the tokens that are allowed next, however the tokenizer cuts the text. It also gives the tokens that are
forced, cut as the tokenizer does it and as the model was tuned. The token that ends a row is allowed as soon as the row
may be complete: "1" may end there, or continue as "12".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.prompts.row_format import RowFormat
from harmonic.tables.conditions import Conditions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RowConstraint:
    """One row while it is written: which tokens may come next, and which must.

    grammar: the row's grammar in Lark, without its end. end: the token that ends it.
    """

    def __init__(self, matcher: Any, grammar: str, end: int) -> None:
        self._matcher = matcher
        self.grammar = grammar
        self.end = end
        self._ended = False

    @property
    def finished(self) -> bool:
        """Whether the row is complete: its end was taken, or no other token may come."""
        if self._ended or not self._matcher.is_accepting():
            return self._ended
        bits = self._bits()
        return int(np.count_nonzero(bits)) == int(bits[self.end])

    def end_row(self) -> None:
        """Take the end of the row. Raises RuntimeError if the row is not complete."""
        if not self._matcher.is_accepting():
            raise RuntimeError("the row ends before it is complete")
        self._ended = True

    def forced(self) -> list[int]:
        """Take the tokens that must come next, and return them; none if the tokenizer's cut is still open."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        self._consume(tokens)
        return tokens

    def allowed(self, size: int | None = None) -> NDArray[np.bool_]:
        """Which tokens may come next: (vocabulary,), or (size,) for padded logits. At least one."""
        allowed = self._bits()
        if size is not None:
            allowed = np.pad(allowed[:size], (0, max(0, size - len(allowed))))
        if not allowed.any():
            raise RuntimeError(f"no token may follow: {self._matcher.get_error() or 'the row is complete'}")
        return allowed

    def accept(self, token: int) -> list[int]:
        """Take a token drawn from `allowed`; return it with the tokens forced after it, without the end."""
        if token == self.end:
            self.end_row()
            return []
        self._consume([token])
        return [token, *self.forced()]

    def follow(self, tokens: Sequence[int]) -> None:
        """Take tokens that were drawn elsewhere."""
        self._consume(list(tokens))

    def _bits(self) -> NDArray[np.bool_]:
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        return bits.view(bool)

    def _consume(self, tokens: list[int]) -> None:
        if tokens and not self._matcher.consume_tokens(tokens):
            raise RuntimeError(f"the constraint refused {tokens}: {self._matcher.get_error()}")


@dataclass
class RowConstraints:
    """Makes constraints for the rows of a format that satisfy the conditions. end: the token that ends a row."""

    row_format: RowFormat
    tokenizer: PreTrainedTokenizerBase
    end: int
    conditions: Conditions = field(default_factory=dict)
    _compiled: dict[tuple[tuple[str, ...], str], tuple[Any, str]] = field(default_factory=dict, init=False, repr=False)

    def start(self, order: Sequence[str], conditions: Conditions | None = None) -> RowConstraint:
        """The constraint of a new row, columns in `order`, under these conditions (None: those of all rows)."""
        from llguidance import LLMatcher

        held = self.conditions if conditions is None else conditions
        key = tuple(order), "; ".join(map(str, held.values()))
        if key not in self._compiled:
            grammar = self.row_format.grammar(order, held)
            matcher = LLMatcher(self._tokens, LLMatcher.grammar_from_lark(grammar), log_level=0)
            if matcher.is_error():
                raise RuntimeError(f"the constraint of a row could not be compiled: {matcher.get_error()}")
            self._compiled = {key: (matcher, grammar)}  # rows of one prompt come one after the other
        matcher, grammar = self._compiled[key]
        return RowConstraint(matcher.deep_copy(), grammar, self.end)

    @cached_property
    def _tokens(self) -> Any:
        from llguidance import LLTokenizer

        try:
            core = without_marks(self.tokenizer.backend_tokenizer.to_str())
            return LLTokenizer(core, eos_token=self.end)
        except (AttributeError, ValueError) as error:
            problem = f"the tokenizer {type(self.tokenizer).__name__} cannot be constrained: {error}"
            raise ConfigError("generator.sampling.mode", "constrained", problem, "set it to reject") from error


def without_marks(tokenizer: str) -> str:
    """The tokenizer (as JSON) with special tokens that no text can contain; their ids stay.

    llguidance cuts a row's text as the tokenizer does: without this, a column called "<|im_end|>" would end the answer.
    """
    core = json.loads(tokenizer)
    core |= {"padding": None, "truncation": None, "post_processor": None}
    marks = {token["content"]: f"\0special {token['id']}\0" for token in core["added_tokens"] if token["special"]}
    for token in core["added_tokens"]:
        token["content"] = marks.get(token["content"], token["content"])
    known = core["model"]["vocab"]
    if isinstance(known, dict):
        core["model"]["vocab"] = {marks.get(text, text): number for text, number in known.items()}
    else:  # of a Unigram model: [text, score]
        core["model"]["vocab"] = [[marks.get(text, text), score] for text, score in known]
    return json.dumps(core)
