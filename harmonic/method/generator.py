"""The HARMONIC generator (Wang et al., NeurIPS 2024, arXiv 2408.02927): neighbours, prompts, tuning, sampling.

The paper's method and our recipe are two configurations of this class (conf/generator/harmonic.yaml and
harmonic_dense.yaml), and so is every ablation of either.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.decoding.decoder import Decoder
from harmonic.decoding.sampler import Decodes
from harmonic.decoding.settings import Sampling
from harmonic.decoding.vllm_decoder import VLLMDecoder, check_backend, check_schema
from harmonic.errors import ConfigError
from harmonic.generators.base import LanguageGenerator, Sample, Versions
from harmonic.llm.language_model import LanguageModel
from harmonic.method.sampling import PromptSource, Rounds
from harmonic.method.second_round import first_rows
from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.fitting import Gauge, PromptFit, PromptSets, answer_room, fit_prompts
from harmonic.prompts.instruction import question, row_list
from harmonic.prompts.neighbors import Metric, Neighbors, check_neighbors
from harmonic.prompts.prompt import Prompt, read_prompts, write_prompts
from harmonic.prompts.row_format import RowFormat, RowTexts, row_format
from harmonic.prompts.training_prompts import Neighborhoods, answers, lists, validation_prompts, validation_rows
from harmonic.settings import Fields, Natural, check_fields
from harmonic.tables.codes.coding import Categories, Coding, Numbers
from harmonic.tables.conditions import Conditions, described, satisfying
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table
from harmonic.tables.training_view import to_score
from harmonic.tuning.lora import load_tuned, subset, tune
from harmonic.tuning.settings import Tuning
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_FEW = 4  # times the examples of a prompt: fewer rows to choose from stand in more than a quarter of the prompts


@dataclass(kw_only=True)
class HarmonicGenerator(LanguageGenerator):
    """Learns rows from prompts of similar rows, and draws new ones from prompts of other rows.

    neighbors: {"k": rows that a prompt shows, "metric": "mixed", "reference" or "random"}. filter and
    filter_threshold: keep a tuning example only if more than that many neighbours share its label
    (classification; regression is never filtered). row_format: how rows are written (a file in
    harmonic/prompts/row_formats). numbers: "text", or "quantiles", codes of one or two digits
    (harmonic.tables.codes.quantiles). categories: "text", or "letters" in the place of longer texts
    (harmonic.tables.codes.letters). supervision: what is learnt, the row that is the "answer" to its neighbours, or all
    "rows" of a list of neighbours. permutation: of the columns, by "row" (true), by "prompt", or "none" (false).
    target: its place, "anywhere", "first" or "last". aliases: short column names in prompts, true, false, or "auto":
    where names are long or the prompts would be.
    """

    takes_gaps: ClassVar[bool] = True
    versions: ClassVar[Versions] = Versions(prompts=3, fit=2, sample=3)

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

        With tuning.validation also validation.jsonl. Raises ConfigError for an invalid setting, and where a prompt
        with a single row is longer than the model's context.
        """
        settings, tuning = self.checked(splits.schema)
        k, rows = int(self.neighbors["k"]), len(splits.train)
        count = first_rows(n, rows) if settings.context == "synthetic" else n
        kept_back = validation_rows(rows, tuning.validation, seed)
        learnt = np.setdiff1d(np.arange(rows), kept_back)
        check_neighbors(len(learnt), k, self._metric)
        around = Neighborhoods.of(
            splits.train, k=k, metric=self._metric, filter=self.filter and splits.schema.task.is_classification,
            threshold=self.filter_threshold, seed=seed, pool=settings.pool, rows=learnt if len(kept_back) else None,
        )  # fmt: skip

        def build(table: Table, shown: int) -> PromptSets:
            source = self._source(table.schema, settings, shown, k, learnt)
            how = (table, source.form, around, source.orders)
            if self._lists:
                train = lists(*how, shown=shown, passes=tuning.passes or 1.0, seed=seed)
            else:
                train = answers(*how, shown=shown, seed=seed)
            context = source.context(settings.first_context, lambda: around.nearest, seed, taken=train)
            return train, source.prompts(table, context, settings.prompts_needed(count))

        def write(table: Table) -> list[str]:
            places = np.linspace(0, rows - 1, min(rows, 256)).astype(np.int64)
            return RowTexts(table, self._form(table.schema)).render(places)

        table = self._codes(splits.train).encode(splits.train)
        gauge = Gauge.of(self.llm, settings.max_new_tokens)
        fit, (train, ask) = fit_prompts(build, write, table, k=k, aliases=self.aliases, gauge=gauge)
        if self._lists and tuning.max_tokens is not None and fit.tuning is not None:
            train = train[: max(int(tuning.max_tokens / fit.tuning["mean"]), 1)]
        write_prompts(train, directory / "train.jsonl")
        write_prompts(ask, directory / "sample.jsonl")
        fit.write(directory)
        if len(kept_back):
            shown = fit.table(table)
            told = validation_prompts(
                shown, self._form(shown.schema), around, self._orders(shown.schema), kept_back, shown=fit.k,
                document=self._lists, seed=seed,
            )  # fmt: skip
            write_prompts(told, directory / "validation.jsonl")

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Tune on train.jsonl; write adapter/ and history.json into `directory`."""
        told = prepared / "validation.jsonl"
        return tune(
            self.llm, read_prompts(prepared / "train.jsonl"), Tuning(**self.tuning), seed=seed, directory=directory,
            stage="fit", history=self.history, validation=read_prompts(told) if told.is_file() else (),
        )  # fmt: skip

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        """How prompts show rows; tokens, time and memory of tuning and sampling (harmonic.method.estimate)."""
        from harmonic.method.estimate import estimate

        fit = PromptFit.read(prepared, int(self.neighbors["k"]))
        with (prepared / "train.jsonl").open("rb") as lines:
            examples = sum(1 for _ in lines)
        try:
            found = estimate(self.llm, fit, examples, n, Tuning(**self.tuning), self.checked()[0])
        except ConfigError as error:
            found = [f"no estimate: {error}"]
        return [fit.note(), *found]

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where the adapter is; the model is loaded, and the adapter merged, when it is first needed."""
        self._splits, self._prepared, self._adapter = splits, prepared, directory / "adapter"
        self._fit = PromptFit.read(prepared, int(self.neighbors["k"]))
        self._chat = Chat(self.llm.tokenizer())
        self._coding = self._codes(splits.train)
        self._vocabulary = Vocabulary.read(self._adapter)
        self._model: PreTrainedModel | None = None

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask the prompts of sample.jsonl in order, `sampling.rows_per_prompt` rows from each.

        With sampling.context=synthetic these draw the first round, whose rows the prompts of the second show.
        """
        return self._rounds({}).sample(
            lambda count: read_prompts(self._prepared / "sample.jsonl"), n, seed=seed, directory=directory
        )

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """The same from new prompts, with every row held to the conditions in decoding; no budget is needed.

        Prompts show training rows that satisfy the conditions, as far as there are any, or neighbours of such rows. A
        constrained row begins with the columns of the conditions; without permutation, the columns before them do not
        know of them.
        """
        settings, _ = self.checked()
        rounds = self._rounds(conditions)
        train = self._splits.train
        among = np.flatnonzero(satisfying(train.frame, conditions)) if conditions else None
        if among is not None and len(among) < _FEW * self._fit.k and settings.context == "random":
            told = "%d training rows satisfy %s: prompts show them over and over, and new rows may come close to them"
            logger.warning(told, len(among), described(conditions))

        def prompts(count: int) -> list[Prompt]:
            source, taken = rounds.source, read_prompts(self._prepared / "train.jsonl")
            near = partial(self._nearest, source)
            context = source.context(settings.first_context, near, seed, taken=taken, among=among)
            shown = self._fit.table(self._coding.encode(train))
            return source.prompts(shown, context, settings.prompts_needed(count), first=rounds.first())

        return rounds.sample(prompts, n, seed=seed, directory=directory)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text, all behind one and the same context.

        The context shows no row that anyone asks about, so that members, non-members and synthetic rows differ in
        nothing but themselves: in a list of rows it shows none, in an instruction rows of the validation part.
        Columns stand in the schema's order. (n,), nats per token, the end included. A value that no training row has
        is scored by its text as any other; as a quantile code, by that of the nearest training value.
        """
        return np.array([tokens.mean() for tokens in self._scored(self._tuned, rows, "perplexity")])

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of the texts that `nll` scores: (tokens,) a row, nats.

        `base`: under the model without the adapter, loaded for this call; the tuned one gives way to it, and is
        loaded anew when it is next needed.
        """
        if not base:
            return self._scored(self._tuned, rows, "likelihood")
        self.unload()
        return self._scored(self._narrowed(self.llm.load()[0]), rows, "likelihood")

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        """The rows of each one's sampling prompt, (n, k); None where no real row is shown."""
        settings = self.checked()[0]
        if settings.context in ("synthetic", "none"):
            return None
        prompts = read_prompts(prepared / "sample.jsonl")
        rows = [prompts[settings.prompt_of(row)].rows for row in range(n)]
        return np.array(rows, dtype=np.int64).reshape(n, -1)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """All, where each is learnt or shown; else the answers, or the rows around which lists were made.

        Neighbours are learnt, too, but they are no random part of the table: rows in dense places are neighbours of
        many. Told from unseen rows they would seem to leak where nothing does.
        """
        prompts = subset(read_prompts(prepared / "train.jsonl"), Tuning(**self.tuning).max_examples, seed)
        if len({row for prompt in prompts for row in (*prompt.learnt_rows, *prompt.rows)}) == rows:
            return np.arange(rows)
        drawn = {row for prompt in prompts for row in _drawn(prompt)}
        return np.array(sorted(drawn), dtype=np.int64)

    def unload(self) -> None:
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def checked(self, schema: Schema | None = None) -> tuple[Sampling, Tuning]:
        """The settings of sampling and tuning. Raises ConfigError if a setting is invalid, with this schema."""
        check_fields(self, "generator")
        settings, tuning = Sampling(**self.sampling), Tuning(**self.tuning)
        settings.check()
        tuning.check()
        if settings.backend == "vllm":
            check_backend(self.llm)
        if schema is not None:
            orders, form = self._orders(schema), self._form(schema)
            if orders.permutation == "row" and (self._lists or not form.names_columns):
                problem = "rows of a list, and rows that do not name their columns, have them in one order"
                raise ConfigError("generator.permutation", self.permutation, problem, "generator.permutation=prompt")
            if settings.backend == "vllm" and settings.mode != "reject":
                check_schema(schema, Chat(self.llm.tokenizer()).marks)
        return settings, tuning

    @property
    def _metric(self) -> Metric:
        return self.neighbors.get("metric", "mixed")

    @property
    def _lists(self) -> bool:
        """Whether prompts are lists of rows."""
        return self.supervision == "rows"

    @property
    def _tuned(self) -> PreTrainedModel:
        """The model with its adapter, speaking in the tokens that it was tuned with."""
        if self._model is None:
            self._model = self._narrowed(load_tuned(self.llm, self._adapter)[0])
        return self._model

    def _narrowed(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model with an output for the tokens that it was tuned with alone."""
        if self._vocabulary is not None:
            self._vocabulary.narrow(model)
        return model

    def _form(self, schema: Schema) -> RowFormat:
        return row_format(self.row_format, schema)

    def _orders(self, schema: Schema) -> ColumnOrders:
        return ColumnOrders.of(schema, self.permutation, self.target)

    def _codes(self, train: Table) -> Coding:
        return Coding.of(train, self.numbers, self.categories)

    def _source(
        self, schema: Schema, settings: Sampling, k: int, wanted: int, learnt: NDArray[np.int64]
    ) -> PromptSource:
        """Sampling prompts for tables of this schema, where tuning shows k rows of the wanted ones.

        `learnt` are the rows to show.
        """
        shown = settings.rows_shown(k)
        return PromptSource(
            self._form(schema), self._orders(schema), shown, wanted, self._metric, self._lists, learnt, settings.pool
        )

    def _kept_back(self, rows: int) -> NDArray[np.int64]:
        """The training rows that are neither learnt nor shown, but validated on."""
        path = self._prepared / "validation.jsonl"
        told = read_prompts(path) if path.is_file() else []
        return np.array(sorted(row for prompt in told for row in prompt.learnt_rows), dtype=np.int64)

    def _nearest(self, source: PromptSource) -> NDArray[np.int64]:
        """The neighbours of every training row, as for the tuning prompts."""
        train, rows = self._splits.train, source.rows
        return Neighborhoods.of(
            train, k=int(self.neighbors["k"]), metric=self._metric, filter=False, threshold=0, seed=0, pool=source.pool,
            rows=rows if len(rows) < len(train) else None,
        ).nearest  # fmt: skip

    def _rounds(self, conditions: Conditions) -> Rounds:
        """What draws rows."""
        settings, _ = self.checked(self._splits.schema)
        train = self._splits.train
        schema = self._fit.schema(self._coding.coded)
        learnt = np.setdiff1d(np.arange(len(train)), self._kept_back(len(train)))
        source = self._source(schema, settings, self._fit.k, self._fit.wanted, learnt)
        return Rounds(
            train=train, fit=self._fit, chat=self._chat, coding=self._coding, source=source, settings=settings,
            decoder=lambda: self._decoder(settings), conditions=conditions,
        )  # fmt: skip

    def _decoder(self, settings: Sampling) -> tuple[Decodes, int]:
        """Who decodes, and the longest prompt with answer, tokens."""
        longest = settings.max_new_tokens or self._longest_row()
        end = self._chat.ends(self._lists)
        how = (end, settings.temperature, longest, settings.batch_tokens)
        if settings.backend == "vllm":
            served = VLLMDecoder(self.llm, self._adapter, *how, document=self._lists)
            return served, served.context()
        return Decoder(self._tuned, *how, vocabulary=self._vocabulary), self.llm.max_tokens(self._tuned.config)

    def _longest_row(self) -> int:
        """Room for a row, in tokens, from the rows that were learnt."""
        prompts = read_prompts(self._prepared / "train.jsonl")
        rows = [part.text for prompt in prompts for part in prompt.parts if part.learnt]
        return answer_room(max(map(len, self._chat.rows(rows, document=self._lists))))

    def _scored(self, model: PreTrainedModel, rows: pd.DataFrame, stage: str) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of each row's text: (tokens,) a row, nats."""
        from harmonic.tuning.scoring import answer_token_nll

        table = self._fit.table(self._coding.encode(to_score(self._splits, rows)))
        form = self._form(table.schema)
        texts = RowTexts(table, form).render(np.arange(len(rows)))
        context, _ = self._chat.encode([self._scoring_prompt(form)])[0]
        answers = self._chat.rows(texts, document=self._lists)
        return answer_token_nll(model, context, answers, stage=stage, vocabulary=self._vocabulary)

    def _scoring_prompt(self, form: RowFormat) -> Prompt:
        """The context of every score: no rows in a list; in an instruction rows that nobody scores."""
        order = tuple(range(len(form.schema.columns)))
        if self._lists:
            return row_list(form, [], [], order)
        spare = self._splits.val
        rows = np.arange(min(self._fit.k, len(spare)))
        table = self._fit.table(self._coding.encode(spare))
        shown = [(text, None, order) for text in RowTexts(table, form).render(rows)] if len(rows) else []
        return question(form, shown, None, order)


def _drawn(prompt: Prompt) -> tuple[int, ...]:
    """The rows that a tuning prompt was made for: they were drawn at random from the training rows."""
    return prompt.learnt_rows if prompt.center is None else (prompt.center,)
