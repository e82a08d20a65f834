"""Models on a GPU: their types, their devices, their numbers, and weights of four bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gpu

IDS = [[5, 9, 200, 31, 7, 88, 17, 250, 3, 64, 12, 99] * 5]


def logits(model: Any) -> Any:
    """The logits of IDS, in float32 on the CPU."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor(IDS, device=model.device), use_cache=False).logits[0].float().cpu()


def apart(found: Any, expected: Any) -> float:
    """How far logits are from the expected ones, as a share of these."""
    return float((found - expected).norm() / expected.norm())


def test_auto_takes_the_gpu_and_bfloat16(card: str) -> None:
    """llm.device=auto and llm.dtype=auto."""
    import torch
    from small_models import tiny

    model, _ = tiny("auto", dtype="auto").load()
    half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    assert (model.device.type, model.dtype) == ("cuda", half)


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [("float32", 1e-4), ("bfloat16", 0.05), ("float16", 0.01)],
    ids=["float32", "bfloat16", "float16"],
)
def test_logits_are_those_of_the_cpu(device: str, dtype: str, limit: float, record_property: Any) -> None:
    """Logits on the GPU equal those on the CPU in float32."""
    import torch
    from small_models import varied

    exact = logits(varied("cpu"))
    distance = apart(logits(varied(device, getattr(torch, dtype))), exact)
    record_property("relative distance", f"{distance:.1e}")
    assert distance < limit
    assert apart(exact.flip(0), exact) > 2 * limit  # other positions would not pass


def test_the_real_model_has_the_same_logits(device: str, record_property: Any) -> None:
    """SmolLM2-135M: logits in float32 and bfloat16 against the CPU in float32."""
    pytest.importorskip("hydra")
    from experiments.configuration.building import configured

    if not (configured("llm=smollm2_135m")["llm"].cached / "config.json").is_file():
        pytest.skip("SmolLM2 is not in the model cache (HARMONIC_CACHE)")

    def told(*words: str) -> Any:
        return logits(configured("llm=smollm2_135m", *words)["llm"].load()[0])

    expected = told("llm.dtype=float32", "llm.device=cpu")
    for dtype, limit in (("float32", 1e-3), ("bfloat16", 0.1)):
        distance = apart(told(f"llm.dtype={dtype}", f"llm.device={device}"), expected)
        record_property(dtype, f"{distance:.1e}")
        assert distance < limit


def test_loading_leaves_the_gpus_random_numbers_alone(device: str) -> None:
    """Loading a model draws nothing from the random numbers of others."""
    import torch
    from small_models import tiny

    torch.manual_seed(3)
    expected = torch.rand(4, device=device)
    torch.manual_seed(3)
    tiny(device).load()
    assert torch.equal(torch.rand(4, device=device), expected)


def tuned_and_drawn(llm: Any, folder: Path) -> list[float]:
    """Tune the model on its examples, with outputs for the tokens that occur, and draw: the losses."""
    import json

    from small_models import EXAMPLES, draws

    from harmonic.decoding.decoder import Decoder
    from harmonic.prompts.chat import Chat
    from harmonic.tuning.lora import load_tuned, tune
    from harmonic.tuning.settings import Tuning
    from harmonic.tuning.vocabulary import Vocabulary

    settings = Tuning(batch_size=4, learning_rate=1e-2, epochs=4, vocabulary="occurring", scheduler="constant")
    tune(llm, EXAMPLES, settings, seed=0, directory=folder)
    model, tokenizer = load_tuned(llm, folder / "adapter")
    vocabulary = Vocabulary.read(folder / "adapter")
    assert vocabulary is not None
    vocabulary.narrow(model)
    chat = Chat(tokenizer)
    prompts = chat.prompts([example.prompt for example in EXAMPLES[:3]])
    decoder = Decoder(model, chat.end, 1.0, 20, vocabulary=vocabulary)
    decoder.share_prefix(prompts)
    answers = decoder.free(prompts, draws(3))
    assert decoder.fast
    assert all(answer.finished or len(answer.ids) == 20 for answer in answers)
    assert {token for answer in answers for token in answer.ids} <= set(vocabulary.ids.tolist())
    return [point["train/loss"] for point in json.loads((folder / "history.json").read_text())]


def test_a_model_from_a_folder_tunes_and_draws(device: str, tmp_path: Path) -> None:
    """A model from a folder: tuned, merged, drawn from."""
    from small_models import in_folder

    losses = tuned_and_drawn(in_folder(tmp_path / "model", device), tmp_path)
    assert losses[-1] < losses[0] - 0.5


def test_split_on_one_gpu(card: str, tmp_path: Path) -> None:
    """llm.device=split where one GPU is enough."""
    import torch
    from small_models import in_folder

    whole = logits(in_folder(tmp_path / "model", "cuda").load()[0])
    split = in_folder(tmp_path / "model", "split")
    assert torch.allclose(logits(split.load()[0]), whole, atol=1e-5)
    losses = tuned_and_drawn(split, tmp_path)
    assert losses[-1] < losses[0] - 0.5


def test_split_over_gpus(cards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llm.device=split with layers on two GPUs: tuned, scored, drawn from."""
    import numpy as np
    from small_models import in_folder
    from transformers import AutoModelForCausalLM

    from harmonic.tuning.scoring import answer_token_nll

    loaded = AutoModelForCausalLM.from_pretrained
    parts = {"model.embed_tokens": 0, "model.layers.0": 0, "model.rotary_emb": 0}
    parts |= {"model.layers.1": 1, "model.norm": 1, "lm_head": 0}

    def over_two(path: str, **options: Any) -> Any:
        if options.get("device_map") == "auto":
            options["device_map"] = parts  # so small a model would stay on one
        return loaded(path, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", over_two)
    split, alone = in_folder(tmp_path / "model", "split"), in_folder(tmp_path / "model", "cuda")
    model = split.load()[0]
    assert len({weights.device for weights in model.parameters()}) == 2
    found, expected = (
        np.concatenate(answer_token_nll(one, IDS[0], [[1, 2, 3], [1, 2, 4, 5]])) for one in (model, alone.load()[0])
    )
    assert np.allclose(found, expected, atol=1e-4)
    losses = tuned_and_drawn(split, tmp_path)
    assert losses[-1] < losses[0] - 0.5


def test_weights_of_four_bits(card: str, tmp_path: Path, record_property: Any) -> None:
    """llm.quantization=4bit: tuned, drawn from."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    from small_models import in_folder

    llm = in_folder(tmp_path / "model", "cuda", dtype="bfloat16", quantization="4bit")
    model = llm.load()[0]
    kinds = {type(module).__name__ for module in model.modules()}
    assert "Linear4bit" in kinds
    distance = apart(logits(model), logits(in_folder(tmp_path / "model", "cuda").load()[0]))
    record_property("relative distance", f"{distance:.2f}")
    assert distance < 0.5
    losses = tuned_and_drawn(llm, tmp_path)
    assert losses[-1] < losses[0] - 0.5
