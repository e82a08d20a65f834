"""The HARMONIC generator (Wang et al., NeurIPS 2024, arXiv 2408.02927): neighbours, prompts, tuning, sampling.

An ablation is a configuration of this class: conf/generator/harmonic_no_knn.yaml and its like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.decoding import Decoder
from harmonic.dialogue import Dialogue
from harmonic.generator import LanguageGenerator, Sample
from harmonic.llm import LanguageModel
from harmonic.neighbors import Metric
from harmonic.prompts import Prompt, RowTexts, read_prompts, sampling_prompts, training_prompts, write_prompts
from harmonic.sampling import Decodes, Sampler, Sampling
from harmonic.table import Splits, Table
from harmonic.tuning import Tuning, load_tuned, tune
from harmonic.vllm_decoding import VLLMDecoder, check_backend

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ANSWER_SLACK = 1.25  # an answer may be this much longer than the longest one in training


@dataclass(kw_only=True)
class HarmonicGenerator(LanguageGenerator):
    """Learns rows from prompts of similar rows, and draws new ones from prompts of random rows.

    neighbors: {"k": examples a prompt, "metric": "mixed", "reference" or "random"}. filter and
    filter_threshold: keep a tuning example only if more than that many neighbours share its label
    (classification; regression is never filtered). permutation: shuffle each row's columns.
    """

    takes_gaps: ClassVar[bool] = True

    llm: LanguageModel
    neighbors: dict[str, Any]
    filter: bool = True
    filter_threshold: int = 2
    permutation: bool = True
    tuning: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Write train.jsonl and sample.jsonl into `directory`, {"prompt", "completion"} a line."""
        self._settings()  # for its errors, before anything is tuned
        k, metric = int(self.neighbors["k"]), self._metric
        filtered = self.filter and splits.schema.task.is_classification
        train = training_prompts(
            splits.train, k=k, metric=metric, filter=filtered, threshold=self.filter_threshold,
            permutation=self.permutation, seed=seed,
        )  # fmt: skip
        ask = sampling_prompts(
            splits.train, k=k, n=n, permutation=self.permutation, seed=seed, exclude=train, metric=metric
        )
        write_prompts(train, directory / "train.jsonl")
        write_prompts(ask, directory / "sample.jsonl")

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Tune on train.jsonl; write adapter/ and history.json into `directory`."""
        examples = read_prompts(prepared / "train.jsonl")
        settings = Tuning(**self.tuning)
        return tune(self.llm, examples, settings, seed=seed, directory=directory, stage="fit", history=self.history)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where the adapter is; the model is loaded, and the adapter merged, when it is first needed."""
        self._splits, self._prepared, self._adapter = splits, prepared, directory / "adapter"
        self._dialogue = Dialogue(self.llm.tokenizer())
        self._model: PreTrainedModel | None = None

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask the prompts of sample.jsonl in order, `sampling.rows_per_prompt` rows from each."""
        prompts = read_prompts(self._prepared / "sample.jsonl")
        settings = self._settings()
        decoder, context = self._decoder(settings)
        sampler = Sampler(
            decoder=decoder,
            dialogue=self._dialogue,
            schema=self._splits.schema,
            settings=settings,
            permutation=self.permutation,
            context=context,
        )
        try:
            return sampler.sample(prompts, n, seed=seed, directory=directory)
        finally:
            decoder.close()

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text as the answer to one and the same sampling prompt.

        All rows share the first sampling prompt, so that members, non-members and synthetic rows differ in
        nothing but themselves; columns stand in the schema's order. (n,), nats per token, the end included.
        """
        from harmonic.scoring import answer_nll

        return answer_nll(self._tuned, *self._as_answers(rows), stage="perplexity")

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of the texts that `nll` scores: (tokens,) a row, nats.

        `base`: under the model without the adapter, loaded for this call; the tuned one gives way to it, and is
        loaded anew when it is next needed.
        """
        from harmonic.scoring import answer_token_nll

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
        texts = RowTexts(Table(schema.conform(rows), schema)).render(np.arange(len(rows)))
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

    def _settings(self) -> Sampling:
        """The settings of sampling. Raises ConfigError for what cannot be."""
        settings = Sampling(**self.sampling)
        settings.check()
        if settings.backend == "vllm":
            check_backend(self.llm)
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
        return int(max(map(len, answers)) * _ANSWER_SLACK) + 1
