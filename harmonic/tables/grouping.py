"""Several rows of one person: finds the person of each row, and splits so that all rows of a person are in one part.

If identifiers repeat, a row says something about the other rows of the same person. Rows are still treated as
independent here, and the report says so. But the rows of a person are all learnt or all held out: metrics that compare
unseen rows with learnt ones must not find the learnt people among the unseen rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import unknown
from harmonic.shell import override
from harmonic.tables.rules.rule import Lookup
from harmonic.tables.rules.rule_set import Rules
from harmonic.tables.splitting import MIN_CLASS, Fractions, Positions, split_rows
from harmonic.tables.table import Table

_LEAST_GROUPS = 20  # fewer groups are not people
_DECIDED, _ROWS_EACH = 2, 2.0  # at least so many columns that a person decides, and rows of each person
_REPEATED = 0.9  # an identifier with fewer distinct values for each row has several rows


def find_group(texts: pd.DataFrame, identifiers: Sequence[str], blanks: Sequence[str] = ("",)) -> str | None:
    """The identifier whose values repeat, the one with the fewest values; None if there is none.

    `blanks`: texts for missing values, which name nobody.
    """
    known = {name: texts.loc[~texts[name].isin(list(blanks)), name] for name in identifiers}
    counts = {name: int(values.nunique()) for name, values in known.items()}
    repeated = [name for name, count in counts.items() if _LEAST_GROUPS <= count < _REPEATED * len(known[name])]
    return min(repeated, key=lambda name: counts[name], default=None)


@dataclass(frozen=True, slots=True)
class People:
    """The column that names the person (or thing) of each row, how many people it names, and in how many rows."""

    column: str
    people: int
    rows: int

    def __str__(self) -> str:
        """What the split does with it, in words."""
        each = self.rows / self.people
        return (
            f"column {self.column!r} names {self.people:,} people or things in {self.rows:,} rows ({each:.1f} each): "
            "all rows of each are in one part of the split; but rows are taken as independent: new rows keep neither "
            "the number of rows of each, nor what these rows have in common"
        )


def people_of(
    texts: pd.DataFrame, group: str | None, identifiers: Sequence[str], blanks: Sequence[str]
) -> tuple[NDArray[np.int64] | None, People | None]:
    """The person of each row as a number, (n,), and how many people there are; None if each row is a different person.

    `group`: the column that says it; None: one of the `identifiers`, if it repeats. A row without a name (one of the
    `blanks`) belongs to nobody else. Raises ConfigError if the group is not a column.
    """
    if group is not None and group not in texts:
        raise unknown("dataset.group", group, "column", texts.columns)
    name = group or find_group(texts, identifiers, blanks)
    if name is None:
        return None, None
    codes = pd.factorize(texts[name])[0].astype(np.int64)
    blank = texts[name].isin(list(blanks)).to_numpy()
    codes[blank] = codes.max(initial=0) + 1 + np.arange(int(blank.sum()))
    return codes, People(name, len(np.unique(codes[~blank])), int((~blank).sum()))


def likely_groups(rules: Rules | None, train: Table) -> list[str]:
    """Notes on columns that may name the person of a row: their values repeat, and decide several other columns."""
    lookups = [rule for rule in (rules.rules if rules else ()) if isinstance(rule, Lookup)]
    notes = []
    for source in dict.fromkeys(rule.source for rule in lookups):
        decided = [rule.column for rule in lookups if rule.source == source]
        distinct = train.frame[source].nunique()
        if len(decided) < _DECIDED or train.schema[source].is_date or distinct < _LEAST_GROUPS:
            continue
        each = train.frame[source].notna().sum() / distinct
        if each >= _ROWS_EACH:
            notes.append(
                f"column {source!r} decides {', '.join(map(repr, decided))}, and each value is in {each:.1f} rows; if "
                f"it names the person of a row: {override('dataset.group', source)}"
            )
    return notes


def split_by_group(
    groups: NDArray[np.int64], classes: NDArray[np.object_] | None, *, fractions: Fractions, seed: int
) -> tuple[Positions, list[str]]:
    """As `split_rows`, with all rows of a group in one part. Sizes, and shares of classes, are those of groups.

    `groups` (n,): the group of each row.
    """
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    strata: NDArray[np.object_] | None = None
    if classes is not None:
        strata = _usual(classes, members.astype(np.int64), len(first))
        _, counts = np.unique(strata, return_counts=True)
        strata = strata if (counts >= MIN_CLASS).all() and len(counts) > 1 else None
    parts, notes = split_rows(len(first), strata, fractions=fractions, seed=seed)
    train, val, test = (np.flatnonzero(np.isin(members, part)).astype(np.int64) for part in parts)
    return (train, val, test), notes


def _usual(classes: NDArray[np.object_], members: NDArray[np.int64], groups: int) -> NDArray[np.object_]:
    """The most frequent class of each group, (groups,)."""
    counts = pd.crosstab(members, classes)
    usual: NDArray[Any] = counts.idxmax(axis=1).reindex(range(groups)).to_numpy(dtype=object)
    return usual
