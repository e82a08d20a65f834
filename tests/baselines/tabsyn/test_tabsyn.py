"""TabSyn as a generator: seeded, true to the schema, restored from its files, and it learns what depends on what."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import make_splits, splits_of

from baselines.tabsyn.generator import TabSynGenerator
from harmonic.errors import ConfigError, DataError
from harmonic.tables.splits import Splits
from harmonic.tables.table import Task

BRIEF: dict[str, Any] = {
    "autoencoder": {"epochs": 2, "batch_size": 32, "width": 2, "layers": 1},
    "diffusion": {"epochs": 2, "batch_size": 32, "width": 8, "sampling_steps": 4},
    "device": "cpu",
}


def drawn(generator: TabSynGenerator, splits: Splits, n: int, folder: Path, seed: int = 0) -> pd.DataFrame:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    return generator.sample(n, seed=seed, directory=folder).frame


def assert_true_to(splits: Splits, found: pd.DataFrame, n: int) -> None:
    """So many rows of the schema's columns and dtypes; numbers rounded, and within the training rows' range."""
    real = splits.train.frame
    assert len(found) == n and list(found) == list(real) and list(found.dtypes) == list(real.dtypes)
    pd.testing.assert_frame_equal(splits.schema.conform(found), found)
    for column in splits.schema.columns:
        values, seen = found[column.name], real[column.name]
        if column.is_numeric and not (column.name == splits.schema.target and splits.schema.task.is_classification):
            assert values.between(seen.min(), seen.max()).all()
            assert (values == values.round(column.decimals)).all()
        else:
            assert set(values) <= set(seen)


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_fitted_loaded_and_refitted_generators_draw_the_same_conforming_rows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], task: Task
) -> None:
    import torch

    splits = make_splits(task)
    generator = TabSynGenerator(**BRIEF)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = drawn(generator, splits, 23, tmp_path, seed=1)
    assert_true_to(splits, first, 23)
    assert not generator.sample(23, seed=2, directory=tmp_path).frame.equals(first)

    loaded = replace(generator)
    loaded.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(23, seed=1, directory=tmp_path).frame, first)
    pd.testing.assert_frame_equal(drawn(replace(generator), splits, 23, tmp_path, seed=1), first)
    assert not drawn(replace(generator), splits, 23, tmp_path, seed=5).equals(first)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert capfd.readouterr() == ("", "")


def test_what_is_written_is_no_pickle_and_loads_whatever_the_settings_are_now(tmp_path: Path) -> None:
    import json

    from safetensors.numpy import load_file

    splits = make_splits()
    first = drawn(TabSynGenerator(**BRIEF), splits, 9, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tabsyn.json", "tabsyn.safetensors"]
    assert json.loads((tmp_path / "tabsyn.json").read_text())["diffusion"]["width"] == 8
    assert load_file(tmp_path / "tabsyn.safetensors")["denoiser.entry.weight"].shape == (8, 24)
    other = TabSynGenerator(device="cpu")
    other.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(other.sample(9, seed=0, directory=tmp_path).frame, first)


def odd_table(name: str) -> Splits:
    """A table of 40 rows that something is odd about, its target y."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.round(random.normal(0, 1, 40), 2), "n": random.integers(0, 9, 40)})
    label = np.resize(["a", "b"], 40).astype(object)
    if name == "constant columns":
        frame = frame.assign(same=7, fixed=0.5, word="only", y=label)
    elif name == "one value everywhere":
        frame = pd.DataFrame({"x": np.full(40, 2), "y": ["a"] * 40})
    elif name == "categories alone":
        frame = pd.DataFrame({"c": random.choice(["p", "q", "r"], 40), "y": label})
    elif name == "numbers alone":
        frame = frame.assign(y=np.resize([0, 1], 40))
    elif name == "a category and a class that occur once":
        frame = frame.assign(c=["rare"] + ["common"] * 39, y=["once"] + ["often"] * 39)
    elif name == "500 categories":
        frame = pd.DataFrame({"c": [f"value {row}" for row in range(500)], "y": np.resize(["a", "b"], 500)})
    elif name == "60 columns":
        frame = pd.DataFrame({f"x{place}": np.round(random.normal(0, 1, 40), 1) for place in range(59)}).assign(y=label)
    elif name == "wide numbers":
        frame = frame.assign(big=random.integers(-(2**40), 2**40, 40), vast=random.normal(0, 1e200, 40), y=label)
    task = Task.REGRESSION if name == "regression on three rows" else Task.BINARY
    if "rows" in name:
        frame = frame.assign(y=np.arange(40) / 4 if task is Task.REGRESSION else label)
    frame = frame.astype({column: object for column in frame if frame[column].dtype.kind == "U"})
    train = 3 if "three rows" in name else 1 if "one row" in name else len(frame)
    return splits_of(frame, "y", task, (train, 0))


