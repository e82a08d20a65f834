"""All rules of one table: reduces the table for a generator, and restores the rows that it draws.

See harmonic.tables.rules.rule for the kinds of rules, and how each is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.rules.rule import Order, Rule, raised, rounded
from harmonic.tables.table import Schema, Table


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one table, in the order in which their columns are made: each after its sources.

    `schema`: of the table. `reduced`: of the table that a generator gets.
    """

    schema: Schema
    rules: tuple[Rule, ...]

    @property
    def computed(self) -> tuple[str, ...]:
        """The columns that no generator gets."""
        return tuple(rule.column for rule in self.rules if not isinstance(rule, Order) and not rule.learnt)

    @property
    def distances(self) -> dict[str, tuple[Order, Column]]:
        """By column: the rule that replaces it by a distance, and the distance as a column."""
        found: dict[str, tuple[Order, Column]] = {}
        taken = set(self.schema.names)
        for rule in self.rules:
            if isinstance(rule, Order) and rule.apart:
                column = _distance(rule, self.schema, taken)
                taken.add(column.name)
                found[rule.high] = rule, column
        return found

    @property
    def reduced(self) -> Schema:
        """The schema of the reduced table: without computed columns, with distances."""
        computed, distances = self.computed, self.distances
        kept = [
            distances[column.name][1] if column.name in distances else column
            for column in self.schema.columns
            if column.name not in computed
        ]
        return replace(self.schema, columns=tuple(kept))

    def reduce(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows as a generator gets them; they conform to `reduced`."""
        computed, distances = self.computed, self.distances
        cells: dict[str, Any] = {}
        for column in self.schema.columns:
            if column.name in distances:
                order, distance = distances[column.name]
                gap = frame[order.high].to_numpy() - frame[order.low].to_numpy()
                cells[distance.name] = gap if distance.kind is Kind.INTEGER else gap.round(distance.decimals)
            elif column.name not in computed:
                cells[column.name] = frame[column.name]
        return self.reduced.conform(pd.DataFrame(cells, index=frame.index))

    def restore(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows that a generator drew, with all columns of the table and all rules kept; they conform to `schema`."""
        computed, distances = self.computed, self.distances
        made = frame.copy()
        for rule in self.rules:
            column = self.schema[rule.column]
            if isinstance(rule, Order):
                if rule.apart:
                    made[rule.high] = _beyond(rule, made[rule.low], frame[distances[rule.high][1].name], column)
                else:
                    wrong = rule.broken(made, column)
                    made.loc[wrong, rule.high] = raised(made.loc[wrong, rule.low], column)
            elif rule.column in computed:
                made[rule.column] = rule.compute(made, column)
            else:
                wrong = rule.broken(made, column)
                if wrong.any():
                    values = pd.Series(rule.compute(made, column), index=made.index)
                    made[rule.column] = made[rule.column].where(~wrong, values)
        return self.schema.conform(made)

    def keep(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows, changed if they break a rule."""
        return self.restore(self.reduce(frame))

    def reduced_table(self, table: Table) -> Table:
        """The table as a generator gets it. Its schema may be wider than that of these rules."""
        own = replace(self, schema=table.schema)
        return Table(own.reduce(table.frame), own.reduced)

    def wrong(self, rule: Rule, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows break the rule, (n,)."""
        return rule.broken(frame, self.schema[rule.column])

    def broken(self, frame: pd.DataFrame) -> dict[str, float]:
        """The share of rows that break each rule, by its text."""
        return {str(rule): float(self.wrong(rule, frame).mean()) if len(frame) else 0.0 for rule in self.rules}

    def ways(self) -> dict[str, str]:
        """How each rule is kept, in words, by its text."""
        return {str(rule): _how(rule) for rule in self.rules}


def arranged(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules in an order in which each column is made after its sources.

    A rule is left out if its column would be its own source, or if another rule computes the column already.
    """
    kept: list[Rule] = []
    for rule in rules:
        if not _closes_a_circle(rule, kept) and not _made_twice(rule, kept):
            kept.append(rule)
    ordered: list[Rule] = []
    left = list(kept)
    while left:
        waiting = {rule.column for rule in left}
        ready = [rule for rule in left if not waiting.intersection(rule.sources)]
        # Several rules may make one column: first a distance, then those that raise it.
        ready.sort(key=lambda rule: isinstance(rule, Order) and not rule.apart)
        ordered += ready
        left = [rule for rule in left if rule not in ready]
    return tuple(ordered)


def _closes_a_circle(rule: Rule, kept: Sequence[Rule]) -> bool:
    reached, edge = set(rule.sources), list(rule.sources)
    while edge:
        name = edge.pop()
        for one in kept:
            if one.column == name:
                new = set(one.sources) - reached
                reached |= new
                edge += new
    return rule.column in reached


def _made_twice(rule: Rule, kept: Sequence[Rule]) -> bool:
    """Whether another rule makes the column already; several may only raise it."""
    others = [one for one in kept if one.column == rule.column]
    return any(not isinstance(one, Order) for one in (*others, rule)) and bool(others)


def _how(rule: Rule) -> str:
    if isinstance(rule, Order):
        return "the distance is learnt" if rule.apart else f"{rule.high!r} is raised where it is below"
    return f"{rule.column!r} is " + ("learnt, and corrected" if rule.learnt else "not learnt, but computed")


def _distance(order: Order, schema: Schema, taken: set[str]) -> Column:
    low, high = schema[order.low], schema[order.high]
    name = f"{high.name} {'after' if high.is_date else 'minus'} {low.name}"
    while name in taken:
        name += "_"
    decimals = max(low.decimals, high.decimals)
    whole = low.kind is Kind.INTEGER and high.kind is Kind.INTEGER
    plain = all(one.kind is Kind.INTEGER or one.style is Style.PLAIN for one in (low, high))
    return Column(
        name=name, kind=Kind.INTEGER if whole else Kind.FLOAT, minimum=order.least,
        maximum=max(high.maximum - low.minimum, order.least), decimals=0 if whole else decimals, missing=high.missing,
        style=Style.PLAIN if plain and not whole else Style.SHORTEST,
    )  # fmt: skip


def _beyond(order: Order, low: pd.Series, distance: pd.Series, column: Column) -> NDArray[np.float64] | pd.Series:
    """The end: the start plus the distance, which is at least the smallest one of the training rows."""
    end = low + distance.clip(lower=order.least)
    if column.kind is Kind.INTEGER and low.dtype == np.int64 and distance.dtype == np.int64:
        return end
    found = rounded(end.to_numpy(np.float64), column)
    return np.where(found < low.to_numpy(np.float64), raised(low, column), found)
