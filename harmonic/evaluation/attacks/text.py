"""Membership by text: is there a synthetic row with nearly the same characters as the candidate?

LevAtt, Ward et al. 2025 (arXiv 2512.08875): language models write rows as text. They may repeat digits that they have
seen even if the values are not close to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import DataError
from harmonic.evaluation.attacks.attacker import Attacker
from harmonic.evaluation.comparison.nearest import blocks
from harmonic.progress import Progress
from harmonic.tables.table import Schema, Table

_SHORT = 64  # characters; up to this length rapidfuzz compares several texts at once
_PAIRS_AT_A_TIME = 1 << 24
_ROWS_AT_A_TIME = 1 << 16  # whose cells are texts at once


def levatt(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """Minus the smallest Levenshtein distance from the row's text to a synthetic row's, (n,) <= 0.

    The text is the row's values as in prompts, in the schema's order, with commas between them. Column names are left
    out, since they are the same in every row.
    """
    return -smallest_distances(row_texts(candidates, attacker.schema), row_texts(attacker.synthetic, attacker.schema))


def levatt_digits(candidates: pd.DataFrame, attacker: Attacker) -> NDArray[np.float64]:
    """`levatt` on the digits of the numeric columns only, with commas between columns, (n,) <= 0.

    Raises DataError without numeric columns.
    """
    if not attacker.schema.numeric:
        raise DataError("no numeric column")
    return -smallest_distances(
        digit_texts(candidates, attacker.schema), digit_texts(attacker.synthetic, attacker.schema)
    )


def row_texts(rows: pd.DataFrame, schema: Schema) -> list[str]:
    """Each row's values, "48,10.0,A11"."""
    tables = (Table(part, schema).texts() for part in blocks(rows, _ROWS_AT_A_TIME))
    return [",".join(cells) for texts in tables for cells in texts.itertuples(index=False, name=None)]


def digit_texts(rows: pd.DataFrame, schema: Schema) -> list[str]:
    """The digits of each row's numeric columns, "48,100"."""
    found: list[str] = []
    for part in blocks(rows, _ROWS_AT_A_TIME):
        texts = Table(part, schema).texts()[schema.numeric]
        digits = {name: texts[name].str.replace(r"\D", "", regex=True) for name in schema.numeric}
        found += [",".join(cells) for cells in pd.DataFrame(digits).itertuples(index=False, name=None)]
    return found


def smallest_distances(queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float64]:
    """Levenshtein distance from each query to the closest of the texts, (queries,).

    Long texts are searched one query at a time, those of about its length first: a comparison can stop as soon as it
    exceeds the smallest distance so far, and texts whose length differs by more are not compared. Short texts are
    compared all with all, in blocks.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    texts = sorted(set(texts))
    by_length: dict[int, list[str]] = {}
    for text in texts:
        by_length.setdefault(len(text), []).append(text)
    found = np.empty(len(queries))
    short = max(map(len, [*queries, *texts]), default=0) <= _SHORT
    step = max(1, _PAIRS_AT_A_TIME // len(texts)) if short else 1
    with Progress("levatt", len(queries), "rows") as progress:
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            if short:
                distances = process.cdist(block, texts, scorer=Levenshtein.distance, dtype=np.uint8)
                found[start : start + step] = distances.min(axis=1)
            else:
                found[start] = _smallest_distance(block[0], by_length)
            progress.advance(len(block))
    return found


def _smallest_distance(query: str, by_length: Mapping[int, Sequence[str]]) -> int:
    """Levenshtein distance to the closest of the texts, which are given by their length."""
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    smallest = max(len(query), *by_length)  # no distance is larger
    for length in sorted(by_length, key=lambda length: abs(length - len(query))):
        if abs(length - len(query)) >= smallest:  # a distance is at least the difference of the lengths
            break
        found = process.extractOne(query, by_length[length], scorer=Levenshtein.distance, score_cutoff=smallest)
        smallest = smallest if found is None else found[1]
    return smallest
