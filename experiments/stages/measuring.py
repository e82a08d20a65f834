"""What evaluators get from a run: rows without missing values if they need it, likelihoods, and a way to refit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.evaluation.base import Evaluator, Measures, Refit, RefittingEvaluator, TokenScorer
from harmonic.generators.base import Generator, LanguageGenerator
from harmonic.generators.ruled import fitted_to
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tables.training_view import for_generators


def measured_by(
    evaluator: Evaluator, splits: Splits, synthetic: Table, imputation: Imputation, *, seed: int,
    scorer: TokenScorer | None, refit: Refit | None = None,
) -> Measures:  # fmt: skip
    """The evaluator's results. Tables are imputed unless it takes gaps; only some evaluators get `refit`."""
    if imputation.needed and not evaluator.takes_gaps:
        splits, synthetic = imputation.splits(splits), imputation.table(synthetic)
        scorer = scorer and scorer.after(imputation.restore)
        refit = refit and refit.between(
            lambda train: Table(imputation.restore(train.frame), imputation.schema), imputation.table
        )
    if isinstance(evaluator, RefittingEvaluator):
        return evaluator.evaluate(splits, synthetic, seed=seed, scorer=scorer, refit=refit)
    return evaluator.evaluate(splits, synthetic, seed=seed, scorer=scorer)


def refit_of(generator: Generator, splits: Splits, seconds: float) -> Refit:
    """The unfitted generator, for evaluators that fit it to other rows. Each time it is copied first."""

    def draw(train: Table, n: int, seed: int) -> Table:
        known = for_generators(replace(splits, train=train, learnt=None, canaries=None, decoys=None))
        fresh = fitted_to(copy.deepcopy(generator), known)
        with TemporaryDirectory(prefix="harmonic-") as folder:
            prepared, fitted, drawn = (Path(folder) / name for name in ("prompts", "fit", "sample"))
            for place in (prepared, fitted, drawn):
                place.mkdir()
            fresh.prepare(known, n, seed=seed, directory=prepared)
            fresh.fit(known, seed=seed, prepared=prepared, directory=fitted)
            fresh.load(known, prepared=prepared, directory=fitted)
            return Table(train.schema.conform(fresh.sample(n, seed=seed, directory=drawn).frame), train.schema)

    return Refit(draw, seconds)


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
    """Numbers of rows: training rows, learnt rows, unseen rows, an attacker's reference rows, synthetic rows."""
    parts = {"train": splits.train, "learnt": splits.members, "test": splits.test, "reference": splits.reference}
    parts["synthetic"] = synthetic
    return {name: len(table) for name, table in parts.items()}


def broken_rules(splits: Splits, synthetic: Table) -> list[dict[str, object]]:
    """For each rule: how it is kept, and which share of the training, held-out and synthetic rows breaks it."""
    rules = splits.rules
    if rules is None:
        return []
    held_out = pd.concat([splits.val.frame, splits.test.frame], ignore_index=True)
    parts = {"train": splits.train.frame, "held_out": held_out, "synthetic": synthetic.frame}
    shares = {part: rules.broken(frame) for part, frame in parts.items()}
    return [
        {"rule": text, "kept": how, "broken": {part: found[text] for part, found in shares.items()}}
        for text, how in rules.ways().items()
    ]
