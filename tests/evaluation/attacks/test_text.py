"""Membership by text, against a Levenshtein distance of our own and against rapidfuzz pair by pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import DataError
from harmonic.evaluation.attacks import text as text_attacks
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.attacks.roc import area
from harmonic.evaluation.attacks.text import digit_texts, levatt, levatt_digits, row_texts, smallest_distances
from harmonic.evaluation.comparison.encoding import Encoder


def edits(one, other):
    """Insertions, deletions and replacements from one text to the other, by the textbook's table."""
    before = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        now = [i]
        for j, right in enumerate(other, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (left != right)))
        before = now
    return before[-1]


@pytest.mark.parametrize("longest", [9, 90])
def test_smallest_distances_are_the_definition(monkeypatch, longest):
    monkeypatch.setattr(text_attacks, "_PAIRS_AT_A_TIME", 40)
    rng = np.random.default_rng(0)

    def texts(count):
        return ["".join(rng.choice(list("ab1,"), rng.integers(0, longest + 1))) for _ in range(count)]

    queries, known = texts(12), texts(15)
    expected = [min(edits(query, text) for text in known) for query in queries]
    assert smallest_distances(queries, known).tolist() == expected


def test_texts_hold_the_values_as_prompts_write_them(toy):
    rows = pd.DataFrame({"age": [48], "income": [-10.25], "city": ["cork"], "label": ["yes"]})
    assert row_texts(rows, toy.schema) == ["48,-10.25,cork,yes"]
    assert digit_texts(rows, toy.schema) == ["48,1025"]


def test_texts_of_rows_in_several_blocks_are_those_of_one(toy, monkeypatch):
    whole = row_texts(toy.test.frame, toy.schema), digit_texts(toy.test.frame, toy.schema)
    monkeypatch.setattr(text_attacks, "_ROWS_AT_A_TIME", 7)
    assert (row_texts(toy.test.frame, toy.schema), digit_texts(toy.test.frame, toy.schema)) == whole
    assert len(whole[0]) == len(whole[1]) == len(toy.test) and len(set(whole[0])) > 70


def test_digits_need_numbers(table_of):
    table = table_of(pd.DataFrame({"x": pd.Series(["1", "2"], dtype=object), "y": pd.Series(["a", "b"], dtype=object)}))
    held = Attacker(table.frame, table.frame, table.schema, Encoder.fit(table))
    with pytest.raises(DataError, match="no numeric column"):
        levatt_digits(table.frame, held)
    assert levatt(table.frame, held).tolist() == [0, 0]


def test_digits_catch_numbers_copied_under_other_words(table_of):
    """Long words, drawn anew, drown what the numbers give away; the digits alone do not."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 40)) for _ in range(60)]
    n = 240
    frame = pd.DataFrame({"x": rng.normal(size=n).round(5), "n": rng.integers(100, 1000, n)})
    frame["word"], frame["label"] = rng.choice(words, n).astype(object), rng.choice(["a", "b"], n).astype(object)
    table = table_of(frame)
    train, test = table.take(range(120)), table.take(range(120, 240))
    copied = train.frame.assign(word=rng.permutation(train.frame["word"]), label="a")
    held = Attacker(copied, test.frame[:0], table.schema, Encoder.fit(train))
    found = {attack: area(attack(train.frame, held), attack(test.frame, held)) for attack in (levatt, levatt_digits)}
    assert found[levatt_digits] == 1
    assert found[levatt] < 0.7
