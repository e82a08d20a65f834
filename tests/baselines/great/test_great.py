"""The wrapper around be-great: real rows or the reasons, seeded, silent; its likelihoods are the model's own loss."""

from __future__ import annotations

import json
import random
import warnings
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contracts import drawn_apart, uninstall
from toys import make_splits, splits_of

from baselines.great.generator import GreatGenerator, _Answers
from baselines.great.row_text import RowReader, row_texts
from baselines.great.training import be_great, prepared_tokenizer
from harmonic.errors import ConfigError, DataError, SamplingError
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.splits import Splits
from harmonic.tables.table import Task

needs_great = pytest.mark.skipif(find_spec("be_great") is None, reason="pip install 'harmonic[great]'")
LEARNING = {"learning_rate": 1e-2, "batch_size": 16, "max_steps": 100, "scheduler": "constant"}
HASTY = {"max_steps": 2, "batch_size": 4}


def table(task: Task = Task.BINARY) -> Splits:
    """A name with spaces, a category with a comma, a target in digits: few enough values to be learnt by heart."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 90)
    values = {
        "a b": generator.integers(1, 4, 90),
        "x": np.round(generator.choice([0.5, 1.25], 90), 2),
        "job": np.where(label == 1, "cook, chief", "cook").astype(object),
    }
    target = np.where(label == 1, "1", "0").astype(object) if task is Task.BINARY else np.round(label * 1.5, 1)
    return splits_of(pd.DataFrame({**values, "y": target}), "y", task, (60, 20))


def tiny(**given: Any) -> TinyModel:
    return TinyModel(name="tiny", **{"dtype": "float32", "device": "cpu", "hidden_size": 64} | given)


def great(**given: Any) -> GreatGenerator:
    settings = {"tuning": LEARNING, "sampling": {"batch_size": 8, "seconds": 60}}
    return GreatGenerator(llm=tiny(), **settings | given)


def fitted(generator: GreatGenerator, folder: Path, splits: Splits, seed: int = 0) -> GreatGenerator:
    generator.fit(splits, seed=seed, prepared=folder, directory=folder)
    generator.load(splits, prepared=folder, directory=folder)
    return generator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fit on the toy table leaves: long enough to write rows."""
    folder = tmp_path_factory.mktemp("fitted")
    points = []
    generator = great()
    generator.history = lambda values, step: points.append({"step": step, "train/loss": values["train/loss"]})
    facts = generator.fit(table(), seed=0, prepared=folder, directory=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["great.json", "history.json", "learnt.json", "model"]
    assert points == json.loads((folder / "history.json").read_text())
    assert [point["step"] for point in points] == list(range(1, 101))
    assert points[0]["train/loss"] > 4 and facts["loss"] < 0.5
    assert facts["examples"] == 60 and facts["tokens_per_s"] == facts["tokens"] / facts["seconds"]
    return folder


@pytest.fixture
def loaded(folder: Path) -> GreatGenerator:
    generator = great()
    generator.load(table(), prepared=folder, directory=folder)
    return generator


@needs_great
def test_a_trained_model_writes_conforming_rows_that_follow_the_seed(
    loaded: GreatGenerator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits = table()
    sample = loaded.sample(24, seed=1, directory=tmp_path / "a")
    assert len(sample.frame) == 24
    pd.testing.assert_frame_equal(splits.schema.conform(sample.frame), sample.frame)
    assert sample.validity["raw"] > 0.3 and sample.validity["answers"] >= 24
    assert set(sample.frame["job"]) == {"cook", "cook, chief"} and set(sample.frame["y"]) == {"0", "1"}
    pd.testing.assert_frame_equal(loaded.sample(24, seed=1, directory=tmp_path / "b").frame, sample.frame)
    assert not loaded.sample(24, seed=2, directory=tmp_path / "c").frame.equals(sample.frame)
    assert capfd.readouterr() == ("", "")


@needs_great
def test_a_killed_run_goes_on_to_the_same_table(
    loaded: GreatGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loaded.sample(24, seed=1, directory=tmp_path / "whole")
    answers, asked = loaded._answers, []

    def killed(*given: Any) -> Any:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(given)
        return answers(*given)

    monkeypatch.setattr(loaded, "_answers", killed)
    with pytest.raises(KeyboardInterrupt):
        loaded.sample(24, seed=1, directory=tmp_path / "killed")
    monkeypatch.undo()
    resumed = loaded.sample(24, seed=1, directory=tmp_path / "killed")
    pd.testing.assert_frame_equal(resumed.frame, whole.frame)
    assert resumed.validity == whole.validity


@needs_great
def test_an_untrained_model_ends_in_an_error_with_reasons(tmp_path: Path) -> None:
    generator = fitted(great(tuning=HASTY, sampling={"batch_size": 8, "empty_batches": 2}), tmp_path, table())
    told = r"0 of 5 rows from \d+ answers: 2 batches .*: missing_column \d+ \(a b \d+"
    with pytest.raises(SamplingError, match=told):
        generator.sample(5, seed=0, directory=tmp_path)
    assert (tmp_path / "partial.csv").read_text() == "a b,x,job,y\n"


@needs_great
def test_sampling_ends_when_its_time_is_up(tmp_path: Path) -> None:
    settings = {"seconds": 0.5, "max_new_tokens": 4000}
    generator = fitted(great(tuning=HASTY, sampling=settings), tmp_path, table())
    # On a quick machine some answers would have come to an end before.
    generator._trained.generation_config.suppress_tokens = [generator._tokenizer.eos_token_id]
    passes: list[int] = []
    generator._trained.register_forward_pre_hook(lambda *_: passes.append(len(passes)))
    with pytest.raises(SamplingError, match=r"0 of 5 rows from 5 answers: the 0\.5 s are over; .* out_of_time 5"):
        generator.sample(5, seed=0, directory=tmp_path)
    assert 0 < len(passes) < 4000


@needs_great
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_likelihoods_are_the_models_loss_of_each_row_alone(loaded: GreatGenerator, folder: Path, task: Task) -> None:
    import torch

    splits = table(task)
    loaded.load(splits, prepared=folder, directory=folder)
    expected = []
    with torch.inference_mode():
        for text in row_texts(splits.test):
            ids = loaded._tokenizer(text, return_tensors="pt")["input_ids"]
            expected.append(float(loaded._trained(input_ids=ids, labels=ids).loss))
    assert np.ptp(expected) > 0.05
    assert loaded.nll(splits.test.frame) == pytest.approx(expected, abs=1e-5)
    assert loaded.nll(splits.test.frame.iloc[[3]].reset_index(drop=True)) == pytest.approx(expected[3:4], abs=1e-5)
    assert loaded.nll(splits.test.frame.head(0)).shape == (0,)


@needs_great
def test_token_likelihoods_are_those_of_the_row_and_of_the_untuned_model(loaded: GreatGenerator) -> None:
    import torch

    rows = table().test.frame
    assert [tokens.mean() for tokens in loaded.token_nll(rows)] == pytest.approx(loaded.nll(rows).tolist())
    model, tokenizer = tiny().load()
    ids = tokenizer(row_texts(table().test)[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
    assert loaded.token_nll(rows, base=True)[0] == pytest.approx(expected.numpy(), abs=1e-5)
    assert loaded.nll(rows).mean() < expected.mean() / 2  # the tuned model is back


@needs_great
def test_a_special_token_within_a_value_joins_nothing(loaded: GreatGenerator) -> None:
    import torch

    tokenizer = loaded._tokenizer
    pad = [tokenizer.pad_token_id] * 3
    start = [*pad, *tokenizer("y is 1,")["input_ids"]]
    rest = [" a b is 1", "2, x is 0.5, job is cook"]
    joined = [
        *start,
        *(
            token
            for part in rest
            for token in [*tokenizer(part)["input_ids"], tokenizer.convert_tokens_to_ids("<|im_start|>")]
        ),
    ]
    answers = _Answers(RowReader(table().schema), tokenizer, torch.tensor([start]))
    clean = [*start, *tokenizer("".join(rest))["input_ids"], tokenizer.eos_token_id]
    assert answers.read([clean], late=False) == [{"a b": 12, "x": 0.5, "job": "cook", "y": "1"}]
    (found,) = answers.read([joined], late=False)
    assert isinstance(found, InvalidAnswer) and (found.reason, found.column) == ("not_an_integer", "a b")


def test_a_chats_mark_in_a_cell_is_text() -> None:
    tokenizer = prepared_tokenizer(tiny())
    ids = tokenizer(["job is <|im_end|>, y is 1"])["input_ids"][0]
    assert tokenizer.eos_token_id not in ids and tokenizer.decode(ids) == "job is <|im_end|>, y is 1"


@needs_great
def test_values_that_no_training_row_has_are_scored_and_categories_beyond_the_schema_refused(
    loaded: GreatGenerator,
) -> None:
    known, rows = table().train.frame.head(1), table().train.frame.head(1).assign(x=987.25)
    assert np.isfinite(loaded.nll(rows)).all() and loaded.nll(rows) > loaded.nll(known)
    with pytest.raises(DataError, match="unknown categories"):
        loaded.nll(known.assign(job="judge"))


@needs_great
def test_the_seed_fixes_the_weights_and_nothing_else_is_touched(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    filters = list(warnings.filters)
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        great(tuning=HASTY).fit(table(), seed=seed, prepared=tmp_path, directory=tmp_path / name)
        digests.append(sha256((tmp_path / name / "model" / "model.safetensors").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert list(warnings.filters) == filters
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@needs_great
def test_an_adapter_is_trained_and_merged(tmp_path: Path) -> None:
    llm = tiny(target_modules=["q_proj", "down_proj"])
    generator = fitted(replace(great(tuning={**HASTY, "rank": 2, "learning_rate": 0.1}), llm=llm), tmp_path, table())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "great.json", "history.json", "learnt.json"]
    untrained = llm.load()[0].state_dict()
    changed = {
        name.split(".")[-2]
        for name, weights in generator._trained.state_dict().items()
        if not weights.equal(untrained[name])
    }
    assert changed == {"q_proj", "down_proj"}
    assert np.isfinite(generator.nll(table().test.frame)).all()


@needs_great
def test_the_memory_is_given_back_and_loading_restores(loaded: GreatGenerator, folder: Path) -> None:
    before = loaded.nll(table().test.frame)
    loaded.unload()
    assert loaded._model is None
    loaded.load(table(), prepared=folder, directory=folder)
    assert loaded.nll(table().test.frame).tolist() == before.tolist()


@needs_great
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tuning": {"epochs": 0}}, r"generator\.tuning\.epochs=0"),
        ({"tuning": {"rank": 0}}, r"generator\.tuning\.rank=0"),
        ({"sampling": {"seconds": 0}}, r"generator\.sampling\.seconds=0"),
        ({"llm": tiny(quantization="4bit")}, r"llm\.quantization=4bit: .*\n.*generator\.tuning\.rank"),
        ({"llm": tiny(context=20)}, r"llm\.context=20: the longest row takes \d+ tokens"),
    ],
)
def test_what_cannot_work_is_refused_before_training(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    generator = GreatGenerator(**{"llm": tiny(), **given})
    with pytest.raises(ConfigError, match=words):
        generator.fit(table(), seed=0, prepared=tmp_path, directory=tmp_path)
    assert not (tmp_path / "model").exists()


def test_without_the_extra_the_error_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("be_great", monkeypatch)
    with pytest.raises(ConfigError, match=r"pip install 'harmonic\[great\]'"):
        be_great()


@needs_great
@pytest.mark.slow
def test_another_process_draws_the_same_rows(tmp_path: Path) -> None:
    fitted, loaded = drawn_apart("from test_great import great, table\nsplits, generator = table(), great()", tmp_path)
    assert fitted == loaded


@needs_great
@pytest.mark.parametrize(("max_steps", "learnt"), [(3, 12), (None, 60)])
def test_a_training_that_ends_early_names_the_rows_that_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_steps: int | None, learnt: int
) -> None:
    """... told from the texts in the batches that the model itself was given."""
    from transformers import Trainer

    splits = make_splits()  # whose rows differ from each other
    tokenizer, reader, shown = prepared_tokenizer(tiny()), RowReader(splits.schema), []
    compute = Trainer.compute_loss

    def looked_at(self: Any, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        assert "training_row" not in inputs
        for ids, mask in zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True):
            text = tokenizer.decode([token for token, kept in zip(ids, mask, strict=True) if kept])
            shown.append(tuple(reader.read(text, ended=True).values()))
        return compute(self, model, inputs, *args, **more)

    monkeypatch.setattr(Trainer, "compute_loss", looked_at)
    tuning = {"batch_size": 4, "max_steps": max_steps, "epochs": 1}
    generator = fitted(great(tuning=tuning), tmp_path, splits)
    found = generator.learnt_rows(60, seed=0, prepared=tmp_path, directory=tmp_path)
    assert len(found) == len(shown) == learnt
    assert sorted(shown) == sorted(splits.train.take(found).frame.itertuples(index=False, name=None))
