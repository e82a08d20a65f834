"""Finds which column decides another, and which is never above another.

harmonic.tables.rules.search explains the bound on chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.columns import Column
from harmonic.tables.rules.rule import Lookup, Order, Rule, keys_of
from harmonic.tables.rules.rule_set import arranged
from harmonic.tables.table import Table

LEAST_ROWS = 30  # with fewer rows nothing is found
CHANCE = 1e-3  # probability of finding a rule in a table that has none
_SEPARATE = 0.95  # share of pairs in order from which the ranges alone keep the order


def made_by(rules: Sequence[Rule]) -> set[str]:
    """The columns that follow from others."""
    return {rule.column for rule in rules if not isinstance(rule, Order)}


def find_lookups(train: Table, found: Sequence[Rule]) -> list[Rule]:
    """The columns that follow from another one, without those that the rules `found` already compute."""
    schema, made = train.schema, made_by(found)
    columns = [column for column in schema.columns if column.name not in made]
    codes = {column.name: pd.factorize(train.frame[column.name])[0] for column in columns}
    values = {name: int(code.max()) + 1 for name, code in codes.items()}
    tried = max(len(columns) * (len(columns) - 1), 1)
    sources: dict[str, list[str]] = {}
    for one, other in permutations(columns, 2):
        if values[other.name] > 1 and _may_decide(one, other, train, values):
            if _decides(codes[one.name], codes[other.name], tried):
                sources.setdefault(other.name, []).append(one.name)
    place = {name: place for place, name in enumerate(schema.names)}

    def computed_last(name: str) -> tuple[bool, bool, int]:
        return name == schema.target, not schema[name].is_numeric, -place[name]

    def tried_first(name: str) -> tuple[int, bool, bool, int]:
        return values[name], name != schema.target, schema[name].is_numeric, place[name]

    new: list[Rule] = []
    for name in sorted(sources, key=computed_last):
        for source in sorted(sources[name], key=tried_first):
            rule = lookup(train, source, name)
            if len(arranged([*found, *new, rule])) > len(arranged([*found, *new])):
                new.append(rule)
                break
    return new


def _may_decide(one: Column, other: Column, train: Table, values: Mapping[str, int]) -> bool:
    """Whether the first column may be a code for the second; `values`: how many different ones each column has."""
    source, column = train.frame[one.name], train.frame[other.name]
    if other.is_date or not _is_code(source):
        return False
    if not (one.is_numeric and other.is_numeric) or values[other.name] <= values[one.name] / 2:
        return True
    return _same_order(source, column)


def lookup(train: Table, source: str, column: str) -> Lookup:
    """The column's value for each value of `source`; if there are several, the most frequent one."""
    keys, values = keys_of(train.frame[source]), keys_of(train.frame[column])
    beside: dict[object, list[object]] = {}
    for key, value in pd.Series(list(zip(keys, values, strict=True))).value_counts().index:
        beside.setdefault(key, []).append(value)
    # Rows without a code may have any name. In rows with a code, the name may be missing.
    anything = len(beside.get(None, [])) > 1
    chosen = {key: next((one for one in found if one is not None), None) for key, found in beside.items()}
    if anything:
        del chosen[None]
    alone = anything or any(None in found and len(found) > 1 for found in beside.values())
    unsaid = train.schema[column].missing is None and None in chosen.values()
    learnt = alone or unsaid or column == train.schema.target
    return Lookup(column=column, source=source, values=chosen, learnt=learnt)


def _is_code(values: pd.Series) -> bool:
    """Whether these are texts or whole numbers."""
    return values.dtype == object or bool((values.dropna() == values.dropna().round()).all())


def _same_order(source: pd.Series, column: pd.Series) -> bool:
    """Whether the numbers always rise with the source, or always fall: they are its values on another scale."""
    pairs = pd.DataFrame({"source": source, "column": column}).dropna().drop_duplicates().sort_values("source")
    steps = np.diff(pairs["column"].to_numpy(np.float64))
    return len(pairs) > 2 and pairs["source"].is_unique and bool((steps > 0).all() or (steps < 0).all())


def _decides(source: NDArray[np.int64], column: NDArray[np.int64], tried: int) -> bool:
    """Whether each source value is beside only one column value, and not by chance. Values are codes, -1 if missing."""
    known = (source >= 0) & (column >= 0)
    if known.sum() < LEAST_ROWS:
        return False
    source, column = source[known], column[known]
    pairs = np.unique(source.astype(np.int64) * (int(column.max()) + 1) + column).size
    distinct = np.unique(source).size
    if pairs != distinct:
        return False
    shares = np.bincount(column) / len(column)
    repeated = len(source) - distinct
    return repeated * math.log(max(float((shares**2).sum()), 1e-300)) < math.log(CHANCE / tried)


# ---- orders


def find_orders(train: Table, found: Sequence[Rule]) -> list[Rule]:
    """The pairs of columns of which one is never above the other, without computed columns."""
    made, frame = made_by(found), train.frame
    columns = [column for column in train.schema.columns if column.is_numeric and column.name not in made]
    cells = {column.name: frame[column.name].to_numpy(np.float64) for column in columns}
    tried = max(len(columns) * (len(columns) - 1), 1)
    below: dict[str, set[str]] = {}
    for one, other in permutations(columns, 2):
        if unit(one) == unit(other) and _kept_apart(cells[one.name], cells[other.name], tried):
            below.setdefault(other.name, set()).add(one.name)
    rules: list[Rule] = []
    for high in [column.name for column in columns if column.name in below]:
        lows = below[high]
        direct = [low for low in lows if not any(low in below.get(other, ()) for other in lows)]
        gaps = {low: float(np.nanmean(cells[high] - cells[low])) for low in direct}
        nearest = sorted(direct, key=lambda low: (gaps[low], low))
        rules += [order(train, low, high, nearest[0] == low) for low in nearest]
    return rules


def order(train: Table, low: str, high: str, alone: bool = True) -> Order:
    """The rule. It is kept by a distance if it is `alone`, the start is never missing and the end is not the target."""
    schema, frame = train.schema, train.frame
    apart = alone and schema[low].missing is None and high != schema.target
    gap = (frame[high] - frame[low]).min()
    least = max(float(gap), 0.0) if gap == gap else 0.0
    decimals = max(schema[low].decimals, schema[high].decimals)
    return Order(low=low, high=high, apart=apart, least=round(least, decimals))


def unit(column: Column) -> str:
    """What a number of the column counts. Columns with different units have no order."""
    if column.date_format is None:
        return "number"
    clock = "microseconds" if "%f" in column.date_format else "seconds" if "%H" in column.date_format else "days"
    return f"{clock} {'%Y' in column.date_format}"


def _kept_apart(low: NDArray[np.float64], high: NDArray[np.float64], tried: int) -> bool:
    """Whether the first is never above the second, although it would be if the columns were unrelated."""
    both = ~(np.isnan(low) | np.isnan(high))
    low, high = low[both], high[both]
    if len(low) < LEAST_ROWS or (low > high).any() or (low == high).all():
        return False
    share = float(np.searchsorted(np.sort(low), high, side="right").mean()) / len(low)
    return share < _SEPARATE and len(low) * math.log(max(share, 1e-300)) < math.log(CHANCE / tried)
