"""Canaries: made-up rows among the training rows. They show whether a generator reveals its training rows.

A canary has real values in a combination that no real row has: each of its cells, also the label, is drawn from the
training values of its column, independently of the other cells. Canaries and other such rows ("decoys") are drawn
together, and differ from every real row and from each other. The canaries are planted; the decoys are never used. So
the two kinds differ only in what the generator learnt from the planted ones: if they can be told apart, that is memory
(Carlini et al. 2019, arXiv 1802.08232). harmonic.evaluation.privacy.canary measures it.

Canaries keep the rules of the table, too (harmonic.tables.rules.rule).

The generator learns from the training rows with the canaries after them; the evaluators get only the real rows. There
are several canaries, so that a result does not depend on one row. `repeats` plants each of them several times, because
people may be in a table more than once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.randomness import derive
from harmonic.settings import Count, Natural
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


class Canaries(TypedDict):
    """How many made-up rows there are, and how often each is planted."""

    count: NotRequired[Natural]
    repeats: NotRequired[Count]


DECOYS = 1000  # rows to rank a canary among: exposures of up to 9.97 bits
_ROUNDS = 50


def plant(splits: Splits, settings: Canaries | None, seed: int) -> Splits:
    """The splits with canaries after the training rows, and with decoys; unchanged if no canaries are wanted.

    settings: {"count": how many canaries (0: none), "repeats": how often each is planted}. Raises ConfigError if a
    number is invalid, DataError if too few made-up rows are possible.
    """
    count, repeats = _checked(settings or Canaries())
    if not count:
        return splits
    rows = _draw(splits, count + DECOYS, seed)
    canaries, decoys = rows.take(range(count)), rows.take(range(count, len(rows)))
    frame = pd.concat([splits.train.frame, *[canaries.frame] * repeats], ignore_index=True)
    note = f"planted {count} made-up rows {repeats} times each after {len(splits.train)} training rows"
    return replace(
        splits, train=replace(splits.train, frame=frame), canaries=canaries, decoys=decoys,
        notes=(*splits.notes, note),
    )  # fmt: skip


def uproot(splits: Splits) -> Splits:
    """The splits with only the real training rows; canaries and decoys are kept apart.

    If the generator learnt only some of the training rows, `learnt_canaries` are the canaries among these.
    """
    if splits.canaries is None:
        return splits
    real = len(splits.train) - int(_hashes(splits.train).isin(_hashes(splits.canaries)).sum())
    train = splits.train.take(range(real))
    if splits.learnt is None:
        return replace(splits, train=train)
    learnt = splits.learnt[splits.learnt < real]
    planted = np.unique((splits.learnt[splits.learnt >= real] - real) % len(splits.canaries))
    return replace(splits, train=train, learnt=learnt, planted=planted)


def _checked(settings: Mapping[str, Any]) -> tuple[int, int]:
    for name in settings:
        if name not in ("count", "repeats"):
            raise unknown(f"canaries.{name}", settings[name], "setting", ("count", "repeats"), name=name)
    count, repeats = settings.get("count", 0), settings.get("repeats", 1)
    if count < 0 or count == 1:
        raise ConfigError("canaries.count", count, "must be 0 or at least 2", "canaries.count=20")
    if repeats < 1:
        raise ConfigError("canaries.repeats", repeats, "must be at least 1", "canaries.repeats=1")
    return int(count), int(repeats)


def _draw(splits: Splits, size: int, seed: int) -> Table:
    """`size` rows of independent columns, all different from each other and from every real row."""
    draw = np.random.default_rng(derive(seed, "canaries"))
    frame = splits.train.frame
    seen = pd.concat([_hashes(part) for part in (splits.train, splits.val, splits.test)])
    found: list[pd.DataFrame] = []
    missing = size
    for _ in range(_ROUNDS):
        cells = {name: frame[name].to_numpy()[draw.integers(len(frame), size=size)] for name in frame.columns}
        made = pd.DataFrame(cells)
        rows = Table(made if splits.rules is None else splits.rules.keep(splits.schema.conform(made)), splits.schema)
        hashes = _hashes(rows)
        new = (~hashes.duplicated() & ~hashes.isin(seen)).to_numpy()
        found.append(rows.frame[new][:missing])
        seen = pd.concat([seen, hashes[new]])
        missing -= len(found[-1])
        if not missing:
            drawn = replace(rows, frame=pd.concat(found, ignore_index=True))
            return drawn.take(draw.permutation(size))  # likely rows are drawn first, and must not all be canaries
    raise DataError(
        f"{size} made-up rows are needed, but only {size - missing} combinations of values were found that are not "
        "real\n  fix: canaries.count=0: the table has too few columns or values to hide canaries"
    )


def _hashes(table: Table) -> pd.Series:
    return pd.util.hash_pandas_object(table.frame, index=False)
