"""Sampling: n valid rows from any model, the same ones whether or not the run was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import psutil
import pytest

from harmonic.decoding.decoder import Decoded, Decoder
from harmonic.decoding.sampler import Sampler
from harmonic.decoding.settings import BATCH_TOKENS, Sampling
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.sample import Sample
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt import Prompt, asked
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.conditions import Condition
from harmonic.tables.table import Column, Kind, Schema, Task

LLM = TinyModel(name="tiny", dtype="float32", device="cpu")
COLOUR = Column(name='the "colour"', kind=Kind.CATEGORY, categories=("blue", "green {", "ré\nd"))
AGE = Column(name="age", kind=Kind.INTEGER, minimum=-3, maximum=120)
DOSE = Column(name="dose", kind=Kind.FLOAT, minimum=0.25, maximum=9.5, decimals=2)
SMALL = Schema(columns=(AGE, DOSE, COLOUR), target=COLOUR.name, task=Task.MULTICLASS, description="people")


def wide_schema(columns: int) -> Schema:
    """A table of many columns, some with many categories."""
    kinds = [AGE, DOSE, COLOUR, Column(name="", kind=Kind.CATEGORY, categories=tuple(f"c {i}" for i in range(500)))]
    made = [kinds[i % 4] for i in range(columns)]
    named = (Column(**{**{f: getattr(c, f) for f in c.__slots__}, "name": f"{c.name} {i}"}) for i, c in enumerate(made))
    found = tuple(named)
    return Schema(columns=found, target=found[2].name, task=Task.MULTICLASS, description="many things")


def some_prompts(count: int) -> list[Prompt]:
    return [asked("Generate one sample: " + "x" * (7 * i % 23)) for i in range(count)]


def sampler(schema: Schema = SMALL, *, room: int = 60, context: int = 2048, **settings: Any) -> Sampler:
    model, tokenizer = LLM.load()
    chosen = Sampling(**settings)
    # In double precision no draw hangs on how sums are rounded, which differs from batch to batch.
    decoder = Decoder(model.double(), tokenizer.eos_token_id, chosen.temperature, room, chosen.batch_tokens)
    return Sampler(
        decoder=decoder, chat=Chat(tokenizer), row_format=find_row_format("json", schema), settings=chosen,
        orders=ColumnOrders.of(schema, permutation="row"), context=context,
    )  # fmt: skip


def draw(made: Sampler, n: int, directory: Path, *, seed: int = 0, prompts: int | None = None) -> Sample:
    return made.sample(some_prompts(prompts or n), n, seed=seed, directory=directory)


class Scripted:
    """A decoder that answers from a script: the texts for each row, round by round."""

    def __init__(self, chat: Chat, rounds: Sequence[dict[int, str]]) -> None:
        self.chat, self.rounds = chat, list(rounds)
        self.max_new_tokens, self.largest_batch = 500, 64
        self.asked: list[int] = []

    def budget(self) -> int:
        return 2**20

    def close(self) -> None:
        pass

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None:
        pass

    def free(self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator]) -> list[Decoded]:
        texts = [self.rounds[len(self.asked)][len(self.chat.text(prompt)) % 100] for prompt in prompts]
        self.asked.append(len(prompts))
        return [Decoded(self.chat.completions([text])[0][:-1], not text.endswith("…")) for text in texts]


# ---- the guarantee


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_an_untrained_model_gives_n_valid_rows_constrained(tmp_path: Path, temperature: float) -> None:
    made = draw(sampler(mode="constrained", temperature=temperature), 9, tmp_path)
    assert len(made.frame) == 9 and list(made.frame.columns) == SMALL.names
    assert set(made.frame[COLOUR.name]) <= set(COLOUR.categories)
    assert made.frame["age"].dtype == np.int64 and made.frame["age"].between(-999, 999).all()
    assert (made.frame["dose"] == made.frame["dose"].round(2)).all()
    assert made.validity["constrained"] == 9 and "raw" not in made.validity


def test_an_untrained_model_gives_rows_of_sixty_columns(tmp_path: Path) -> None:
    schema = wide_schema(60)
    made = draw(sampler(schema, room=1500, mode="constrained"), 3, tmp_path)
    assert len(made.frame) == 3 and made.validity["constrained_cut"] == 0


def test_rows_longer_than_max_new_tokens_are_whole_all_the_same_and_counted(tmp_path: Path) -> None:
    made = draw(sampler(room=20, mode="constrained"), 5, tmp_path)
    assert len(made.frame) == 5 and made.validity["constrained_cut"] == 5


def test_reject_raises_with_the_reasons_when_the_model_writes_no_rows(tmp_path: Path) -> None:
    with pytest.raises(
        SamplingError, match=r"only 0 of 4 rows from 8 answers: 2 attempts at each row; rejected answers: too_long"
    ):
        draw(sampler(mode="reject", attempts=2, room=8), 4, tmp_path)


def test_auto_constrains_what_free_decoding_does_not_give(tmp_path: Path) -> None:
    made = draw(sampler(mode="auto"), 4, tmp_path)
    assert len(made.frame) == 4 and made.validity["constrained"] == 4 and made.validity["free"] == 0
    assert made.validity["answers"] == 8 and made.validity["raw"] == 0  # free once: nothing; then constrained
    assert sum(count for name, count in made.validity.items() if name.startswith("rejected/")) == 4


# ---- what free decoding brings


def row_text(age: int) -> str:
    return json.dumps({"age": str(age), COLOUR.name: "blue", "dose": "1.5"})


def test_accepted_rows_stay_and_only_the_others_are_asked_again(tmp_path: Path) -> None:
    made = sampler(mode="reject")
    lengths = [len(made.chat.text(ids)) % 100 for ids in made.chat.prompts([p.prompt for p in some_prompts(3)])]
    script = [
        {lengths[0]: row_text(1), lengths[1]: "", lengths[2]: '{"age": "1"}'},
        {lengths[1]: row_text(2), lengths[2]: "{…"},
        {lengths[2]: "Here: " + row_text(3) + " and more"},
    ]
    decoder = made.decoder = Scripted(made.chat, script)
    found = draw(made, 3, tmp_path)
    assert found.frame["age"].tolist() == [1, 2, 3] and decoder.asked == [3, 2, 1]
    assert found.validity == {
        "raw": 0.5, "answers": 6, "free": 3, "constrained": 0, "constrained_cut": 0,
        "rejected/no_json": 1, "rejected/missing_column": 1, "rejected/too_long": 1,
    }  # fmt: skip


# ---- seeds, prompts, batches


def test_the_seed_decides_the_rows(tmp_path: Path) -> None:
    first = draw(sampler(mode="constrained"), 6, tmp_path / "a", seed=1).frame
    again = draw(sampler(mode="constrained"), 6, tmp_path / "b", seed=1).frame
    other = draw(sampler(mode="constrained"), 6, tmp_path / "c", seed=2).frame
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_the_size_of_the_batches_does_not_matter(tmp_path: Path) -> None:
    whole = draw(sampler(mode="constrained"), 7, tmp_path / "a").frame
    single = draw(sampler(mode="constrained", batch_tokens=1), 7, tmp_path / "b").frame
    pd.testing.assert_frame_equal(whole, single)


def test_batches_hold_like_lengths_within_the_tokens_allowed() -> None:
    made = sampler(room=10)
    prompts = [[0] * length for length in (5, 30, 20, 20, 7, 6, 90)]
    batches = made.batches(range(7), prompts, budget=60)
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert batches == [[6], [1], [2, 3], [4, 5, 0]]
    assert all(max(len(prompts[row]) + 10 for row in batch) * len(batch) <= 60 for batch in batches if len(batch) > 1)


def test_several_rows_come_from_each_prompt_and_differ(tmp_path: Path) -> None:
    settings = {"mode": "constrained", "rows_per_prompt": 3}
    made = draw(sampler(**settings), 7, tmp_path / "a", prompts=3).frame
    assert len(made) == 7 and not made.duplicated().all() and len(made.drop_duplicates()) > 4
    single = draw(sampler(**settings, batch_tokens=1), 7, tmp_path / "b", prompts=3).frame
    pd.testing.assert_frame_equal(made, single)
    with pytest.raises(ConfigError, match="needs 3 prompts, there are 2"):
        draw(sampler(**settings), 7, tmp_path / "c", prompts=2)


def test_one_row_from_one_prompt(tmp_path: Path) -> None:
    assert len(draw(sampler(mode="constrained"), 1, tmp_path).frame) == 1


def test_prompts_that_leave_no_room_for_an_answer_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"llm\.context=100"):
        draw(sampler(context=100), 4, tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0}, {"mode": "loose"}, {"attempts": 0}, {"rows_per_prompt": 0}, {"max_new_tokens": 0},
        {"batch_tokens": 0}, {"batch_tokens": None},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"generator.sampling.{next(iter(wrong))}="):
        Sampling(**wrong).check()


# ---- going on after a kill


def test_a_run_cut_off_after_any_batch_ends_with_the_same_table(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"mode": "auto", "attempts": 1, "batch_tokens": 240}
    whole = draw(sampler(**settings), 5, tmp_path / "whole")
    lines = (tmp_path / "whole" / "progress.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 5 and any(b'"constrained 0 1"' in line for line in lines)
    for kept in range(1, len(lines) + 1):
        cut = tmp_path / f"cut {kept}"
        cut.mkdir()
        rest = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
        (cut / "progress.jsonl").write_bytes(b"".join(lines[:kept]) + rest)
        made = sampler(**settings)
        with mock.patch.multiple(
            made.decoder,
            free=mock.Mock(wraps=made.decoder.free),
            constrained=mock.Mock(wraps=made.decoder.constrained),
        ):
            again = draw(made, 5, cut)
            assert made.decoder.free.call_count + made.decoder.constrained.call_count == len(lines) - kept
        pd.testing.assert_frame_equal(again.frame, whole.frame)
        assert again.validity == whole.validity
        assert (cut / "progress.jsonl").read_bytes() == b"".join(lines)


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the bytes of memory that the system says are free."""

    def reading(free: float) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free)))

    return reading


