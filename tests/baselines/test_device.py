"""A device's name is resolved, or refused with what there is."""

from __future__ import annotations

import pytest
import torch

from baselines.device import resolved_device
from harmonic.errors import ConfigError


@pytest.mark.parametrize(("there", "expected"), [(True, ["cuda", "cpu", "cuda"]), (False, ["cpu", "cpu"])])
def test_auto_is_a_gpu_where_there_is_one(there: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert [resolved_device(name) for name in ("auto", "cpu", "cuda")[: len(expected)]] == expected


@pytest.mark.parametrize(("name", "words"), [("gpu", r"device=gpu(.|\n)*cpu"), ("cuda", r"device=cuda: .*no GPU")])
def test_what_is_no_device_here_is_an_error(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=words):
        resolved_device(name)
