"""Drawing under a budget: n rows or the reasons, and nothing lost on the way."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import make_schema

from baselines.sampling_budget import OUT_OF_TIME, Budget, draw_rows
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.sample import Sample
from harmonic.prompts.row_format import InvalidAnswer

SCHEMA = make_schema(decimals=3)


class Model:
    """Answers with a row in `share` of all cases; counts what it is asked."""

    def __init__(self, share: float, *, stop_at: int | None = None) -> None:
        self.share, self.stop_at, self.sizes = share, stop_at, list[int]()

    def __call__(self, size: int, seed: int, deadline: float) -> list[dict[str, Any] | InvalidAnswer]:
        if len(self.sizes) == self.stop_at:
            raise KeyboardInterrupt
        self.sizes.append(size)
        random = np.random.default_rng(seed)
        return [self.answer(random) for _ in range(size)]

    def answer(self, random: np.random.Generator) -> dict[str, Any] | InvalidAnswer:
        row = {
            "n": int(random.integers(1000)),
            "x": round(float(random.random()), 3),
            "y": str(random.choice(["a", "b"])),
        }
        bad = [
            InvalidAnswer("missing_column", column="x"),
            InvalidAnswer("missing_column", column="n"),
            InvalidAnswer("not_a_number", column="x"),
        ]
        return row if random.random() < self.share else bad[int(random.integers(3))]


def drawn(model: Any, folder: Path, n: int = 50, seed: int = 0, **budget: Any) -> Sample:
    settings = Budget(**{"batch_size": 16} | budget)
    return draw_rows(model, n, SCHEMA, settings, seed=seed, directory=folder, advice="tune longer")


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
def test_exactly_n_rows_and_every_answer_accounted_for(tmp_path: Path, share: float) -> None:
    model = Model(share)
    sample = drawn(model, tmp_path, empty_batches=20)
    assert len(sample.frame) == 50 and sample.frame.equals(SCHEMA.conform(sample.frame))
    assert sample.validity["answers"] == sum(model.sizes)
    rejected = sum(count for name, count in sample.validity.items() if name.startswith("rejected/"))
    assert sample.validity["raw"] == 1 - rejected / sum(model.sizes)
    assert abs(sample.validity["raw"] - share) < 0.15 and max(model.sizes) == 16
    if share == 1:
        assert model.sizes == [16, 16, 16, 2]  # no more than are missing


def test_the_seed_decides(tmp_path: Path) -> None:
    tables = [drawn(Model(0.5), tmp_path / name, seed=seed).frame for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_a_killed_run_goes_on_to_the_same_table(tmp_path: Path) -> None:
    whole = drawn(Model(0.5), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        drawn(Model(0.5, stop_at=3), tmp_path / "killed")
    rest = Model(0.5)
    resumed = drawn(rest, tmp_path / "killed")
    pd.testing.assert_frame_equal(resumed.frame, whole.frame)
    assert resumed.validity == whole.validity
    assert sum(rest.sizes) == whole.validity["answers"] - 3 * 16


def test_a_model_without_rows_is_given_up_with_the_reasons(tmp_path: Path) -> None:
    model = Model(0.0)
    with pytest.raises(SamplingError) as found:
        drawn(model, tmp_path, empty_batches=4)
    assert model.sizes == [16] * 4
    message = str(found.value)
    assert "0 of 50 rows from 64 answers: 4 batches in a row held no row" in message
    told = r"rejected answers: missing_column \d+ \(x \d+, n \d+\), not_a_number \d+ \(x \d+\)\n"
    assert re.search(told, message) and "fix: tune longer" in message
    assert (tmp_path / "partial.csv").read_text().splitlines() == ["n,x,y"]


class Slow(Model):
    """Finishes two batches; of the third only the first half before the deadline."""

    def __call__(self, size: int, seed: int, deadline: float) -> list[dict[str, Any] | InvalidAnswer]:
        answers = super().__call__(size, seed, deadline)
        if len(self.sizes) < 3:
            return answers
        time.sleep(max(deadline - time.monotonic(), 0))
        return [*answers[: size // 2], *[InvalidAnswer(OUT_OF_TIME)] * (size - size // 2)]


def test_when_the_time_is_up_the_rows_are_saved_and_only_whole_batches_go_on(tmp_path: Path) -> None:
    told = r"40 of 50 rows from 48 answers: the 1 s are over.*\n(.|\n)*partial\.csv"
    with pytest.raises(SamplingError, match=told):
        drawn(Slow(1.0), tmp_path / "slow", seconds=1)
    whole = drawn(Model(1.0), tmp_path / "whole")
    saved = pd.read_csv(tmp_path / "slow" / "partial.csv", dtype={"y": str})
    pd.testing.assert_frame_equal(SCHEMA.conform(saved), whole.frame.head(40))
    rest = Model(1.0)
    pd.testing.assert_frame_equal(drawn(rest, tmp_path / "slow", seconds=60).frame, whole.frame)
    assert rest.sizes == [16, 2]


def test_another_seed_or_another_setting_begins_anew(tmp_path: Path) -> None:
    drawn(Model(1.0), tmp_path)
    for given in ({"seed": 1}, {"batch_size": 8}):
        model = Model(1.0)
        drawn(model, tmp_path, **given)
        assert sum(model.sizes) == 50


@pytest.mark.parametrize("name", ["seconds", "empty_batches", "batch_size"])
def test_a_budget_of_nothing_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"generator\.sampling\.{name}=0: must be above 0"):
        drawn(Model(1.0), tmp_path, **{name: 0})
