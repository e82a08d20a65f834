"""The lengths of prompts: as many examples as fit, short names where asked for, and nothing that is ever cut."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError
from harmonic.llm.hub_model import HubModel
from harmonic.llm.tiny_model import TinyModel
from harmonic.method.generator import HarmonicGenerator
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.prompts.stored_prompts import StoredPrompts, write_prompts
from harmonic.prompts.token_counts import TokenCounter
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

TUNING = {"batch_size": 4, "max_examples": 8, "checkpoint_every": None}


def wide_table(n: int = 40, columns: int = 6) -> Table:
    """A table of long names and values of different lengths."""
    draw = np.random.default_rng(0)
    names = [f"{word} of the measuring device" for word in ("height", "width", "depth", "weight", "age", "price")]
    columns_ = [Column(name=name, kind=Kind.INTEGER, minimum=0, maximum=10**6) for name in names[:columns]]
    label = Column(name="condition of the device", kind=Kind.CATEGORY, categories=("broken", "good"))
    schema = Schema(columns=(*columns_, label), target=label.name, task=Task.BINARY, description="devices")
    cells: dict[str, Any] = {name: 10 ** draw.integers(0, 7, n) for name in names[:columns]}
    return Table(schema.conform(pd.DataFrame({**cells, label.name: draw.choice(["broken", "good"], n)})), schema)


def splits() -> Splits:
    table = wide_table()
    return Splits(table, table.take(np.arange(8)), table.take(np.arange(8)))


def generator(context: int | None, **changes: Any) -> HarmonicGenerator:
    settings: dict[str, Any] = {
        "neighbors": {"k": 5, "metric": "mixed"}, "filter": False, "tuning": TUNING,
        "sampling": {"mode": "constrained"},
    }  # fmt: skip
    return HarmonicGenerator(llm=TinyModel(name="tiny", device="cpu", context=context), **{**settings, **changes})


def prepared(context: int | None, folder: Path, **changes: Any) -> tuple[PromptFit, int, int]:
    """The decision, and by our own count the longest tuning and sampling prompt with answer, tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    made = generator(context, **changes)
    made.prepare(splits(), 10, seed=0, directory=folder)
    chat = Chat(made.llm.tokenizer())
    train, ask = StoredPrompts(folder / "train.jsonl"), StoredPrompts(folder / "sample.jsonl")
    fit = PromptFit.read(folder, 5)
    assert {len(prompt.rows) for prompt in [*train, *ask]} == {fit.k}
    tuning = [len(chat.prompts([prompt.prompt])[0]) + len(chat.completions([prompt.completion])[0]) for prompt in train]
    answer = max(len(chat.completions([prompt.completion])[0]) for prompt in train)
    sampling = [len(chat.prompts([prompt.prompt])[0]) + int(1.25 * answer) + 1 for prompt in ask]
    return fit, max(tuning), max(sampling)


def test_prompts_that_fit_show_what_was_asked_for_and_the_counts_are_true(tmp_path: Path) -> None:
    fit, tuning, sampling = prepared(None, tmp_path)
    assert (fit.k, fit.wanted, dict(fit.aliases)) == (5, 5, {})
    assert fit.tuning is not None and fit.sampling is not None and fit.row is not None
    assert fit.tuning["max"] == tuning and fit.sampling["max"] == sampling
    assert 0 < fit.row["mean"] <= fit.row["max"] < fit.tuning["mean"] <= tuning


def test_each_context_gets_the_most_examples_that_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lengths = {}
    for k in range(1, 6):
        fit, tuning, sampling = prepared(None, tmp_path / str(k), neighbors={"k": k, "metric": "mixed"})
        lengths[k] = max(tuning, sampling)
    # With the filter off, and mixed distances, prompts with k of 5 neighbours show those of k = k.
    for k in range(1, 5):
        fit, tuning, sampling = prepared(lengths[k], tmp_path / f"fits {k}")
        assert fit.k == k and max(tuning, sampling) == lengths[k]
        if k > 1:
            assert prepared(lengths[k] - 1, tmp_path / f"less {k}")[0].k == k - 1
    with caplog.at_level(logging.WARNING):
        prepared(lengths[3], tmp_path / "said")
    assert "prompts show 3 rows of the 5 asked for, since more do not fit: at most" in caplog.text


def test_fewer_examples_leave_the_label_filter_as_it_is(tmp_path: Path) -> None:
    whole = generator(None, filter=True)
    whole.prepare(splits(), 4, seed=0, directory=tmp_path)
    kept = [prompt.completion for prompt in StoredPrompts(tmp_path / "train.jsonl")]
    tight = generator(1000, filter=True, permutation=False)
    whole.permutation = False
    whole.prepare(splits(), 4, seed=0, directory=tmp_path)
    kept = [prompt.completion for prompt in StoredPrompts(tmp_path / "train.jsonl")]
    (tmp_path / "tight").mkdir()
    tight.prepare(splits(), 4, seed=0, directory=tmp_path / "tight")
    assert PromptFit.read(tmp_path / "tight", 5).k < 3  # no prompt of which could pass a filter of more than 2
    assert [prompt.completion for prompt in StoredPrompts(tmp_path / "tight" / "train.jsonl")] == kept


