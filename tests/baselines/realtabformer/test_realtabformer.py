"""The wrapper around realtabformer: conforming rows, its tokens row by row, seeded, silent, nothing left behind."""

from __future__ import annotations

import json
import logging
import random
import warnings
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contracts import drawn_apart, uninstall
from toys import make_splits, splits_of

from baselines.foreign_training import muted
from baselines.realtabformer.encoding import RowTokens, coded, numeral
from baselines.realtabformer.generator import RealTabFormerGenerator
from baselines.realtabformer.training import DROPPED, RealTabFormerTuning, _former, library
from harmonic.errors import ConfigError, DataError, SamplingError
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.splits import Splits
from harmonic.tables.table import Task

needs_library = pytest.mark.skipif(find_spec("realtabformer") is None, reason="pip install 'harmonic[realtabformer]'")
TINY = {"n_layer": 2, "n_embd": 32, "n_head": 2}
LEARNING = {"gpt2": TINY, "epochs": 15, "batch_size": 16, "gradient_accumulation_steps": 1, "learning_rate": 1e-2}


def former(**given: Any) -> RealTabFormerGenerator:
    tuning = {**LEARNING, "n_critic": 0, **given.pop("tuning", {})}
    sampling = {"batch_size": 32, "seconds": 60, **given.pop("sampling", {})}
    return RealTabFormerGenerator(tuning=tuning, sampling=sampling, device="cpu", **given)


def fitted(generator: RealTabFormerGenerator, folder: Path, splits: Splits, seed: int = 0) -> RealTabFormerGenerator:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    generator.load(splits, prepared=folder, directory=folder)
    return generator


