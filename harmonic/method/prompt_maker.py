"""The prompts of a training table, and the choice of how many rows they show so that they fit the model's context.

The choice is made before anything is tuned. If prompts with k rows are too long, all prompts show fewer rows; the label
filter still looks at k neighbours. No text is ever cut.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harmonic.decoding.settings import Sampling
from harmonic.errors import ConfigError
from harmonic.prompts.neighbors import Metric
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.prompt_files import PromptFiles
from harmonic.prompts.prompt_fit import PromptFit, possible_fits
from harmonic.prompts.prompt_style import PromptStyle
from harmonic.prompts.row_format import RowTexts
from harmonic.prompts.sampling_prompts import SamplingPrompts
from harmonic.prompts.stored_prompts import StoredPrompts
from harmonic.prompts.token_counts import TokenCounter
from harmonic.prompts.training_prompts import Neighborhoods, answers, lists, validation_prompts
from harmonic.shell import override
from harmonic.tables.table import Table
from harmonic.tuning.settings import Tuning

logger = logging.getLogger(__name__)

_SAMPLE = 256  # rows whose mean length is counted before any prompt is written
_SPARE = 1.1  # times the tuning prompts that seem to be needed: the mean length is that of some rows

PromptSets = tuple[StoredPrompts, StoredPrompts]
"""Tuning prompts and sampling prompts, in their files."""


@dataclass(frozen=True, kw_only=True)
class PromptMaker:
    """Writes the prompts of a training table for any number of rows shown, and any names of columns.

    files: where; other prompts there are replaced. table: the training rows, in codes. around: their neighbours. learnt
    and kept_back: positions of the rows to learn and to show, and of the rows for validation. k: rows to show, as the
    user asked. n: rows of the first round of sampling. groups: of a large table the stratum of each row, (n,)
    (harmonic.prompts.covering); None: it is not large, and all tuning prompts are written.
    """

    files: PromptFiles
    table: Table
    around: Neighborhoods
    learnt: NDArray[np.int64]
    kept_back: NDArray[np.int64]
    style: PromptStyle
    metric: Metric
    tuning: Tuning
    sampling: Sampling
    k: int
    n: int
    seed: int
    groups: NDArray[np.int64] | None = None

    def row_texts(self, fit: PromptFit) -> list[str]:
        """The texts of some rows, at most 256."""
        table = fit.table(self.table)
        places = np.linspace(0, len(table) - 1, min(len(table), _SAMPLE)).astype(np.int64)
        return RowTexts(table, self.style.row_format_of(table.schema)).render(places)

    def most(self, fit: PromptFit, mean_row: float | None) -> int | None:
        """The most tuning prompts that tuning can use; None: all. mean_row: tokens of a row, if they were counted."""
        if self.groups is None:
            return None
        if not self.style.lists:
            return self.tuning.max_examples
        if self.tuning.max_tokens is None or mean_row is None:
            return None
        return max(math.ceil(_SPARE * self.tuning.max_tokens / (mean_row * (fit.k + 1))), 1)

    def prompts(self, fit: PromptFit, most: int | None = None) -> PromptSets:
        """Write the tuning prompts, at most so many, and the sampling prompts of the first round."""
        table = fit.table(self.table)
        row_format, orders = self.style.row_format_of(table.schema), self.style.orders_of(table.schema)
        if self.style.lists:
            passes = self.tuning.passes or 1.0
            taught = lists(
                table, row_format, self.around, orders, shown=fit.k, passes=passes, seed=self.seed, most=most,
                groups=self.groups,
            )  # fmt: skip
        else:
            taught = answers(
                table, row_format, self.around, orders, shown=fit.k, seed=self.seed, most=most, groups=self.groups
            )
        training = self.files.write_training(taught)
        made = SamplingPrompts(
            row_format=row_format, orders=orders, lists=self.style.lists, metric=self.metric, rows=self.learnt,
            shown=self.sampling.rows_shown(fit.k), wanted=self.k, pool=self.sampling.pool,
            label=self.sampling.label == "center",
        )  # fmt: skip
        context = made.context(
            self.sampling.first_context, table, self.seed, nearest=self.around.nearest, training=training
        )
        asked = made.stream(table, context, range(self.sampling.prompts_needed(self.n)))
        return training, self.files.write_sampling(asked)

    def validation(self, fit: PromptFit) -> list[Prompt]:
        """The prompts that decide when to stop tuning; none if no rows are kept back."""
        if not len(self.kept_back):
            return []
        table = fit.table(self.table)
        return validation_prompts(
            table, self.style.row_format_of(table.schema), self.around, self.style.orders_of(table.schema),
            self.kept_back, shown=fit.k, document=self.style.lists, seed=self.seed,
        )  # fmt: skip


def fitting_prompts(
    maker: PromptMaker, counter: TokenCounter | None, aliases: bool | str
) -> tuple[PromptFit, PromptSets]:
    """The first way to show rows whose prompts fit the context, and its prompts.

    aliases: see `possible_fits`. Without a counter, lengths are not checked. Raises ConfigError if prompts are too long
    even with one row.
    """
    fit: PromptFit | None = None
    mean_rows: dict[bool, float] = {}
    for fit in possible_fits(maker.table.schema, maker.k, aliases):
        if counter is None:
            logger.info("%s", fit.note())
            return fit, maker.prompts(fit, maker.most(fit, None))
        short = bool(fit.aliases)
        if fit.k > 1 or maker.groups is not None:
            if short not in mean_rows:
                mean_rows[short] = counter.mean_row(maker.row_texts(fit))
            if fit.k > 1 and (fit.k + 1) * mean_rows[short] > counter.context:
                continue  # the rows alone are too long: no need to write the prompts
        prompts = maker.prompts(fit, maker.most(fit, mean_rows.get(short)))
        fit = counter.measured(fit, *prompts)
        if fit.longest <= counter.context:
            logger.log(logging.WARNING if fit.k < maker.k else logging.INFO, "%s", fit.note())
            return fit, prompts
    assert fit is not None and counter is not None
    raise _too_long(fit, maker, counter)


def _too_long(fit: PromptFit, maker: PromptMaker, counter: TokenCounter) -> ConfigError:
    """The error for prompts that do not fit with one row."""
    assert fit.tuning is not None and fit.sampling is not None and fit.row is not None
    problem = (
        f"a row takes up to {fit.row['max']:,} tokens; with one example a tuning prompt takes "
        f"{fit.tuning['max']:,.0f} and a sampling prompt, with room for its answer, {fit.sampling['max']:,.0f}"
    )
    fixes = []
    if not fit.aliases:
        short = fit.shortened(maker.table.schema)
        short = counter.measured(short, *maker.prompts(short, maker.most(short, fit.row["mean"])))
        saved = fit.longest - short.longest
        enough = ", which is enough" if short.longest <= counter.context else ""
        if saved > 0:
            fixes.append(f"generator.aliases=true (short column names in prompts: saves {saved:,.0f} tokens{enough})")
    if counter.largest is not None and fit.longest <= counter.largest:
        fixes.append(f"llm.context={fit.longest:.0f} (the model allows {counter.largest:,})")
    else:
        fixes.append("use an llm with a longer context")
    fixes.append(f"leave columns out ({override('dataset.kinds', {'COLUMN': 'drop'})})")
    return ConfigError("llm.context", counter.context, problem, "; ".join(fixes))
