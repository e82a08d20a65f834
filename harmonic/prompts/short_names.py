"""Short names for columns, for prompts that would otherwise consist mostly of names.

A short name is a word of the column's own name, so that the language model still reads what the column is about:
"Installment rate in percentage of disposable income" becomes "Installment". Names like c1, c2 would save a little more,
but mean nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import count

_LONGEST = 12  # characters of a word
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """{name: short name}, all different; a name without a shorter one stays as it is.

    The short name is the word that occurs in the fewest other names (the first of equals), cut to 12 characters. A
    number is added if another column has it already. A name without words becomes "c" and a number.
    """
    words = {name: _words(name) for name in names}
    spread = Counter(word.lower() for found in words.values() for word in {word.lower(): word for word in found})
    taken = set(names)  # a short name must not be another column's name
    made: dict[str, str] = {}
    for place, name in enumerate(names, start=1):
        chosen = min(words[name], key=lambda word: spread[word.lower()], default=f"c{place}")[:_LONGEST]
        tries = (chosen if number == 1 else f"{chosen}{number}" for number in count(1))
        short = next(text for text in tries if text not in taken)
        made[name] = short if len(short) < len(name) else name
        taken.add(made[name])
    return made


def _words(name: str) -> list[str]:
    """The words of a name, with camel case split, and without numbers."""
    found = [part for word in _WORD.findall(name) for part in _HUMP.split(word)]
    return [word for word in found if not word.isdigit() and len(word) > 1]
