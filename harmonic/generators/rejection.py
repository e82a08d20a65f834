"""Rows under conditions from a generator without conditions: draw more rows, keep those that satisfy them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harmonic.errors import SamplingError
from harmonic.generators.sample import Sample
from harmonic.progress import Progress
from harmonic.randomness import derive
from harmonic.tables.conditions import Conditions, described, satisfying

REJECTIONS = 100  # rows drawn for each wanted row before rejection gives up
_LEAST_BUDGET = 2000
_SPARE = 1.2  # more rows than expected to be needed, to avoid further rounds
_FACTOR = 20  # a round draws at most this many times the wanted rows


def draw_by_rejection(
    sample: Callable[..., Sample], n: int, *, seed: int, directory: Path, conditions: Conditions,
    budget: int | None = None,
) -> Sample:  # fmt: skip
    """Exactly n rows that satisfy the conditions, from a generator's `sample`.

    budget: the most rows to draw (None: 100 for each wanted row, and at least 2,000). Validity: raw, the share of rows
    that satisfied the conditions; answers, rows drawn; rejected/condition. Raises SamplingError, which names the
    conditions, if the budget is not enough.
    """
    most = max(REJECTIONS * n, _LEAST_BUDGET) if budget is None else budget
    kept: list[pd.DataFrame] = []
    have = drawn = turn = 0
    with Progress("sample", n, "rows") as progress:
        while have < n and drawn < most:
            # By the rate so far, plus one row, because possibly none satisfied the conditions.
            needed = (n - have) * _SPARE * drawn / (have + 1) if drawn else n
            size = min(max(math.ceil(needed), 2), _FACTOR * n, most - drawn)
            rows = sample(size, seed=derive(seed, "rejection", turn), directory=directory / str(turn)).frame
            kept.append(rows[satisfying(rows, conditions)])
            new = min(len(kept[-1]), n - have)
            have, drawn, turn = have + len(kept[-1]), drawn + size, turn + 1
            progress.advance(new)
            progress.note(drawn=drawn)
    if have < n:
        raise SamplingError(
            f"only {have} of {n} rows satisfy {described(conditions)}, of {drawn} drawn ({have / max(drawn, 1):.2%})\n"
            f"  fix: widen the conditions, raise budget= above {most}, lower n=, or use a generator that draws "
            "under conditions (generator=harmonic)"
        )
    frame = pd.concat(kept, ignore_index=True).head(n)
    counts = {"raw": have / drawn, "answers": float(drawn), "rejected/condition": float(drawn - have)}
    return Sample(frame, counts)
