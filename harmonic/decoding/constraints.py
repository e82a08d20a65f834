"""What a row's JSON may look like, token by token: constrained decoding with llguidance.

Each column is compiled to a regular expression over its `"name": "value"` text; a row is a grammar that
strings the columns together in the order drawn for that row. llguidance turns it into the tokens allowed
next, whichever way the tokenizer cuts the text, and into the tokens that are forced, in the cut that the
tokenizer makes, which is the one the model was tuned on.

Every language here is finite: categories are listed, and a number has no more digits than the data shows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.prompts.row_json import as_json
from harmonic.tables import dates
from harmonic.tables.columns import Style
from harmonic.tables.conditions import MOST_DIGITS, UNKNOWN_DIGITS, Condition, Conditions
from harmonic.tables.table import Column, Kind, Schema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPECIAL = re.compile(r"[^\w]", re.ASCII)


def column_pattern(column: Column, condition: Condition | None = None) -> str:
    """The regular expression of the column's `"name": "value"` in a row's JSON.

    With a condition: its values, or its range (harmonic.tables.ranges). Else:

    Dates: as they are written. Integers: as many digits as the data's range has, without leading zeros, and a sign
    only where the range has one. Floats: that, a point, and 1 to `decimals` decimals ("10.0" for none), in the
    column's style; where `Column.format` may write an exponent, an exponent too. And the text of a missing value,
    where some are missing.
    """
    if condition is not None:
        value = _alternatives(condition.texts()) if condition.values else condition.pattern() or ""
    elif column.kind is Kind.CATEGORY:
        value = _alternatives(column.categories)
    elif column.date_format is not None:
        value = dates.pattern(column.date_format, column.minimum, column.maximum)
    elif column.kind is Kind.INTEGER:
        value = _sign(column) + _whole(column)
    else:
        value = rf"{_sign(column)}({_whole(column)}{_fraction(column)}{_scientific(column)})"
    if column.missing is not None and condition is None:
        value += "|" + _literal(as_json(column.missing)[1:-1])
    return f'{_literal(as_json(column.name))}: "({value})"'


def row_grammar(schema: Schema, order: Sequence[str], conditions: Conditions | None = None) -> str:
    """The Lark grammar of a row's JSON, columns in `order`, held to the conditions."""
    held = conditions or {}
    places = {column.name: place for place, column in enumerate(schema.columns)}
    start = ' ", " '.join(f"C{places[name]}" for name in order)
    patterns = (column_pattern(column, held.get(column.name)) for column in schema.columns)
    # A slash would end the expression.
    lines = [f"C{place}: /{_literal('/').join(pattern.split('/'))}/" for place, pattern in enumerate(patterns)]
    return "\n".join([f'start: "{{" {start} "}}"', *lines])


def _sign(column: Column) -> str:
    if column.maximum < 0:
        return "-"
    return "-?" if column.minimum < 0 else ""


def _largest(column: Column) -> float:
    """The largest magnitude in the data, or what stands for it."""
    bounds = [abs(bound) for bound in (column.minimum, column.maximum) if math.isfinite(bound)]
    return max(bounds, default=10.0**UNKNOWN_DIGITS - 1)


def _whole(column: Column) -> str:
    """The digits before the point: no more than the data has."""
    digits = min(len(str(int(_largest(column)))), MOST_DIGITS)
    return f"(0|[1-9][0-9]{{0,{digits - 1}}})" if digits > 1 else "[0-9]"


def _fraction(column: Column) -> str:
    """The point and what is behind it, in the column's style."""
    most = min(column.decimals, MOST_DIGITS)
    if column.style is Style.FIXED:
        return rf"\.[0-9]{{{column.decimals}}}"
    decimals = rf"\.[0-9]{{1,{most}}}" if most else r"\.0"
    if column.style is Style.PLAIN:
        return f"({decimals})?" if most else ""
    return decimals


def _scientific(column: Column) -> str:
    """The alternatives with an exponent that `str(float)` writes below 1e-4 and from 1e16 on."""
    exponents = []
    if column.decimals > 4:
        exponents.append("-(0[5-9]|[1-9][0-9]{1,2})")
    if _largest(column) >= 1e16:
        exponents.append(r"\+[1-9][0-9]" if _largest(column) < 1e100 else r"\+([1-9][0-9]|[12][0-9]{2})")
    return "".join(rf"|[1-9](\.[0-9]{{1,{MOST_DIGITS - 1}}})?e{exponent}" for exponent in exponents)


def _alternatives(texts: Sequence[str]) -> str:
    """One of these texts, as JSON writes it."""
    return "|".join(_literal(as_json(text)[1:-1]) for text in texts)


def _literal(text: str) -> str:
    """The text as a pattern that matches it alone; what is no word character is written by its code point."""
    return _SPECIAL.sub(lambda found: f"\\x{{{ord(found[0]):x}}}", text)


class RowConstraint:
    """One answer on its way: what may come next, and what must. grammar: the row's, in Lark."""

    def __init__(self, matcher: Any, grammar: str) -> None:
        self._matcher = matcher
        self.grammar = grammar

    @property
    def finished(self) -> bool:
        """Whether the row is whole."""
        return bool(self._matcher.is_accepting())

    def forced(self) -> list[int]:
        """The tokens that must come next, taken as given; may be empty where the tokenizer's cut is still open."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        self._consume(tokens)
        return tokens

    def allowed(self, size: int | None = None) -> NDArray[np.bool_]:
        """Which tokens may come next: (vocabulary,), or (size,) for logits that are padded. At least one."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        if size is not None:
            bits = np.pad(bits[:size], (0, max(0, size - len(bits))))
        allowed = bits.astype(bool)
        if not allowed.any():
            raise RuntimeError(f"no token may follow: {self._matcher.get_error() or 'the constraint is at its end'}")
        return allowed

    def accept(self, token: int) -> list[int]:
        """Take a token drawn from `allowed`; it and the tokens forced behind it."""
        self._consume([token])
        return [token, *([] if self.finished else self.forced())]

    def follow(self, tokens: Sequence[int]) -> None:
        """Take tokens that were drawn elsewhere."""
        self._consume(list(tokens))

    def _consume(self, tokens: list[int]) -> None:
        if tokens and not self._matcher.consume_tokens(tokens):
            raise RuntimeError(f"the constraint refused {tokens}: {self._matcher.get_error()}")


@dataclass
class RowConstraints:
    """Makes the constraints of a schema's rows, held to the conditions, for one tokenizer."""

    schema: Schema
    tokenizer: PreTrainedTokenizerBase
    conditions: Conditions = field(default_factory=dict)

    def start(self, order: Sequence[str]) -> RowConstraint:
        """The constraint of a new row, columns in `order`."""
        from llguidance import LLMatcher

        grammar = row_grammar(self.schema, order, self.conditions)
        matcher = LLMatcher(self._tokens, LLMatcher.grammar_from_lark(grammar), log_level=0)
        if matcher.is_error():
            raise RuntimeError(f"the constraint of a row could not be compiled: {matcher.get_error()}")
        return RowConstraint(matcher, grammar)

    @cached_property
    def _tokens(self) -> Any:
        from llguidance import LLTokenizer

        try:
            core = without_marks(self.tokenizer.backend_tokenizer.to_str())
            return LLTokenizer(core, eos_token=self.tokenizer.eos_token_id)
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
