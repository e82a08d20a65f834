"""ForestFlow: seeded, true to the schema, and its categories read back right."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts import assert_conforms, uninstall
from toys import make_splits, splits_of

from baselines.forestflow import ForestFlowGenerator, _labels, _numbers, _rows
from harmonic.errors import ConfigError
from harmonic.tables.table import Task
from harmonic.time_limit import TimeIsUp, time_limit

needs_forest = pytest.mark.skipif(find_spec("ForestDiffusion") is None, reason="pip install 'harmonic[forestflow]'")
TINY = ForestFlowGenerator(steps=4, noises=3, trees=4)


@needs_forest
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_fitted_loaded_and_refitted_generators_draw_the_same_conforming_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task: Task
) -> None:
    caplog.set_level("INFO")
    splits, generator = make_splits(task), replace(TINY)
    state = np.random.get_state()[1].tolist()  # type: ignore[index]
    generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    generator.load(splits, prepared=tmp_path, directory=tmp_path)
    first = generator.sample(23, seed=1, directory=tmp_path).frame
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]
    assert_conforms(first, splits, 23)
    forests = 8 if task is Task.BINARY else 4  # one for each step, and class
    assert any(line.startswith(f"fit: {forests} of {forests} forests") for line in caplog.messages)
    assert not generator.sample(23, seed=2, directory=tmp_path).frame.equals(first)
    again = replace(TINY)
    again.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    again.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(again.sample(23, seed=1, directory=tmp_path).frame, first)


@needs_forest
def test_forests_that_would_take_far_too_long_are_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(TimeIsUp) as stopped, time_limit(5 / 60):
        replace(TINY, steps=20_000).fit(make_splits(), seed=1, prepared=tmp_path, directory=tmp_path)
    assert stopped.value.expected is not None and stopped.value.expected > 10
    assert stopped.value.so_far.endswith(" of 40000 forests")
    assert not list(tmp_path.iterdir())


@needs_forest
def test_the_training_rows_are_not_in_the_file(tmp_path: Path) -> None:
    generator, splits = replace(TINY), make_splits()
    generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    generator.load(splits, prepared=tmp_path, directory=tmp_path)
    for name, kept in vars(generator._model).items():
        assert not (isinstance(kept, np.ndarray) and len(kept) == len(splits.train)), name


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_the_numbers_of_a_table_are_read_back_as_the_table(task: Task) -> None:
    train = make_splits(task).train
    labels = _labels(train)
    found = _numbers(train) if labels is None else np.column_stack([_numbers(train), labels])
    pd.testing.assert_frame_equal(_rows(found, train), train.frame)


def test_of_more_than_ten_category_columns_none_is_taken_for_another() -> None:
    """ForestDiffusion's own way back takes the columns of "1_" for those of "11_", too."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"k{place}": random.choice(["a", "b", "c"], 80) for place in range(13)}, dtype=object)
    frame["y"] = random.normal(size=80).round(2)
    train = splits_of(frame, "y", Task.REGRESSION, (60, 10)).train
    pd.testing.assert_frame_equal(_rows(_numbers(train), train), train.frame)


@needs_forest
@pytest.mark.parametrize(("most", "noises"), [(None, 3), (10**6, 3), (120, 2), (1, 1)])
def test_of_large_tables_each_row_is_learnt_less_often(tmp_path: Path, most: int | None, noises: int) -> None:
    generator = replace(TINY, steps=2, trees=1, max_rows=most)
    facts = generator.fit(make_splits(), seed=1, prepared=tmp_path, directory=tmp_path)
    assert facts == {"noises": noises}


def test_without_the_extra_the_error_gives_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("ForestDiffusion", monkeypatch)
    with pytest.raises(ConfigError, match=r"pip install 'harmonic\[forestflow\]'"):
        TINY.prepare(make_splits(), 5, seed=0, directory=tmp_path)
