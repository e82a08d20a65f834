"""A run's rows before its evaluators: without gaps for those that know none, with likelihoods for those that ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.base import Evaluator, Measures, TokenScorer
from harmonic.generator import Generator, LanguageGenerator
from harmonic.tables.missing_values import Completion
from harmonic.tables.table import Splits, Table


def measured_by(
    evaluator: Evaluator, splits: Splits, synthetic: Table, completion: Completion, *, seed: int,
    scorer: TokenScorer | None,
) -> Measures:  # fmt: skip
    """What the evaluator finds in the tables, completed unless it takes gaps."""
    if evaluator.takes_gaps or not completion.needed:
        return evaluator.evaluate(splits, synthetic, seed=seed, scorer=scorer)
    whole = completion.splits(splits), completion.table(synthetic)
    return evaluator.evaluate(*whole, seed=seed, scorer=scorer and scorer.after(completion.restore))


def scorer_of(generator: Generator, load: Callable[[], None], prepared: Path) -> TokenScorer | None:
    """A language generator's likelihoods; None for other generators. `load` is called before each use."""
    if not isinstance(generator, LanguageGenerator):
        return None

    def score(rows: pd.DataFrame) -> NDArray[np.float64]:
        load()
        return generator.nll(rows)

    def tokens(rows: pd.DataFrame, base: bool) -> list[NDArray[np.float64]] | None:
        load()
        return generator.token_nll(rows, base=base)

    def shown(n: int) -> NDArray[np.int64] | None:
        return generator.shown(n, prepared=prepared)

    return TokenScorer(score, tokens, shown)


def sizes(splits: Splits, synthetic: Table) -> dict[str, int]:
    """How many rows the evaluators had: training rows and those learnt, unseen ones, an attacker's, synthetic ones."""
    parts = {"train": splits.train, "learnt": splits.members, "test": splits.test, "reference": splits.reference}
    parts["synthetic"] = synthetic
    return {name: len(table) for name, table in parts.items()}
