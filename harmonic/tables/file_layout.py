"""The file that rows came from, and the file they go back to: same columns, same order, same texts.

Some columns are not for a generator. An identifier names one person and teaches nothing: new ones are made. A
column with one value is written back as it was. Free text cannot be learnt without learning it by heart, and what
it says about someone no metric here measures: its cells are left blank.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.randomness import derive
from harmonic.shell import override
from harmonic.tables.columns import Kind
from harmonic.tables.dates import find_format
from harmonic.tables.typing import infer_kind

_LEAST_ROWS = 20  # fewer rows say nothing about whether a value ever comes twice
_MOSTLY = 0.9  # share of distinct texts from which a column of short texts names its rows
_WORDS = 4.0  # words a cell from which texts are prose
_NAMED = re.compile(
    r"(?i:(^|[\W_])(id|uuid|guid|key|index|idx|rownames|rowid|no|nr|number)s?$)|[a-z](Id|ID)$|^Unnamed: 0$"
)
_MOST_SHAPES = 50
_TRIES = 100


class Role(StrEnum):
    """Why a column is kept from the generator."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    CONSTANT = "constant"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One column that no generator sees, and what is written in its place.

    `value`: of every cell of a constant or blank column. `written`: whether the column is in the synthetic file.
    An identifier has the `start` of new numbers, or `shapes`, such as "AA-000", with their counts, behind a common
    `prefix`, whose letters and digits are drawn from `alphabets`; `taken` are the real ones.
    """

    name: str
    role: Role
    written: bool = True
    value: str = ""
    start: int | None = None
    prefix: str = ""
    shapes: tuple[tuple[str, int], ...] = ()
    alphabets: tuple[str, str, str] = ("0", "a", "A")
    taken: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def cells(self, n: int, draw: np.random.Generator, after: int = 0) -> list[str]:
        """Texts for n rows; numbers begin behind `after` new ones that were given out before."""
        if self.role is not Role.IDENTIFIER:
            return [self.value] * n
        if self.start is not None:
            return [str(self.start + after + row) for row in range(n)]
        shapes, weights = [shape for shape, _ in self.shapes], np.array([count for _, count in self.shapes], float)
        made: dict[str, None] = {}
        for shape in draw.choice(len(shapes), size=n, p=weights / weights.sum()):
            text = self._fill(shapes[shape], draw)
            for attempt in range(_TRIES):
                if text not in made and text not in self.taken:
                    break
                # The shape has no room for so many: longer ones have.
                text = self._fill(shapes[shape] + "0" * (attempt // 10), draw)
            made[text if text not in made else f"{text}-{len(made)}"] = None
        return list(made)

    def _fill(self, shape: str, draw: np.random.Generator) -> str:
        places = dict(zip("0aA", self.alphabets, strict=True))
        return self.prefix + "".join(
            places[mark][draw.integers(len(places[mark]))] if mark in places else mark for mark in shape
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file in order, and those among them that are kept aside."""

    names: tuple[str, ...]
    asides: tuple[Aside, ...] = ()

    version: ClassVar[int] = 1
    """Raised when `release` writes another file for the same rows."""

    def fingerprint(self) -> str:
        """sha256 over all that `release` depends on, the real identifiers that new ones must avoid among it."""
        taken = [sorted(aside.taken) for aside in self.asides]
        return hashlib.sha256(repr((self.names, self.asides, taken)).encode()).hexdigest()

    def release(self, texts: pd.DataFrame, seed: int, after: int = 0) -> pd.DataFrame:
        """The synthetic file's cells: `texts`, (n, modelled columns) of str, and the rest, in the file's order.

        `after`: rows released before, whose identifiers are not to come again.
        """
        draw = np.random.default_rng(derive(seed, "identifiers"))
        rest = {aside.name: aside.cells(len(texts), draw, after) for aside in self.asides if aside.written}
        cells = {
            name: texts[name] if name in texts else rest[name] for name in self.names if name in texts or name in rest
        }
        return pd.DataFrame(cells, index=texts.index, dtype=object)


