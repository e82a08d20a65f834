"""Decoding: the answers of transformers' own `generate`, drawn with the right odds, whatever stands beside."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from harmonic.decoding.decoder import Decoded, Decoder, common_prefix
from harmonic.decoding.next_token import choose
from harmonic.decoding.prompt_lookup import PromptLookup
from harmonic.decoding.sequence_batch import SingleBatch, SlotBatch, folded, supports_slots
from harmonic.llm.tiny_model import TinyModel

END = 257
PREFIX = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    """A tiny Llama whose weights are large enough for varied answers.

    In double precision: its rounding is far below what decides a draw, whatever the processor, the threads and the
    batch, so that answers may be compared token by token (`nearest_draw` is the check).
    """
    model, _ = TinyModel(name="tiny", dtype="float32").load()
    model = model.double()
    draw = torch.Generator().manual_seed(1)
    for name, weights in model.named_parameters():
        if "norm" not in name:
            weights.data = torch.randn(weights.shape, generator=draw).double() * (0.6 if "embed" in name else 0.3)
    yield model


def prompts(lengths: list[int], shared: list[int] = PREFIX) -> list[list[int]]:
    draw = np.random.default_rng(0)
    return [shared + draw.integers(0, 256, length).tolist() for length in lengths]


def draws(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(count)]


def generated(model: Any, prompt: list[int], tokens: int, end: int) -> list[int]:
    out = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
        max_new_tokens=tokens, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    ids = out[0, len(prompt) :].tolist()
    return ids[: ids.index(end)] if end in ids else ids


@pytest.mark.parametrize("shared", [PREFIX, []], ids=["shared prefix", "nothing shared"])
def test_greedy_equals_generate_for_a_batch_of_different_lengths(model: Any, shared: list[int]) -> None:
    asked = prompts([3, 40, 1, 17, 90, 5], shared)
    expected = [generated(model, prompt, 30, END) for prompt in asked]
    assert len({tuple(ids[:5]) for ids in expected}) > 3  # the model does not say the same to everyone
    end = next(token for token in expected[1][8:] if token not in expected[1][:8])  # so that one row ends early
    expected = [generated(model, prompt, 30, end) for prompt in asked]
    assert len({len(ids) for ids in expected}) > 1
    decoder = Decoder(model, end, temperature=0, max_new_tokens=30)
    assert decoder.fast
    decoder.share_prefix(asked)
    assert [answer.ids for answer in decoder.free(asked, draws(6))] == expected


@pytest.fixture
def nearest_draw(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How far, of the whole of 1, each step's random numbers stayed from where they would have drawn another token."""
    margins: list[float] = []

    def watched(logits: torch.Tensor, uniforms: np.ndarray, temperature: float) -> torch.Tensor:
        ends = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1)[:, :-1]
        margins.append((ends - torch.from_numpy(uniforms)[:, None]).abs().min().item())
        return choose(logits, uniforms, temperature)

    monkeypatch.setattr("harmonic.decoding.decoder.choose", watched)
    return margins


