"""experiments.benchmarks.temperature: likelihoods at a temperature, of held-out rows behind training rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from experiments.benchmarks.temperature import held_out, nll_by_temperature
from experiments.configuration.building import configured
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.tables.codes.coding import Coding


def test_the_logits_are_divided_by_the_temperature() -> None:
    model = TinyModel(name="tiny", dtype="float32", device="cpu").load()[0]
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(4 if weights.ndim == 2 else 1)
    prompts, answers = [[1, 2, 3], [1, 2, 4, 5]], [[6, 7], [8]]

    def expected(temperature: float) -> list[float]:
        values = []
        for prompt, answer in zip(prompts, answers, strict=True):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0]
            told = logits[len(prompt) - 1 : -1] / temperature
            values.append(functional.cross_entropy(told, torch.tensor(answer), reduction="sum").item())
        return values

    found = nll_by_temperature(model, (prompts, answers), [1.0, 0.5], None)
    assert not np.allclose(found[1.0], found[0.5], atol=0.01)
    for temperature in (1.0, 0.5):  # the second one after the first: nothing of it is left
        np.testing.assert_allclose(found[temperature], expected(temperature), rtol=1e-4)


def test_validation_rows_are_told_behind_their_neighbours_among_the_training_rows(tmp_path: Path) -> None:
    parts = configured("llm=tiny", "scale=smoke", "dataset=diabetes", "data_dir=null", "generator=harmonic_dense")
    generator, splits = parts["generator"], parts["dataset"].load(0)
    generator.prepare(splits, 12, seed=0, directory=tmp_path)
    shown, told = held_out(generator, splits, tmp_path, 7)
    chat = Chat(generator.llm.tokenizer())
    coding = Coding.of(splits.train, generator.numbers, generator.categories)
    train, val = (coding.encode(part).texts() for part in (splits.train, splits.val))
    training = {tuple(sorted(row)) for row in train.to_numpy().tolist()}
    assert len(shown) == len(told) == 7
    for row, (prompt, answer) in enumerate(zip(shown, told, strict=True)):
        _, header, *neighbors = chat.text(prompt).splitlines()
        order = header.split("|")
        assert chat.text(answer) == "|".join(val.loc[row, order]) + "\n"
        assert len(neighbors) == 5 and all(tuple(sorted(line.split("|"))) in training for line in neighbors)