@pytest.fixture(scope="module", params=[Task.BINARY, Task.REGRESSION], ids=["classification", "regression"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Splits, Path]:
    """Splits, and what a fit on them leaves."""
    splits, folder, points = make_splits(request.param), tmp_path_factory.mktemp("fitted"), []
    generator = former()
    generator.history = lambda values, step: points.append({"step": step, "train/loss": values["train/loss"]})
    facts = generator.fit(splits, seed=0, prepared=folder, directory=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["history.json", "learnt.json", "model", "vocabulary.json"]
    assert not list(folder.rglob("*.pt")) and not list(folder.rglob("*.bin"))
    assert points == json.loads((folder / "history.json").read_text())
    assert len(points) == 60 and points[0]["train/loss"] > 2 * facts["loss"]
    assert facts["examples"] == 60 and facts["tokens_per_s"] == facts["tokens"] / facts["seconds"]
    return splits, folder


@pytest.fixture
def loaded(trained: tuple[Splits, Path]) -> RealTabFormerGenerator:
    splits, folder = trained
    generator = former()
    generator.load(splits, prepared=folder, directory=folder)
    return generator


@needs_library
def test_rows_conform_hold_known_categories_and_follow_the_seed(
    trained: tuple[Splits, Path],
    loaded: RealTabFormerGenerator,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    splits, _ = trained
    sample = loaded.sample(45, seed=1, directory=tmp_path / "a")
    assert len(sample.frame) == 45 and sample.validity["raw"] > 0.5
    pd.testing.assert_frame_equal(splits.schema.conform(sample.frame), sample.frame)
    for name in splits.schema.categorical:
        assert set(sample.frame[name]) <= set(splits.train.frame[name])
    assert sample.frame["age"].between(0, 99).all()  # two digits, as in training
    pd.testing.assert_frame_equal(loaded.sample(45, seed=1, directory=tmp_path / "b").frame, sample.frame)
    assert not loaded.sample(45, seed=2, directory=tmp_path / "c").frame.equals(sample.frame)
    assert capfd.readouterr() == ("", "")


@needs_library
def test_tokens_are_the_librarys_and_lead_back_to_the_rows(
    trained: tuple[Splits, Path], loaded: RealTabFormerGenerator
) -> None:
    from realtabformer.data_utils import get_input_ids, process_data

    table = trained[0].train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        processed, _ = process_data(coded(table), numeric_nparts=1)
    assert list(processed.columns) == loaded._tokens.processed
    vocabulary = {"token2id": loaded._tokens.tokens}
    expected = [get_input_ids(row, vocabulary, processed.columns)["input_ids"] for _, row in processed.iterrows()]
    found = loaded._tokens.encode(table)
    assert [[loaded._tokens.start, *ids] for ids in found] == expected
    rows = [loaded._tokens.decode(ids[:-1], table.schema) for ids in found]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table.frame)


@needs_library
def test_likelihoods_are_the_models_loss_of_each_row_alone(
    trained: tuple[Splits, Path], loaded: RealTabFormerGenerator
) -> None:
    import torch

    table = trained[0].train
    expected = []
    with torch.inference_mode():
        for ids in loaded._tokens.encode(table):
            row = torch.tensor([[loaded._tokens.start, *ids]])
            expected.append(float(loaded._trained(input_ids=row, labels=row).loss))
    assert np.ptp(expected) > 0.1
    assert loaded.nll(table.frame) == pytest.approx(expected, abs=1e-5)
    assert [tokens.mean() for tokens in loaded.token_nll(table.frame)] == pytest.approx(expected, abs=1e-5)
    assert loaded.token_nll(table.frame, base=True) is None  # it has no model to start from
    alone = table.frame.iloc[[7]].reset_index(drop=True)
    assert loaded.nll(alone) == pytest.approx(expected[7:8], abs=1e-5)
    assert loaded.nll(table.frame.head(0)).shape == (0,)


@needs_library
def test_unseen_digits_and_categories_are_scored_as_unknown_with_a_warning(
    trained: tuple[Splits, Path], loaded: RealTabFormerGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    splits, folder = trained
    frame = splits.train.frame
    job = splits.schema["job"]
    wider = replace(job, categories=(*job.categories, "sailor"))
    columns = tuple(wider if column.name == "job" else column for column in splits.schema.columns)
    table = replace(splits.val, schema=replace(splits.schema, columns=columns))
    loaded.load(replace(splits, val=table), prepared=folder, directory=folder)
    rows = pd.concat([frame.head(1), frame.head(1).assign(job="sailor"), frame.head(1).assign(age=12345)])
    with caplog.at_level(logging.WARNING):
        known, category, number = loaded.nll(rows.reset_index(drop=True))
    assert "2 of 3 rows hold values that no training row has" in caplog.text
    assert np.isfinite([known, category, number]).all() and known < category < number
    unknown = [ids.count(loaded._tokens.unknown) for ids in loaded._tokens.encode(replace(table, frame=rows))]
    assert unknown == [0, 1, 2]
    with pytest.raises(DataError, match="unknown categories"):
        loaded.nll(frame.head(1).assign(job="judge of the supreme court"))


@needs_library
@pytest.mark.parametrize(
    "values",
    [
        [0, 7, 123],
        [-45, 3, 1200],
        [3.0, 17.0],
        [0.5, 12.0, 103.25],
        [-0.75, 8.5, -112.125],
        [1 / 3, 20000.1],
        [12345678.123456, 1.5],
    ],
    ids=str,
)
@pytest.mark.parametrize("max_len", [10, 12])
def test_numbers_are_written_one_by_one_as_the_library_writes_a_column(values: list[float], max_len: int) -> None:
    from realtabformer.data_utils import process_numeric_data

    series = pd.Series(values)
    if series.dtype == np.int64:
        series = series.astype("Int64")
    written, transform = process_numeric_data(series, max_len=max_len)
    assert [numeral(float(value), transform) for value in values] == written.tolist()


@pytest.mark.parametrize(("digits", "reason"), [("1.2.", "not_a_number"), ("-12.", ""), ("1-2.", "not_a_number")])
def test_digits_in_places_that_make_no_number_are_no_row(digits: str, reason: str) -> None:
    splits = splits_of(pd.DataFrame({"x": [0.25, 1.5], "y": ["a", "b"]}), "y", Task.BINARY, (2, 0))
    processed = [f"0___NUMERIC___c0_{place:02}" for place in range(4)] + ["1___CATEGORICAL___c1"]
    names = [*(f"{at}___{digit}" for at, digit in zip(processed, digits, strict=False)), "1___CATEGORICAL___c1___a"]
    tokens = RowTokens(processed, {name: id for id, name in enumerate(names)}, [[id] for id in range(5)], {})
    if not reason:
        assert tokens.decode(range(5), splits.schema) == {"x": -12.0, "y": "a"}
        return
    with pytest.raises(InvalidAnswer) as found:
        tokens.decode(range(5), splits.schema)
    assert (found.value.reason, found.value.column) == (reason, "x")


@needs_library
def test_the_seed_fixes_the_weights_and_nothing_else_is_touched(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    filters, handlers = list(warnings.filters), list(logging.getLogger().handlers)
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        generator = former(tuning={"max_steps": 2})
        generator.fit(make_splits(), seed=seed, prepared=tmp_path, directory=tmp_path / name)
        digests.append(sha256((tmp_path / name / "model" / "model.safetensors").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert list(warnings.filters) == filters and list(logging.getLogger().handlers) == handlers
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@needs_library
@pytest.mark.slow
def test_the_stopping_rule_trains_in_parts_and_cleans_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    generator = former(tuning={"n_critic": 2, "num_bootstrap": 4, "epochs": 4})
    facts = generator.fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.json",
        "learnt.json",
        "model",
        "vocabulary.json",
    ]
    steps = [point["step"] for point in json.loads((tmp_path / "history.json").read_text())]
    assert steps == list(range(1, 17)) and np.isfinite(facts["loss"])
    assert capfd.readouterr() == ("", "")
    generator.load(make_splits(), prepared=tmp_path, directory=tmp_path)
    assert len(generator.sample(10, seed=0, directory=tmp_path).frame) == 10


@needs_library
def test_sampling_ends_when_its_time_is_up(
    loaded: RealTabFormerGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Begun long ago by this clock, and yet in time to ask: on a busy machine the time may be up before.
    monkeypatch.setattr("baselines.sampling_budget.time", SimpleNamespace(monotonic=lambda: 0.0))
    hasty = former(sampling={"seconds": 1e-3})
    hasty._model, hasty._tokens, hasty._splits = loaded._trained, loaded._tokens, loaded._splits
    with pytest.raises(SamplingError, match=r"0 of 9 rows from 9 answers: the 0\.001 s are over; .* out_of_time 9"):
        hasty.sample(9, seed=0, directory=tmp_path)
    assert (tmp_path / "partial.csv").read_text() == "age,income,job,noise,town,y\n"


@needs_library
def test_the_memory_is_given_back_and_loading_restores(
    trained: tuple[Splits, Path], loaded: RealTabFormerGenerator
) -> None:
    splits, folder = trained
    before = loaded.nll(splits.test.frame)
    loaded.unload()
    assert loaded._model is None
    loaded.load(splits, prepared=folder, directory=folder)
    assert loaded.nll(splits.test.frame).tolist() == before.tolist()


@needs_library
def test_the_model_is_the_librarys_own_unless_asked_for_another(tmp_path: Path) -> None:
    own = library().REaLTabFormer(model_type="tabular").tabular_config
    for settings, layers, width in (
        (RealTabFormerTuning(), own.n_layer, own.n_embd),
        (RealTabFormerTuning(gpt2=TINY), 2, 32),
    ):
        with muted():
            built = _former(make_splits().train, settings, "cpu", 0, tmp_path, None, set()).tabular_config
        assert (built.n_layer, built.n_embd) == (layers, width)


@needs_library
def test_what_transformers_dropped_is_what_is_taken_out() -> None:
    import inspect

    from transformers import TrainingArguments

    known = set(inspect.signature(TrainingArguments).parameters)
    passed = set(library().REaLTabFormer(model_type="tabular").training_args_kwargs)
    assert passed - known <= set(DROPPED) and not set(DROPPED) & known


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tuning": {"epochs": 0}}, r"generator\.tuning\.epochs=0"),
        ({"tuning": {"n_critic": 5, "max_steps": 3}}, r"generator\.tuning\.max_steps=3: .*\n.*n_critic=0"),
        ({"sampling": {"batch_size": 0}}, r"generator\.sampling\.batch_size=0"),
        ({"sampling": {"temperature": 0}}, r"generator\.sampling\.temperature=0"),
    ],
)
def test_what_cannot_work_is_refused_before_training(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        former(**given).fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)
    assert not (tmp_path / "model").exists()


def test_an_unknown_device_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"generator\.device=gpu(.|\n)*cpu"):
        replace(former(), device="gpu").fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)


def test_without_the_extra_the_error_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("realtabformer", monkeypatch)
    with pytest.raises(ConfigError, match=r"pip install 'harmonic\[realtabformer\]'"):
        library()


@needs_library
@pytest.mark.slow
def test_another_process_draws_the_same_rows(tmp_path: Path) -> None:
    setup = "from test_realtabformer import former, make_splits\nsplits, generator = make_splits(), former()"
    fitted, loaded = drawn_apart(setup, tmp_path)
    assert fitted == loaded


@needs_library
def test_a_training_that_ends_early_names_the_rows_that_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """... told from the batches that the model itself was given."""
    from transformers import Trainer

    shown: list[tuple[int, ...]] = []
    compute = Trainer.compute_loss

    def looked_at(self: Any, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        shown.extend(tuple(row) for row in inputs["input_ids"].tolist())
        return compute(self, model, inputs, *args, **more)

    monkeypatch.setattr(Trainer, "compute_loss", looked_at)
    splits = make_splits()
    generator = former(tuning={"max_steps": 3, "batch_size": 4, "gradient_accumulation_steps": 2})
    generator = fitted(generator, tmp_path, splits)
    found = generator.learnt_rows(60, seed=0, prepared=tmp_path, directory=tmp_path)
    assert len(found) == len(shown) == 24  # of 60
    tokens = [(generator._tokens.start, *ids) for ids in generator._tokens.encode(splits.train.take(found))]
    assert sorted(tokens) == sorted(shown)
