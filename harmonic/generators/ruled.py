"""A generator for a table with rules: it learns the table without the columns that follow from others.

See harmonic.tables.rules.rule for the rules, and how each is kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from harmonic.errors import ConfigError
from harmonic.generators.base import Generator, LanguageGenerator, Parts, Sample
from harmonic.generators.imputed import imputed
from harmonic.generators.rejection import draw_by_rejection
from harmonic.generators.wrapped import Wrapped, WrappedLanguage
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


class Ruled(Wrapped):
    """A generator that learns reduced tables; the other columns are added to its rows. `fitted_to` makes one."""

    takes_gaps = True

    def __init__(self, generator: Generator, rules: Rules) -> None:
        self.generator, self.rules = generator, rules

    def _given(self, splits: Splits) -> Splits:
        return splits.reduced(self.rules)

    def _restored(self, sample: Sample) -> Sample:
        return Sample(self.rules.restore(sample.frame), sample.validity)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        self._whole_rules = replace(self.rules, schema=splits.whole_schema)
        super().load(splits, prepared=prepared, directory=directory)

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """Conditions on the drawn columns go to the generator; conditions on the other columns work by rejection."""
        changed = {rule.column for rule in self.rules.rules}
        held = {name: one for name, one in conditions.items() if name not in changed}
        left = {name: one for name, one in conditions.items() if name in changed}

        def drawn(size: int, *, seed: int, directory: Path) -> Sample:
            directory.mkdir(parents=True, exist_ok=True)
            sample = self.generator.draw(size, seed=seed, directory=directory, conditions=held, budget=budget)
            return self._restored(sample)

        if not left:
            return drawn(n, seed=seed, directory=directory)
        return draw_by_rejection(drawn, n, seed=seed, directory=directory, conditions=left, budget=budget)

    def parts(self, *, seed: int, conditions: Conditions) -> Parts:
        """Raises ConfigError for a condition on a column that follows from others: it would need rejection."""
        changed = sorted({rule.column for rule in self.rules.rules} & set(conditions))
        if changed:
            problem = f"column {changed[0]!r} follows from others, so rows with this condition are found by trying"
            raise ConfigError(
                "condition", changed[0], problem, "leave shards out, or put the condition on another column"
            )
        return super().parts(seed=seed, conditions=conditions)


class RuledLanguage(Ruled, WrappedLanguage):
    """The same for a language generator, which scores rows by the columns that it has learnt."""

    def _scored(self, rows: pd.DataFrame) -> pd.DataFrame:
        return self._whole_rules.reduce(rows)
