"""CTAB-GAN+: seeded, true to the schema, at home with odd tables, and able to learn."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from contracts import assert_conforms
from toys import make_splits, splits_of

from baselines.ctabgan import training as ctabgan_training
from baselines.ctabgan.conditional_vector import TrainingSampler
from baselines.ctabgan.downstream import Downstream
from baselines.ctabgan.encoding_rules import EncodingRules, fit_encoding
from baselines.ctabgan.generator import CtabganGenerator
from baselines.ctabgan.training import CtabganTraining
from experiments.configuration.building import configured
from harmonic.errors import ConfigError, DataError
from harmonic.evaluation.fidelity.columns_and_pairs import column_shapes, correlation_similarity
from harmonic.tables.splits import Splits
from harmonic.tables.table import Task

TINY = {"epochs": 1, "max_steps": 2, "batch_size": 8, "critic_steps": 2, "channels": 2, "noise": 4}


def tiny(**settings: Any) -> CtabganGenerator:
    return CtabganGenerator(training=TINY | settings, device="cpu")


def drawn(generator: CtabganGenerator, splits: Splits, n: int, folder: Path, seed: int = 1) -> pd.DataFrame:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    return generator.sample(n, seed=seed, directory=folder).frame


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_fitted_loaded_and_refitted_generators_draw_the_same_conforming_rows(tmp_path: Path, task: Task) -> None:
    splits = make_splits(task)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    generator = tiny()
    first = drawn(generator, splits, 23, tmp_path)

    assert_conforms(first, splits, 23)

    loaded = replace(generator)
    loaded.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(23, seed=1, directory=tmp_path).frame, first)
    assert not loaded.sample(23, seed=2, directory=tmp_path).frame.equals(first)
    pd.testing.assert_frame_equal(drawn(replace(generator), splits, 23, tmp_path), first)
    assert not drawn(replace(generator), splits, 23, tmp_path, seed=2).equals(first)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["encoding.json", "generator.safetensors"]
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states


ODD: dict[str, tuple[dict[str, Any], Task]] = {
    "three rows": ({"x": [1.5, 2.5, 9.0], "job": ["a", "b", "a"], "y": ["p", "q", "p"]}, Task.BINARY),
    "a single category each": ({"job": list("abcdefgh"), "y": list("pqpqpqpq")}, Task.BINARY),
    "all categorical": ({"job": list("aabb") * 9, "town": list("cdde") * 9, "y": list("pqqp") * 9}, Task.BINARY),
    "all numeric": ({"x": np.arange(60.0), "z": np.arange(60) % 7, "y": np.arange(60.0) ** 2}, Task.REGRESSION),
    "constant columns": ({"x": [3] * 30, "job": ["a"] * 30, "z": range(30), "y": list("pqp") * 10}, Task.BINARY),
    "a constant target": ({"x": range(30), "y": ["p"] * 30}, Task.BINARY),
    "the target alone varies": ({"x": [1.0] * 30, "y": list("pqp") * 10}, Task.BINARY),
    "a rare class": ({"x": range(50), "y": ["p"] * 49 + ["q"]}, Task.BINARY),
    "nothing to choose": ({"x": np.sin(np.arange(50)), "y": np.cos(np.arange(50))}, Task.REGRESSION),
    "spikes in a target": ({"x": range(90), "y": [0.0] * 30 + list(np.arange(60.0))}, Task.REGRESSION),
    "few values in a target": ({"x": range(90), "y": [1, 2, 5] * 30}, Task.REGRESSION),
    "huge and tiny numbers": (
        {"x": np.geomspace(1e-30, 1e30, 60), "z": np.linspace(0, 1e-9, 60), "y": list("pq") * 30},
        Task.BINARY,
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_tables_are_learnt_and_drawn(tmp_path: Path, case: str) -> None:
    columns, task = ODD[case]
    frame = pd.DataFrame({name: pd.Series(list(values)) for name, values in columns.items()})
    splits = splits_of(frame, "y", task, (len(frame), 0))
    encoding = {"transforms": {"x": "min_max", "y": "min_max"}} if case == "nothing to choose" else {}
    generator = CtabganGenerator(training=TINY | {"batch_size": 64}, encoding=encoding, device="cpu")
    found = drawn(generator, splits, 40, tmp_path)
    assert len(found) == 40
    pd.testing.assert_frame_equal(splits.schema.conform(found), found)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training": {"epoch": 3}}, r"training\.epoch=3(.|\n)*'epochs'"),
        ({"training": {"batch_size": 1}}, r"training\.batch_size=1: must be a number of at least 2"),
        ({"training": {"epochs": 0}}, r"training\.epochs=0"),
        ({"training": {"learning_rate": 0.0}}, r"training\.learning_rate=0\.0"),
        ({"training": {"penalty": float("nan")}}, r"training\.penalty=nan"),
        ({"encoding": {"modes": 3}}, r"encoding\.modes=3(.|\n)*max_modes"),
        ({"encoding": {"transforms": {"age": "bins"}}}, r"transforms\.age=bins"),
        ({"device": "tpu"}, r"generator\.device=tpu"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(ctabgan_training.Duel, "begin", lambda *_: pytest.fail("the training began"))
    with pytest.raises(ConfigError, match=words):
        CtabganGenerator(**settings).fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)


def test_a_table_that_never_varies_is_an_error_before_training(tmp_path: Path) -> None:
    splits = splits_of(pd.DataFrame({"x": [1] * 9, "y": ["p"] * 9}), "y", Task.BINARY, (9, 0))
    with pytest.raises(DataError, match="only one value"):
        tiny().fit(splits, seed=0, prepared=tmp_path, directory=tmp_path)


def test_an_interrupted_training_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Any) -> None:
        torch.randn(3)
        raise KeyboardInterrupt

    monkeypatch.setattr(ctabgan_training.Duel, "step", interrupted)
    before = torch.get_rng_state().tolist()
    with pytest.raises(KeyboardInterrupt):
        tiny().fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)
    assert list(tmp_path.iterdir()) == [] and torch.get_rng_state().tolist() == before


def test_a_training_that_diverges_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    generator = tiny(learning_rate=1e30, adam_epsilon=1e-8, max_steps=20, epochs=20)
    with pytest.raises(ConfigError, match=r"learning_rate=1e\+30: the training diverged in step \d+"):
        generator.fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_epochs_are_counted_in_batches_up_to_a_limit() -> None:
    assert CtabganTraining(epochs=10, batch_size=100).steps(250) == 20
    assert CtabganTraining(epochs=10, batch_size=500).steps(250) == 10  # at least one a epoch
    assert CtabganTraining(epochs=10, batch_size=100, max_steps=7).steps(250) == 7


def test_each_step_trains_the_critic_as_often_as_asked_and_the_others_once() -> None:
    train = make_splits().train
    encoding = fit_encoding(train, EncodingRules(), 0)
    rows = encoding.encode(train.frame, np.random.default_rng(0))
    settings = CtabganTraining(**(TINY | {"critic_steps": 3}))
    duel = ctabgan_training.Duel.begin(rows, encoding, settings, train, "cpu", np.random.default_rng(0))
    duel.step()
    steps = {name: optimizer.state_dict()["state"][0]["step"].item() for name, optimizer in duel.optimizers.items()}
    assert steps == {"critic": 3, "generator": 1, "downstream": 1}


@pytest.mark.parametrize("transform", ["min_max", "modes", "one_hot"])
def test_the_regressors_target_is_the_columns_own_value_standardised(transform: str) -> None:
    train = make_splits(Task.REGRESSION).train
    encoding = fit_encoding(train, EncodingRules(transforms={"y": transform}), 0)
    rows = torch.from_numpy(encoding.encode(train.frame, np.random.default_rng(0)))
    downstream = Downstream.of(encoding, train, rows)
    assert downstream is not None
    values = train.target.to_numpy()
    expected = torch.from_numpy((values - values.mean()) / values.std()).float()
    torch.testing.assert_close(downstream._value(rows[:, downstream.part]), expected, atol=1e-4, rtol=1e-4)


def test_the_auxiliary_loss_is_the_cross_entropy_of_the_target_by_the_other_columns() -> None:
    train = make_splits().train  # the target comes last
    encoding = fit_encoding(train, EncodingRules(), 0)
    rows = torch.from_numpy(encoding.encode(train.frame, np.random.default_rng(0)))
    downstream = Downstream.of(encoding, train, rows)
    assert downstream is not None
    downstream.network.eval()
    labels = torch.from_numpy((train.target == "class 1").to_numpy().astype(np.int64))
    logits = downstream.network(rows[:, :-2])
    torch.testing.assert_close(downstream.loss(rows), torch.nn.functional.cross_entropy(logits, labels))


def test_training_by_sampling_shows_a_rare_class_more_often() -> None:
    train = splits_of(pd.DataFrame({"x": range(200), "y": ["p"] * 198 + ["q"] * 2}), "y", Task.BINARY, (200, 0)).train
    encoding = fit_encoding(train, EncodingRules(), 0)
    rows = encoding.encode(train.frame, np.random.default_rng(0))
    _, _, positions = TrainingSampler.of(rows, encoding.selectors).draw(5000, np.random.default_rng(0))
    assert (positions >= 198).mean() > 0.05  # 1% of the rows


def test_training_learns_columns_and_their_relation(tmp_path: Path) -> None:
    splits = make_splits(rows=300, drop=("income", "noise"))  # what is left depends on the class: age and town
    real, schema = splits.train.frame, splits.schema
    settings = {"batch_size": 50, "critic_steps": 1, "learning_rate": 2e-3, "adam_epsilon": 1e-8, "averaging": 0.95}
    settings |= {"channels": 8, "noise": 16, "epochs": 10**6}

    def quality(steps: int) -> tuple[float, float]:
        found = drawn(tiny(**settings, max_steps=steps), splits, 600, tmp_path)
        shapes = np.mean(np.concatenate(column_shapes(real, found, schema)))
        return float(shapes), float(((found["town"] == "north") == (found["y"] == "class 0")).mean())

    untrained, trained = quality(1), quality(200)
    assert trained[0] > 0.86 > 0.78 > untrained[0]
    assert trained[1] > 0.66 > 0.58 > untrained[1]


@pytest.mark.slow
def test_at_quick_scale_diabetes_keeps_its_columns_and_their_relations(tmp_path: Path) -> None:
    parts = configured("tracker=off", "dataset=diabetes", "generator=ctabgan")
    splits = parts["dataset"].load(0)
    parts["generator"].fit(splits, seed=0, prepared=tmp_path, directory=tmp_path)
    found = parts["generator"].sample(len(splits.train), seed=0, directory=tmp_path).frame
    real, schema = splits.train.frame, splits.schema
    assert np.mean(np.concatenate(column_shapes(real, found, schema))) > 0.91
    shuffled = pd.DataFrame({name: real[name].sample(frac=1, random_state=n).to_numpy() for n, name in enumerate(real)})
    similarity = [correlation_similarity(real[schema.numeric], rows[schema.numeric]) for rows in (shuffled, found)]
    assert similarity[1] > 0.935 > 0.925 > similarity[0]  # shuffled columns have no relation
    predicts = found.groupby(schema.target)["Glucose"].mean()
    assert predicts.max() - predicts.min() > 15  # mg/dl; 31 in the training rows
