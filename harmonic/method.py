"""The HARMONIC generator (Wang et al., NeurIPS 2024, arXiv 2408.02927): neighbours, prompts, tuning, sampling.

An ablation is a configuration of this class: conf/generator/harmonic_no_knn.yaml and its like.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.decoding.decoder import Decoder
from harmonic.decoding.sampler import Decodes, Sampler
from harmonic.decoding.settings import Sampling
from harmonic.decoding.vllm_decoder import VLLMDecoder, check_backend, check_schema
from harmonic.errors import ConfigError
from harmonic.generator import LanguageGenerator, Sample
from harmonic.llm import LanguageModel
from harmonic.prompts.chat import Dialogue
from harmonic.prompts.fitting import Form, Gauge, PromptSets, answer_room, choose_form
from harmonic.prompts.neighbors import Metric, check_neighbors
from harmonic.prompts.prompt_sets import Prompt, read_prompts, sampling_prompts, training_prompts, write_prompts
from harmonic.prompts.row_json import RowTexts
from harmonic.tables.conditions import Conditions, described, renamed, satisfying
from harmonic.tables.table import Schema, Splits, Table
from harmonic.tuning.lora import Tuning, load_tuned, tune

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_FEW = 4  # times the examples of a prompt: fewer rows to choose from stand in more than a quarter of the prompts


@dataclass(kw_only=True)
class HarmonicGenerator(LanguageGenerator):
    """Learns rows from prompts of similar rows, and draws new ones from prompts of random rows.

    neighbors: {"k": examples a prompt, "metric": "mixed", "reference" or "random"}. filter and
    filter_threshold: keep a tuning example only if more than that many neighbours share its label
    (classification; regression is never filtered). permutation: shuffle each row's columns. aliases: short column
    names in prompts, true, false, or "auto": where names are long or the prompts would be.
    """

    takes_gaps: ClassVar[bool] = True

    llm: LanguageModel
    neighbors: dict[str, Any]
    filter: bool = True
    filter_threshold: int = 2
    permutation: bool = True
    aliases: bool | str = False
    tuning: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Write train.jsonl and sample.jsonl into `directory`, {"prompt", "completion"} a line, and form.json.

        Raises ConfigError where a prompt with a single example is longer than the model's context.
        """
        room = self._settings(splits.schema).max_new_tokens  # and its errors, before anything is tuned
        k = int(self.neighbors["k"])
        check_neighbors(len(splits.train), k, self._metric)

        def build(table: Table, shown: int) -> PromptSets:
            train = training_prompts(
                table, k=k, metric=self._metric, filter=self.filter and table.schema.task.is_classification,
                threshold=self.filter_threshold, permutation=self.permutation, seed=seed, shown=shown,
            )  # fmt: skip
            return train, self._ask(table, train, n, Form(k=shown, wanted=k), seed)

        gauge = Gauge.of(self.llm, room)
        form, (train, ask) = choose_form(build, splits.train, k=k, aliases=self.aliases, gauge=gauge)
        write_prompts(train, directory / "train.jsonl")
        write_prompts(ask, directory / "sample.jsonl")
        form.write(directory)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Tune on train.jsonl; write adapter/ and history.json into `directory`."""
        examples = read_prompts(prepared / "train.jsonl")
        settings = Tuning(**self.tuning)
        return tune(self.llm, examples, settings, seed=seed, directory=directory, stage="fit", history=self.history)

    def estimate(self, splits: Splits, n: int, *, prepared: Path) -> list[str]:
        """The prompts' form; tokens, time and memory of tuning and sampling (harmonic.estimate)."""
        from harmonic.estimate import estimate

        form = Form.read(prepared, int(self.neighbors["k"]))
        with (prepared / "train.jsonl").open("rb") as lines:
            examples = sum(1 for _ in lines)
        try:
            found = estimate(self.llm, form, examples, n, Tuning(**self.tuning), self._settings())
        except ConfigError as error:
            found = [f"no estimate: {error}"]
        return [form.note(), *found]

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where the adapter is; the model is loaded, and the adapter merged, when it is first needed."""
        self._splits, self._prepared, self._adapter = splits, prepared, directory / "adapter"
        self._form = Form.read(prepared, int(self.neighbors["k"]))
        self._dialogue = Dialogue(self.llm.tokenizer())
        self._model: PreTrainedModel | None = None

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask the prompts of sample.jsonl in order, `sampling.rows_per_prompt` rows from each."""
        return self._sample(read_prompts(self._prepared / "sample.jsonl"), n, seed=seed, directory=directory)

    def draw(self, n: int, *, seed: int, directory: Path, conditions: Conditions, budget: int | None = None) -> Sample:
        """The same from new prompts, with every row held to the conditions in decoding; no budget is needed.

        Prompts show training rows that satisfy the conditions, as far as there are any. A constrained row begins
        with the columns of the conditions; without permutation, the columns before them do not know of them.
        """
        shown = self._form.table(self._splits.train)
        among = np.flatnonzero(satisfying(self._splits.train.frame, conditions)) if conditions else None
        if among is not None and len(among) < _FEW * self._form.k:
            told = "%d training rows satisfy %s: prompts show them over and over, and new rows may come close to them"
            logger.warning(told, len(among), described(conditions))
        taken = read_prompts(self._prepared / "train.jsonl")
        prompts = self._ask(shown, taken, self._settings().prompts_needed(n), self._form, seed, among)
        return self._sample(prompts, n, seed=seed, directory=directory, conditions=conditions)

    def _ask(
        self, table: Table, taken: list[Prompt], n: int, form: Form, seed: int,
        among: NDArray[np.int64] | None = None,
    ) -> list[Prompt]:  # fmt: skip
        """N sampling prompts that are no tuning prompts. `among`: rows to show before any others."""
        # Of a single row nearly all are shown by some tuning prompt: the few others would be the odd ones out.
        exclude = taken if form.k > 1 or form.wanted == 1 else []
        return sampling_prompts(
            table, k=form.k, n=n, permutation=self.permutation, seed=seed, exclude=exclude, metric=self._metric,
            among=among,
        )  # fmt: skip

    def _sample(
        self, prompts: list[Prompt], n: int, *, seed: int, directory: Path, conditions: Conditions | None = None
    ) -> Sample:
        settings = self._settings(self._splits.schema)
        decoder, context = self._decoder(settings)
        sampler = Sampler(
            decoder=decoder,
            dialogue=self._dialogue,
            schema=self._form.schema(self._splits.schema),
            settings=settings,
            permutation=self.permutation,
            context=context,
            conditions=renamed(conditions or {}, self._form.aliases),
        )
        try:
            sample = sampler.sample(prompts, n, seed=seed, directory=directory)
        finally:
            decoder.close()
        return Sample(self._form.restore(sample.frame), sample.validity)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text as the answer to one and the same sampling prompt.

        All rows share the first sampling prompt, so that members, non-members and synthetic rows differ in
        nothing but themselves; columns stand in the schema's order. (n,), nats per token, the end included.
        """
        from harmonic.tuning.scoring import answer_nll

        return answer_nll(self._tuned, *self._as_answers(rows), stage="perplexity")

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of the texts that `nll` scores: (tokens,) a row, nats.

        `base`: under the model without the adapter, loaded for this call; the tuned one gives way to it, and is
        loaded anew when it is next needed.
        """
        from harmonic.tuning.scoring import answer_token_nll

        if base:
            self.unload()
        model = self.llm.load()[0] if base else self._tuned
        return answer_token_nll(model, *self._as_answers(rows), stage="likelihood")

    def shown(self, n: int, *, prepared: Path) -> NDArray[np.int64] | None:
        """The k rows of each one's sampling prompt."""
        prompts, settings = read_prompts(prepared / "sample.jsonl"), self._settings()
        rows = [prompts[settings.prompt_of(row)].rows for row in range(n)]
        return np.array(rows, dtype=np.int64).reshape(n, -1)

    def _as_answers(self, rows: pd.DataFrame) -> tuple[list[int], list[list[int]]]:
        """Token ids of the first sampling prompt, and of each row's text."""
        schema = self._splits.schema
        context = self._dialogue.prompts([read_prompts(self._prepared / "sample.jsonl")[0].prompt])[0]
        table = self._form.table(Table(schema.conform(rows), schema))
        texts = RowTexts(table).render(np.arange(len(rows)))
        return context, self._dialogue.completions(texts)

    def unload(self) -> None:
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _metric(self) -> Metric:
        return self.neighbors.get("metric", "mixed")

    @property
    def _tuned(self) -> PreTrainedModel:
        """The model with its adapter."""
        if self._model is None:
            self._model, _ = load_tuned(self.llm, self._adapter)
        return self._model

    def _settings(self, schema: Schema | None = None) -> Sampling:
        """The settings of sampling. Raises ConfigError for what cannot be, with a table of this schema."""
        settings = Sampling(**self.sampling)
        settings.check()
        if settings.backend == "vllm":
            check_backend(self.llm)
            if schema is not None and settings.mode != "reject":
                check_schema(schema, Dialogue(self.llm.tokenizer()).marks)
        return settings

    def _decoder(self, settings: Sampling) -> tuple[Decodes, int]:
        """Who decodes, and the longest prompt with answer, tokens."""
        longest = settings.max_new_tokens or self._longest_answer()
        how = (self._dialogue.end, settings.temperature, longest, settings.batch_tokens)
        if settings.backend == "vllm":
            served = VLLMDecoder(self.llm, self._adapter, *how)
            return served, served.context()
        return Decoder(self._tuned, *how), self.llm.max_tokens(self._tuned.config)

    def _longest_answer(self) -> int:
        """Room for an answer, in tokens, from the answers that were learnt."""
        examples: list[Prompt] = read_prompts(self._prepared / "train.jsonl")
        answers = self._dialogue.completions([example.completion for example in examples])
        return answer_room(max(map(len, answers)))
