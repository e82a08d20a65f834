"""Likelihoods on a GPU: those of the CPU. They feed the DLT, the loss attack and the memorisation measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gpu


def scored(model: Any, batch_tokens: int = 512) -> Any:
    from harmonic.tuning.scoring import answer_token_nll

    draw = np.random.default_rng(0)
    context = draw.integers(256, size=90).tolist()
    answers = [draw.integers(2 if row % 2 else 256, size=draw.integers(1, 30)).tolist() for row in range(60)]
    return np.concatenate(answer_token_nll(model, context, answers, batch_tokens=batch_tokens))


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [("float64", 1e-5), ("float32", 1e-2), ("bfloat16", 2.0)],
    ids=["float64", "float32", "bfloat16"],
)
def test_likelihoods_are_those_of_the_cpu(device: str, dtype: str, limit: float, record_property: Any) -> None:
    """Likelihoods of answers behind a shared context: those of the CPU."""
    import torch
    from small_models import varied

    expected = scored(varied("cpu"))
    distance = np.abs(scored(varied(device, getattr(torch, dtype))) - expected)
    record_property("farthest token, nats", f"{distance.max():.1e}")
    record_property("mean", f"{distance.mean():.1e}")
    assert distance.mean() < limit / 4 and distance.max() < 4 * limit
    assert expected.std() > 1


def test_the_size_of_a_pass_changes_nothing(device: str) -> None:
    """Likelihoods in passes of 40 and of 4,096 tokens."""
    from small_models import varied

    model = varied(device)
    assert np.allclose(scored(model, 40), scored(model, 4096), atol=1e-5)
