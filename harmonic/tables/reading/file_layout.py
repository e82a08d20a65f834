"""The file that rows came from, and the file they go back to: same columns, same order, same texts.

Some columns are not for a generator (harmonic.tables.column_types.roles). An identifier names one person and teaches
nothing: new ones are made (harmonic.tables.new_identifiers). A column with one value is written back as it was. Free
text cannot be learnt without learning it by heart, and what it says about someone no metric here measures: its cells
are left blank; so are those of a column that nobody understands. The others go back in the file's own spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.randomness import derive
from harmonic.shell import override
from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.column_types.roles import NOTHING, Finding, Role, find_role, forms_of, named_by_form
from harmonic.tables.columns import Kind
from harmonic.tables.new_identifiers import NewIdentifiers, new_identifiers
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.spellings.columns import Doubt, Spelling
from harmonic.tables.spellings.date_formats import find_format

IDENTIFIERS = ("new", "grouped", "drop")
FREE_TEXT = ("blank", "drop")
_LEAST_TWINS = 20  # different values of two columns that stand for the same
_ROWS_EACH = 1.5  # and rows for each: where nearly every value stands alone, any two columns do


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One column that no generator sees, and what is written in its place.

    `value`: of every cell of a constant or blank column. `written`: whether the column is in the synthetic file.
    `new`: how the cells of an identifier are made. `gap`: the text of its missing values, and their share.
    """

    name: str
    role: Role
    written: bool = True
    value: str = ""
    new: NewIdentifiers | None = None
    gap: tuple[str, float] = ("", 0.0)

    def cells(
        self, n: int, draw: np.random.Generator, after: int = 0, people: Sequence[int] | None = None
    ) -> list[str]:
        """Texts for n rows; numbers begin behind `after` new ones given out before. `people`: who each row is of."""
        if self.new is None:
            return [self.value] * n
        if people is None:
            made = self.new.draw(n, draw, after)
        else:
            some = self.new.draw(max(people, default=-1) + 1, draw, after)
            made = [some[person] for person in people]
        text, share = self.gap
        return [text if gap else one for one, gap in zip(made, draw.random(n) < share, strict=True)] if share else made


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file in order, those among them that are kept aside, and how all of them are written.

    spellings: by column, of numbers and dates. markers: by column, the texts for missing values with their shares,
    the first one standing for all in the table. dialect: of a text file. grouped: rows of one made-up person share new
    identifiers. Not part of what the layout is: `findings`, what each column was taken for, and `guarded`, the real
    texts of columns that must not come out, by column.
    """

    names: tuple[str, ...]
    asides: tuple[Aside, ...] = ()
    spellings: tuple[tuple[str, Spelling], ...] = ()
    markers: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    dialect: Dialect | None = None
    grouped: bool = False
    form: Any = field(default=None, repr=False, compare=False)  # of the data frame (harmonic.tables.dtypes)
    findings: Mapping[str, Finding] = field(default_factory=dict, repr=False, compare=False)
    guarded: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    version: ClassVar[int] = 3
    """Raised when `release` writes another file for the same rows."""

    def fingerprint(self) -> str:
        """sha256 over all that `release` depends on, the real identifiers that new ones must avoid among it."""
        real = {name: sorted(texts) for name, texts in sorted(self.guarded.items())}
        taken = [sorted(aside.new.taken) for aside in self.asides if aside.new]
        own = (
            self.names, self.asides, self.spellings, self.markers, self.dialect, self.grouped, real, taken,
            self.form.described() if self.form is not None else None,
        )  # fmt: skip
        return hashlib.sha256(repr(own).encode()).hexdigest()

    def release(self, texts: pd.DataFrame, seed: int, after: int = 0) -> pd.DataFrame:
        """The synthetic file's cells: `texts`, (n, modelled columns) of str, and the rest, in the file's order.

        `after`: rows released before, whose identifiers are not to come again. Raises DataError where a text of the
        input that names someone would come out.
        """
        draw = np.random.default_rng(derive(seed, "identifiers"))
        people = self._people(len(texts), draw) if self.grouped else None
        rest = {
            aside.name: aside.cells(len(texts), draw, after, people if aside.new and aside.new.repeats else None)
            for aside in self.asides
            if aside.written
        }
        cells = {}
        for name in self.names:
            if name in texts:
                cells[name] = self._spelt(name, texts[name], draw)
            elif name in rest:
                cells[name] = self._spelt(name, pd.Series(rest[name], dtype=object), draw)
        released = pd.DataFrame(cells, index=texts.index, dtype=object)
        self.check(released)
        return released

    def plain(self, texts: pd.DataFrame) -> pd.DataFrame:
        """The plain texts behind a released file's, those of its columns that are not kept aside."""
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
        """The plain text of a value that a user wrote as the file does; as it stands where the file has it plain."""
        spelling = dict(self.spellings).get(name)
        if spelling is None:
            return text
        try:
            return spelling.read(text)
        except (ValueError, ArithmeticError):
            return text

    def check(self, released: pd.DataFrame) -> None:
        """The gate: no text of the input that names someone may stand in the rows. Raises DataError with the column."""
        for name, real in self.guarded.items():
            if name not in released:
                continue
            shown = sorted(set(released[name]) & real)
            if shown:
                problem = f"{len(shown)} values that name someone in the input stand in the synthetic rows"
                fix = f"{override('dataset.kinds', {name: 'identifier'})}, which makes new ones"
                raise DataError(f"column {name!r}: {problem}; nothing is written\n  fix: {fix}")

    def _spelt(self, name: str, cells: pd.Series, draw: np.random.Generator) -> pd.Series:
        """The cells as the file writes them; missing values by its texts for them, each at its rate."""
        spelling, markers = dict(self.spellings).get(name), dict(self.markers).get(name, ())
        if spelling is None and len(markers) < 2:
            return cells.set_axis(cells.index)
        gaps = cells.isin([marker for marker, _ in markers]).to_numpy()
        written = [
            text if gap or spelling is None else spelling.write(text) for text, gap in zip(cells, gaps, strict=True)
        ]
        if len(markers) > 1:
            texts, shares = zip(*markers, strict=True)
            drawn = draw.choice(len(texts), size=len(cells), p=np.array(shares) / sum(shares))
            written = [texts[which] if gap else text for text, gap, which in zip(written, gaps, drawn, strict=True)]
        return pd.Series(written, index=cells.index, dtype=object)

    def _people(self, n: int, draw: np.random.Generator) -> list[int]:
        """Which made-up person each of n rows is of: as many rows each as the real ones have, in any order."""
        repeats = next((one.new.repeats for one in self.asides if one.new and one.new.repeats), (1,))
        people: list[int] = []
        person = 0
        while len(people) < n:
            people += [person] * int(draw.choice(repeats))
            person += 1
        return [people[place] for place in draw.permutation(n)]


