"""Estimates: counted tokens as they are, times and memory that follow the work."""

from __future__ import annotations

import re

import pytest
import torch

from harmonic.decoding.settings import Sampling
from harmonic.llm.tiny_model import TinyModel
from harmonic.method import estimate
from harmonic.method.estimate import Size, layer_seconds
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.tuning.settings import Tuning

LLM = TinyModel(name="tiny", dtype="float32", device="cpu")
FIT = PromptFit(
    k=5, wanted=5, context=2048, room=120, row={"mean": 90.0, "max": 95}, tuning={"mean": 650.0, "max": 670},
    sampling={"mean": 680.0, "max": 690},
)  # fmt: skip


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that reads a token in 1 ms and learns from it in 3 ms: two layers, so 500 and 167 tokens a second."""
    monkeypatch.setattr(estimate, "layer_seconds", lambda _: (1e-3, 3e-3))


def lines(examples: int = 400, n: int = 100, fit: PromptFit = FIT, **tuning: float) -> list[str]:
    settings = Tuning(**{"max_examples": 112, **tuning})  # type: ignore[arg-type]
    return estimate.estimate(LLM, fit, examples, n, settings, Sampling())


def seconds(line: str) -> float:
    """The middle of the range."""
    found = re.search(r"about ([\d.]+)-([\d.]+) (s|min|h),", line)
    assert found is not None, line
    unit = {"s": 1, "min": 60, "h": 3600}[found[3]]
    return float((float(found[1]) * float(found[2])) ** 0.5 * unit)


def gigabytes(line: str) -> float:
    return float(line.rpartition(", ")[2].removesuffix(" GB"))


def test_the_tokens_of_tuning_are_those_of_the_examples_that_are_used(speed: None) -> None:
    assert "72,800 tokens in 1 epoch of 112 examples (650 each, 670 at most)" in lines()[0]
    assert "39,000 tokens in 2 epochs of 30 examples" in lines(examples=30, epochs=2)[0]
    assert "100 rows of about 90 tokens from 100 prompts of 560" in lines()[1]


def test_times_are_work_over_speed(speed: None) -> None:
    tuning, sampling, _ = lines()
    assert seconds(tuning) == pytest.approx(72_800 * 2 * 3e-3, rel=0.1)
    assert 100 * (560 + 90) * 2 * 1e-3 <= seconds(sampling) <= 2 * 100 * (560 + 90) * 2 * 1e-3
    assert seconds(lines(epochs=4)[0]) == pytest.approx(4 * seconds(tuning), rel=0.1)
    assert seconds(lines(n=1000)[1]) == pytest.approx(10 * seconds(sampling), rel=0.1)


def test_more_tokens_at_once_take_more_memory(speed: None) -> None:
    longer = PromptFit(
        **{**{name: getattr(FIT, name) for name in FIT.__slots__}, "tuning": {"mean": 1e6, "max": 10**6}}
    )
    assert gigabytes(lines(fit=longer)[0]) > gigabytes(lines()[0])
    assert gigabytes(lines()[1]) >= 0.9


def test_without_counts_there_is_no_estimate() -> None:
    assert lines(fit=PromptFit(k=5, wanted=5)) == ["no estimate: the prompts' tokens were not counted"]


def test_the_size_is_the_models_own() -> None:
    model, _ = LLM.load()
    size = Size.of(LLM)
    assert size.parameters == sum(weights.numel() for weights in model.parameters())
    assert (size.layers, size.width, size.item_bytes) == (2, 32, 4)


def test_a_layer_is_timed_and_leaves_threads_and_random_numbers_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    reading, learning = layer_seconds(LLM)
    assert 0 < reading < learning < 1
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