def test_a_rows_answer_does_not_depend_on_the_rows_beside_it_but_for_rounding(
    model: Any, nearest_draw: list[float]
) -> None:
    asked = prompts([12, 3, 50, 30, 8])
    decoder = Decoder(model, 65, temperature=1.0, max_new_tokens=40)
    decoder.share_prefix(asked)
    together = decoder.free(asked, draws(5, seed=4))
    assert len({len(answer.ids) for answer in together}) > 2  # rows leave at different times
    alone = [decoder.free([prompt], [draw])[0] for prompt, draw in zip(asked, draws(5, seed=4), strict=True)]
    assert alone == together
    backwards = decoder.free(asked[::-1], draws(5, seed=4)[::-1])
    assert backwards[::-1] == together
    assert len(nearest_draw) > 100 and min(nearest_draw) > 1e-6  # no rounding could have changed a single draw


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_rows_logits_are_those_of_the_row_alone_but_for_rounding(model: Any, dtype: torch.dtype) -> None:
    """Each row, fed the same tokens, with others beside it and without."""
    made = copy.deepcopy(model).to(dtype)
    asked = prompts([12, 3, 50, 30, 8], shared=[])
    fed = [[[7, 8], [9], [1, 2, 3], [4], [5, 6]], [[3], [1], [4], [1], [5]]]
    with torch.inference_mode(), folded(made):

        def logits(places: list[int]) -> torch.Tensor:
            """(steps, rows, vocabulary)."""
            rows = SlotBatch(made, len(places), 60)
            first = rows.prefill([asked[place] for place in places], ([], None))
            return torch.stack([first, *(rows.step([step[place] for place in places]) for step in fed)])

        together = logits([0, 1, 2, 3, 4])
        alone = torch.cat([logits([place]) for place in range(5)], dim=1)
    rounding = 32 * torch.finfo(dtype).eps * alone.abs().max()  # a step for each of a few sums in a few layers
    assert (together - alone).abs().max() <= rounding
    assert (alone[0, 0] - alone[0, 1]).abs().max() > 2 * rounding  # another row's would not pass for its own


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_same_batch_gives_the_same_answers_bit_for_bit(model: Any, dtype: torch.dtype) -> None:
    made = copy.deepcopy(model).to(dtype)
    asked = prompts([12, 3, 50, 30, 8, 8, 21])

    def answers() -> list[Decoded]:
        decoder = Decoder(made, 65, temperature=1.0, max_new_tokens=40)
        decoder.share_prefix(asked)
        return decoder.free(asked, draws(7))

    assert answers() == answers()


def test_rows_of_one_prompt_are_read_once_and_drawn_apart(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = prompts([20])
    decoder = Decoder(model, END, temperature=1.0, max_new_tokens=12)
    assert decoder.fast
    passes: list[int] = []
    forward = SlotBatch._forward

    def counted(self: SlotBatch, ids: list[int], *rest: Any) -> torch.Tensor:
        passes.append(len(ids))
        return forward(self, ids, *rest)

    monkeypatch.setattr(SlotBatch, "_forward", counted)
    three = decoder.free(asked * 3, draws(3))
    assert [length for length in passes if length >= 30] == [30]  # its tokens; a step of three rows has fewer
    assert len({tuple(answer.ids) for answer in three}) == 3
    assert three[2] == decoder.free(asked, draws(3)[2:])[0]


def test_an_answer_may_be_empty_and_is_never_longer_than_max_new_tokens(model: Any) -> None:
    asked = prompts([4])
    first = generated(model, asked[0], 1, END)[0]
    (empty,) = Decoder(model, first, temperature=0, max_new_tokens=9).free(asked, draws(1))
    assert empty.ids == [] and empty.finished
    (cut,) = Decoder(model, -1, temperature=0, max_new_tokens=9).free(asked, draws(1))
    assert len(cut.ids) == 9 and not cut.finished


def test_without_our_attention_a_row_at_a_time_gives_the_same(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = prompts([12, 3, 50])
    fast = Decoder(model, 65, temperature=1.0, max_new_tokens=20)
    slow = Decoder(model, 65, temperature=1.0, max_new_tokens=20)
    slow.__dict__["fast"] = False
    slow.share_prefix(asked)
    assert isinstance(slow._prefill(asked)[0], SingleBatch)
    assert slow.free(asked, draws(3)) == fast.free(asked, draws(3))


def test_the_models_own_attention_is_back_after_decoding(model: Any) -> None:
    before = model.config._attn_implementation
    Decoder(model, END, temperature=0, max_new_tokens=2).free(prompts([3]), draws(1))
    assert model.config._attn_implementation == before == "sdpa"


@pytest.mark.parametrize("kind", ["windows", "capped", "not rotary"])
def test_models_that_the_slot_cache_does_not_fit_are_told_apart(kind: str) -> None:
    from transformers import (
        BloomConfig,
        BloomForCausalLM,
        Gemma2Config,
        Gemma2ForCausalLM,
        MistralConfig,
        MistralForCausalLM,
    )

    size: dict[str, Any] = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    llama: dict[str, Any] = {**size, "intermediate_size": 16, "num_key_value_heads": 1, "head_dim": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = {
            "windows": lambda: MistralForCausalLM(MistralConfig(**llama, sliding_window=8)),
            "capped": lambda: Gemma2ForCausalLM(Gemma2Config(**llama)),
            "not rotary": lambda: BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)),
        }[kind]()
    model.double().eval()
    assert not supports_slots(model)
    asked = [[7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], [20, 21, 22]]
    answers = Decoder(model, -1, temperature=0, max_new_tokens=6).free(asked, draws(2))
    assert [answer.ids for answer in answers] == [generated(model, prompt, 6, 63) for prompt in asked]


def test_common_prefix_leaves_a_token_of_each_prompt() -> None:
    assert common_prefix([[1, 2, 3], [1, 2, 4, 5]]) == [1, 2]
    assert common_prefix([[1, 2, 3], [1, 2, 3]]) == [1, 2]
    assert common_prefix([[1, 2], [1, 2, 3]]) == [1]
    assert common_prefix([[1], [2]]) == []


def test_choose_draws_with_the_odds_of_the_softmax() -> None:
    draw = np.random.default_rng(3)
    logits = torch.tensor(draw.normal(0, 2, 600), dtype=torch.float32)
    logits[draw.integers(0, 600, 100)] = float("-inf")
    odds = torch.softmax(logits.double() / 0.7, dim=0).numpy()
    tokens = choose(logits.expand(200_000, -1)[:1].repeat(20_000, 1), draw.random(20_000), 0.7).numpy()
    counts = np.bincount(tokens, minlength=600)
    assert not counts[odds == 0].any()
    common = odds * 20_000 >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(odds[common], odds[~common].sum()) * 20_000
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 0.001


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-53])
def test_choose_never_takes_what_is_forbidden_at_the_ends_of_the_range(uniform: float) -> None:
    logits = torch.full((1, 1000), float("-inf"))
    logits[0, [300, 301, 700]] = torch.tensor([0.0, -40.0, -1.0])
    assert choose(logits, np.array([uniform]), 1.0).item() in (300, 700)


