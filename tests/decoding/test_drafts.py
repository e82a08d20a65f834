"""Guesses from a prompt: what always followed, for as long as it is clear."""

from __future__ import annotations

from harmonic.decoding.drafts import Drafts


def tokens(text: str) -> list[int]:
    return list(text.encode())


def test_names_are_guessed_up_to_the_value_which_differs() -> None:
    drafts = Drafts(tokens('{"age": "41", "bmi": "7"}{"bmi": "3", "age": "29"}{"'))
    assert drafts.guess(99) == []  # which name comes is open
    drafts.extend(tokens("a"))
    assert bytes(drafts.guess(99)) == b'ge": "'
    assert bytes(drafts.guess(2)) == b"ge"


def test_what_was_seen_once_is_not_guessed() -> None:
    assert Drafts([1, 2, 3, 1, 2]).guess(9) == []
    assert Drafts([1, 2, 3, 1, 2, 3, 1, 2]).guess(1) == [3]


def test_what_was_appended_counts() -> None:
    drafts = Drafts([1, 2, 3, 1, 2, 3])
    drafts.extend([1, 2, 9, 5, 1, 2])
    assert drafts.guess(9) == []


def test_a_short_text_is_no_trouble() -> None:
    assert Drafts([]).guess(9) == [] and Drafts([1]).guess(9) == []
