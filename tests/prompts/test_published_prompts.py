"""The published instruction set, text for text, and the plain procedure that makes such a one."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prompt_tables import make_table, sampling_set, tuning_set

from experiments.benchmarks.reference import plain_tuning_set
from harmonic.datasets import Dataset
from harmonic.tables.table import Table, Task


@pytest.mark.parametrize("duplicates", [False, True])
def test_the_reference_metric_makes_the_prompts_of_the_plain_procedure(duplicates: bool) -> None:
    table = make_table(60)
    table = table.take(np.r_[np.arange(60), np.arange(0, 60, 3)]) if duplicates else table
    frame = pd.read_csv(io.StringIO(table.texts().to_csv(index=False)))
    words = {"target": "ill", "task": "binary classification", "description": "patients"}
    expected, _ = plain_tuning_set(frame, **words, k=5, threshold=2, limit=99, filter=True)
    prompts = tuning_set(table, k=5, metric="reference", filter=True, threshold=2, permutation=False, seed=0)
    assert 0 < len(prompts) < len(table)
    assert [(prompt.prompt, prompt.completion) for prompt in prompts] == expected


def published(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [tuple(turn["value"] for turn in json.loads(line)["conversations"]) for line in lines]  # type: ignore[misc]


@pytest.fixture(scope="module")
def german(data_dir: Path) -> Table:
    dataset = Dataset(name="german", target="status", description="user credit scores", data_dir=str(data_dir))
    train = dataset.load(seed=416).train
    return replace(train, schema=replace(train.schema, task=Task.BINARY))


def test_the_published_german_prompts_are_reproduced_text_for_text(german: Table, data_dir: Path) -> None:
    tuning = tuning_set(german, k=5, metric="reference", filter=True, threshold=2, permutation=False, seed=416)
    expected = published(data_dir / "german" / "generator" / "knn_train.jsonl")
    assert len(expected) == 587
    assert [(prompt.prompt, prompt.completion) for prompt in tuning] == expected

    sampling = sampling_set(german, k=5, n=700, permutation=False, seed=416, exclude=tuning, metric="reference")
    expected = published(data_dir / "german" / "generator" / "knn_syn.jsonl")
    assert len(expected) == 700
    assert [(prompt.prompt, prompt.completion) for prompt in sampling] == expected
    drawn = german.frame.sample(n=5, random_state=416 + 99).index
    assert sampling[99].rows == tuple(drawn)
