"""Canary exposure: the formula, what chance gives, and models that learnt the planted rows by heart, or did not."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from test_llm_effectiveness import tiny as responsive

from harmonic.errors import ConfigError
from harmonic.evaluation.privacy.canary import CHANCE, CanaryExposure, exposures, mean_interval
from harmonic.llm.tiny_model import TinyModel
from harmonic.tables.canaries import plant
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def tiny(**settings) -> TinyModel:
    return TinyModel(
        name="tiny", dtype="float32", device="cpu", target_modules=MODULES, embedding_factor=10, **settings
    )


def audit(**settings) -> CanaryExposure:
    return CanaryExposure(**{"llm": tiny(), "signals": ["nearest"], "resamples": 200} | settings)


@pytest.fixture
def numbers() -> Splits:
    """Forty real rows of two numbers of three digits and a label."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.integers(100, 1000, 80), "z": rng.integers(100, 1000, 80)})
    frame["y"] = rng.choice(["a", "b"], 80).astype(object)
    label = Column(name="y", kind=Kind.CATEGORY, categories=("a", "b"))
    columns = (*(Column(name=name, kind=Kind.INTEGER) for name in "xz"), label)
    schema = Schema(columns=columns, target="y", task=Task.BINARY, description="toys")
    table = Table(schema.conform(frame), schema)
    return Splits(table.take(range(40)), table.take(range(40, 60)), table.take(range(60, 80)))


# ---- the formula


def test_exposure_by_hand():
    decoys = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert exposures(np.array([0.5, 1.5, 9.0]), decoys).tolist() == [3, 2, 0]  # ranks 1, 2 and 8 of 8
    assert exposures(np.array([4.0]), decoys) == pytest.approx(3 - np.log2(4.5))  # between ranks 4 and 5
    assert exposures(np.array([1.0]), np.ones(7)) == pytest.approx(3 - np.log2(4.5))


def test_unseen_rows_have_the_exposure_of_uniform_ranks():
    rng = np.random.default_rng(0)
    found = exposures(rng.normal(size=20000), rng.normal(size=100000))
    assert found.mean() == pytest.approx(CHANCE, abs=0.05)  # 1/ln 2
    assert found.std() == pytest.approx(CHANCE, abs=0.1)  # exponential
    largest = exposures(rng.normal(size=20 * 500), rng.normal(size=100000)).reshape(500, 20).max(axis=1)
    harmonic_number = (1 / np.arange(1, 21)).sum()
    assert largest.mean() == pytest.approx(harmonic_number / np.log(2), abs=0.3)  # the docstring's 5.2


def test_the_interval_holds_chance_as_often_as_promised():
    rng = np.random.default_rng(1)
    held = 0
    for draw in range(200):
        found = exposures(rng.normal(size=20), rng.normal(size=300))
        low, high = mean_interval(found, np.log2(301), 0.9, resamples=200, seed=draw)
        held += low <= CHANCE <= high
    assert 0.85 < held / 200 < 0.97


def test_the_interval_reaches_as_far_as_a_few_remembered_canaries_demand():
    values = np.array([9.9, 9.9] + [1.4] * 18)
    low, high = mean_interval(values, 9.97, 0.95, resamples=1000, seed=0)
    assert low < 1.6 and 3.4 < high <= 9.97
    assert mean_interval(np.full(20, 9.97), 9.97, 0.95, resamples=10, seed=0)[1] == 9.97


# ---- what a generator gives away


def test_a_copy_of_the_training_rows_gives_every_canary_away(toy, assert_sound):
    splits = plant(toy, {"count": 20}, 0)
    measures = audit().evaluate(splits, splits.train, seed=0)
    assert_sound(audit(), measures)
    assert measures["canary/exposure"] == pytest.approx(np.log2(1001))
    assert measures["canary/auc"] == 1 and measures["canary/auc/low"] > 0.8
    assert measures["canary/exposure_max"] == measures["canary/exposure/high"] == pytest.approx(np.log2(1001))


def test_real_rows_that_the_generator_never_mixed_with_canaries_give_none_away(toy, assert_sound):
    splits = plant(toy, {"count": 100}, 0)
    measures = audit().evaluate(splits, toy.train, seed=0)
    assert_sound(audit(), measures)
    assert measures["canary/auc/low"] < 0.5 < measures["canary/auc/high"]
    assert measures["canary/exposure/low"] < CHANCE < measures["canary/exposure/high"]


def test_the_models_own_likelihood_is_a_signal(toy, assert_sound):
    splits = plant(toy, {"count": 10}, 0)
    known = set(pd.util.hash_pandas_object(splits.canaries.frame, index=False))
    asked = []

    def scorer(rows):
        asked.append(len(rows))
        hashes = pd.util.hash_pandas_object(rows, index=False)
        return np.where(hashes.isin(known), 1.0, 2.0) + hashes.to_numpy() / 2**66

    measures = audit(signals=["model"], max_scored_decoys=63).evaluate(splits, toy.val, seed=0, scorer=scorer)
    assert_sound(audit(), measures)
    assert asked == [10 + 63]
    assert measures["canary/model/exposure"] == pytest.approx(6)  # log2 of 63 decoys and the canary
    assert len(measures.series["canary/model/exposures"]) == 10


