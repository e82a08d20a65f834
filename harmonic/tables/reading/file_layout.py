"""The file that rows came from, and the file that synthetic rows are written to: the same columns, in the same order.

Columns that a generator learns are written as the file writes them (harmonic.tables.spellings). Columns that are kept
aside are filled without it (harmonic.tables.reading.layout_search says which, and why).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.randomness import derive
from harmonic.shell import override
from harmonic.tables.column_types.role import Finding
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.reading.aside import Aside
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.spellings.spelling import Spelling


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The columns of a file in their order, which of them are kept aside, and how all of them are written.

    `spellings`: of numbers and dates, by column. `markers`: the texts for missing values with their shares, by column;
    in the table the first one stands for all. `dialect`: of a text file. `dtypes`: of a data frame. `grouped`: several
    rows have the same new identifier, as the rows of one person. `findings`: what each column was taken for.
    `guarded`: the real texts of columns that must not be released, by column.
    """

    names: tuple[str, ...]
    asides: tuple[Aside, ...] = ()
    spellings: tuple[tuple[str, Spelling], ...] = ()
    markers: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    dialect: Dialect | None = None
    grouped: bool = False
    dtypes: FrameDtypes | None = field(default=None, repr=False, compare=False)
    findings: Mapping[str, Finding] = field(default_factory=dict, repr=False, compare=False)
    guarded: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    version: ClassVar[int] = 3
    """Increase it when `release` writes another file for the same rows."""

    def fingerprint(self) -> str:
        """sha256 over all that `release` depends on, including the real identifiers that new ones must avoid."""
        real = {name: sorted(texts) for name, texts in sorted(self.guarded.items())}
        taken = [sorted(aside.new.taken) for aside in self.asides if aside.new]
        dialect = None if self.dialect is None else replace(self.dialect, notes=())  # their wording changes no file
        own = (
            self.names, self.asides, self.spellings, self.markers, dialect, self.grouped, real, taken,
            self.dtypes.described() if self.dtypes is not None else None,
        )  # fmt: skip
        return hashlib.sha256(repr(own).encode()).hexdigest()

    def release(self, texts: pd.DataFrame, seed: int, after: int = 0) -> pd.DataFrame:
        """The synthetic file's cells: `texts`, (n, learnt columns) of str, and the other columns, in the file's order.

        `after`: how many rows were released before; their identifiers do not come again. Raises DataError if a text of
        the input that names someone would be released.
        """
        return Release(self, len(texts), seed, after).part(texts, 0)

    def plain(self, texts: pd.DataFrame) -> pd.DataFrame:
        """The plain texts of a released file, without the columns that are kept aside."""
        spellings, markers = dict(self.spellings), dict(self.markers)
        aside = {one.name for one in self.asides}
        cells = {}
        for name in texts.columns:
            if name in aside:
                continue
            gaps = [marker for marker, _ in markers.get(name, ())]
            spelling = spellings.get(name)

            def read(text: str, gaps: list[str] = gaps, spelling: Spelling | None = spelling) -> str:
                if text in gaps:
                    return gaps[0]
                return spelling.read(text) if spelling else text

            cells[name] = texts[name].map(read)
        return pd.DataFrame(cells, index=texts.index, dtype=object)

    def plain_value(self, name: str, text: str) -> str:
        """The plain text of a value that the user wrote in the file's spelling, or plain."""
        spelling = dict(self.spellings).get(name)
        if spelling is None:
            return text
        try:
            return spelling.read(text)
        except (ValueError, ArithmeticError):
            return text

    def check(self, released: pd.DataFrame) -> None:
        """Raises DataError if the rows have a text of the input that names someone."""
        for name, real in self.guarded.items():
            if name not in released:
                continue
            shown = sorted(set(released[name]) & real)
            if shown:
                problem = f"{len(shown)} values that name someone in the input are in the synthetic rows"
                fix = f"{override('dataset.kinds', {name: 'identifier'})}, which makes new ones"
                raise DataError(f"column {name!r}: {problem}; nothing is written\n  fix: {fix}")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is drawn for all rows at once. rest: texts of the columns kept aside; markers: which text a gap gets."""

    rest: dict[str, list[str]]
    markers: dict[str, NDArray[np.int64]]


@dataclass
class Release:
    """The cells of n synthetic rows as their file has them, also in parts. after: see `FileLayout.release`.

    New identifiers are drawn for all n rows, so that they differ whatever the parts are.
    """

    layout: FileLayout
    n: int
    seed: int
    after: int = 0

    def part(self, texts: pd.DataFrame, start: int) -> pd.DataFrame:
        """The cells of a part, whose first row has the number `start`; see `FileLayout.release`."""
        rows = slice(start, start + len(texts))
        cells = {}
        for name in self.layout.names:
            if name in texts:
                cells[name] = self._spelt(name, texts[name], rows)
            elif name in self._drawn.rest:
                cells[name] = self._spelt(name, pd.Series(self._drawn.rest[name][rows], dtype=object), rows)
        released = pd.DataFrame({name: column.to_numpy() for name, column in cells.items()}, texts.index, dtype=object)
        self.layout.check(released)
        return released

    @cached_property
    def _drawn(self) -> _Drawn:
        layout = self.layout
        draw = np.random.default_rng(derive(self.seed, "identifiers"))
        people = self._people(draw) if layout.grouped else None
        rest = {
            aside.name: aside.cells(self.n, draw, self.after, people if aside.new and aside.new.repeats else None)
            for aside in layout.asides
            if aside.written
        }
        aside, known = {one.name for one in layout.asides}, dict(layout.markers)
        markers = {}
        for name in layout.names:
            if name not in aside and len(known.get(name, ())) > 1:
                shares = np.array([share for _, share in known[name]])
                markers[name] = draw.choice(len(shares), size=self.n, p=shares / sum(shares))
        return _Drawn(rest, markers)

    def _spelt(self, name: str, cells: pd.Series, rows: slice) -> pd.Series:
        """The cells as the file writes them; each text for missing values as often as in the file."""
        spelling, markers = dict(self.layout.spellings).get(name), dict(self.layout.markers).get(name, ())
        if spelling is None and len(markers) < 2:
            return cells
        texts = [marker for marker, _ in markers]
        gaps = cells.isin(texts).to_numpy()
        written = [
            text if gap or spelling is None else spelling.write(text) for text, gap in zip(cells, gaps, strict=True)
        ]
        if name in self._drawn.markers:
            drawn = self._drawn.markers[name][rows]
            written = [texts[which] if gap else text for text, gap, which in zip(written, gaps, drawn, strict=True)]
        return pd.Series(written, dtype=object)

    def _people(self, draw: np.random.Generator) -> list[int]:
        """The made-up person of each row: each has as many rows as some real one, in random order."""
        n = self.n
        repeats = next((one.new.repeats for one in self.layout.asides if one.new and one.new.repeats), (1,))
        people: list[int] = []
        person = 0
        while len(people) < n:
            people += [person] * int(draw.choice(repeats))
            person += 1
        return [people[place] for place in draw.permutation(n)]
