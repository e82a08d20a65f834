"""Likelihoods of many answers under a model: the same numbers as one by one, with a fraction of the work.

The common start of all prompts goes through the model once, into a key-value cache. The other tokens are sorted and
packed into trees, many sequences to a forward pass: a start that neighbouring sequences share (a prompt with several
answers, a column name) is computed once. Nothing is padded, and an attention mask lets each token see only its own
past. experiments/benchmarks/scoring.py measures the speed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harmonic.progress import Progress
from harmonic.tuning.token_trees import TokenTree, common_start, token_trees

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel

    from harmonic.tuning.vocabulary import Vocabulary

BATCH_TOKENS = 512  # in a forward pass: enough to keep a processor busy, few enough for quick attention
_MOST_LOGITS = 2**26  # in a forward pass: with a large vocabulary, fewer tokens at once
_LOGIT_ROWS = 256  # converted to float32 at once
_MASKED = ("sdpa", "eager")  # the attention kernels that take any mask


def answer_token_nll(
    model: PreTrainedModel,
    context: Sequence[int],
    answers: Sequence[Sequence[int]],
    *,
    batch_tokens: int = BATCH_TOKENS,
    stage: str = "score",
    vocabulary: Vocabulary | None = None,
) -> list[NDArray[np.float64]]:
    """Negative log-likelihood of each token of each answer behind one shared context: (tokens,) per answer, nats.

    context and answers are token ids. Raises ValueError if one is empty.
    """
    return pairs_token_nll(
        model, [context] * len(answers), answers, batch_tokens=batch_tokens, stage=stage, vocabulary=vocabulary
    )


def pairs_nll(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    batch_tokens: int = BATCH_TOKENS,
    stage: str = "score",
    vocabulary: Vocabulary | None = None,
) -> NDArray[np.float64]:
    """Negative log-likelihood of each answer behind its own prompt, summed over the answer's tokens: (pairs,), nats.

    Arguments as for `pairs_token_nll`.
    """
    found = pairs_token_nll(model, prompts, answers, batch_tokens=batch_tokens, stage=stage, vocabulary=vocabulary)
    return np.array([tokens.sum() for tokens in found], dtype=np.float64)


def pairs_token_nll(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    batch_tokens: int = BATCH_TOKENS,
    stage: str = "score",
    vocabulary: Vocabulary | None = None,
) -> list[NDArray[np.float64]]:
    """Negative log-likelihood of each token of each answer behind its own prompt: (tokens,) per answer, nats.

    prompts and answers are token ids, one prompt for each answer. Raises ValueError if one is empty. A pass takes at
    most `batch_tokens` distinct tokens, or one longer sequence. vocabulary: the tokens of the model's logits (None:
    all); any other token of an answer gets the smallest probability of a float32.
    """
    import torch

    if len(prompts) != len(answers) or not all(map(len, prompts)) or not all(map(len, answers)):
        raise ValueError("each answer needs a prompt, and both need at least one token")
    pairs = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    lengths = [len(answer) for answer in answers]
    values = [np.empty(0)] * len(pairs)
    with torch.inference_mode(), Progress(stage, len(pairs), "rows") as progress:
        if _packable(model, max(map(len, pairs), default=0)):
            found = _packed_nll(model, pairs, lengths, _pass_tokens(model, batch_tokens), vocabulary)
        else:
            found = (
                ([index], [_single_nll(model, pairs[index], lengths[index], vocabulary)]) for index in range(len(pairs))
            )
        for members, theirs in found:
            for member, tokens in zip(members, theirs, strict=True):
                values[member] = tokens
            progress.advance(len(members), tokens=sum(lengths[index] for index in members))
    return values


def _packed_nll(
    model: PreTrainedModel, pairs: list[list[int]], lengths: list[int], limit: int, vocabulary: Vocabulary | None
) -> Iterator[tuple[list[int], list[NDArray[np.float64]]]]:
    """The nll of each of the last `lengths` tokens of the pairs, some pairs at a time: their positions and values."""
    import torch
    from transformers import DynamicCache

    if not pairs:
        return
    # The last token of a prompt is never shared: it predicts the first token of the answer.
    shortest = min(len(pair) - length for pair, length in zip(pairs, lengths, strict=True))
    shared = min(common_start(min(pairs), max(pairs)), shortest - 1)
    cache = DynamicCache()
    with _masked_attention(model):
        if shared:
            ids = torch.tensor([pairs[0][:shared]], device=model.device)
            model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        for tree in token_trees([pair[shared:] for pair in pairs], limit):
            of = [lengths[index] for index in tree.members]
            yield tree.members, _tree_nll(model, cache, shared, tree, of, vocabulary)


def _tree_nll(
    model: PreTrainedModel,
    cache: DynamicCache,
    shared: int,
    tree: TokenTree,
    lengths: list[int],
    vocabulary: Vocabulary | None,
) -> list[NDArray[np.float64]]:
    """The nll of each of the last `lengths` tokens of each sequence, behind the `shared` tokens in the cache.

    The cache is left as it was.
    """
    import torch

    before = np.concatenate([path[-length - 1 : -1] for path, length in zip(tree.paths, lengths, strict=True)])
    nodes = np.concatenate([path[-length:] for path, length in zip(tree.paths, lengths, strict=True)])
    positions, rows = np.unique(before, return_inverse=True)  # the nodes that predict something, each once
    size = len(tree.tokens)
    mask = torch.zeros((1, 1, size, shared + size), dtype=model.dtype)
    mask[0, 0, :, shared:].masked_fill_(torch.from_numpy(~tree.visible()), torch.finfo(model.dtype).min)
    logits = model(
        input_ids=torch.tensor([tree.tokens], device=model.device),
        position_ids=torch.tensor([tree.depths], device=model.device) + shared,
        attention_mask=mask.to(model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.from_numpy(positions),  # on the CPU: if layers are split, the last ones are elsewhere
    ).logits[0]
    cache.crop(-size)
    found = _log_likelihoods(logits, rows, np.array(tree.tokens)[nodes], vocabulary)
    return np.split(-found, np.cumsum(lengths[:-1]))


def _log_likelihoods(
    logits: torch.Tensor, rows: NDArray[np.int64], tokens: NDArray[np.int64], vocabulary: Vocabulary | None
) -> NDArray[np.float64]:
    """Log-probability of each token under its row of the logits (rows, vocabulary): (tokens,), nats."""
    import torch

    found = np.full(len(tokens), float(np.log(np.finfo(np.float32).tiny)))
    tokens = tokens if vocabulary is None else vocabulary.index(tokens)
    for start in range(0, len(logits), _LOGIT_ROWS):
        logs = torch.log_softmax(logits[start : start + _LOGIT_ROWS], dim=-1, dtype=torch.float32)
        inside = np.flatnonzero((start <= rows) & (rows < start + len(logs)) & (tokens >= 0))
        row, token = (torch.from_numpy(index[inside]).to(logits.device) for index in (rows - start, tokens))
        found[inside] = logs[row, token].double().cpu().numpy()
    return found


def _single_nll(
    model: PreTrainedModel, pair: list[int], length: int, vocabulary: Vocabulary | None
) -> NDArray[np.float64]:
    """The nll of each of the last `length` tokens by a plain forward pass, (length,)."""
    import torch

    ids = torch.tensor([pair], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, -length - 1 : -1]
    return -_log_likelihoods(logits, np.arange(length), np.array(pair[-length:]), vocabulary)


def _pass_tokens(model: PreTrainedModel, batch_tokens: int) -> int:
    return min(batch_tokens, _MOST_LOGITS // int(model.config.get_text_config().vocab_size))


def _packable(model: PreTrainedModel, longest: int) -> bool:
    """Whether mask and positions alone decide what a token sees, in sequences of up to `longest` tokens.

    They do not in recurrent layers, in attention by distance, or if a sequence is longer than a sliding window.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    plain = getattr(model, "get_base_model", lambda: model)()  # without the adapters around it
    return (
        kinds <= {"full_attention", "sliding_attention"}
        and (not window or longest <= window)
        and {"position_ids", "logits_to_keep"} <= set(inspect.signature(plain.forward).parameters)
    )


@contextmanager
def _masked_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside this context the model's attention takes any mask."""
    kernel = model.config._attn_implementation
    if kernel in _MASKED:
        yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(kernel)
