"""Models from the hub or a folder, and what they refuse before anything is loaded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from harmonic.errors import ConfigError
from harmonic.llm import weights
from harmonic.llm.hub_model import HubModel
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model on disk as transformers writes it: safetensors and a tokenizer."""
    model, tokenizer = TinyModel(name="tiny", device="cpu", dtype="float32").load()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_hub(monkeypatch):
    """A hub that nobody answers for, whatever network there is."""
    from huggingface_hub import constants

    weights.hub_answers.cache_clear()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    yield
    weights.hub_answers.cache_clear()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "cuda"}, "llm.device=cuda: there is no GPU here"),
        ({"device": "split"}, "llm.device=split: there is no GPU here"),
        ({"device": "cdua"}, "llm.device=cdua: .*\n.*did you mean 'cuda'"),
        ({"dtype": "bf16"}, "llm.dtype=bf16: .*\n.*bfloat16"),
        ({"dtype": "float16", "device": "cpu"}, "llm.dtype=float16: cannot be tuned on a CPU"),
        ({"quantization": "4bit"}, "llm.quantization=4bit: 4-bit weights need a GPU"),
        ({"quantization": "3bit"}, "llm.quantization=3bit: unknown quantization"),
    ],
)
def test_what_this_machine_cannot_do_is_said_before_weights_are_read(monkeypatch, given, message):
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("weights were read"))
    with pytest.raises(ConfigError, match=message):
        HubModel(name="x", path="/nowhere", **given).load()


def test_a_local_folder_gives_the_model_that_was_saved(folder):
    llm = HubModel(name="local", path=str(folder), device="cpu", dtype="float32", attention="eager")
    model, tokenizer = llm.load()
    original, _ = TinyModel(name="tiny", device="cpu", dtype="float32").load()
    ids = tokenizer("hello", return_tensors="pt").input_ids
    assert not model.training
    assert model.config._attn_implementation == "eager"
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, original(ids).logits)
    assert Chat(tokenizer).template_parts == Chat(TinyModel(name="tiny", device="cpu").tokenizer()).template_parts


def test_a_missing_model_without_a_network_is_said_at_once(no_hub):
    started = time.monotonic()
    for attempt in (HubModel(name="x", path="nobody/none").load, HubModel(name="x", path="nobody/none").tokenizer):
        with pytest.raises(ConfigError, match=r"llm.path=nobody/none: the model could not be loaded: .*\n.*smollm2"):
            attempt()
    assert time.monotonic() - started < 10


def test_offline_mode_asks_nobody(no_hub, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(ConfigError, match=r"llm.path=nobody/none"):
        HubModel(name="x", path="nobody/none").tokenizer()


def test_a_folder_with_pickled_weights_only_is_refused(folder):
    model, _ = TinyModel(name="tiny", device="cpu", dtype="float32").load()
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"llm.path=.*model.safetensors"):
        HubModel(name="local", path=str(folder), device="cpu").load()


def test_a_folder_that_lacks_weights_is_refused(folder):
    from safetensors.torch import load_file, save_file

    kept = load_file(folder / "model.safetensors")
    del kept["model.layers.1.mlp.up_proj.weight"]
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"1 weights are missing, such as model.layers.1.mlp.up_proj.weight"):
        HubModel(name="local", path=str(folder), device="cpu").load()
