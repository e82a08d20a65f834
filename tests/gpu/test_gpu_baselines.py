"""Other generators that train on a GPU: fitted, loaded from their files, and drawn from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gpu


def drawn(generator: Any, folder: Path) -> None:
    """Fit, read back, draw: conforming rows, the same from what was read back."""
    from toys import make_splits

    splits = make_splits()
    generator.fit(splits, seed=1, prepared=folder, directory=folder)
    found = generator.sample(23, seed=1, directory=folder).frame
    assert len(found) == 23 and list(found) == list(splits.train.frame)
    assert splits.schema.conform(found).equals(found)
    loaded = replace(generator)
    loaded.load(splits, prepared=folder, directory=folder)
    assert loaded.sample(23, seed=1, directory=folder).frame.equals(found)


def used(device: str, before: int) -> None:
    """The training took memory on the GPU."""
    import torch

    assert device == "cpu" or torch.cuda.max_memory_allocated() > before


@pytest.fixture
def memory(device: str) -> int:
    """What is allocated before the test, with a new measurement of the peak."""
    import torch

    if device == "cpu":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def test_tabsyn(device: str, memory: int, tmp_path: Path) -> None:
    """TabSyn: both stages trained and drawn from."""
    from baselines.tabsyn.generator import TabSynGenerator

    first = {"epochs": 2, "batch_size": 32, "width": 2, "layers": 1}
    second = {"epochs": 2, "batch_size": 32, "width": 8, "sampling_steps": 4}
    drawn(TabSynGenerator(autoencoder=first, diffusion=second, device=device), tmp_path)
    used(device, memory)


def test_ctabgan(device: str, memory: int, tmp_path: Path) -> None:
    """CTAB-GAN+: trained and drawn from."""
    from baselines.ctabgan.generator import CtabganGenerator

    brief = {"epochs": 1, "max_steps": 2, "batch_size": 8, "critic_steps": 2, "channels": 2, "noise": 4}
    drawn(CtabganGenerator(training=brief, device=device), tmp_path)
    used(device, memory)


SYNTHCITY = {
    "tvae": {"n_iter": 2, "n_units_embedding": 8, "decoder_n_units_hidden": 8, "encoder_n_units_hidden": 8},
    "ctgan": {"n_iter": 2, "generator_n_units_hidden": 8, "discriminator_n_units_hidden": 8},
    "ddpm": {"n_iter": 2, "num_timesteps": 4, "dim_embed": 8},
}


@pytest.mark.parametrize("plugin", sorted(SYNTHCITY))
def test_synthcity(device: str, memory: int, plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TVAE, CTGAN and TabDDPM of synthcity."""
    pytest.importorskip("synthcity", reason="synthcity is not installed")
    from baselines.synthcity.generator import SynthcityGenerator

    monkeypatch.chdir(tmp_path)
    drawn(SynthcityGenerator(plugin=plugin, settings=SYNTHCITY[plugin], device=device), tmp_path)
    used(device, memory)


def test_realtabformer(device: str, memory: int, tmp_path: Path) -> None:
    """REaLTabFormer: GPT-2 from random weights."""
    pytest.importorskip("realtabformer", reason="realtabformer is not installed")
    from baselines.realtabformer.generator import RealTabFormerGenerator

    tuning = {"gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 2}, "epochs": 15, "batch_size": 16, "n_critic": 0}
    tuning |= {"gradient_accumulation_steps": 1, "learning_rate": 1e-2}
    made = RealTabFormerGenerator(tuning=tuning, sampling={"batch_size": 32, "seconds": 60}, device=device)
    drawn(made, tmp_path)
    used(device, memory)


def test_great(device: str, memory: int, tmp_path: Path) -> None:
    """GReaT: tuned on rows as sentences."""
    pytest.importorskip("be_great", reason="be-great is not installed")
    from small_models import tiny
    from toys import make_splits

    from baselines.great.generator import GreatGenerator

    made = GreatGenerator(llm=tiny(device), tuning={"max_steps": 2, "batch_size": 4})
    made.fit(make_splits(), seed=1, prepared=tmp_path, directory=tmp_path)
    assert any(tmp_path.rglob("*.safetensors"))
    used(device, memory)


def test_vllm(card: str, tmp_path: Path) -> None:
    """Drawing by vLLM (in its own environment): free and constrained, with the adapter."""
    pytest.importorskip("vllm", reason="vLLM is not in this environment (pip install 'harmonic[vllm]')")
    from small_models import EXAMPLES, draws, in_folder
    from toys import make_schema

    from harmonic.decoding.constraints import RowConstraints
    from harmonic.decoding.vllm_decoder import VLLMDecoder
    from harmonic.prompts.chat import Chat
    from harmonic.prompts.row_format import find_row_format
    from harmonic.tuning.lora import tune
    from harmonic.tuning.settings import Tuning

    llm = in_folder(tmp_path / "model", card, dtype="bfloat16")
    tune(llm, EXAMPLES, Tuning(batch_size=4, checkpoint_every=None), seed=0, directory=tmp_path)
    chat = Chat(llm.tokenizer())
    asked = chat.prompts([EXAMPLES[0].prompt]) * 3
    made = VLLMDecoder(llm, tmp_path / "adapter", chat.end, 1.0, 80, batch_tokens=2000)
    rows = RowConstraints(find_row_format("json", make_schema(decimals=2)), chat.tokenizer, chat.end)
    try:
        made.share_prefix(asked)
        assert len(made.free(asked, draws(3))) == 3
        found = made.constrained(asked, draws(3), [rows.start(["y", "n", "x"]) for _ in asked])
    finally:
        made.close()
    assert all(rows.row_format.parse(chat.text(one.ids), []) for one in found)
