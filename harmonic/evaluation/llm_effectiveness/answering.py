"""A language model tuned on questions and answers, and how it answers.

LLM Effectiveness and the canary audit use the same model, tuned on the synthetic rows, so its adapter is cached
(harmonic.evaluation.result_cache).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harmonic.evaluation.result_cache import cached_result
from harmonic.llm.language_model import LanguageModel
from harmonic.progress import Progress
from harmonic.prompts.chat import Chat, check_lengths
from harmonic.prompts.prompt import Prompt
from harmonic.tuning.lora import load_tuned, tune
from harmonic.tuning.settings import Tuning
from harmonic.tuning.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FORMAT = 2
"""Version of the cached adapters. Raise it when the same inputs give another adapter."""

_BATCH_ROWS = 32  # rows decoded at once


class Tuned(NamedTuple):
    """A tuned model, and how prompts become its tokens. `vocabulary`: the tokens of its logits; None: all."""

    model: PreTrainedModel
    chat: Chat
    vocabulary: Vocabulary | None = None


def tuned_on(examples: Sequence[Prompt], llm: LanguageModel, settings: Tuning, *, seed: int) -> Tuned:
    """The model tuned on the examples, from the cache if it is there."""

    def build(folder: Path) -> dict[str, Any]:
        return dict(tune(llm, examples, settings, seed=seed, directory=folder, stage="tune lle"))

    with cached_result("lle", _inputs(examples, llm, settings, seed), build) as (folder, _):
        model, tokenizer = load_tuned(llm, folder / "adapter")
        vocabulary = Vocabulary.read(folder / "adapter")
    if vocabulary is not None:
        vocabulary.narrow(model)
    return Tuned(model, Chat(tokenizer), vocabulary)


def in_all_tokens(settings: Tuning) -> Tuning:
    """The settings for questions: with all tokens, because an answer may be any text."""
    return replace(settings, vocabulary="all")


def _inputs(examples: Sequence[Prompt], llm: LanguageModel, settings: Tuning, seed: int) -> dict[str, Any]:
    texts = json.dumps([[example.document, [part[:2] for part in example.parts]] for example in examples])
    return {
        "format": FORMAT, "llm": {"kind": type(llm).__qualname__, **asdict(llm)}, "tuning": asdict(settings),
        "examples": hashlib.sha256(texts.encode()).hexdigest(), "seed": seed,
    }  # fmt: skip


def list_losses(
    tuned: Tuned, contexts: Sequence[Prompt], lines: Sequence[str], answers: Sequence[str], limit: int
) -> NDArray[np.float64]:
    """Negative log-likelihood of each answer, after each context and the answer's line: (contexts, lines), nats.

    `contexts`: documents. `lines` and `answers`: one line of such a document each, in pairs; the end of the line is
    part of the answer. Raises ConfigError if a text has more than `limit` tokens.
    """
    from harmonic.tuning.scoring import pairs_nll

    starts, behind = [ids for ids, _ in tuned.chat.encode(contexts)], tuned.chat.lines(lines)
    known = dict.fromkeys(answers)
    written = dict(zip(known, tuned.chat.lines(list(known)), strict=True))
    wanted = [written[answer] for answer in answers]
    longest = max(map(len, starts))
    lengths = [longest + len(line) + len(answer) for line, answer in zip(behind, wanted, strict=True)]
    check_lengths(lengths, limit, what="the list that ends with row")
    return np.array(
        [
            pairs_nll(tuned.model, [start + line for line in behind], wanted, stage="lle", vocabulary=tuned.vocabulary)
            for start in starts
        ]
    )


def answer_losses(model: PreTrainedModel, chat: Chat, examples: Sequence[Prompt], limit: int) -> NDArray[np.float64]:
    """Negative log-likelihood of each example's answer, including its end, (examples,), nats.

    Raises ConfigError if an example has more than `limit` tokens.
    """
    from harmonic.tuning.scoring import pairs_nll

    questions = chat.prompts([example.prompt for example in examples])
    answers = chat.completions([example.completion for example in examples])
    lengths = [len(question) + len(answer) for question, answer in zip(questions, answers, strict=True)]
    check_lengths(lengths, limit, what="the question about row")
    return pairs_nll(model, questions, answers, stage="lle")


def label_log_likelihoods(
    model: PreTrainedModel, questions: Sequence[list[int]], labels: Sequence[list[int]]
) -> NDArray[np.float64]:
    """Log-probability of each label after each question, among the labels: (questions, labels), nats.

    All are token ids. A label's likelihood is the product over its tokens, including the end of the answer.
    """
    from scipy.special import log_softmax

    from harmonic.tuning.scoring import pairs_nll

    prompts = [question for question in questions for _ in labels]
    totals = pairs_nll(model, prompts, [*labels] * len(questions), stage="lle")
    return log_softmax(-totals.reshape(len(questions), len(labels)), axis=1)


def greedy_answers(
    model: PreTrainedModel, chat: Chat, questions: Sequence[list[int]], max_new_tokens: int
) -> list[str]:
    """The text after each question (token ids), with the most likely token at each step; "…" if it was cut off."""
    import torch

    order = sorted(range(len(questions)), key=lambda index: len(questions[index]))
    answers = [""] * len(questions)
    with torch.inference_mode(), Progress("lle", len(questions), "rows") as progress:
        for start in range(0, len(order), _BATCH_ROWS):
            batch = order[start : start + _BATCH_ROWS]
            longest = len(questions[batch[-1]])
            gaps = [longest - len(questions[index]) for index in batch]
            ids = [[chat.end] * gap + questions[index] for gap, index in zip(gaps, batch, strict=True)]
            real = [[0] * gap + [1] * (longest - gap) for gap in gaps]
            written = model.generate(
                torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(real, device=model.device),
                max_new_tokens=max_new_tokens,
                eos_token_id=chat.end,
                pad_token_id=chat.end,
                do_sample=False,
                **dict.fromkeys(("temperature", "top_p", "top_k")),  # the model's defaults are for sampling
            )
            for index, tokens in zip(batch, written[:, longest:].tolist(), strict=True):
                answers[index] = chat.text(tokens) + ("" if chat.end in tokens else "…")
            progress.advance(len(batch))
    return answers
