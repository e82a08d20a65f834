"""Finds the rules that all training rows keep, if there are so many rows that it cannot be chance.

Sums and products. A column is a sum of others if least squares on the columns before it leaves only rounding errors,
and the coefficients are plain numbers. Of the columns in such a sum, the one is computed to which the others are only
added, so that computed values are like those of the file. Products of two columns are tried one by one.

Lookups. A column follows from another if each value of that other column stands beside only one value. If two columns
were unrelated, all rows after the first one of each value would agree with probability (sum of p²)^rows, where p are
the shares of the values. This must be below 1/1000 over all pairs that were tried (Bonferroni).

Orders. Two numbers of one unit, or two dates, of which the first is never above the second. If they were unrelated, a
share p of all pairs of their values would be in order; p^rows must be below the same bound. If p is above .95, the
ranges alone keep the columns in order, and no rule is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harmonic.tables.columns import Column, Kind
from harmonic.tables.rules.relations import LEAST_ROWS, find_lookups, find_orders, made_by
from harmonic.tables.rules.rule import Formula, Rule
from harmonic.tables.rules.rule_set import Rules, arranged
from harmonic.tables.table import Schema, Table

_MOST_NUMBERS = 60  # columns that are tried in sums
_MOST_FACTORS = 20  # columns that are tried in products
_STEPS = 20.0  # how many times the rounding error a rounded sum must spread
_EXACT = 1e-6


def find_rules(train: Table) -> Rules:
    """The rules that every training row keeps."""
    found: list[Rule] = []
    if len(train) >= LEAST_ROWS:
        found += _sums(train)
        found += _products(train, found)
        found += find_lookups(train, found)
        found += find_orders(train, found)
    return Rules(train.schema, arranged(found))


# ---- sums


def _numbers(train: Table) -> list[Column]:
    return [column for column in train.schema.columns if column.is_numeric]


def _complete(train: Table, names: Sequence[str]) -> NDArray[np.float64]:
    """The rows of these columns that have no missing value, (rows, columns)."""
    cells = train.frame[list(names)].to_numpy(np.float64)
    return cells[~np.isnan(cells).any(axis=1)]


def _sums(train: Table) -> list[Rule]:
    columns = [column for column in _numbers(train) if train.frame[column.name].isna().mean() < 0.5][:_MOST_NUMBERS]
    names = [column.name for column in columns]
    while names and len(_complete(train, names)) < max(LEAST_ROWS, 2 * len(names)):
        names.remove(max(names, key=lambda name: train.frame[name].isna().sum()))
    if len(names) < 2:
        return []
    cells = _complete(train, names)
    basis: list[str] = []
    found: list[Rule] = []
    for name in names:
        weights = _dependence(name, basis, names, cells, train.schema)
        if weights is None:
            basis.append(name)
            continue
        formula = _solved(name, weights, train)
        if formula is None:
            continue  # it depends on the basis, but is not a plain sum: it is learnt, and not part of the basis
        found.append(formula)
        if formula.column != name:
            basis[basis.index(formula.column)] = name
    return found


def _dependence(
    name: str, basis: Sequence[str], names: Sequence[str], cells: NDArray[np.float64], schema: Schema
) -> dict[str, float] | None:
    """The weights of the basis' columns, and of "" for the constant, that give the column; None if none do."""
    if not basis or len(cells) < LEAST_ROWS + 2 * len(basis):
        return None
    values = cells[:, names.index(name)]
    others = cells[:, [names.index(one) for one in basis]]
    if values.std() == 0:
        return None
    centre, scale = others.mean(axis=0), others.std(axis=0)
    usable = scale > 0
    design = np.column_stack([(others - centre)[:, usable] / scale[usable], np.ones(len(cells))])
    solution, _, _, _ = np.linalg.lstsq(design, values, rcond=None)
    worst = np.abs(design @ solution - values).max()
    rounding = _room([schema[name], *(schema[one] for one in basis)], schema[name])
    if worst > max(_EXACT * np.abs(values).max(), rounding) or (
        worst > _EXACT * np.abs(values).max() and values.std() < _STEPS * rounding
    ):
        return None
    raw = np.zeros(len(basis))
    raw[usable] = solution[:-1] / scale[usable]
    weights = {one: _plain_number(weight) for one, weight in zip(basis, raw, strict=True)}
    weights = {one: weight for one, weight in weights.items() if weight}
    rest = values - sum(cells[:, names.index(one)] * weight for one, weight in weights.items())
    constant = _plain_number(float(np.median(rest)), schema[name].decimals)
    if not weights or np.abs(rest - constant).max() > max(_EXACT * np.abs(values).max(), rounding):
        return None
    return {**weights, "": constant}