def test_a_context_too_short_for_one_example_is_an_error_with_the_counts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        prepared(700, tmp_path)
    message = str(raised.value)
    assert message.startswith("llm.context=700: a row takes up to ")
    fit, tuning, sampling = prepared(None, tmp_path, neighbors={"k": 1, "metric": "mixed"})
    assert fit.row is not None
    for count in (fit.row["max"], tuning, sampling):
        assert f"{count:,.0f}" in message
    assert f"llm.context={max(tuning, sampling)}" in message and "generator.aliases=true" in message
    assert not (tmp_path / "empty").exists()


def test_short_names_save_what_the_error_says(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        prepared(700, tmp_path)
    saved = int(str(raised.value).partition("saves ")[2].split()[0].replace(",", ""))
    one = {"neighbors": {"k": 1, "metric": "mixed"}}
    long = prepared(None, tmp_path / "long", **one)
    short = prepared(None, tmp_path / "short", **one, aliases=True)
    assert saved == max(long[1:]) - max(short[1:])
    assert prepared(max(short[1:]), tmp_path / "fits", aliases=True)[0].k == 1


def test_auto_shortens_long_names_and_leaves_short_ones(tmp_path: Path) -> None:
    assert prepared(None, tmp_path / "a", aliases="auto")[0].aliases["height of the measuring device"] == "height"
    table = wide_table()
    brief = PromptFit(k=5, wanted=5, aliases={name: name.split()[0] for name in table.schema.names}).table(table)
    made = generator(None, aliases="auto")
    parts = Splits(brief, brief.take(np.arange(8)), brief.take(np.arange(8)))
    made.prepare(parts, 4, seed=0, directory=tmp_path)
    assert not PromptFit.read(tmp_path, 5).aliases
    with pytest.raises(ConfigError, match=r"generator\.aliases=maybe"):
        prepared(None, tmp_path, aliases="maybe")


def test_a_tokenizer_out_of_reach_is_said_and_leaves_the_prompts_as_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.llm.weights.hub_answers", lambda: False)
    made = generator(None)
    made.llm = HubModel(name="gated", path="no-such-owner/no-such-model")
    made.prepare(splits(), 4, seed=0, directory=tmp_path)
    assert "lengths of the prompts are not checked" in caplog.text
    assert PromptFit.read(tmp_path, 5) == PromptFit(k=5, wanted=5)
    lines = made.estimate(splits(), 4, prepared=tmp_path)
    assert "not checked" in lines[0] and "no estimate" in lines[1]


def test_maxima_near_the_context_are_exact_among_many_texts(tmp_path: Path) -> None:
    # One text in a thousand takes many more tokens a character than the others.
    counter = TokenCounter(Chat(TinyModel(name="tiny").tokenizer()), 700, 10)
    texts = [asked("x" * (500 + place % 7)) for place in range(3000)]
    texts[1230] = asked("é" * 470)  # two bytes each, so two tokens
    frame = len(counter.chat.prompts([""])[0])
    stored = write_prompts(texts, tmp_path / "sample.jsonl")
    assert counter._longest(stored, 500)[0] == 2 * 470 + frame
    assert counter._longest(stored, np.inf)[0] == 506 + frame  # far from it, the longest of a sample


def test_lists_of_values_are_counted_as_they_are_tuned_and_asked(tmp_path: Path) -> None:
    made = generator(None, supervision="rows", row_format="compact", permutation="prompt", numbers="quantiles")
    made.prepare(splits(), 10, seed=0, directory=tmp_path)
    chat, fit = Chat(made.llm.tokenizer()), PromptFit.read(tmp_path, 5)
    train, ask = StoredPrompts(tmp_path / "train.jsonl"), StoredPrompts(tmp_path / "sample.jsonl")
    assert fit.tuning is not None and fit.sampling is not None and fit.row is not None
    assert fit.tuning["max"] == max(len(ids) for ids, _ in chat.encode(train))
    rows = [len(ids) for prompt in train for ids in chat.lines([part.text for part in prompt.parts if part.learnt])]
    assert fit.row["max"] == max(rows) and fit.room == int(1.25 * max(rows)) + 1
    assert fit.sampling["max"] == max(len(ids) for ids, _ in chat.encode(ask)) + fit.room
    assert {len(prompt.learnt_rows) for prompt in train} == {6} and {len(prompt.rows) for prompt in ask} == {5}


def test_a_list_shows_as_many_rows_as_fit(tmp_path: Path) -> None:
    ours = {"supervision": "rows", "row_format": "compact", "permutation": "prompt"}
    for name, context in (("whole", None), ("tight", 420)):
        (tmp_path / name).mkdir()
        generator(context, **ours).prepare(splits(), 10, seed=0, directory=tmp_path / name)
    fit = PromptFit.read(tmp_path / "tight", 5)
    assert fit.tuning is not None and fit.sampling is not None
    assert 1 <= fit.k < 5 and max(fit.tuning["max"], fit.sampling["max"]) <= 420
    assert {len(prompt.learnt_rows) for prompt in StoredPrompts(tmp_path / "tight" / "train.jsonl")} == {fit.k + 1}