def test_choose_at_temperature_0_takes_the_likeliest() -> None:
    assert choose(torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), np.array([0.9, 0.9]), 0).tolist() == [1, 0]


def test_guesses_save_passes_and_change_no_answer(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [prompt * 4 for prompt in prompts([12, 9, 15], shared=[])]  # much to copy from
    passes: list[int] = []
    verify = SlotBatch.verify

    def counted(self: SlotBatch, fed: list[list[int]]) -> torch.Tensor:
        passes.append(sum(map(len, fed)))
        return verify(self, fed)

    monkeypatch.setattr(SlotBatch, "verify", counted)

    def answers(temperature: float, guess: Any) -> list[list[int]]:
        passes.clear()
        monkeypatch.setattr("harmonic.decoding.prompt_lookup.PromptLookup.guess", guess)
        decoder = Decoder(model, -1, temperature, max_new_tokens=60)
        return [answer.ids for answer in decoder.free(asked, draws(3))]

    own = PromptLookup.guess
    for temperature in (0, 0.3, 1.5):
        plain = answers(temperature, lambda self, limit: [])
        assert len(passes) == 59
        assert answers(temperature, own) == plain
        # Right guesses, then wrong ones, of changing length.
        truth = {tuple(prompt): ids for prompt, ids in zip(asked, plain, strict=True)}

        def guess(self: PromptLookup, limit: int, truth: dict[tuple[int, ...], list[int]] = truth) -> list[int]:
            prompt = next(prompt for prompt in truth if self._text[: len(prompt)] == list(prompt))
            behind = truth[prompt][len(self._text) - len(prompt) :]
            right = len(self._text) % 4
            return ([*behind[:right], 3, 4])[:limit]

        assert answers(temperature, guess) == plain
        assert len(passes) < 40
