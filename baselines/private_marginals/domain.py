"""A table as codes with a few values per column, and back, for methods that release noisy counts.

The codes depend only on the schema (ranges, categories, decimals) and a number of bins, not on the rows. If the user
has declared the columns (`dataset.columns`), the schema is public, and so are the codes. If not, the schema comes from
the training rows, and shows for example their smallest and largest number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from baselines.rounding import rounded
from harmonic.tables.columns import Column, Kind
from harmonic.tables.table import Schema

Codes = NDArray[np.int64]

_FINEST = 10**9  # values of a column beyond which a bin is taken for continuous


@dataclass(frozen=True, slots=True)
class Domain:
    """The codes of a schema's columns: one for each category, value or bin of a number, and one for missing values.

    bins: their number, of equal width, for a numeric column that may have more values.
    """

    schema: Schema
    bins: int

    @property
    def sizes(self) -> list[int]:
        """How many codes each column has, in the schema's order."""
        return [_given(column, self.bins) + (column.missing is not None) for column in self.schema.columns]

    def encode(self, frame: pd.DataFrame) -> Codes:
        """Rows that conform to the schema as codes from 0, (n, columns). Numbers beyond the range get the last code."""
        coded = [_encoded(frame[column.name], column, self.bins) for column in self.schema.columns]
        return np.stack(coded, axis=1) if coded else np.empty((len(frame), 0), dtype=np.int64)

    def decode(self, codes: Codes, random: np.random.Generator) -> pd.DataFrame:
        """Rows of the schema, (n, columns): a bin becomes a number inside it, all equally likely."""
        columns = {}
        for place, column in enumerate(self.schema.columns):
            columns[column.name] = _decoded(codes[:, place], column, self.bins, random)
        return rounded(pd.DataFrame(columns), self.schema)


def _given(column: Column, bins: int) -> int:
    """Codes of the values that are not missing."""
    if column.kind is Kind.CATEGORY:
        return max(len(column.categories), 1)
    return int(min(_values(column), bins))


def _values(column: Column) -> float:
    """How many different numbers the column may have."""
    if not (np.isfinite(column.minimum) and np.isfinite(column.maximum)):
        return 1  # no value is known: all are missing
    return round((column.maximum - column.minimum) * 10.0 ** _places(column)) + 1


def _places(column: Column) -> int:
    return column.decimals if column.kind is Kind.FLOAT else 0


def _encoded(values: pd.Series, column: Column, bins: int) -> Codes:
    known = values.notna().to_numpy()
    codes = np.full(len(values), _given(column, bins), dtype=np.int64)
    if column.kind is Kind.CATEGORY:
        codes[known] = pd.Index(column.categories, dtype=object).get_indexer(pd.Index(values[known]))
    elif known.any():
        codes[known] = _bin(values[known].to_numpy(np.float64), column, bins)
    return codes


def _bin(numbers: NDArray[np.float64], column: Column, bins: int) -> Codes:
    """The position of each value among the column's values, or its bin."""
    possible, count = _values(column), _given(column, bins)
    steps = (numbers - column.minimum) * 10.0 ** _places(column)
    places = np.rint(steps) if possible <= _FINEST else steps
    found = places if possible <= bins else np.floor(places * count / possible)
    return np.clip(found, 0, count - 1).astype(np.int64)


def _decoded(codes: Codes, column: Column, bins: int, random: np.random.Generator) -> NDArray[np.generic]:
    count = _given(column, bins)
    missing = codes >= count
    inside = np.minimum(codes, count - 1)
    if column.kind is Kind.CATEGORY:
        texts = np.array(column.categories or ("",), dtype=object)[inside]
        texts[missing] = None
        return texts
    numbers = _number(inside, column, bins, random)
    numbers[missing] = np.nan
    return numbers


def _number(codes: Codes, column: Column, bins: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The value for the code of a value; for the code of a bin, one of its values, all equally likely."""
    possible, count = _values(column), _given(column, bins)
    if possible <= bins:
        steps: NDArray[np.float64] = codes.astype(np.float64)
    elif possible <= _FINEST:  # the whole steps s with floor(s * count / possible) == code
        first = np.ceil(codes * possible / count)
        behind = np.ceil((codes + 1) * possible / count)
        steps = first + np.floor(random.random(len(codes)) * (behind - first))
    else:
        steps = (codes + random.random(len(codes))) * possible / count
    floor = column.minimum if np.isfinite(column.minimum) else 0.0
    numbers = floor + steps / 10.0 ** _places(column)
    return np.minimum(np.round(numbers, _places(column)) + 0.0, column.maximum) if possible > 1 else numbers
