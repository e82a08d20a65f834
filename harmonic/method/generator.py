"""The HARMONIC generator (Wang et al., NeurIPS 2024, arXiv 2408.02927): neighbours, prompts, tuning, sampling.

The paper's method and our recipe are two configurations of this class (conf/generator/harmonic.yaml and
harmonic_dense.yaml), and so is every ablation of either.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.decoding.settings import Sampling
from harmonic.decoding.vllm_decoder import check_backend, check_schema
from harmonic.errors import ConfigError
from harmonic.generators.base import LanguageGenerator, Sample, Versions
from harmonic.llm.language_model import LanguageModel
from harmonic.method.drawn_parts import DrawnParts
from harmonic.method.fitted import FittedModel
from harmonic.method.prompt_maker import PromptMaker, fitting_prompts
from harmonic.method.sampling_rounds import SamplingRounds
from harmonic.method.second_round import first_rows
from harmonic.prompts import covering
from harmonic.prompts.chat import Chat
from harmonic.prompts.contexts import Contexts
from harmonic.prompts.neighbors import Metric, Neighbors, check_neighbors
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.prompt_files import PromptFiles
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.prompts.prompt_style import PromptStyle
from harmonic.prompts.sampling_prompts import SamplingPrompts
from harmonic.prompts.token_counts import TokenCounter
from harmonic.prompts.training_prompts import Neighborhoods, validation_rows
from harmonic.settings import Fields, Natural, check_fields
from harmonic.tables.codes.coding import Categories, Coding, Numbers
from harmonic.tables.conditions import Conditions, described, satisfying
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table
from harmonic.time_limit import minutes_left
from harmonic.tuning.lora import subset, tune
from harmonic.tuning.settings import Tuning
from harmonic.tuning.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_FEW = 4  # times the rows of a prompt: with fewer rows to choose from, each is in more than a quarter of the prompts


@dataclass(kw_only=True)
class HarmonicGenerator(LanguageGenerator):
    """Learns rows from prompts of similar rows, and draws new ones from prompts of other rows.

    neighbors: {"k": rows that a prompt shows, "metric": see harmonic.prompts.neighbors}. filter and filter_threshold:
    tune on a row only if more than that many neighbours share its label (classification only). row_format: how rows are
    written, a file in harmonic/prompts/row_formats. numbers: "text", or "quantiles", which are codes of one or two
    digits (harmonic.tables.codes.quantiles). categories: "text", or "letters", which replace longer texts
    (harmonic.tables.codes.letters). supervision: the model learns the row that is the "answer" to its neighbours, or
    all "rows" of a list of neighbours. permutation: a new order of columns for each "row" (true) or "prompt", or "none"
    (false). target: the place of the target column, "anywhere", "first" or "last". aliases: short column names in
    prompts: true, false, or "auto", which shortens long names and names in prompts that are too long.
    """

    takes_gaps: ClassVar[bool] = True
    versions: ClassVar[Versions] = Versions(prompts=4, fit=2, sample=4)

    llm: LanguageModel
    neighbors: Neighbors
    filter: bool = True
    filter_threshold: Natural = 2
    row_format: str = "json"
    numbers: Numbers = "text"
    categories: Categories = "text"
    supervision: Literal["answer", "rows"] = "answer"
    permutation: bool | Literal["row", "prompt", "none"] = True
    target: Literal["anywhere", "first", "last"] = "anywhere"
    aliases: bool | Literal["auto"] = False
    tuning: Annotated[dict[str, Any], Fields(Tuning)] = field(default_factory=dict)
    sampling: Annotated[dict[str, Any], Fields(Sampling)] = field(default_factory=dict)

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Write train.jsonl and sample.jsonl into `directory`, one prompt a line, and prompt_fit.json.

        With tuning.validation also validation.jsonl. Raises ConfigError for an invalid setting, and if a prompt with a
        single row is longer than the model's context.
        """
        sampling, tuning = self.checked(splits.schema)
        maker = self._prompt_maker(PromptFiles(directory), splits, n, sampling, tuning, seed)
        counter = TokenCounter.of(self.llm, sampling.max_new_tokens)
        fit, (training, _) = fitting_prompts(maker, counter, self.aliases)
        if maker.style.lists and tuning.max_tokens is not None and fit.tuning is not None:
            training.cut(max(int(tuning.max_tokens / fit.tuning["mean"]), 1))
        if maker.groups is not None:
            covering.tell(splits.train, training, directory)
        maker.files.write_validation(maker.validation(fit))
        fit.write(directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Tune on train.jsonl, within the time that there is; write adapter/ and history.json into `directory`."""
        files, tuning = PromptFiles(prepared), Tuning(**self.tuning)
        if (left := minutes_left()) is not None:  # never none at all: the first steps are needed to measure their speed
            tuning = replace(tuning, minutes=max(min(left, tuning.minutes or left), 0.01))
        return tune(
            self.llm, files.training(), tuning, seed=seed, directory=directory, stage="fit",
            history=self.history, validation=files.validation(),
        )  # fmt: skip

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        """How prompts show rows; tokens, time and memory of tuning and sampling (harmonic.method.estimate)."""
        from harmonic.method.estimate import estimate

        fit, examples = PromptFit.read(prepared, self._k), len(PromptFiles(prepared).training())
        try:
            found = estimate(self.llm, fit, examples, n, Tuning(**self.tuning), self.checked()[0])
        except ConfigError as error:
            found = [f"no estimate: {error}"]
        return [fit.note(), *found]

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where the adapter is; the model is loaded, and the adapter merged, when it is first needed."""
        adapter = directory / "adapter"
        self.fitted = FittedModel(
            llm=self.llm, splits=splits, style=self._style, coding=self._coding(splits), files=PromptFiles(prepared),
            fit=PromptFit.read(prepared, self._k), chat=Chat(self.llm.tokenizer()), adapter=adapter,
            vocabulary=Vocabulary.read(adapter),
        )  # fmt: skip

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask the prompts of sample.jsonl in order, `sampling.rows_per_prompt` rows from each.

        With sampling.context=synthetic, these prompts draw the rows that the prompts of a second round show.
        """
        return self._rounds({}).sample(self.fitted.files.sampling(), n, seed=seed, directory=directory)

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """The same from new prompts, with the conditions as constraints in decoding; the budget is not needed.

        Prompts show training rows that satisfy the conditions, as far as there are any, or neighbours of such rows. A
        constrained row begins with the columns of the conditions. Without permutation it keeps the table's order, and
        the columns before them do not depend on them.
        """
        rounds = self._rounds(conditions)
        first = self._new_prompts(rounds, rounds.rows_in_first(n), seed)
        return rounds.sample(first, n, seed=seed, directory=directory)

    def parts(self, *, seed: int, conditions: Conditions) -> DrawnParts:
        """What draws parts of the rows of `draw`. Rounding may change rows: batches are those of a part.

        Raises ConfigError with sampling.context=synthetic: prompts there show any row of the whole first round.
        """
        rounds = self._rounds(conditions)
        if rounds.settings.context == "synthetic":
            problem = "a prompt of the second round may show any row of the first, so rows cannot be drawn in parts"
            fix = "leave shards out, or use a run with generator.sampling.context=neighbors"
            raise ConfigError("generator.sampling.context", "synthetic", problem, fix)
        table = self.fitted.shown_table(self.fitted.splits.train)
        return DrawnParts(rounds=rounds, table=table, context=self._new_context(rounds, table, seed), seed=seed)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text, all behind the same context: (n,), nats per token.

        The context shows no row that is scored, so that training, held-out and synthetic rows differ in nothing but
        themselves: in a list of rows it shows none, in an instruction rows of the validation part. Columns have the
        schema's order, and the end of the row counts. A value that no training row has is scored by its own text; as a
        quantile code, by the code of the nearest training value.
        """
        found = self.fitted.token_nll(self.fitted.tuned, rows, "perplexity")
        return np.array([tokens.mean() for tokens in found])

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of the texts that `nll` scores: (tokens,) a row, nats.

        base: under the model without the adapter, which is loaded for this call; the tuned model is loaded again when
        it is next needed.
        """
        model = self.fitted.untuned() if base else self.fitted.tuned
        return self.fitted.token_nll(model, rows, "likelihood")

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        """The training rows that each row's sampling prompt shows, (n, k); None if no real row is shown."""
        settings = self.checked()[0]
        if settings.context in ("synthetic", "none"):
            return None
        prompts = PromptFiles(prepared).sampling()
        rows = [prompts[settings.prompt_of(row)].rows for row in range(n)]
        return np.array(rows, dtype=np.int64).reshape(n, -1)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """All rows, if each is learnt or shown; else the answers, or the rows around which lists were made.

        Their neighbours are learnt, too, but they are not a random part of the table: rows in dense places are
        neighbours of many. Compared with unseen rows they would seem to leak although nothing leaks.
        """
        prompts = subset(PromptFiles(prepared).training(), Tuning(**self.tuning).max_examples, seed)
        met, drawn = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        for prompt in prompts:
            met[[*prompt.learnt_rows, *prompt.rows]] = True
            drawn[[*prompt.drawn_rows]] = True
        return np.flatnonzero(met if met.all() else drawn)

    def unload(self) -> None:
        if (fitted := getattr(self, "fitted", None)) is not None:
            fitted.unload()

    def checked(self, schema: Schema | None = None) -> tuple[Sampling, Tuning]:
        """The settings of sampling and tuning. Raises ConfigError if a setting is invalid, with this schema."""
        check_fields(self, "generator")
        sampling, tuning = Sampling(**self.sampling), Tuning(**self.tuning)
        sampling.check()
        tuning.check()
        if sampling.backend == "vllm":
            check_backend(self.llm)
        if schema is not None:
            self._style.check(schema)
            if sampling.backend == "vllm" and sampling.mode != "reject":
                check_schema(schema, Chat(self.llm.tokenizer()).marks)
        return sampling, tuning

    @property
    def _k(self) -> int:
        return int(self.neighbors["k"])

    @property
    def _metric(self) -> Metric:
        return self.neighbors.get("metric", "mixed")

    @property
    def _style(self) -> PromptStyle:
        return PromptStyle(self.row_format, self.permutation, self.target, lists=self.supervision == "rows")

    def _coding(self, splits: Splits) -> Coding:
        return Coding.of(splits.train, self.numbers, self.categories)

    def _prompt_maker(
        self, files: PromptFiles, splits: Splits, n: int, sampling: Sampling, tuning: Tuning, seed: int
    ) -> PromptMaker:
        """What writes the prompts of the training rows. Raises ConfigError for too few rows."""
        rows = len(splits.train)
        kept_back = validation_rows(rows, tuning.validation, seed)
        learnt = np.setdiff1d(np.arange(rows), kept_back)
        check_neighbors(len(learnt), self._k, self._metric)
        around = Neighborhoods.of(
            splits.train, k=self._k, metric=self._metric, threshold=self.filter_threshold, seed=seed,
            filter=self.filter and splits.schema.task.is_classification, pool=sampling.pool,
            rows=learnt if len(kept_back) else None,
        )  # fmt: skip
        return PromptMaker(
            files=files, table=self._coding(splits).encode(splits.train), around=around, learnt=learnt,
            kept_back=kept_back, style=self._style, metric=self._metric, tuning=tuning, sampling=sampling, k=self._k,
            seed=seed, n=first_rows(n, rows) if sampling.context == "synthetic" else n,
            groups=covering.strata(splits.train) if rows > covering.LARGE else None,
        )  # fmt: skip

    def _rounds(self, conditions: Conditions) -> SamplingRounds:
        """What draws rows."""
        settings, _ = self.checked(self.fitted.splits.schema)
        fit, schema = self.fitted.fit, self.fitted.schema
        prompts = SamplingPrompts(
            row_format=self._style.row_format_of(schema), orders=self._style.orders_of(schema), lists=self._style.lists,
            metric=self._metric, rows=self.fitted.learnt(), shown=settings.rows_shown(fit.k), wanted=fit.wanted,
            pool=settings.pool, label=settings.label == "center",
        )  # fmt: skip
        return SamplingRounds(fitted=self.fitted, prompts=prompts, settings=settings, conditions=conditions)

    def _new_prompts(self, rounds: SamplingRounds, n: int, seed: int) -> list[Prompt]:
        """Prompts for n rows that satisfy the conditions, beyond those of sample.jsonl."""
        table = self.fitted.shown_table(self.fitted.splits.train)
        context, needed = self._new_context(rounds, table, seed), rounds.settings.prompts_needed(n)
        return rounds.prompts.make(table, context, range(needed), first=rounds.first_columns())

    def _new_context(self, rounds: SamplingRounds, table: Table, seed: int) -> Contexts:
        """Chooses the rows of such prompts. table: the training rows as prompts show them."""
        settings, made, train = rounds.settings, rounds.prompts, self.fitted.splits.train
        among = np.flatnonzero(satisfying(train.frame, rounds.conditions)) if rounds.conditions else None
        if among is not None and len(among) < _FEW * self.fitted.fit.k and settings.context == "random":
            few = "%d training rows satisfy %s: prompts show them again and again, and new rows may be close to them"
            logger.warning(few, len(among), described(rounds.conditions))
        nearest = None
        if settings.first_context == "neighbors":
            nearest = Neighborhoods.of(
                train, k=self._k, metric=self._metric, filter=False, threshold=0, seed=0, pool=made.pool,
                rows=made.rows if len(made.rows) < len(train) else None,
            ).nearest  # fmt: skip
        return made.context(
            settings.first_context, table, seed, nearest=nearest, training=self.fitted.files.training(), among=among
        )
