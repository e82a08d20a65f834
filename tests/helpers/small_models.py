"""Small models on a device: as drawn, with weights that give varied answers, and as files in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from harmonic.llm.hub_model import HubModel
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.prompt import Prompt, asked

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
EXAMPLES: list[Prompt] = [asked(f"number {i}: " + "xyz " * (20 + i), f'{{"a": "{i}"}}') for i in range(10)]


def tiny(device: str, **given: Any) -> TinyModel:
    """The model of the tests, with what LoRA adapts; float32 unless told otherwise."""
    return TinyModel(name="tiny", **{"dtype": "float32", "device": device, "target_modules": TARGETS} | given)


def varied(device: str, dtype: torch.dtype = torch.float64) -> Any:
    """A tiny Llama whose weights are large enough for varied answers. In double precision rounding decides no draw."""
    model = tiny("cpu").load()[0].double()
    draw = torch.Generator().manual_seed(1)
    for name, weights in model.named_parameters():
        if "norm" not in name:
            weights.data = torch.randn(weights.shape, generator=draw).double() * (0.6 if "embed" in name else 0.3)
    return model.to(device, dtype)


def in_folder(folder: Path, device: str, **given: Any) -> HubModel:
    """A small model's files, and the model that is read from there. Its width suits weights of four bits."""
    made = tiny("cpu", hidden_size=64, embedding_factor=10.0)
    model, tokenizer = made.load()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return HubModel(
        name="small", path=str(folder), **{"dtype": "float32", "device": device, "target_modules": TARGETS} | given
    )


def draws(count: int, seed: int = 0) -> list[np.random.Generator]:
    """The random numbers of each row."""
    return [np.random.default_rng([seed, row]) for row in range(count)]