@pytest.mark.parametrize(
    "name",
    ["constant columns", "one value everywhere", "categories alone", "numbers alone", "500 categories", "60 columns",
     "a category and a class that occur once", "wide numbers", "classes of three rows", "regression on three rows",
     "classes of one row: rows"],
)  # fmt: skip
def test_odd_tables_are_learnt_and_drawn_from(name: str, tmp_path: Path) -> None:
    splits = odd_table(name)
    assert_true_to(splits, drawn(TabSynGenerator(**BRIEF), splits, 17, tmp_path), 17)


def test_no_training_rows_are_an_error(tmp_path: Path) -> None:
    splits = make_splits()
    with pytest.raises(DataError, match="no training row"):
        drawn(TabSynGenerator(**BRIEF), replace(splits, train=splits.train.take([])), 5, tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"autoencoder": {"epochs": 2, "beta": -1}}, r"generator\.autoencoder\.beta_floor="),
        ({"autoencoder": {"epoch": 2}}, r"generator\.autoencoder=(.|\n)*epoch(.|\n)*AutoencoderSettings"),
        ({"diffusion": {"epochs": 0}}, r"generator\.diffusion\.epochs=0"),
        ({"diffusion": {}}, r"generator\.diffusion=(.|\n)*epochs"),
        ({"diffusion": {"epochs": "many"}}, r"generator\.diffusion=(.|\n)*many"),
        ({"device": "tpu"}, r"generator\.device=tpu"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_training(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        drawn(TabSynGenerator(**{**BRIEF, **settings}), make_splits(), 5, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_dependence_between_columns_is_learnt(tmp_path: Path) -> None:
    splits = make_splits(Task.REGRESSION, drop=("income", "noise", "job"), rows=300)
    generator = TabSynGenerator(
        autoencoder={"epochs": 60, "batch_size": 100, "learning_rate": 1e-2, "width": 4, "layers": 1},
        diffusion={"epochs": 150, "batch_size": 150, "learning_rate": 5e-3, "width": 64, "averaging": 0.98,
                   "sampling_steps": 20},
        device="cpu",
    )  # fmt: skip
    found, real = drawn(generator, splits, 1000, tmp_path), splits.train.frame
    assert_true_to(splits, found, 1000)
    order = np.random.default_rng(0)
    shuffled = found.apply(lambda column: order.permutation(column.to_numpy()))
    assert real[["age", "y"]].corr().iloc[0, 1] > 0.99
    assert found[["age", "y"]].corr().iloc[0, 1] > 0.95 > 0.2 > abs(shuffled[["age", "y"]].corr().iloc[0, 1])

    def gap(frame: pd.DataFrame) -> float:
        """Mean age in the south less that in the north."""
        ages = frame.groupby("town")["age"].mean()
        return float(ages["south"] - ages["north"])

    assert gap(found) == pytest.approx(gap(real), abs=0.3 * gap(real)) and abs(gap(shuffled)) < 0.2 * gap(real)
    assert found["town"].value_counts(normalize=True)["north"] == pytest.approx(0.75, abs=0.12)
