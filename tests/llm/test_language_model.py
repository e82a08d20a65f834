"""What every language model decides: device, type of the weights, and the longest sequence."""

from __future__ import annotations

import pytest
import torch

from harmonic.errors import ConfigError
from harmonic.llm import machine
from harmonic.llm.hub_model import HubModel
from harmonic.llm.tiny_model import TinyModel


def test_dtype_auto_is_bfloat16_only_where_the_cpu_computes_it(monkeypatch):
    llm = TinyModel(name="tiny", device="cpu")
    for computes, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(machine, "cpu_computes_bfloat16", lambda computes=computes: computes)
        assert llm.resolved_dtype() == expected
        assert llm.load()[0].dtype == expected


def test_of_several_processes_each_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert HubModel(name="x", path="y").resolved_device() == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert HubModel(name="x", path="y").resolved_device() == "cuda:1"
    with pytest.raises(ConfigError, match=r"llm.device=split: cannot be used by 2 processes"):
        HubModel(name="x", path="y", device="split", dtype="float32").load()


def test_the_context_is_the_smaller_of_what_is_asked_and_what_the_model_allows():
    model, _ = TinyModel(name="tiny", device="cpu", positions=512).load()
    for asked, expected in ((None, 512), (100, 100), (9999, 512)):
        assert TinyModel(name="tiny", device="cpu", context=asked).max_tokens(model.config) == expected
