"""From the real numbers that foreign methods compute with to rows that keep to the schema."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harmonic.tables.table import Kind, Schema


def rounded(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The frame with integer columns rounded, float columns at their `decimals`, in the schema's order and dtypes.

    (n, columns) to (n, columns), any column order. Raises DataError for what rounding cannot mend: a missing
    column or value, an unknown category.
    """
    written = frame.copy()
    for column in schema.columns:
        if column.is_numeric and column.name in written:
            places = column.decimals if column.kind is Kind.FLOAT else 0
            values = written[column.name].to_numpy(dtype=np.float64)
            written[column.name] = np.round(values, places) + 0.0  # + 0.0 makes of -0.0 a 0.0
    return schema.conform(written)