def test_the_signal_that_tells_most_is_the_one_reported(toy):
    splits = plant(toy, {"count": 20}, 0)
    both = audit(signals=["model", "nearest"])
    measures = both.evaluate(splits, splits.train, seed=0, scorer=lambda rows: np.arange(len(rows)) % 7 * 1.0)
    assert measures.notes["canary/auc"] == "nearest"
    assert measures["canary/auc"] == measures["canary/nearest/auc"] > measures["canary/model/auc"]
    assert measures["canary/auc/low"] < measures["canary/nearest/auc/low"]  # for both at once: wider


@pytest.mark.slow
def test_canaries_learnt_by_heart_are_exposed_and_those_met_once_are_not(numbers, taught, tmp_path):
    found = {}
    for repeats, epochs in ((20, 15), (1, 1)):
        splits = plant(numbers, {"count": 4, "repeats": repeats}, 0)
        folder = tmp_path / str(repeats)
        folder.mkdir()
        model = taught(tiny(hidden_size=64), splits, folder, learning_rate=5e-3, epochs=epochs)
        judge = audit(signals=["model"], max_scored_decoys=200)
        found[repeats] = judge.evaluate(splits, numbers.train, seed=0, scorer=model.nll)
    assert found[20]["canary/model/exposure"] > 6  # of log2 201 = 7.65
    assert found[20]["canary/model/auc"] > 0.95
    assert found[1]["canary/model/exposure"] < 3
    assert found[1]["canary/model/auc/low"] < 0.5


@pytest.mark.parametrize("form", ["question", "list"])
def test_the_model_tuned_on_the_synthetic_rows_knows_the_labels_it_was_taught(assert_sound, form):
    signs = ("x" * 40, "y" * 40)
    columns = (
        Column(name="sign", kind=Kind.CATEGORY, categories=signs),
        Column(name="label", kind=Kind.CATEGORY, categories=("no", "yes")),
    )
    schema = Schema(columns=columns, target="label", task=Task.BINARY, description="signs")
    taught, untold = (
        Table(pd.DataFrame({"sign": [*signs] * 2, "label": labels * 2}, dtype=object), schema)
        for labels in (["no", "yes"], ["yes", "no"])
    )
    splits = Splits(taught, taught, taught, canaries=taught, decoys=untold)
    tuning = {"epochs": 4, "learning_rate": 1e-2, "batch_size": 8, "dropout": 0.0, "checkpoint_every": None}
    llm = tiny()
    if form == "list":  # whose rows are a token or two: less to see than forty letters
        tuning |= {"epochs": 1, "passes": 8, "batch_size": 2, "vocabulary": "occurring"}
        llm = responsive(hidden_size=128)
    judge = audit(llm=llm, signals=["lle"], tuning=tuning, task_sentence="Which?", form=form, lists={"rows": 8})
    measures = judge.evaluate(splits, taught.take(np.arange(80) % 4), seed=0)
    assert_sound(judge, measures)
    assert measures["canary/lle/auc"] == 1
    assert measures.notes["canary/auc"] == "lle"


# ---- what cannot be had


def test_without_canaries_it_says_how_to_plant_them(toy, assert_sound):
    judge = audit(signals=["model", "lle", "nearest"])
    measures = judge.evaluate(toy, toy.train, seed=0, scorer=lambda rows: np.zeros(len(rows)))
    assert_sound(judge, measures)
    assert all(np.isnan(value) for value in measures.values())
    assert all("canaries.count=20" in reason for reason in measures.reasons.values())


def test_a_signal_that_is_not_to_be_had_leaves_the_others(toy, assert_sound):
    splits = plant(toy, {"count": 5}, 0)
    judge = audit(signals=["model", "nearest"])
    measures = judge.evaluate(splits, splits.train, seed=0)
    assert_sound(judge, measures)
    assert "language generator" in measures.reasons["canary/model/auc"]
    assert measures["canary/auc"] == 1


def test_bad_synthetic_rows_never_raise(toy, spoiled, assert_sound):
    splits = plant(toy, {"count": 5}, 0)
    assert_sound(audit(), audit().evaluate(splits, spoiled(toy.train), seed=0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signals": []}, "canary_exposure.signals"),
        ({"signals": ["modle"]}, r"canary_exposure.signals=modle(.|\n)*'model'"),
        ({"confidence": 1.0}, "canary_exposure.confidence=1.0"),
        ({"max_scored_decoys": 1}, "canary_exposure.max_scored_decoys=1"),
        ({"form": "lists"}, "canary_exposure.form=lists"),
        ({"lists": {"contexts": 0}}, "canary_exposure.lists.contexts=0"),
    ],
)
def test_settings_that_cannot_be_name_their_key(toy, settings, message):
    with pytest.raises(ConfigError, match=message):
        audit(**settings).evaluate(toy, toy.train, seed=0)


def test_the_configuration_fills_every_setting():
    path = Path(__file__).parents[3] / "conf" / "evaluator" / "canary.yaml"
    (settings,) = yaml.safe_load(path.read_text(encoding="utf-8")).values()
    assert {name for name in settings if not name.startswith("_")} == {field.name for field in fields(CanaryExposure)}
