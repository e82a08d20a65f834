"""A generator that cannot handle missing values, given tables without them; its rows get missing values again.

See harmonic.tables.missing_values for how values are imputed.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from harmonic.generators.base import Generator, LanguageGenerator
from harmonic.generators.sample import Sample
from harmonic.generators.wrapped import Wrapped, WrappedLanguage
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits


class Imputed(Wrapped):
    """A generator that is given imputed tables, and whose rows get missing values again. `imputed` makes one."""

    def __init__(self, generator: Generator, imputation: Imputation, whole: Imputation) -> None:
        """`imputation`: of the training rows. `whole`: the same for rows with values that no training row has."""
        self.generator, self.imputation, self.whole = generator, imputation, whole

    def _given(self, splits: Splits) -> Splits:
        return replace(self.whole.splits(splits), train=self.imputation.table(splits.train, drawn=True))

    def _restored(self, sample: Sample) -> Sample:
        return Sample(self.imputation.restore(sample.frame), sample.validity)


class ImputedLanguage(Imputed, WrappedLanguage):
    """The same for a language generator, which also scores rows."""

    def _scored(self, rows: pd.DataFrame) -> pd.DataFrame:
        return self.whole.frame(rows)


def imputed(generator: Generator, splits: Splits) -> Generator:
    """The generator itself if it takes missing values, or the training rows have none; else one that imputes them."""
    imputation = Imputation.of(splits.train)
    if generator.takes_gaps or not imputation.needed:
        return generator
    kind = ImputedLanguage if isinstance(generator, LanguageGenerator) else Imputed
    return kind(generator, imputation, imputation.reaching(splits.whole_schema))
