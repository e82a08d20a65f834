"""Which columns of a table are kept from the generator, and what is written in their place.

An identifier names one person and teaches nothing: new ones are made (harmonic.tables.new_identifiers). A column with
one value is written as it was. A model could learn free text only by memorising it, and no metric here measures what it
reveals about someone: its cells stay blank. So do the cells of a column with an unclear role.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.shell import override
from harmonic.tables.column_types.kinds import infer_kind
from harmonic.tables.column_types.personal_patterns import count_patterns, with_patterns
from harmonic.tables.column_types.role import Finding, Role
from harmonic.tables.column_types.role_search import find_role
from harmonic.tables.columns import Kind
from harmonic.tables.new_identifiers import new_identifiers
from harmonic.tables.reading.aside import Aside
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.spellings.date_formats import find_format
from harmonic.tables.spellings.spelling_search import Doubt

IDENTIFIERS = ("new", "grouped", "drop")
FREE_TEXT = ("blank", "drop")
_LEAST_TWINS = 20  # different values of two columns that name the same
_ROWS_EACH = 1.5  # rows for each of them: if nearly every value stands alone, any two columns are one to one


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
) -> tuple[FileLayout, list[str]]:
    """Which columns of a table of plain texts to keep aside, and remarks on them for the report.

    `gaps` marks missing values. `kinds`: what the user says of columns; a Role keeps a column aside, a kind keeps it
    in. `identifiers`: "new" makes a new one for every row, "grouped" makes one for as many rows as a real one has,
    "drop" leaves the column out. `free_text`: "blank" leaves the cells empty, "drop" leaves the column out. `release`:
    columns whose values may be released although they look like identifiers. `doubts`: of columns that are not
    understood. Raises ConfigError if a setting is invalid, or if a declared kind would release identifiers, and
    DataError if no column is left.
    """
    _check_settings(list(texts.columns), identifiers, free_text, release)
    findings = {name: _finding(name, texts, gaps, target, kinds, doubts or {}) for name in texts.columns}
    findings = _with_twins(findings, texts, gaps, target, kinds)
    known = {name: texts.loc[~gaps[name], name] for name in texts.columns}
    asides, remarks = [], []
    for name, finding in findings.items():
        declared = name in kinds or name == target
        if finding.role is not None:
            aside = _aside(name, finding.role, known[name], texts[name], identifiers, free_text)
            asides.append(aside)
            remarks.append(f"column {name!r} {_remark(aside, finding, identifiers)}")
        elif not declared and _is_category(known[name]):
            remarks += _category_remarks(name, finding, known[name], len(texts))
        elif declared and name not in release:
            _check_declared(name, known[name], kinds.get(name), name == target)
    if len(asides) == len(texts.columns):
        raise DataError(
            f"no column is left to learn from: {'; '.join(remarks)}\n"
            f"  fix: give more rows, or say what a column is: {override('dataset.kinds', {'COLUMN': 'category'})}"
        )
    grouped = identifiers == "grouped" and any(aside.new and aside.new.repeats for aside in asides)
    guarded = {one.name: frozenset(known[one.name].unique()) for one in asides if one.role is Role.IDENTIFIER}
    layout = FileLayout(tuple(texts.columns), tuple(asides), grouped=grouped, findings=findings, guarded=guarded)
    return layout, remarks


def _check_settings(names: list[str], identifiers: str, free_text: str, release: Sequence[str]) -> None:
    settings = {"identifiers": (identifiers, IDENTIFIERS), "free_text": (free_text, FREE_TEXT)}
    for key, (value, allowed) in settings.items():
        if value not in allowed:
            raise unknown(f"dataset.{key}", value, "value", allowed)
    for name in release:
        if name not in names:
            raise unknown("dataset.release", name, "column", names)


def _finding(
    name: str, texts: pd.DataFrame, gaps: pd.DataFrame, target: str | None, kinds: Mapping[str, str],
    doubts: Mapping[str, Doubt],
) -> Finding:  # fmt: skip
    wanted = kinds.get(name)
    role = Role(wanted) if wanted in list(Role) else None
    if name == target:
        if role is not None:
            fix = "take it out of dataset.kinds, or set dataset.target=null"
            raise ConfigError("dataset.kinds", f"{{{name}: {wanted}}}", "the target must be learnt", fix)
        return Finding(why="the target")
    known = texts.loc[~gaps[name], name]
    if wanted is not None:
        return Finding(role=role, why="dataset.kinds says so", grouped=bool(known.duplicated().any()))
    return find_role(known, len(texts), doubts.get(name))


def _with_twins(
    findings: dict[str, Finding], texts: pd.DataFrame, gaps: pd.DataFrame, target: str | None, kinds: Mapping[str, str]
) -> dict[str, Finding]:
    """The findings; a column that names the same people as an identifier is an identifier, too."""
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
                why = f"names the same as {other!r}: one value for each"
                found[name] = Finding(role=Role.IDENTIFIER, why=why, grouped=True)
                break
    return found


def _is_quantity(known: pd.Series) -> bool:
    """Whether a column holds decimals or dates: these may be the same in all rows of one person."""
    return infer_kind(known.unique()) is Kind.FLOAT or find_format(known.unique()) is not None


def _check_declared(name: str, known: pd.Series, wanted: str | None, is_target: bool) -> None:
    """Raises ConfigError if values name someone by their pattern: they are not learnt, whatever kind is declared."""
    values = known.unique()
    patterns = count_patterns(values)
    if not patterns:
        return
    (pattern, _), naming = patterns.most_common(1)[0], with_patterns(values)
    problem = f"{len(naming)} of its {len(values)} values look like {pattern}, and would be released"
    release = override("dataset.release", [name])
    fix = f"{override('dataset.kinds', {name: 'identifier'})}, or, if they name nobody: {release}"
    if is_target:
        raise ConfigError("dataset.target", name, problem, f"another target, or {release}")
    raise ConfigError("dataset.kinds", f"{{{name}: {wanted}}}", problem, fix)


def _is_category(known: pd.Series) -> bool:
    return infer_kind(known.unique()) is Kind.CATEGORY and find_format(known.unique()) is None


def _aside(name: str, role: Role, known: pd.Series, texts: pd.Series, identifiers: str, free_text: str) -> Aside:
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


# ---- remarks


def _category_remarks(name: str, finding: Finding, known: pd.Series, rows: int) -> list[str]:
    """What the user should know of a column that is learnt as a category."""
    remarks = [f"column {name!r} is read as a category: {finding.why}"] if finding.why else []
    rare = int((known.value_counts() == 1).sum())
    if rare > rows / 10:
        remarks.append(f"column {name!r} has {rare} values that are in one row each, and may be released")
    return remarks


def _remark(aside: Aside, finding: Finding, identifiers: str) -> str:
    """What happens to the column, in words that follow its name."""
    if aside.role is Role.IDENTIFIER:
        return _identifier_remark(aside, finding, identifiers)
    if aside.role is Role.TEXT:
        what = "its cells are left blank" if aside.written else "it is left out"
        return f"is free text, which could reveal what it says: {what}"
    if aside.role is Role.UNCLEAR:
        return (
            f"is not understood, and left blank: {finding.why}. What is it? "
            f"{override('dataset.kinds', {aside.name: 'identifier'})} makes new ones, category releases its values as "
            "they are, drop leaves it out"
        )
    return f"is constant: {aside.value!r} in every row" if aside.role is Role.CONSTANT else "is left out"


def _identifier_remark(aside: Aside, finding: Finding, identifiers: str) -> str:
    against = ""
    if finding.against:
        are = "value is" if finding.against == 1 else "values are"
        against = f" ({finding.against} {are} not, such as {finding.examples[0]!r})"
    what = "new ones are made" if aside.written else "it is left out"
    if aside.written and finding.grouped:
        each = "for as many rows as a real one has" if identifiers == "grouped" else "for each row"
        what += f", one {each}; rows are taken as independent"
    kind = "integer" if aside.new is not None and aside.new.is_number else "category"
    unless = f"if it is not: {override('dataset.kinds', {aside.name: kind})}"
    if finding.by_pattern:
        release = override("dataset.release", [aside.name])
        unless = f"if they name nobody: {override('dataset.kinds', {aside.name: kind})} {release}"
    return f"is an identifier and is not learnt ({finding.why}){against}: {what}; {unless}"
