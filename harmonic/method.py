"""The HARMONIC generator (Wang et al., NeurIPS 2024, arXiv 2408.02927): neighbours, prompts, tuning, sampling.

An ablation is a configuration of this class: conf/generator/harmonic_no_knn.yaml and its like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.dialogue import Dialogue
from harmonic.generator import LanguageGenerator, Sample
from harmonic.llm import LanguageModel
from harmonic.neighbors import Metric
from harmonic.prompts import Prompt, RowTexts, read_prompts, sampling_prompts, training_prompts, write_prompts
from harmonic.sampling import Sampler, Sampling
from harmonic.table import Splits, Table
from harmonic.tuning import Tuning, load_tuned, tune

if TYPE_CHECKING:
    from harmonic.decoding import Decoder

_ANSWER_SLACK = 1.25  # an answer may be this much longer than the longest one in training


@dataclass(kw_only=True)
class HarmonicGenerator(LanguageGenerator):
    """Learns rows from prompts of similar rows, and draws new ones from prompts of random rows.

    neighbors: {"k": examples a prompt, "metric": "mixed", "reference" or "random"}. filter and
    filter_threshold: keep a tuning example only if more than that many neighbours share its label
    (classification; regression is never filtered). permutation: shuffle each row's columns.
    """

    llm: LanguageModel
    neighbors: dict[str, Any]
    filter: bool = True
    filter_threshold: int = 2
    permutation: bool = True
    tuning: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)

    def prepare(self, splits: Splits, n: int, *, seed: int, directory: Path) -> None:
        """Write train.jsonl and sample.jsonl into `directory`, {"prompt", "completion"} a line."""
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
        """Load the tuned model, merged."""
        self._model, tokenizer = load_tuned(self.llm, directory / "adapter")
        self._splits, self._prepared, self._dialogue = splits, prepared, Dialogue(tokenizer)

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask the prompts of sample.jsonl in order, `sampling.rows_per_prompt` rows from each."""
        prompts = read_prompts(self._prepared / "sample.jsonl")
        settings = Sampling(**self.sampling)
        settings.check()
        sampler = Sampler(
            decoder=self._decoder(settings),
            dialogue=self._dialogue,
            schema=self._splits.schema,
            settings=settings,
            permutation=self.permutation,
            context=self.llm.max_tokens(self._model.config),
            bytes_per_token=cache_bytes_per_token(self._model),
        )
        return sampler.sample(prompts, n, seed=seed, directory=directory)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text as the answer to one and the same sampling prompt.

        All rows share the first sampling prompt, so that members, non-members and synthetic rows differ in
        nothing but themselves; columns stand in the schema's order. (n,), nats per token, the end included.
        """
        from harmonic.scoring import answer_nll

        schema = self._splits.schema
        context = self._dialogue.prompts([read_prompts(self._prepared / "sample.jsonl")[0].prompt])[0]
        texts = RowTexts(Table(schema.conform(rows), schema)).render(np.arange(len(rows)))
        return answer_nll(self._model, context, self._dialogue.completions(texts), stage="perplexity")

    def unload(self) -> None:
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _metric(self) -> Metric:
        return self.neighbors.get("metric", "mixed")

    def _decoder(self, settings: Sampling) -> Decoder:
        from harmonic.decoding import Decoder

        longest = settings.max_new_tokens or self._longest_answer()
        return Decoder(self._model, self._dialogue.end, settings.temperature, longest)

    def _longest_answer(self) -> int:
        """Room for an answer, in tokens, from the answers that were learnt."""
        examples: list[Prompt] = read_prompts(self._prepared / "train.jsonl")
        answers = self._dialogue.completions([example.completion for example in examples])
        return int(max(map(len, answers)) * _ANSWER_SLACK) + 1


def cache_bytes_per_token(model: Any) -> int:
    """What one token takes in the key-value cache, bytes."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)
