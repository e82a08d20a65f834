"""Prompts and their parts."""

from __future__ import annotations

from harmonic.prompts.prompt import Part, Prompt, asked


def test_the_text_is_cut_where_learning_begins() -> None:
    parts = (Part("head"), Part("a", row=4), Part("b", True, 7), Part("-"), Part("c", True, 9))
    prompt = Prompt(parts)
    assert (prompt.prompt, prompt.completion) == ("heada", "b-c")
    assert prompt.rows == (4,) and prompt.learnt_rows == (7, 9)
    assert asked("x", "y", (1, 2)).rows == (1, 2) and asked("x", "y").completion == "y"
    assert asked("x").completion == "" and asked("x") == asked("x", "")
