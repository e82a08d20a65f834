"""Canaries among the training rows: made of real values, nobody's rows, and nothing else changes."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import open_dict

from experiments.run import run_job
from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.tables.canaries import DECOYS, plant, uproot
from harmonic.tables.columns import Column, Kind
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Schema, Table, Task


def dataset(**settings) -> Dataset:
    return Dataset(name="diabetes", target="Outcome", source="packaged", **settings)


@pytest.fixture(scope="module")
def clean() -> Splits:
    return dataset().load(0)


@pytest.fixture(scope="module")
def planted() -> Splits:
    return dataset(canaries={"count": 20, "repeats": 3}).load(0)


def rows_of(*tables: Table) -> list[tuple[str, ...]]:
    return [row for table in tables for row in table.texts().itertuples(index=False, name=None)]


def test_canaries_stand_behind_the_real_rows_as_often_as_asked(clean, planted):
    real = len(clean.train)
    assert len(planted.train) == real + 60
    pd.testing.assert_frame_equal(planted.train.frame[:real], clean.train.frame)
    counts = Counter(rows_of(planted.train.take(range(real, real + 60))))
    assert counts == dict.fromkeys(rows_of(planted.canaries), 3)
    assert "planted 20 made-up rows 3 times each" in planted.notes[-1]


def test_every_canary_and_decoy_is_nobodys_row_and_unlike_the_others(clean, planted):
    made_up = rows_of(planted.canaries, planted.decoys)
    assert len(planted.decoys) == DECOYS
    assert len(set(made_up)) == len(made_up) == 20 + DECOYS
    assert not set(made_up) & set(rows_of(clean.train, clean.val, clean.test))


def test_cells_are_training_values_with_their_frequency_and_columns_are_independent(clean, planted):
    frame = pd.concat([planted.canaries.frame, planted.decoys.frame])
    for name in clean.schema.names:
        assert set(frame[name]) <= set(clean.train.frame[name])
    share = (clean.train.frame["Outcome"] == "1").mean()
    assert (frame["Outcome"] == "1").mean() == pytest.approx(share, abs=0.06)  # four standard errors
    assert abs(np.corrcoef(frame["Glucose"], frame["Outcome"].astype(int))[0, 1]) < 0.12
    assert np.corrcoef(clean.train.frame["Glucose"], clean.train.frame["Outcome"].astype(int))[0, 1] > 0.4


def test_uprooting_gives_the_real_rows_back(clean, planted):
    pd.testing.assert_frame_equal(uproot(planted).train.frame, clean.train.frame)
    assert uproot(planted).canaries is planted.canaries
    assert uproot(clean) is clean


def test_the_seed_fixes_them_and_they_change_the_fingerprint(clean, planted):
    prints = [dataset(canaries={"count": 20, "repeats": n}).load(0).fingerprint() for n in (3, 1)]
    assert prints[0] == planted.fingerprint()
    assert len({*prints, clean.fingerprint()}) == 3
    first, second = (set(rows_of(plant(clean, {"count": 20}, seed).canaries)) for seed in (0, 1))
    assert not first & second


def test_canaries_are_no_likelier_rows_than_decoys():
    """Of few combinations the likely ones are found first: were these the canaries, chance would look like memory."""
    rare = np.array(["u"] * 90 + list("vwxyz") * 2, dtype=object)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.permutation(rare) for name in "abcdef"})
    columns = tuple(Column(name=name, kind=Kind.CATEGORY, categories=tuple("uvwxyz")) for name in frame)
    table = Table(frame, Schema(columns=columns, target="f", task=Task.MULTICLASS, description=""))
    usual = []
    for seed in range(20):
        splits = plant(Splits(table, table, table), {"count": 20}, seed)
        usual.append([(part.frame == "u").to_numpy().mean() for part in (splits.canaries, splits.decoys)])
    canaries, decoys = np.array(usual).T
    assert abs((canaries - decoys).mean()) < 3 * canaries.std() / 20**0.5


@pytest.mark.parametrize("settings", [None, {}, {"count": 0, "repeats": 5}])
def test_none_wanted_none_planted(clean, settings):
    assert plant(clean, settings, 0) is clean


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": -1}, "canaries.count=-1"),
        ({"count": 1}, "canaries.count=1"),
        ({"count": 5, "repeats": 0}, "canaries.repeats=0"),
        ({"counts": 5}, "canaries.counts=5: (.|\n)*'count'"),
    ],
)
def test_settings_that_cannot_be_name_their_key(clean, settings, message):
    with pytest.raises(ConfigError, match=message):
        plant(clean, settings, 0)


def test_a_table_with_too_few_combinations_is_an_error():
    column = Column(name="a", kind=Kind.CATEGORY, categories=("x", "y"))
    label = Column(name="b", kind=Kind.CATEGORY, categories=("u", "v"))
    schema = Schema(columns=(column, label), target="b", task=Task.BINARY, description="")
    frame = pd.DataFrame({"a": list("xyxy"), "b": list("uvuv")}, dtype=object)
    table = Table(frame, schema)
    with pytest.raises(DataError, match="2 combinations of values"):
        plant(Splits(table, table, table), {"count": 2}, 0)


def test_missing_values_are_values_of_their_column_and_are_imputed_like_the_rest():
    numbers = np.arange(200.0)
    frame = pd.DataFrame({"x": np.where(numbers % 4 == 0, np.nan, numbers), "z": numbers + 1, "y": numbers * 2})
    columns = (Column(name="x", kind=Kind.INTEGER, missing="?"), *(Column(name=n, kind=Kind.FLOAT) for n in "zy"))
    schema = Schema(columns=columns, target="y", task=Task.REGRESSION, description="")
    table = Table(schema.conform(frame), schema)
    splits = plant(Splits(table.take(range(100)), table.take(range(100, 150)), table.take(range(150, 200))),
                   {"count": 20}, 0)  # fmt: skip
    assert 0.15 < splits.decoys.frame["x"].isna().mean() < 0.35
    whole = Imputation.of(splits.train).splits(splits)
    assert not whole.canaries.frame.isna().any().any() and not whole.decoys.frame.isna().any().any()
    assert whole.decoys.schema == whole.train.schema


def test_in_a_run_the_generator_learns_them_and_the_measures_see_the_real_rows_alone(tmp_path):
    overrides = [
        "generator=copy", "evaluator=[canary,anonymeter]", "evaluator.canary_exposure.signals=[nearest]",
        "evaluator.anonymeter.attacks=[linkability]", "canaries.count=20", "n_samples=null", "data_dir=null",
        "tracker=off", f"output_dir={tmp_path}",
    ]  # fmt: skip
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    report = json.loads((run_job(config, choices) / "report.json").read_text())
    assert report["rows"]["train"] == 491
    assert report["rows"]["synthetic"] == 491 + 20
    assert report["metrics"]["canary/auc"] == 1
    assert report["metrics"]["canary/exposure"] == pytest.approx(np.log2(DECOYS + 1))
    assert report["metrics"]["anonymeter/linkability/low"] > 0.8
