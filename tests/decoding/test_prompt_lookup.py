"""Guesses from a prompt: what always followed, for as long as it is clear."""

from __future__ import annotations

from harmonic.decoding.prompt_lookup import PromptLookup


def tokens(text: str) -> list[int]:
    return list(text.encode())


def test_names_are_guessed_up_to_the_value_which_differs() -> None:
    lookup = PromptLookup(tokens('{"age": "41", "bmi": "7"}{"bmi": "3", "age": "29"}{"'))
    assert lookup.guess(99) == []  # which name comes is open
    lookup.extend(tokens("a"))
    assert bytes(lookup.guess(99)) == b'ge": "'
    assert bytes(lookup.guess(2)) == b"ge"


def test_what_was_seen_once_is_not_guessed() -> None:
    assert PromptLookup([1, 2, 3, 1, 2]).guess(9) == []
    assert PromptLookup([1, 2, 3, 1, 2, 3, 1, 2]).guess(1) == [3]


def test_what_was_appended_counts() -> None:
    lookup = PromptLookup([1, 2, 3, 1, 2, 3])
    lookup.extend([1, 2, 9, 5, 1, 2])
    assert lookup.guess(9) == []


def test_a_short_text_is_no_trouble() -> None:
    assert PromptLookup([]).guess(9) == [] and PromptLookup([1]).guess(9) == []
