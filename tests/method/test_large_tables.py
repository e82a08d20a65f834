"""A large table: the same neighbours and sampling prompts, and only as many tuning prompts as tuning uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.configuration.building import configured
from harmonic.prompts import covering
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.prompt_files import PromptFiles
from harmonic.tables.training_view import for_generators

N = 24


def prepared(folder: Path, *overrides: str) -> list[Prompt]:
    """The tuning prompts of the packaged Diabetes table, at the size of a quick run."""
    parts = configured("dataset=diabetes", "data_dir=null", "llm=tiny", "tracker=off", *overrides)
    folder.mkdir()
    splits = for_generators(parts["dataset"].load(0))
    parts["generator"].prepare(splits, N, seed=0, directory=folder)
    return list(PromptFiles(folder).training())


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (["generator.tuning.max_tokens=9000"], None),
        (["generator.tuning.max_tokens=9000", "generator.tuning.validation=0.2"], None),
        (["generator=harmonic", "generator.tuning.max_examples=40"], 40),
        (["generator=harmonic", "generator.filter=false", "generator.tuning.max_examples=40"], 40),
    ],
)
def test_a_large_table_has_the_same_sampling_prompts_and_fewer_tuning_prompts(
    settings: list[str], most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = prepared(tmp_path / "small", *settings)
    assert not (tmp_path / "small" / covering.FILE).exists()
    monkeypatch.setattr(covering, "LARGE", 400)
    large = prepared(tmp_path / "large", *settings)
    if most is None:
        assert abs(len(large) - len(small)) <= 2
        assert [len(prompt.parts) for prompt in large[:5]] == [len(prompt.parts) for prompt in small[:5]]
    else:
        assert len(large) == most < len(small)
        assert set(map(answered, large)) <= set(map(answered, small))
    for name in ("sample.jsonl", "validation.jsonl"):
        if name == "validation.jsonl" and not (tmp_path / "small" / name).exists():
            continue
        if most is not None and "sample" in name:
            continue  # random rows, which leave out the sets of rows that tuning prompts show
        assert (tmp_path / "large" / name).read_bytes() == (tmp_path / "small" / name).read_bytes()
    told = json.loads((tmp_path / "large" / covering.FILE).read_text())
    assert told["rows"] == len({center(prompt) for prompt in large}) and told["of"] == 491


def answered(prompt: Prompt) -> int:
    (row,) = prompt.learnt_rows
    return row


def center(prompt: Prompt) -> int:
    return answered(prompt) if prompt.center is None else prompt.center


def test_centres_have_the_labels_in_their_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covering, "LARGE", 400)
    large = prepared(tmp_path / "large", "generator.tuning.max_tokens=6000")
    train: Any = configured("dataset=diabetes", "data_dir=null")["dataset"].load(0).train
    labels = train.target.to_numpy()
    rows = [center(prompt) for prompt in large]
    assert len(rows) < 60 and len(set(rows)) == len(rows)
    wanted = (labels == "1").mean() * len(rows)
    assert abs((labels[rows] == "1").sum() - wanted) <= 5
    assert np.isin(rows, np.arange(491)).all()
