"""The role of a column of texts: codes, free text, people's names, categories, or unclear."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from harmonic.tables.column_types.role import (
    CARD_DIGITS,
    LEAST_LONG,
    LEAST_PEOPLE,
    MOSTLY,
    NAMES,
    NAMES_ONE,
    NAMES_PERSON,
    NOTHING,
    PLACE,
    ROWS_PER_PERSON,
    Finding,
    Role,
    how_often,
    identifier,
)
from harmonic.tables.spellings.spelling_search import Doubt

_WORDS = 4.0  # words in a cell, on average, from which texts are prose
_NEARLY, _MANY = 0.75, 100  # with so many different codes this share of the rows is enough, instead of MOSTLY
_DRAWN_BITS = 25.0  # bits in which codes of one shape differ, from which each must be someone's
_NUMBER = r"[+-]?(\d{1,3}([.,’' ]\d{3})+([.,]\d{1,2})?|\d+([.,]\d+)?)"
_DECIMAL = re.compile(
    r"\d[.,](\d{1,2}|\d{4,})(?!\d)|\d\.\d+, ?-?\d+\.\d"
)  # three digits after a mark may be thousands, or part of a code
_QUANTITY = re.compile(  # a number with its unit, or several numbers
    rf"{_NUMBER} ?(k|K|M|m|B|bn|Mio\.?|Mrd\.?|[a-zµ]{{1,2}}²?)|\D?{_NUMBER}( ?[-–/x×,;] ?\D?{_NUMBER})*.?"
)
_EAST_ASIAN = re.compile(r"[\u4e00-\u9fff]{2,4}|[\uac00-\ud7a3]{2,4}")
_MONTH = r"(?:[Jj]an|[Ff]e[bv]|[Mm][aä]r|[Aa][pbv]r|[Mm]a[iy]|[Jj]u[nli]|[Aa]ug|[Ss]ep|[Oo][ckt]t|[Nn]ov|[Dd][ei][cz])"
_MOMENT = re.compile(  # something with a day in it, or a time of day
    rf"(?<!\d)(0?[1-9]|[12]\d|3[01])[-/. ]+{_MONTH}|{_MONTH}\w*\.?[-/. ]+(0?[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?<!\d)(19|20)\d\d[-/.年] ?(0?[1-9]|1[0-2])[-/.月] ?(0?[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?<!\d)(0?[1-9]|[12]\d|3[01])[-/.](0?[1-9]|1[0-2])[-/.](19|20)?\d\d(?!\d)|"
    r"(?<!\d)(0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])[-/.](19|20)?\d\d(?!\d)|(?<![\d:])([01]?\d|2[0-3])[:h][0-5]\d(?![\d])"
)


@dataclass(frozen=True)
class _Texts:
    """What is asked about the texts of a column, `known`: without the missing ones."""

    known: pd.Series

    @cached_property
    def name(self) -> str:
        return str(self.known.name)

    @cached_property
    def values(self) -> list[str]:
        """The distinct texts."""
        return list(self.known.unique())

    @cached_property
    def share(self) -> float:
        """Distinct texts for each row."""
        return len(self.values) / len(self.known)

    @cached_property
    def codes(self) -> dict[str, None]:
        return _codes(self.values)

    @cached_property
    def digits(self) -> float:
        """How many digits a code has."""
        return _median(sum(map(str.isdigit, text)) for text in self.codes) if self.codes else 0

    @cached_property
    def lettered(self) -> bool:
        """Whether there are letters in the codes."""
        return any(map(str.isalpha, "".join(self.codes)))

    @cached_property
    def long(self) -> bool:
        """Whether the codes are too long to be categories."""
        one_shape = self.digits >= 5 and self.lettered and _share_a_shape(self.codes)
        return self.digits >= 7 or one_shape or _are_drawn(self.codes)

    @cached_property
    def many(self) -> bool:
        """Whether the values are enough, and rare enough, to be those of many people."""
        least = LEAST_LONG if self.long else LEAST_PEOPLE
        return len(self.values) >= least and len(self.known) / len(self.values) <= ROWS_PER_PERSON

    @cached_property
    def measured(self) -> bool:
        """Whether the texts are quantities or times, not names."""
        return not NAMES_ONE.search(self.name) and sum(map(_is_measured, self.values)) >= MOSTLY * len(self.values)


def find_text_role(known: pd.Series, doubt: Doubt | None) -> Finding:
    """The role of a column with these texts, without the missing ones.

    `doubt`: why it is not read as what most of its values are (harmonic.tables.spellings.spelling_search).
    """
    texts = _Texts(known)
    for finding in (_as_codes(texts, doubt), _as_prose(texts), _as_names(texts, doubt)):
        if finding is not None:
            return finding
    if texts.share > MOSTLY and NAMES.search(texts.name) and doubt is None:
        return identifier(f"its name, and texts, {how_often(known)}", known)
    return _as_doubtful(texts, doubt)


def _as_codes(texts: _Texts, doubt: Doubt | None) -> Finding | None:
    """An identifier, if nearly all texts are codes and it is likely that each is someone's."""
    if (doubt is not None and texts.digits < CARD_DIGITS) or PLACE.search(texts.name):
        return None
    if not texts.many or texts.measured or len(texts.codes) < MOSTLY * len(texts.values):
        return None
    named = NAMES.search(texts.name) or NAMES_PERSON.search(texts.name)
    nearly_all_differ = texts.share > MOSTLY or (texts.share > _NEARLY and len(texts.values) >= _MANY)
    if not (named or texts.long or (nearly_all_differ and (texts.lettered or texts.digits >= 7))):
        return None
    others = tuple(text for text in texts.values if text not in texts.codes)
    return identifier(f"codes such as {_shape(next(iter(texts.codes)))}, {how_often(texts.known)}", texts.known, others)


