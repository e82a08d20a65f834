"""A generator for a table with rules: it learns the table without the columns that follow from others.

See harmonic.tables.rules.rule for the rules, and how each is kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.generators.base import Generator, LanguageGenerator, Sample
from harmonic.generators.imputed import imputed
from harmonic.generators.rejection import draw_by_rejection
from harmonic.progress import History
from harmonic.tables.conditions import Conditions
from harmonic.tables.rules.rule_set import Rules
from harmonic.tables.splits import Splits


def fitted_to(generator: Generator, splits: Splits) -> Generator:
    """The generator with the wrappers that this table needs: for rules, missing values, dates, or a missing target.

    splits: as generators get them (harmonic.tables.training_view); `prepare`, `fit` and `load` take the same ones.
    """
    rules = splits.rules
    if generator.gives_real_rows:
        return generator
    if rules is None or not rules.rules:
        return imputed(generator, splits)
    inner = imputed(generator, splits.reduced(rules))
    return (RuledLanguage if isinstance(inner, LanguageGenerator) else Ruled)(inner, rules)


class Ruled(Generator):
    """A generator that learns reduced tables; the other columns are added to its rows. `fitted_to` makes one."""

    takes_gaps = True

    def __init__(self, generator: Generator, rules: Rules) -> None:
        self.generator, self.rules = generator, rules

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        self.generator.prepare(splits.reduced(self.rules), n, seed=seed, directory=directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        return self.generator.fit(splits.reduced(self.rules), seed=seed, prepared=prepared, directory=directory)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self._whole_rules = replace(self.rules, schema=splits.whole_schema)
        self.generator.load(splits.reduced(self.rules), prepared=prepared, directory=directory)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        return self._whole(self.generator.sample(n, seed=seed, directory=directory))

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """Conditions on the drawn columns go to the generator; conditions on the other columns work by rejection."""
        changed = {rule.column for rule in self.rules.rules}
        held = {name: one for name, one in conditions.items() if name not in changed}
        left = {name: one for name, one in conditions.items() if name in changed}

        def drawn(size: int, *, seed: int, directory: Path) -> Sample:
            directory.mkdir(parents=True, exist_ok=True)
            sample = self.generator.draw(size, seed=seed, directory=directory, conditions=held, budget=budget)
            return self._whole(sample)

        if not left:
            return drawn(n, seed=seed, directory=directory)
        return draw_by_rejection(drawn, n, seed=seed, directory=directory, conditions=left, budget=budget)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        return self.generator.learnt_rows(rows, seed=seed, prepared=prepared, directory=directory)

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        return self.generator.estimate(splits.reduced(self.rules), n, prepared=prepared)

    def _whole(self, sample: Sample) -> Sample:
        return Sample(self.rules.restore(sample.frame), sample.validity)


class RuledLanguage(Ruled, LanguageGenerator):
    """The same for a language generator, which scores rows by the columns that it has learnt."""

    generator: LanguageGenerator

    @property
    def history(self) -> History | None:
        return self.generator.history

    @history.setter
    def history(self, history: History | None) -> None:
        self.generator.history = history

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        return self.generator.nll(self._whole_rules.reduce(rows))

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        return self.generator.token_nll(self._whole_rules.reduce(rows), base=base)

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        return self.generator.shown(n, prepared=prepared)

    def unload(self) -> None:
        self.generator.unload()