def find_layout(
    texts: pd.DataFrame,
    gaps: pd.DataFrame,
    *,
    target: str | None,
    kinds: Mapping[str, str],
    identifiers: str = "new",
    free_text: str = "blank",
    release: Sequence[str] = (),
    doubts: Mapping[str, Doubt] | None = None,
) -> tuple[Layout, list[str]]:
    """Which columns of a table of plain texts to keep aside, and remarks on them for the report.

    `gaps` marks missing values. `kinds` may name a Role for a column, or a kind, which keeps it in. `identifiers`:
    "new" makes a new one for every row, "grouped" one for as many rows as the real ones have, "drop" leaves the
    column out; `free_text`: "blank" leaves its cells empty, "drop" leaves the column out. `release`: columns whose
    values may come out though they look like identifiers. `doubts`: of columns that are not understood. Raises
    ConfigError for other words and for a declared kind that would release identifiers, DataError where no column is
    left.
    """
    _check_ways(texts, identifiers, free_text, release)
    findings = {name: _finding(name, texts, gaps, target, kinds, doubts or {}) for name in texts.columns}
    findings = _with_twins(findings, texts, gaps, target, kinds)
    asides, remarks = [], []
    guarded: dict[str, frozenset[str]] = {}
    for name, finding in findings.items():
        known = texts.loc[~gaps[name], name]
        if finding.role is not None:
            aside = _aside(name, finding, known, texts[name], identifiers, free_text)
            asides.append(aside)
            remarks.append(f"column {name!r} {_remark(aside, finding, identifiers)}")
            if finding.role is Role.IDENTIFIER:
                guarded[name] = frozenset(known.unique())
            continue
        if name not in release and (name in kinds or name == target):
            _check_declared(name, known, kinds.get(name), name == target)
        if kinds.get(name) is None and name != target and _is_category(known):
            if finding.why:
                remarks.append(f"column {name!r} is read as a category: {finding.why}")
            rare = int((known.value_counts() == 1).sum())
            if rare > len(texts) / 10:
                remarks.append(f"column {name!r} has {rare} values that stand in one row each, and may be released")
    if len(asides) == len(texts.columns):
        raise DataError(
            f"no column is left to learn from: {'; '.join(remarks)}\n"
            f"  fix: give more rows, or say what a column is: {override('dataset.kinds', {'COLUMN': 'category'})}"
        )
    grouped = identifiers == "grouped" and any(aside.new and aside.new.repeats for aside in asides)
    layout = Layout(tuple(texts.columns), tuple(asides), grouped=grouped, findings=findings, guarded=guarded)
    return layout, remarks