def _as_prose(texts: _Texts) -> Finding | None:
    words = np.mean([len(text.split()) for text in texts.values])
    if words < _WORDS or texts.share <= 0.5:
        return None
    return Finding(role=Role.TEXT, why=f"{words:.1f} words a cell on average, {how_often(texts.known)}")


def _as_names(texts: _Texts, doubt: Doubt | None) -> Finding | None:
    """An identifier, if nearly all texts look like people's names."""
    if doubt is not None or not texts.many:
        return None
    people = [text for text in texts.values if _is_personal(text)]
    if len(people) < MOSTLY * len(texts.values):
        return None
    several_words = np.mean([len(text.split()) for text in people]) >= 1.8
    if NAMES_PERSON.search(texts.name) or NAMES.search(texts.name) or (several_words and texts.share > 0.5):
        return identifier(f"names, {how_often(texts.known)}", texts.known, tuple(set(texts.values) - set(people)))
    return None


def _as_doubtful(texts: _Texts, doubt: Doubt | None) -> Finding:
    """Unclear, if most texts differ and have no known form; else something to learn."""
    if doubt is not None:
        role = Role.UNCLEAR if texts.share > 0.5 else None
        return Finding(role=role, why=doubt.words, against=len(doubt.odd), examples=doubt.odd[:3])
    if texts.share <= MOSTLY:
        return NOTHING
    form = "look like numbers or dates, but not all in one format" if texts.measured else "have no known format"
    why = f"{len(texts.values)} of {len(texts.known)} values are different, and {form}"
    return Finding(role=Role.UNCLEAR, why=why, examples=tuple(map(str, texts.values[:3])))


def _is_measured(text: str) -> bool:
    """Whether the text says how much, how many or when: then it names no person, even if its format is unknown."""
    if _MOMENT.search(text):
        return True
    amount = any(unicodedata.category(mark) == "Sc" or mark in "%‰°±" for mark in text)
    several = _QUANTITY.fullmatch(text) is not None
    return any(map(str.isdigit, text)) and (amount or (several and bool(_DECIMAL.search(text))))


def _codes(values: Collection[str]) -> dict[str, None]:
    """The texts that look like codes: digits in a few shapes, or long words of digits and letters."""
    short = [
        text
        for text in values
        if len(text) <= 64
        and any(map(str.isdigit, text))
        and (len(text.split()) <= 3 or not re.search("[a-z]{2}", text))
    ]
    shapes = Counter(_shape(text) for text in short)
    usual = {shape for shape, _ in shapes.most_common(10)}
    dialled = re.compile(r"[\d ()/.+-]*")
    return {
        text: None
        for text in short
        if _shape(text) in usual
        or (len(text) >= 8 and re.fullmatch(r"[\w-]+", text))
        or (dialled.fullmatch(text) and sum(map(str.isdigit, text)) >= 7)
    }


def _share_a_shape(codes: Collection[str]) -> bool:
    """Whether at least half of the codes have one shape, as the numbers that an office gives out have."""
    shapes = Counter(map(_shape, codes))
    return shapes.most_common(1)[0][1] * 2 >= len(codes)


def _are_drawn(codes: Collection[str]) -> bool:
    """Whether codes of one shape, such as ABCDE1234F, differ in so many places that each must be someone's."""
    shapes = Counter(map(_shape, codes))
    if not shapes:
        return False
    shape, count = shapes.most_common(1)[0]
    if count < MOSTLY * len(codes):
        return False
    places = zip(*(text for text in codes if _shape(text) == shape), strict=True)
    return sum(math.log2(len(set(place))) for place in places) >= _DRAWN_BITS


def _shape(text: str) -> str:
    return re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]", "0", text)))


def _is_personal(text: str) -> bool:
    """Whether the text may be someone's name: up to five capitalised words without digits, or East Asian characters."""
    if _EAST_ASIAN.fullmatch(text):
        return True
    words = re.split(r"[ ,]+", text.strip())
    small = {"de", "da", "di", "van", "von", "der", "den", "la", "le", "al", "bin", "ten", "dos", "del"}
    return 1 <= len(words) <= 5 and all(
        word in small or (word[:1].isupper() and re.fullmatch(r"[^\W\d_]\.?|[^\W\d_][\w'’.-]+", word)) for word in words
    )


def _median(numbers: Iterable[int]) -> float:
    return float(np.median(list(numbers)))
