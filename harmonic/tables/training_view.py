"""What generators know of a table's columns: what the training rows show, and what the user says.

A file gives two kinds of facts. Facts about its form come from all rows: which columns there are, whether a column
holds numbers, dates or categories, how numbers, dates and missing values are written. Facts about values come only from
the training rows: the categories, the range, the number of decimals, whether numbers are whole, whether values are
missing. So the grammar, encoder and prompts of a generator do not have a category that only held-out rows have.
Evaluators get the columns of all rows. What a user declares (harmonic.tables.reading.declared) is public: everything
may know it.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from harmonic.tables.column_types.kinds import decimals_of
from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.reading.declared import Declared
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table

VERSION = 1
"""Increase it when generators get to know something else of the same table."""

_WHOLE = 1e16  # larger floats are written with an exponent, unlike integers


def training_schema(train: Table, declared: Declared | None = None) -> Schema:
    """The schema, with each column as these rows show it, unless it is declared in full.

    A column keeps a kind that is given. A column without any value here does not change.
    """
    said = declared or Declared({}, {})
    columns = tuple(
        column
        if column.name in said.columns
        else _shown(column, train.frame[column.name], kind_given=column.name in said.kinds)
        for column in train.schema.columns
    )
    return replace(train.schema, columns=columns)


def for_generators(splits: Splits) -> Splits:
    """The splits as generators get them: `train` and the rules have the schema of the training rows.

    The held-out parts keep the schema of all rows, `Splits.whole_schema`, for rows that are only scored.
    """
    schema = training_schema(splits.train, splits.declared)
    rules = splits.rules and replace(splits.rules, schema=schema)
    return replace(splits, train=Table(schema.conform(splits.train.frame), schema), rules=rules)


def to_score(splits: Splits, rows: pd.DataFrame) -> Table:
    """Rows to score, as a table of the columns that the generator knows.

    They may have values that no training row has. A value that training rows could have gets the same text as there.
    """
    whole = splits.whole_schema
    schema = replace(splits.schema, columns=tuple(whole[name] for name in splits.schema.names))
    return Table(schema.conform(rows), schema)


def _shown(column: Column, values: pd.Series, *, kind_given: bool) -> Column:
    """The column as these values show it."""
    known = values.dropna()
    if not len(known):
        return column
    missing = column.missing if len(known) < len(values) else None
    if column.kind is Kind.CATEGORY:
        return replace(column, categories=tuple(sorted(set(known))), missing=missing)
    found = replace(column, minimum=float(known.min()), maximum=float(known.max()), missing=missing)
    if column.kind is Kind.INTEGER or column.style in (Style.FIXED, Style.MONEY):
        return found
    found = replace(found, decimals=max(map(decimals_of, known.unique().tolist())))
    whole = not found.decimals and float(known.abs().max()) < _WHOLE
    # Without ".0", a file of only these rows would have integers.
    if whole and column.style is Style.PLAIN and not kind_given:
        return replace(found, kind=Kind.INTEGER, style=Style.SHORTEST)
    return found