def _check_ways(texts: pd.DataFrame, identifiers: str, free_text: str, release: Sequence[str]) -> None:
    ways = {"identifiers": (identifiers, IDENTIFIERS), "free_text": (free_text, FREE_TEXT)}
    for key, (value, allowed) in ways.items():
        if value not in allowed:
            raise ConfigError(f"dataset.{key}", value, "is no way to treat them", suggest(str(value), allowed))
    for name in release:
        if name not in texts.columns:
            raise ConfigError("dataset.release", name, "no such column", suggest(str(name), list(texts.columns)))


def _finding(
    name: str, texts: pd.DataFrame, gaps: pd.DataFrame, target: str | None, kinds: Mapping[str, str],
    doubts: Mapping[str, Doubt],
) -> Finding:  # fmt: skip
    wanted = kinds.get(name)
    role = Role(wanted) if wanted in list(Role) else None
    if name == target:
        if role is not None:
            fix = "take it out of dataset.kinds, or set dataset.target=null"
            raise ConfigError("dataset.kinds", f"{{{name}: {wanted}}}", "the target cannot be kept aside", fix)
        return Finding(why="the target")
    known = texts.loc[~gaps[name], name]
    if wanted is not None:
        return Finding(role=role, why="dataset.kinds says so", grouped=bool(known.duplicated().any()))
    return find_role(known, len(texts), doubts.get(name))


def _with_twins(
    findings: dict[str, Finding], texts: pd.DataFrame, gaps: pd.DataFrame, target: str | None, kinds: Mapping[str, str]
) -> dict[str, Finding]:
    """The findings, where a column that names the same people as an identifier does is one, too."""
    groups = [n for n, f in findings.items() if f.role is Role.IDENTIFIER and f.grouped]
    found = dict(findings)
    for name, finding in findings.items():
        if finding.role is not None or name == target or name in kinds or _is_quantity(texts.loc[~gaps[name], name]):
            continue
        for other in groups:
            both = ~gaps[name] & ~gaps[other]
            pairs = texts.loc[both, [name, other]].drop_duplicates()
            distinct = pairs[name].nunique()
            one_to_one = len(pairs) == distinct == pairs[other].nunique()
            if one_to_one and distinct >= _LEAST_TWINS and both.sum() >= _ROWS_EACH * distinct:
                why = f"stands for the same as {other!r}: one value for each"
                found[name] = Finding(role=Role.IDENTIFIER, why=why, grouped=True)
                break
    return found


