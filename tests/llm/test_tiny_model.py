"""The tiny model for tests: any text can be written, and its weights are always the same."""

from __future__ import annotations

import functools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat


@functools.cache
def tiny_tokenizer():
    return TinyModel(name="tiny", device="cpu").tokenizer()


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_the_tiny_tokenizer_gives_any_text_back(text):
    tokenizer = tiny_tokenizer()
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert Chat(tokenizer).text([*ids, Chat(tokenizer).end]) == text


def test_the_tiny_model_has_the_same_weights_each_time_and_leaves_the_seed_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, _ = TinyModel(name="tiny", device="cpu").load()
    assert torch.equal(torch.rand(3), expected)
    second, _ = TinyModel(name="tiny", device="cpu").load()
    other, _ = TinyModel(name="tiny", device="cpu", weights_seed=1).load()
    assert not first.training
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
