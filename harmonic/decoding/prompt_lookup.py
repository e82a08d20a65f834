"""Guesses at the next tokens of an answer, taken from its own prompt: names, quotes and commas repeat.

The decoder draws each token as usual, and keeps guesses as long as the draws agree with them: speculative decoding with
prompt lookup (Leviathan et al. 2023, Saxena 2023). The answers are the same, with fewer passes through the model.
"""

from __future__ import annotations

from collections.abc import Sequence

_ORDERS = (3, 2, 1)  # how many tokens to look back at, the longest first
_LEAST = 2  # times that a continuation must have been seen
_LONGEST = 8  # tokens guessed at once
_MIXED = -1  # instead of a continuation: there were several


class PromptLookup:
    """Knows which token has always followed the last tokens of a text."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._text = list(tokens)
        self._next: dict[tuple[int, ...], tuple[int, int]] = {}
        for end in range(1, len(self._text)):
            self._learn(end)

    def extend(self, tokens: Sequence[int]) -> None:
        """Append tokens to the text."""
        for token in tokens:
            self._text.append(token)
            self._learn(len(self._text) - 1)

    def guess(self, limit: int) -> list[int]:
        """The next tokens, at most `limit`, as far as they are clear; often none."""
        recent = self._text[-_ORDERS[0] :]
        guessed: list[int] = []
        while len(guessed) < min(limit, _LONGEST):
            token = self._follows(recent)
            if token == _MIXED:
                break
            guessed.append(token)
            recent.append(token)
        return guessed

    def _follows(self, recent: list[int]) -> int:
        for order in _ORDERS:
            found = self._next.get(tuple(recent[-order:]))
            if found is not None and found[1] >= _LEAST:
                return found[0]
        return _MIXED

    def _learn(self, end: int) -> None:
        token = self._text[end]
        for order in _ORDERS:
            if end >= order:
                context = tuple(self._text[end - order : end])
                known, count = self._next.get(context, (token, 0))
                self._next[context] = (token if known == token else _MIXED, count + 1)