LONG: dict[str, Any] = {"room": 20, "rows_per_prompt": 10}
"""Settings under which `long_rows` take more than a batch holds."""


def long_rows(made: Sampler, directory: Path) -> pd.DataFrame:
    prompts = [asked("Generate one sample: " + " ".join(map(str, range(start, 560)))) for start in (100, 130)]
    return made.sample(prompts, 20, seed=0, directory=directory).frame


HOLDS = 2 * BATCH_TOKENS * 2 * LLM.layers * LLM.hidden_size // LLM.heads * LLM.key_value_heads * 8
"""Bytes of which half hold a whole batch of the tiny model's keys and values, in double precision."""


@pytest.mark.parametrize("mode", ["auto", "constrained"])
def test_free_memory_does_not_decide_how_rows_are_put_into_batches(
    mode: str, tmp_path: Path, free_memory: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    logs = []
    for free in (HOLDS, 1e12):
        free_memory(free)
        long_rows(sampler(mode=mode, **LONG), tmp_path / f"{free}")
        logs.append((tmp_path / f"{free}" / "progress.jsonl").read_bytes())
    assert logs[0] == logs[1]  # the same batches and the same rows
    assert logs[0].count(b'"name": "constrained 0 ') > 1
    assert not caplog.records


def test_memory_that_does_not_hold_a_batch_gives_smaller_ones_and_a_warning(
    tmp_path: Path, free_memory: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    free_memory(HOLDS * 0.9)
    first = long_rows(sampler(mode="constrained", **LONG), tmp_path / "less")
    (record,) = caplog.records
    assert "may differ from those of a machine with more memory" in record.getMessage()
    assert f"set generator.sampling.batch_tokens={BATCH_TOKENS // 2} on both" in record.getMessage()
    free_memory(1e12)
    told = sampler(mode="constrained", batch_tokens=BATCH_TOKENS // 2, **LONG)
    same = long_rows(told, tmp_path / "same")
    pd.testing.assert_frame_equal(first, same)  # as the warning says
    batches = [(tmp_path / name / "progress.jsonl").read_text().splitlines()[1:] for name in ("less", "same")]
    assert len(batches[0]) > 2 and batches[0] == batches[1]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("begun", "later"), [(HOLDS * 0.9, 1e12), (1e12, HOLDS * 0.9)], ids=["less", "more"])
def test_batches_are_cut_as_the_run_began_them_whatever_memory_is_free_later(
    begun: float, later: float, tmp_path: Path, free_memory: Callable[[float], None]
) -> None:
    free_memory(begun)
    whole = long_rows(sampler(mode="constrained", **LONG), tmp_path / "whole")
    lines = (tmp_path / "whole" / "progress.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "progress.jsonl").write_bytes(b"".join(lines[:2]))
    free_memory(later)
    pd.testing.assert_frame_equal(long_rows(sampler(mode="constrained", **LONG), tmp_path / "killed"), whole)
    assert (tmp_path / "killed" / "progress.jsonl").read_bytes() == b"".join(lines)


def test_progress_of_another_seed_is_not_taken_up(tmp_path: Path) -> None:
    draw(sampler(mode="constrained"), 4, tmp_path, seed=1)
    changed = draw(sampler(mode="constrained"), 4, tmp_path, seed=2).frame
    pd.testing.assert_frame_equal(changed, draw(sampler(mode="constrained"), 4, tmp_path / "fresh", seed=2).frame)


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
import test_sampler as t
made = t.sampler(mode="constrained", batch_tokens=1)
own = made.decoder.constrained
def slowly(*args):
    time.sleep(0.2)
    return own(*args)
made.decoder.constrained = slowly
t.draw(made, 14, Path({folder!r}))
"""


def test_a_killed_process_is_taken_up_where_it_was(tmp_path: Path) -> None:
    here = Path(__file__).resolve()
    script = KILLED.format(root=str(here.parents[2]), tests=str(here.parent), folder=str(tmp_path / "killed"))
    log = tmp_path / "killed" / "progress.jsonl"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_bytes().count(b"\n") > 3) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = log.read_bytes()
    assert 3 < before.count(b"\n") < 15
    settings: dict[str, Any] = {"mode": "constrained", "batch_tokens": 1}
    resumed = draw(sampler(**settings), 14, tmp_path / "killed").frame
    assert log.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    pd.testing.assert_frame_equal(resumed, draw(sampler(**settings), 14, tmp_path / "whole").frame)


# ---- conditions


def held(made: Sampler) -> Sampler:
    """The sampler, held to an age from 30 to 35."""
    made.conditions = {"age": Condition(column=AGE, low=Decimal(30), high=Decimal(35))}
    return made


def test_constrained_rows_satisfy_the_conditions_and_begin_with_their_columns(tmp_path: Path) -> None:
    made = held(sampler(mode="constrained"))
    assert draw(made, 9, tmp_path).frame["age"].between(30, 35).all()
    (prompt,) = some_prompts(1)
    orders = [made.order(prompt, np.random.default_rng(seed)) for seed in range(20)]
    assert {order[0] for order in orders} == {"age"} and len({tuple(order) for order in orders}) == 2
    made.orders = ColumnOrders.of(SMALL, permutation="none")
    assert made.order(prompt, np.random.default_rng(0)) == SMALL.names


def test_a_free_row_that_violates_a_condition_is_rejected_and_asked_for_again(tmp_path: Path) -> None:
    made = held(sampler(mode="reject", attempts=2))
    (length,) = [len(made.chat.text(made.chat.prompts([some_prompts(1)[0].prompt])[0])) % 100]
    made.decoder = Scripted(made.chat, [{length: row_text(36)}, {length: row_text(35)}])
    found = draw(made, 1, tmp_path / "a")
    assert found.frame["age"].tolist() == [35] and found.validity["rejected/condition"] == 1
    made.decoder = Scripted(made.chat, [{length: row_text(36)}, {length: row_text(29)}])
    with pytest.raises(SamplingError, match=r"only 0 of 1 rows with age from 30 to 35 .*condition 2"):
        draw(made, 1, tmp_path / "b")


# ---- labels


def labelled(count: int) -> list[Prompt]:
    labels = [COLOUR.categories[place % 3] for place in range(count)]
    return [prompt._replace(label=label) for prompt, label in zip(some_prompts(count), labels, strict=True)]


@pytest.mark.parametrize("mode", ["constrained", "auto"])
def test_rows_have_the_label_that_their_prompt_says(tmp_path: Path, mode: str) -> None:
    made = sampler(mode=mode, rows_per_prompt=2)
    drawn = made.sample(labelled(6), 12, seed=0, directory=tmp_path).frame
    assert drawn[COLOUR.name].tolist() == [COLOUR.categories[row // 2 % 3] for row in range(12)]


def test_a_free_answer_with_another_label_is_refused(tmp_path: Path) -> None:
    made = sampler(mode="reject", attempts=1)
    texts = {
        len(made.chat.text(ids)) % 100: '{"the \\"colour\\"": "blue", "age": "3", "dose": "1.00"}'
        for ids, _ in made.chat.encode(labelled(3))
    }
    made.decoder = Scripted(made.chat, [texts])
    with pytest.raises(SamplingError, match=r"only 1 of 3 rows.*condition"):
        made.sample(labelled(3), 3, seed=0, directory=tmp_path)


def test_conditions_go_before_a_label_that_does_not_satisfy_them(tmp_path: Path) -> None:
    made = sampler(mode="constrained")
    made.conditions = {COLOUR.name: Condition(column=COLOUR, values=("blue",))}
    drawn = made.sample(labelled(6), 6, seed=0, directory=tmp_path).frame
    assert set(drawn[COLOUR.name]) == {"blue"}


def test_other_labels_are_another_run(tmp_path: Path) -> None:
    first = sampler(mode="constrained").sample(labelled(3), 3, seed=0, directory=tmp_path).frame
    assert first[COLOUR.name].tolist() == list(COLOUR.categories)
    again = sampler(mode="constrained").sample(labelled(3)[::-1], 3, seed=0, directory=tmp_path).frame
    assert again[COLOUR.name].tolist() != first[COLOUR.name].tolist()
