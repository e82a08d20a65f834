"""GReaT: a language model tuned on rows as sentences, "Age is 27.0, Outcome is 0", its columns in random order.

Borisov, Seßler, Leemann, Pawelczyk, Kasneci, ICLR 2023, arXiv 2210.06280. Code: be-great, MIT; its dataset (which
shuffles and writes the columns), collator, trainer and sampler of first values are used, arranged as its `GReaT` does.

Differences from be-great 0.0.14:
- The model comes from the run's `llm`. All weights are trained, in float32 with autocast (be-great: in their own type,
  where small steps are lost), or a LoRA adapter on the llm's `target_modules` (be-great: two of them).
- An answer starts with a value of the target, drawn by its share (one of the paper's preconditionings). In be-great the
  column is the random one of the last epoch, and a float has five decimals, which no training text has.
- Texts are read by the schema: an answer with an unknown category is rejected (be-great accepts it), and names and
  categories may contain commas. A row is complete when it has all its columns; be-great's texts have no end, so a model
  continues to write.
- Sampling ends when the time is over or batches stay empty, with the reasons. be-great prints advice and returns the
  rows so far.
The same as in be-great: the loss counts padding, and transformers' default top_k of 50 applies besides the temperature.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from baselines.foreign_training import muted, read_learnt
from baselines.great.row_text import RowReader, row_texts
from baselines.great.training import GreatTuning, be_great, load_trained, longest_row, prepared_tokenizer, train
from baselines.sampling_budget import OUT_OF_TIME, Budget, draw_rows
from harmonic.generators.base import LanguageGenerator, Sample, Versions
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.randomness import derive, seeded
from harmonic.settings import Count, Fields, NotNegative
from harmonic.tables.splits import Splits
from harmonic.tables.training_view import to_score
from harmonic.tuning.lora import free_memory

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROOM = 1.25  # an answer may be this much longer than the longest training text
_CHECK_EVERY = 4  # tokens between two checks whether an answer is a complete row
_ADVICE = (
    "tune longer (generator.tuning.epochs, generator.tuning.learning_rate), lower generator.sampling.temperature, "
    "or raise generator.sampling.seconds"
)


@dataclass(frozen=True, kw_only=True)
class GreatSampling(Budget):
    """Settings of sampling. max_new_tokens: of an answer (None: a quarter more than the longest training text)."""

    temperature: NotNegative = 0.7
    max_new_tokens: Count | None = None


@dataclass(kw_only=True)
class GreatGenerator(LanguageGenerator):
    """GReaT on `llm`. tuning: see GreatTuning; sampling: see GreatSampling."""

    versions: ClassVar[Versions] = Versions(fit=2)

    llm: LanguageModel
    tuning: Annotated[dict[str, Any], Fields(GreatTuning)] = field(default_factory=dict)
    sampling: Annotated[dict[str, Any], Fields(GreatSampling)] = field(default_factory=dict)

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train, and write what baselines.great.training.train describes; returns its facts.

        Raises ConfigError if a setting is invalid, if rows are too long, or if be-great is missing.
        """
        be_great()  # raises the error if it is missing
        settings = GreatTuning(**self.tuning)
        settings.check(self.llm)
        GreatSampling(**self.sampling).check()
        return train(self.llm, splits.train, settings, seed=seed, directory=directory, history=self.history)

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Remember where the trained model is; it is loaded when it is first needed."""
        be_great()  # raises the error if it is missing
        self._splits, self._directory, self._tokenizer = splits, directory, prepared_tokenizer(self.llm)
        self._model: PreTrainedModel | None = None

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Ask until there are n rows. Raises SamplingError if the budget is used up before (see `draw_rows`)."""
        settings = GreatSampling(**self.sampling)
        reader, model = RowReader(self._splits.schema), self._trained  # loaded before the clock starts

        def ask(size: int, seed: int, deadline: float) -> list[dict[str, Any] | InvalidAnswer]:
            with muted(), seeded(derive(seed, "great", "sample")):
                return self._answers(model, reader, settings, size, deadline)

        schema = self._splits.schema
        return draw_rows(ask, n, schema, settings, seed=seed, directory=directory, advice=_ADVICE)

    def nll(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Mean negative log-likelihood of each row's text behind its first token, columns in the schema's order.

        (n,), nats per token: the model's loss for the text. As in training, the texts have no end token. Any number and
        any category has a text, even if no training row has it, so the value is finite.
        """
        found = self._score(self._trained, rows, "perplexity")
        return np.array([tokens.mean() for tokens in found], dtype=np.float64)

    def token_nll(self, rows: pd.DataFrame, *, base: bool = False) -> list[NDArray[np.float64]]:
        """Negative log-likelihood of each token of the texts that `nll` scores: (tokens,) a row, nats.

        base: under the llm before training, which is loaded for this call; the trained model is loaded again when it is
        next needed.
        """
        if base:
            self.unload()
        return self._score(self.llm.load()[0] if base else self._trained, rows, "likelihood")

    def learnt_rows(self, rows: int, *, seed: int, prepared: Path, directory: Path) -> NDArray[np.int64]:
        """The rows of all batches. With max_steps, or epochs below 1, these may not be all training rows.

        The other rows still influence the target's shares, from which answers start, and the longest text.
        """
        return read_learnt(directory)

    def unload(self) -> None:
        self._model = None
        free_memory()

    @property
    def _trained(self) -> PreTrainedModel:
        if self._model is None:
            self._model = load_trained(self.llm, self._directory)
        return self._model

    def _score(self, model: PreTrainedModel, rows: pd.DataFrame, stage: str) -> list[NDArray[np.float64]]:
        from harmonic.tuning.scoring import pairs_token_nll

        texts = row_texts(to_score(self._splits, rows))
        ids = self._tokenizer(texts)["input_ids"] if texts else []
        return pairs_token_nll(model, [row[:1] for row in ids], [row[1:] for row in ids], stage=stage)

    def _answers(
        self, model: PreTrainedModel, reader: RowReader, settings: GreatSampling, size: int, deadline: float
    ) -> list[dict[str, Any] | InvalidAnswer]:
        """A row or an error for each answer."""
        import torch

        starts = torch.tensor(self._starts(size), device=model.device)
        answers = _Answers(reader, self._tokenizer, starts)
        written = model.generate(
            input_ids=starts,
            attention_mask=(starts != self._tokenizer.pad_token_id).long(),
            max_new_tokens=settings.max_new_tokens or int(longest_row(self._directory) * _ROOM) + 1,
            do_sample=settings.temperature > 0,
            temperature=settings.temperature or None,
            pad_token_id=self._tokenizer.pad_token_id,
            eos_token_id=self._tokenizer.eos_token_id,
            stopping_criteria=[answers.stop_when_whole()],
            max_time=max(deadline - time.monotonic(), 0.0),
        )
        return answers.read(written.tolist(), late=time.monotonic() > deadline)

    def _starts(self, size: int) -> Sequence[Sequence[int]]:
        """The start tokens of be-great, padded on the left: the target with a value drawn by its share."""
        schema = self._splits.schema
        shares = self._splits.train.texts()[schema.target].str.strip().value_counts(normalize=True).to_dict()
        start = be_great().CategoricalStart(self._tokenizer, schema.target, shares)
        return list(start.get_start_tokens(size))


class _Answers:
    """Reads the texts written after starts that are padded on the left, (answers, tokens)."""

    def __init__(self, reader: RowReader, tokenizer: PreTrainedTokenizerBase, starts: torch.Tensor) -> None:
        self.reader, self.tokenizer, self.width = reader, tokenizer, starts.shape[1]
        self.padding = (starts == tokenizer.pad_token_id).sum(dim=1).tolist()

    def texts(self, written: list[list[int]]) -> list[tuple[str, bool]]:
        """The text of each answer, with its start, and whether the model ended it."""
        end, found = self.tokenizer.eos_token_id, []
        for ids, padding in zip(written, self.padding, strict=True):
            ended = end in ids[self.width :]
            kept = ids[padding : ids.index(end, self.width) if ended else None]
            # Special tokens stay in the text: without one, two halves could join to a value that was not meant.
            found.append((str(self.tokenizer.decode(kept, clean_up_tokenization_spaces=False)), ended))
        return found

    def read(self, written: list[list[int]], *, late: bool) -> list[dict[str, Any] | InvalidAnswer]:
        """The rows or errors. late: the time is over, so an answer that is neither complete nor ended was cut off."""
        rows: list[dict[str, Any] | InvalidAnswer] = []
        for text, ended in self.texts(written):
            try:
                cut = late and not ended and not self.reader.is_whole(text)
                rows.append(InvalidAnswer(OUT_OF_TIME) if cut else self.reader.read(text, ended=ended))
            except InvalidAnswer as reason:
                rows.append(reason)
        return rows

    def stop_when_whole(self) -> Any:
        """Ends an answer when it has all columns. It checks every few tokens, because reading takes time."""
        import torch
        from transformers import StoppingCriteria

        answers = self

        class WholeRow(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                if (input_ids.shape[1] - answers.width) % _CHECK_EVERY:
                    return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
                texts = answers.texts(input_ids.tolist())
                return torch.tensor([answers.reader.is_whole(text) for text, _ in texts], device=input_ids.device)

        return WholeRow()