def _room(columns: Sequence[Column], made: Column) -> float:
    """The rounding error: half of the last digit if another column has more digits than the column itself, else 0."""
    own = made.decimals if made.kind is Kind.FLOAT else 0
    finer = any((column.decimals if column.kind is Kind.FLOAT else 0) > own for column in columns)
    return 0.5 * 10.0**-own if finer else 0.0


def _plain_number(weight: float, decimals: int = 4) -> float:
    """The number with few digits; 0 if nothing is left."""
    return float(round(weight, max(decimals, 4)))


def _solved(name: str, weights: dict[str, float], train: Table) -> Formula | None:
    """The formula of the column to which the others are only added; of two columns, of the later one."""
    terms, constant = {one: weight for one, weight in weights.items() if one}, weights[""]
    if len(terms) == 1:
        return _checked(Formula(column=name, terms=_as_terms(terms), constant=constant), train)
    balance = {**terms, name: -1.0}  # the weighted columns add up to -constant
    for column in sorted(balance, key=lambda one: one == train.schema.target):
        if all(weight / -balance[column] > 0 for one, weight in balance.items() if one != column):
            solved = {one: _plain_number(weight / -balance[column]) for one, weight in balance.items() if one != column}
            constant = constant / -balance[column] + 0.0
            return _checked(Formula(column=column, terms=_as_terms(solved), constant=constant), train)
    return None


def _as_terms(weights: dict[str, float]) -> tuple[tuple[float, tuple[str, ...]], ...]:
    return tuple((weight, (name,)) for name, weight in weights.items())


def _checked(formula: Formula, train: Table) -> Formula | None:
    """The formula, if every training row keeps it."""
    return None if formula.broken(train.frame, train.schema[formula.column]).any() else settled(formula, train)


def settled(formula: Formula, train: Table) -> Formula:
    """The formula with `learnt` set: its column is the target, or is missing where its sources are not."""
    column, frame = train.schema[formula.column], train.frame
    alone = bool((frame[formula.column].isna() != frame[list(formula.sources)].isna().any(axis=1)).any())
    unsaid = column.missing is None and any(train.schema[one].missing is not None for one in formula.sources)
    return replace(formula, learnt=alone or unsaid or formula.column == train.schema.target)


# ---- products


def _products(train: Table, found: Sequence[Rule]) -> list[Rule]:
    made = made_by(found)
    columns = [column for column in _numbers(train) if column.name not in made and not column.is_date]
    names = [column.name for column in columns if train.frame[column.name].nunique() > 2][:_MOST_FACTORS]
    new: list[Rule] = []
    for name in names:
        others = [one for one in names if one != name and one not in made_by(new)]
        for left, right in combinations(others, 2):
            cells = _complete(train, [name, left, right])
            if len(cells) < LEAST_ROWS or cells[:, 0].std() < _STEPS * 10.0 ** -train.schema[name].decimals:
                continue
            if np.abs(cells[:8, 0] - cells[:8, 1] * cells[:8, 2]).max() > 1.0:
                continue
            formula = _checked(Formula(column=name, terms=((1.0, (left, right)),)), train)
            if formula is not None:
                new.append(formula)
                break
    return new
