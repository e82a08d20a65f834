"""From the real numbers of other methods to rows that conform to the schema."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harmonic.tables.table import Kind, Schema


def rounded(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The frame with integer columns rounded, float columns at their `decimals`, in the schema's order and dtypes.

    (n, columns) to (n, columns), in any order of columns. Raises DataError for a missing column or value, or an unknown
    category.
    """
    written = frame.copy()
    for column in schema.columns:
        if column.is_numeric and column.name in written:
            places = column.decimals if column.kind is Kind.FLOAT else 0
            values = written[column.name].to_numpy(dtype=np.float64)
            written[column.name] = np.round(values, places) + 0.0  # + 0.0 turns -0.0 into 0.0
    return schema.conform(written)