def _is_quantity(known: pd.Series) -> bool:
    """Whether a column holds decimals, dates or durations, which may be the same for all rows of one person."""
    return infer_kind(known.unique()) is Kind.FLOAT or find_format(known.unique()) is not None


def _check_declared(name: str, known: pd.Series, wanted: str | None, is_target: bool) -> None:
    """Values whose form names someone are not learnt, whatever the kind that is declared."""
    values = known.unique()
    forms = forms_of(values)
    if not forms:
        return
    (form, _), shown = forms.most_common(1)[0], named_by_form(values)
    problem = f"{len(shown)} of its {len(values)} values look like {form}, and would come out as they are"
    let_out = override("dataset.release", [name])
    fix = f"{override('dataset.kinds', {name: 'identifier'})}, or, if they name nobody: {let_out}"
    if is_target:
        raise ConfigError("dataset.target", name, problem, f"another target, or {let_out}")
    raise ConfigError("dataset.kinds", f"{{{name}: {wanted}}}", problem, fix)


def _is_category(known: pd.Series) -> bool:
    return infer_kind(known.unique()) is Kind.CATEGORY and find_format(known.unique()) is None


def _aside(name: str, finding: Finding, known: pd.Series, texts: pd.Series, identifiers: str, free_text: str) -> Aside:
    role = finding.role
    assert role is not None
    blank = texts[~texts.index.isin(known.index)]
    gap = str(blank.mode()[0]) if len(blank) else ""
    if role is Role.CONSTANT:
        return Aside(name=name, role=role, value=str(texts.mode()[0]))
    if role is not Role.IDENTIFIER:
        written = role is Role.UNCLEAR or (role is Role.TEXT and free_text == "blank")
        return Aside(name=name, role=role, written=written, value=gap)
    new = new_identifiers(known)
    share = round(len(blank) / len(texts), 6)
    return Aside(name=name, role=role, written=identifiers != "drop", new=new, gap=(gap, share))


def _remark(aside: Aside, finding: Finding, identifiers: str) -> str:
    against = ""
    if finding.against and finding.role is Role.IDENTIFIER:
        are = "value is" if finding.against == 1 else "values are"
        against = f" ({finding.against} {are} not, such as {finding.examples[0]!r})"
    if aside.role is Role.IDENTIFIER:
        what = "new ones are made" if aside.written else "it is left out"
        if aside.written and finding.grouped:
            each = "for as many rows as a real one has" if identifiers == "grouped" else "for each row"
            what += f", one {each}; rows are taken as independent"
        kind = "integer" if aside.new is not None and aside.new.is_number else "category"
        unless = f"if it is not: {override('dataset.kinds', {aside.name: kind})}"
        if finding.by_form:
            let_out = override("dataset.release", [aside.name])
            unless = f"if they name nobody: {override('dataset.kinds', {aside.name: kind})} {let_out}"
        return f"is an identifier and is not learnt ({finding.why}){against}: {what}; {unless}"
    if aside.role is Role.TEXT:
        what = "its cells are left blank" if aside.written else "it is left out"
        return f"is free text, which would leak what it says: {what}"
    if aside.role is Role.UNCLEAR:
        return (
            f"is not understood, and left blank: {finding.why}. What is it? "
            f"{override('dataset.kinds', {aside.name: 'identifier'})} makes new ones, category lets its values out as "
            "they are, drop leaves it out"
        )
    return f"is constant: {aside.value!r} in every row" if aside.role is Role.CONSTANT else "is left out"


def with_file(
    layout: Layout, spellings: Mapping[str, Spelling], markers: Mapping[str, tuple[tuple[str, float], ...]],
    dialect: Dialect | None, form: Any, guarded: Mapping[str, frozenset[str]],
) -> Layout:  # fmt: skip
    """The layout with how its file writes the columns."""
    return replace(
        layout, spellings=tuple(spellings.items()), markers=tuple(markers.items()), dialect=dialect, form=form,
        guarded=guarded,
    )  # fmt: skip


__all__ = ["NOTHING", "Aside", "Finding", "Layout", "Role", "find_layout", "find_role", "with_file"]
