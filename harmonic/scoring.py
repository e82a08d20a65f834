"""Likelihoods of answers under a model, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harmonic.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH_TOKENS = 4096


def answer_nll(
    model: PreTrainedModel,
    context: Sequence[int],
    answers: Sequence[Sequence[int]],
    *,
    batch_tokens: int = _BATCH_TOKENS,
    stage: str = "score",
) -> NDArray[np.float64]:
    """Mean negative log-likelihood of each answer behind one shared context: (answers,), nats per token.

    The context goes through the model once; answers are batched by length, padded on the right. The first
    token of an answer is predicted from the context's last.
    """
    import torch

    totals = np.empty(len(answers))
    order = sorted(range(len(answers)), key=lambda index: (-len(answers[index]), index))
    with torch.inference_mode(), Progress(stage, len(answers), "rows") as progress:
        known = _context_cache(model, context)
        for batch in _batches(order, answers, batch_tokens):
            chosen = [list(answers[index]) for index in batch]
            totals[batch] = _batch_nll(model, context, known, chosen)
            progress.advance(len(batch), tokens=sum(map(len, chosen)))
    return totals


def _batches(order: list[int], answers: Sequence[Sequence[int]], batch_tokens: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for index in order:
        room = max(batch_tokens // len(answers[batches[-1][0]]), 1) if batches else 0
        batches[-1].append(index) if batches and len(batches[-1]) < room else batches.append([index])
    return batches


def _context_cache(model: PreTrainedModel, context: Sequence[int]):  # type: ignore[no-untyped-def]
    """Keys and values of all but the context's last token, which starts every answer's input."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    if len(context) > 1:
        ids = torch.tensor([list(context[:-1])], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _batch_nll(model, context, known, answers):  # type: ignore[no-untyped-def]
    """Mean nll of each answer, (answers,)."""
    import copy

    import torch
    from torch.nn import functional

    longest = max(map(len, answers))
    pad = answers[0][-1]
    padded = torch.tensor([answer + [pad] * (longest - len(answer)) for answer in answers], device=model.device)
    last = torch.full((len(answers), 1), context[-1], device=model.device)
    cache = copy.deepcopy(known)
    if len(context) > 1:
        cache.batch_repeat_interleave(len(answers))
    logits = model(input_ids=torch.cat([last, padded[:, :-1]], dim=1), past_key_values=cache, use_cache=True).logits
    losses = functional.cross_entropy(logits.transpose(1, 2).float(), padded, reduction="none")
    lengths = torch.tensor([len(answer) for answer in answers], device=model.device)
    real = torch.arange(longest, device=model.device)[None] < lengths[:, None]
    return ((losses * real).sum(dim=1) / lengths).double().cpu().numpy()
