"""experiments.benchmarks.gpu on the CPU: it counts the right tokens and operations, and ends with the numbers."""

from __future__ import annotations

import json

import pytest

from experiments.benchmarks.gpu import SHAPES, Measured, line, main, peak_tflops

WEIGHTS = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)  # of two layers: queries and output, keys and values, gated


def test_every_line_counts_its_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--models", "tiny", "--device", "cpu", "--dtype", "float32", "--steps", "1", "--device-batch", "4"]
    main([*words, "--rows", "3", "--pass-tokens", "256", "--lengths", "60", "80", "--answer", "20"])
    *printed, last = capsys.readouterr().out.splitlines()
    found = {one["what"]: one for one in json.loads(last)["measured"]}
    assert list(found) == [
        "tune, 4 at once",
        "read, 3 rows",
        "free, 3 rows",
        "constrained, 3 rows",
        "score, 256 a pass",
    ]
    assert sum(text.startswith("| tiny |") for text in printed) == 5
    tune = found["tune, 4 at once"]
    assert 16 * 60 <= tune["tokens"] <= 16 * 80 and tune["operations"] == 4 * WEIGHTS * tune["tokens"]
    assert found["free, 3 rows"]["tokens"] == 3 * 19  # the first token comes with reading
    assert 3 * 40 <= found["read, 3 rows"]["tokens"] <= 3 * 60
    assert found["read, 3 rows"]["operations"] == 2 * WEIGHTS * found["read, 3 rows"]["tokens"]
    assert found["score, 256 a pass"]["tokens"] == 64 * 20
    assert all(one["seconds"] > 0 and one["tokens_per_s"] > 0 for one in found.values())


def test_the_share_of_the_peak() -> None:
    assert [peak_tflops(name) for name in ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H200", "CPU")] == [
        989, 756, 989, None,
    ]  # fmt: skip
    measured = Measured("llama2_7b", "tune, 4 at once", 10_000, 2.0, 989e12, 40.0)
    assert line(measured, 989.0) == "| llama2_7b | tune, 4 at once | 5,000 | 494 | 50.0% | 40.0 | 2.00 |"


def test_the_large_shape_is_llama_2s() -> None:
    """6,738,415,616 parameters, as its model card says."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPES["llama2_7b"]))
    assert sum(weights.numel() for weights in model.parameters()) == 6_738_415_616