def find_layout(
    texts: pd.DataFrame,
    gaps: pd.DataFrame,
    *,
    target: str | None,
    kinds: Mapping[str, str],
    identifiers: str = "new",
    free_text: str = "blank",
) -> tuple[Layout, list[str]]:
    """Which columns of a text table to keep aside, and remarks on them for the report.

    `gaps` marks missing values. `kinds` may name a Role for a column, or a kind, which keeps it in. `identifiers`:
    "new" makes new ones, "drop" leaves the column out; `free_text`: "blank" leaves its cells empty, "drop" leaves
    the column out. Raises ConfigError for other words, DataError where no column is left.
    """
    ways = {"identifiers": (identifiers, ("new", "drop")), "free_text": (free_text, ("blank", "drop"))}
    for key, (value, allowed) in ways.items():
        if value not in allowed:
            raise ConfigError(f"dataset.{key}", value, "is no way to treat them", suggest(str(value), allowed))
    asides, remarks = [], []
    for name in texts.columns:
        known = texts.loc[~gaps[name], name]
        wanted = kinds.get(name)
        role = Role(wanted) if wanted in list(Role) else None
        if name == target:
            if role is not None:
                fix = "take it out of dataset.kinds, or set dataset.target=null"
                raise ConfigError("dataset.kinds", f"{{{name}: {wanted}}}", "the target cannot be kept aside", fix)
            continue
        if wanted is None:
            role = find_role(known, len(texts))
        if role is not None:
            aside = _aside(name, role, known, texts[name], identifiers, free_text)
            asides.append(aside)
            remarks.append(f"column {name!r} {_remark(aside)}")
        elif wanted is None and infer_kind(known.unique()) is Kind.CATEGORY and find_format(known.unique()) is None:
            counts = known.value_counts()
            rare = int((counts == 1).sum())
            if rare > len(texts) / 10:
                remarks.append(f"column {name!r} has {rare} values that stand in one row each, and may be released")
    if len(asides) == len(texts.columns):
        raise DataError(
            f"no column is left to learn from: {'; '.join(remarks)}\n"
            f"  fix: give more rows, or say what a column is: {override('dataset.kinds', {'COLUMN': 'category'})}"
        )
    return Layout(tuple(texts.columns), tuple(asides)), remarks


def find_role(known: pd.Series, rows: int) -> Role | None:
    """Why the column is to be kept from the generator, if it is. `known`: its texts without the missing ones."""
    values = known.unique()
    if len(values) == 0 or (len(values) == 1 and len(known) == rows):
        return Role.CONSTANT
    if rows < _LEAST_ROWS or len(known) < _LEAST_ROWS:
        return None
    kind = infer_kind(values)
    if kind is Kind.INTEGER:
        if len(values) < len(known):
            return None
        counted = np.array([int(value) for value in values], dtype=object)
        return Role.IDENTIFIER if _NAMED.search(str(known.name)) or (np.diff(counted) == 1).all() else None
    if kind is Kind.FLOAT or find_format(values) is not None:
        return None
    share, words = len(values) / len(known), np.mean([len(text.split()) for text in values])
    if words >= _WORDS and share > 0.5:
        return Role.TEXT
    return Role.IDENTIFIER if share > _MOSTLY else None


def _aside(name: str, role: Role, known: pd.Series, texts: pd.Series, identifiers: str, free_text: str) -> Aside:
    if role is Role.CONSTANT:
        return Aside(name=name, role=role, value=str(texts.mode()[0]))
    if role is not Role.IDENTIFIER:
        blank = texts[~texts.isin(known.unique())]
        written = role is Role.TEXT and free_text == "blank"
        return Aside(name=name, role=role, written=written, value=str(blank.mode()[0]) if len(blank) else "")
    values = [str(value) for value in known.unique()]
    if infer_kind(values) is Kind.INTEGER:
        return Aside(name=name, role=role, written=identifiers == "new", start=max(map(int, values), default=0) + 1)
    prefix = os.path.commonprefix(values).rstrip("0123456789")  # noqa: RUF071 (of texts)
    rests = [value[len(prefix) :] for value in values]
    shapes = Counter(re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]", "0", _plain(rest)))) for rest in rests)
    seen = "".join(rests)
    alphabets = tuple(
        "".join(sorted({mark for mark in seen if re.fullmatch(group, mark)})) or first
        for group, first in (("[0-9]", "0"), ("[a-z]", "a"), ("[A-Z]", "A"))
    )
    return Aside(
        name=name, role=role, written=identifiers == "new", prefix=prefix,
        shapes=tuple(shapes.most_common(_MOST_SHAPES)), alphabets=(alphabets[0], alphabets[1], alphabets[2]),
        taken=frozenset(values),
    )  # fmt: skip


def _plain(text: str) -> str:
    """The text with every letter and digit beyond ASCII as an "a": what a shape keeps must not name anyone."""
    return "".join("a" if mark.isalnum() and not mark.isascii() else mark for mark in text)


def _remark(aside: Aside) -> str:
    kind = "category" if aside.start is None else "integer"
    unless = f"if it is not: {override('dataset.kinds', {aside.name: kind})}"
    if aside.role is Role.IDENTIFIER:
        what = "new ones are made" if aside.written else "it is left out"
        return f"is an identifier and is not learnt: {what}; {unless}"
    if aside.role is Role.TEXT:
        what = "its cells are left blank" if aside.written else "it is left out"
        return f"is free text, which would leak what it says: {what}; {unless}"
    return f"is constant: {aside.value!r} in every row" if aside.role is Role.CONSTANT else "is left out"
