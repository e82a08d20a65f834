"""What a row may look like, token by token: constrained decoding with llguidance.

A row format writes the grammar of a row, its columns in the order of that row (harmonic.prompts.row_format).
llguidance turns it into the tokens allowed next, whichever way the tokenizer cuts the text, and into the tokens that
are forced, in the cut that the tokenizer makes, which is the one the model was tuned on. The token that ends a row is
one of those allowed where the row may be whole: so "1" does not end a row that could go on as "12".
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
    """One row on its way: what may come next, and what must.

    grammar: the row's, in Lark, without what ends it. end: the token that ends it.
    """

    def __init__(self, matcher: Any, grammar: str, end: int) -> None:
        self._matcher = matcher
        self.grammar = grammar
        self.end = end
        self._ended = False

    @property
    def finished(self) -> bool:
        """Whether the row is whole: its end was taken, or nothing else may come."""
        if self._ended or not self._matcher.is_accepting():
            return self._ended
        bits = self._bits()
        return int(np.count_nonzero(bits)) == int(bits[self.end])

    def end_row(self) -> None:
        """Take the end of the row. Raises RuntimeError where the row is not whole."""
        if not self._matcher.is_accepting():
            raise RuntimeError("the row ends before it is whole")
        self._ended = True

    def forced(self) -> list[int]:
        """The tokens that must come next, taken as given; may be empty where the tokenizer's cut is still open."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        self._consume(tokens)
        return tokens

    def allowed(self, size: int | None = None) -> NDArray[np.bool_]:
        """Which tokens may come next: (vocabulary,), or (size,) for logits that are padded. At least one."""
        allowed = self._bits()
        if size is not None:
            allowed = np.pad(allowed[:size], (0, max(0, size - len(allowed))))
        if not allowed.any():
            raise RuntimeError(f"no token may follow: {self._matcher.get_error() or 'the constraint is at its end'}")
        return allowed

    def accept(self, token: int) -> list[int]:
        """Take a token drawn from `allowed`; it and the tokens forced behind it. The end is not one of them."""
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
    """Makes the constraints of rows in a format, held to the conditions, for one tokenizer. end: ends a row."""

    row_format: RowFormat
    tokenizer: PreTrainedTokenizerBase
    end: int
    conditions: Conditions = field(default_factory=dict)
    _compiled: dict[tuple[tuple[str, ...], str], tuple[Any, str]] = field(default_factory=dict, init=False, repr=False)

    def start(self, order: Sequence[str], conditions: Conditions | None = None) -> RowConstraint:
        """The constraint of a new row, columns in `order`, held to `conditions` (None: those of all rows)."""
        from llguidance import LLMatcher

        held = self.conditions if conditions is None else conditions
        key = tuple(order), "; ".join(map(str, held.values()))
        if key not in self._compiled:
            grammar = self.row_format.grammar(order, held)
            matcher = LLMatcher(self._tokens, LLMatcher.grammar_from_lark(grammar), log_level=0)
            if matcher.is_error():
                raise RuntimeError(f"the constraint of a row could not be compiled: {matcher.get_error()}")
            self._compiled = {key: (matcher, grammar)}  # rows of one prompt follow each other
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
    """The tokenizer (its JSON) with special tokens that no text is cut into; their ids stay.

    llguidance cuts what a row must say as the tokenizer does: a column called "<|im_end|>" would end the answer.
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
