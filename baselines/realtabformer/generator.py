"""REaLTabFormer: a GPT-2 trained from scratch on rows, with one token per digit and one per category.

Solatorio, Dupriez 2023, arXiv 2302.02041. Code: realtabformer, MIT; its encoding and its training are used unchanged,
with its stopping rule (the paper's Q_δ statistic): every n_critic epochs, samples are compared with training rows, and
training ends if they are too near. The threshold comes from num_bootstrap resamples. The model is its own
GPT2Config(n_layer=6), not the run's `llm`.

Differences from realtabformer 0.2.4:
- transformers 5 has no overwrite_output_dir (and no evaluation_strategy) in TrainingArguments: both are removed from
the library's arguments before it trains.
- Without the stopping rule (n_critic 0) no checkpoint is written; with it, only that of the last epoch is kept. They
are in the run's folder, and are deleted after training.
- Numbers and categories are read by the schema. The library repairs a number with two points, and removes leading zeros
  from a category that looks like an integer.
- Sampling ends when the time is over or batches stay empty, with the reasons.
The trained model is stored as safetensors and the vocabulary as JSON, not in the library's own file, a torch pickle.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from baselines.device import resolved_device
from baselines.foreign_training import muted, read_learnt
from baselines.realtabformer.encoding import RowTokens
from baselines.realtabformer.training import RealTabFormerTuning, train
from baselines.sampling_budget import OUT_OF_TIME, Budget, draw_rows
from harmonic.errors import ConfigError
from harmonic.generators.base import LanguageGenerator, Sample, Versions
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.randomness import derive, seeded
from harmonic.settings import Fields, Positive
from harmonic.tables.splits import Splits
from harmonic.tables.training_view import to_score
from harmonic.tuning.lora import free_memory

logger = logging.getLogger(__name__)

_ADVICE = "tune longer (generator.tuning.epochs), or raise generator.sampling.seconds"


@dataclass(frozen=True, kw_only=True)
class RealTabFormerSampling(Budget):
    """Settings of sampling: each token is drawn from those of its column."""

    temperature: Positive = 1.0


@dataclass(kw_only=True)
class RealTabFormerGenerator(LanguageGenerator):
    """REaLTabFormer.

    tuning: see RealTabFormerTuning; sampling: see RealTabFormerSampling; device: see baselines/device.py.
    """

    versions: ClassVar[Versions] = Versions(fit=2)

    tuning: Annotated[dict[str, Any], Fields(RealTabFormerTuning)] = field(default_factory=dict)
    sampling: Annotated[dict[str, Any], Fields(RealTabFormerSampling)] = field(default_factory=dict)
    device: str = "auto"

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train, and write what baselines.realtabformer.training.train describes; returns its facts.

        Raises ConfigError if a setting is invalid, or if realtabformer is missing.
        """
        settings = RealTabFormerTuning(**self.tuning)
        settings.check()
        self._checked_sampling()
        device = resolved_device(self.device)
        return train(splits.train, settings, device=device, seed=seed, directory=directory, history=self.history)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read the vocabulary. The model is loaded when it is first needed; realtabformer itself is not needed."""
        self._tokens = RowTokens(**json.loads((directory / "vocabulary.json").read_text(encoding="utf-8")))
        self._splits, self._directory = splits, directory
        self._model: Any = None

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask until there are n rows. Raises SamplingError if the budget is used up before (see `draw_rows`)."""
        settings = self._checked_sampling()

        def ask(size: int, seed: int, deadline: float) -> list[dict[str, Any] | InvalidAnswer]:
            with muted(), seeded(derive(seed, "realtabformer", "sample")):
                return [self._row(ids) for ids in self._answers(settings, size, deadline)]

        return draw_rows(ask, n, self._splits.schema, settings, seed=seed, directory=directory, advice=_ADVICE)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's tokens after the start token: (n,), nats per token, with the end.

        A digit or category that no training row has at its place is scored as the library encodes it, by the token
        [UNK], which the model has never seen and finds unlikely. The value is always finite, and a warning is given.
        """
        return np.array([tokens.mean() for tokens in self._score(rows, "perplexity")], dtype=np.float64)

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]] | None:
        """Negative log-likelihood of each token that `nll` scores: (tokens,) a row, nats.

        None for `base`: the model is trained from scratch.
        """
        return None if base else self._score(rows, "likelihood")

    def _score(self, rows: pd.DataFrame, stage: str) -> list[NDArray[np.float64]]:
        from harmonic.tuning.scoring import answer_token_nll

        ids = self._tokens.encode(to_score(self._splits, rows))
        strange = sum(self._tokens.unknown in row for row in ids)
        if strange:
            logger.warning("%d of %d rows hold values that no training row has: scored as [UNK]", strange, len(ids))
        return answer_token_nll(self._trained, [self._tokens.start], ids, stage=stage)

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """The rows of all batches. With max_steps, these may not be all training rows.

        The other rows still influence which digits and categories each place may have.
        """
        return read_learnt(directory)

    def unload(self) -> None:
        self._model = None
        free_memory()

    @property
    def _trained(self) -> Any:
        from transformers import GPT2LMHeadModel

        if self._model is None:
            with muted():
                model = GPT2LMHeadModel.from_pretrained(self._directory / "model", use_safetensors=True)
            self._model = model.to(resolved_device(self.device)).eval()
        return self._model

    def _answers(self, settings: RealTabFormerSampling, size: int, deadline: float) -> list[list[int]]:
        """The ids of each answer, without start and end; shorter ones if the time is over."""
        import torch

        tokens, model = self._tokens, self._trained
        written = model.generate(
            inputs=torch.tensor([[tokens.start]], device=model.device),
            num_return_sequences=size,
            do_sample=True,
            temperature=settings.temperature,
            max_length=len(tokens.processed) + 2,
            prefix_allowed_tokens_fn=lambda _, ids: tokens.next(len(ids)),
            bos_token_id=tokens.start,
            eos_token_id=tokens.end,
            pad_token_id=tokens.padding,
            max_time=max(deadline - time.monotonic(), 0.0),
        )
        return written[:, 1 : len(tokens.processed) + 1].tolist()

    def _row(self, ids: list[int]) -> dict[str, Any] | InvalidAnswer:
        if len(ids) < len(self._tokens.processed):
            return InvalidAnswer(OUT_OF_TIME)
        try:
            return self._tokens.decode(ids, self._splits.schema)
        except InvalidAnswer as reason:
            return reason

    def _checked_sampling(self) -> RealTabFormerSampling:
        settings = RealTabFormerSampling(**self.sampling)
        settings.check()
        if not settings.temperature > 0:
            key = "generator.sampling.temperature"
            raise ConfigError(key, settings.temperature, "must be above 0", f"{key}=1")
        return settings
