"""The kinds that spellings, codes and dtypes decide, before the values of a column are looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from harmonic.tables.column_types.ambiguities import find_codes, find_doubts
from harmonic.tables.columns import Kind
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.spellings.spelling_search import Spelled


def decide_kinds(
    plain: pd.DataFrame,
    gaps: pd.DataFrame,
    spelled: Spelled,
    dtypes: FrameDtypes | None,
    *,
    declared: Mapping[str, str],
    target: str | None,
) -> tuple[dict[str, str], list[str]]:
    """The kinds of columns of plain texts, as far as they are decided, and notes on what columns may mean.

    `gaps` marks missing values. `dtypes`: of a data frame. `declared`: the kinds that the user gave, which are not
    decided here. Nor is that of the target: its task decides.
    """
    decided = {name: kind for name, kind in spelled.kinds.items() if name in plain}
    notes: list[str] = []
    if dtypes is not None:
        own = dtypes.kinds(plain.assign(**{str(c.name): "" for c in dtypes.columns if str(c.name) not in plain}))
        decided |= {name: kind for name, kind in own.items() if name in plain and name not in spelled.spellings}
    for name in plain.columns:
        values = plain.loc[~gaps[name], name]
        if name in declared or name == target:
            continue
        if name in spelled.spellings:
            notes += find_doubts(str(name), values, spelled.spellings[name].write)
            continue
        codes = find_codes(str(name), values) if decided.get(name) in (None, Kind.INTEGER) else None
        if codes:
            decided[name] = Kind.CATEGORY
            notes.append(codes)
        elif decided.get(name) != Kind.CATEGORY:
            notes += find_doubts(str(name), values)
    if target is not None:
        decided.pop(target, None)
    return decided, notes
