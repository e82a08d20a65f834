"""One row as text, and rows drawn at random under a constraint. For tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harmonic.decoding.constraints import RowConstraint
from harmonic.prompts.row_format import row_format
from harmonic.tables.table import Schema


def row_text(row: Mapping[str, Any], schema: Schema, order: Sequence[str] | None = None, form: str = "json") -> str:
    """The row's text, columns in `order` (default: the schema's)."""
    written = row_format(form, schema)
    return written.joined([written.cell(name, schema[name].format(row[name])) for name in order or schema.names])


def drawn_at_random(constraint: RowConstraint, draw: np.random.Generator) -> list[int]:
    """The tokens of a row, all that is allowed alike; without the token that ends it."""
    ids = constraint.forced()
    while not constraint.finished:
        ids += constraint.accept(int(draw.choice(np.flatnonzero(constraint.allowed()))))
    return ids
