"""A table for synthcity, only numbers, with column names of our own; and back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from baselines.rounding import rounded
from harmonic.tables.table import Table


def coded(table: Table) -> pd.DataFrame:
    """The table for synthcity, (n, columns): categories, and the target of a classification, are codes from 0."""
    columns = {}
    for column, name, values in zip(table.schema.columns, names(table), _values(table), strict=True):
        given = table.frame[column.name].to_numpy()
        columns[name] = given if values is None else np.searchsorted(values, given).astype(np.int64)
    return pd.DataFrame(columns)


def decoded(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The inverse of `coded`, in the schema's dtypes; numbers are rounded and clipped to the training rows' range.

    A column that the frame does not have gets the value of the first training row: it has only one.
    """
    columns = {}
    for column, name, values in zip(table.schema.columns, names(table), _values(table), strict=True):
        drawn = (frame[name] if name in frame else coded(table)[name].iloc[[0] * len(frame)]).to_numpy(np.float64)
        if values is not None:
            columns[column.name] = values[np.clip(np.rint(drawn), 0, len(values) - 1).astype(np.int64)]
        else:
            seen = table.frame[column.name]
            columns[column.name] = np.clip(drawn, seen.min(), seen.max())
    return rounded(pd.DataFrame(columns), table.schema)


def names(table: Table) -> list[str]:
    """The names of the columns in that table."""
    return [f"c{position}" for position in range(len(table.schema.columns))]


def _values(table: Table) -> list[np.ndarray | None]:
    """For each column that is coded, its sorted training values; None for the others."""
    schema = table.schema
    is_coded = [
        not column.is_numeric or (column.name == schema.target and schema.task.is_classification)
        for column in schema.columns
    ]
    return [
        np.unique(table.frame[column.name].to_numpy()) if flag else None
        for column, flag in zip(schema.columns, is_coded, strict=True)
    ]
