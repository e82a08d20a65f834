"""Minutes that a fit may take: loops end in time, what does not ask is stopped, and its cell is told as over time."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toys import make_splits

from baselines.ctabgan.generator import CtabganGenerator
from baselines.foreign_training import reporter
from baselines.smote.generator import SmoteGenerator
from baselines.synthcity.plugins import _Epochs
from baselines.tabsyn.training import NetworkTraining, train
from experiments.collect.runs import read_runs
from harmonic.decoding.batch_log import BatchLog
from harmonic.decoding.row_collector import Answers, RowCollector
from harmonic.progress import Progress
from harmonic.randomness import seeded
from harmonic.tables.table import Task
from harmonic.time_limit import (
    FAR_TOO_LONG,
    LENIENCY,
    TimeIsUp,
    check_pace,
    minutes_left,
    over_time,
    time_is_up,
    time_limit,
)

SECOND = 1 / 60  # minutes
SMALL = ["generator=smote", "evaluator=fidelity", "scale=smoke", "tracker=off", "data_dir=null"]


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves on by a minute whenever it is read, whatever else the machine does."""
    ticks = count()
    monkeypatch.setattr("harmonic.time_limit.time", SimpleNamespace(monotonic=lambda: 60.0 * next(ticks)))


def test_without_a_limit_time_is_never_up() -> None:
    with time_limit(None) as limit:
        assert limit is None and not time_is_up() and minutes_left() is None
    assert not over_time(1e9, None)


def test_a_loop_that_asks_ends_by_itself(ticking: None) -> None:
    steps = 0
    with time_limit(10) as limit:
        while not time_is_up():
            steps += 1
    assert limit is not None and limit.ended and steps == 9
    assert not time_is_up() and minutes_left() is None  # it is over


def test_a_share_of_the_time_is_up_sooner(ticking: None) -> None:
    with time_limit(10):
        assert [time_is_up(0.5) for _ in range(6)] == [False] * 4 + [True] * 2
        assert not time_is_up() and minutes_left() == pytest.approx(2)


def test_work_that_would_take_far_too_long_is_stopped_once_its_pace_is_known(ticking: None) -> None:
    check_pace(1e9)
    with time_limit(10):
        check_pace(None)
        check_pace(1e9)  # after a minute or two of ten, nobody knows
    with time_limit(10):
        for _ in range(3):
            check_pace(15 * 60)
        with pytest.raises(TimeIsUp) as found:
            check_pace(16 * 60)
    assert found.value.expected is not None and found.value.expected > FAR_TOO_LONG * 600


def test_rows_that_come_far_too_slowly_are_not_waited_for(tmp_path: Path) -> None:
    def drawn(rows: int) -> int:
        progress = Progress("sample", rows, "rows")
        collector = RowCollector(rows, BatchLog(tmp_path / f"{rows}.jsonl", "one", {}), progress)
        with progress:
            for number in range(rows):
                time.sleep(0.01)
                collector.batch(str(number), [number], lambda number=number: Answers({number: {"x": 1}}))  # type: ignore[misc]
        return len(collector.rows)

    with time_limit(2 * SECOND):
        assert drawn(5) == 5
    with time_limit(0.5 * SECOND), pytest.raises(TimeIsUp) as found:
        drawn(10_000)
    assert found.value.expected is not None and found.value.expected > 50
    assert re.fullmatch(r"(\d+) of 10000 rows from \1 answers", found.value.so_far)
    assert 5 < len((tmp_path / "10000.jsonl").read_text().splitlines()) < 40


def test_work_that_never_asks_is_stopped_even_where_it_catches_every_exception() -> None:
    started = time.monotonic()
    with pytest.raises(TimeIsUp), time_limit(0.1 * SECOND):
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # as foreign code does
                continue
    assert 0.1 * LENIENCY <= time.monotonic() - started < 2
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_in_another_thread_nothing_is_stopped_and_loops_still_ask() -> None:
    found: list[bool] = []

    def work() -> None:
        with time_limit(0.02 * SECOND):
            time.sleep(0.05)
            found.append(time_is_up())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]


def test_tabsyns_loop_ends_at_its_share_of_the_time_after_one_step_at_least(ticking: None) -> None:
    import torch

    network = torch.nn.Linear(1, 1)

    def loss(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return network.weight.sum() ** 2, network.weight.sum() ** 2

    settings = NetworkTraining(epochs=10_000, batch_size=2)
    with seeded(0), time_limit(60):
        first = train(network, loss, 8, settings, stage="toy", until=0.5)["steps"]
        second = train(network, loss, 8, settings, stage="toy")["steps"]
        late = train(network, loss, 8, settings, stage="toy")["steps"]
    assert 15 < first <= 30 and 15 < second <= 30 and late == 1


def test_ctabgan_ends_in_time_and_draws(tmp_path: Path, ticking: None) -> None:
    splits = make_splits(Task.BINARY)
    settings = {"epochs": 10**6, "batch_size": 8, "critic_steps": 1, "channels": 2, "noise": 4}
    generator = CtabganGenerator(training=settings, device="cpu")
    with time_limit(20) as limit:
        facts = generator.fit(splits, seed=0, prepared=tmp_path, directory=tmp_path)
    assert limit is not None and limit.ended and facts["steps"] == 20
    assert len(generator.sample(5, seed=0, directory=tmp_path).frame) == 5


def test_synthcitys_epochs_end_in_time(ticking: None) -> None:
    with time_limit(20), Progress("fit", 1, "epochs") as progress:
        assert sum(1 for _ in _Epochs(10_000, progress)) == 20


@pytest.mark.parametrize(("processes", "stopped"), [(1, True), (2, False)])
def test_a_trainer_of_one_process_is_told_to_stop(processes: int, stopped: bool, ticking: None) -> None:
    control = SimpleNamespace(should_training_stop=False)
    state = SimpleNamespace(is_world_process_zero=True, global_step=1)
    with time_limit(2), Progress("fit", 1, "steps") as progress:
        for _ in range(2):
            reporter(progress, None).on_step_end(SimpleNamespace(world_size=processes), state, control)
    assert control.should_training_stop is stopped


@pytest.mark.parametrize(("own", "expected"), [(None, 3.0), (1.0, 1.0), (9.0, 3.0)])
def test_harmonic_tunes_for_what_is_left(
    own: float | None, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.configuration.building import configured
    from harmonic.method import generator as method

    given: list[Any] = []
    monkeypatch.setattr(method, "tune", lambda llm, prompts, tuning, **_: given.append(tuning) or {})
    files = SimpleNamespace(training=list, validation=tuple)
    monkeypatch.setattr(method, "PromptFiles", lambda folder: files)
    words = ["generator=harmonic_dense", "llm=tiny", "scale=smoke", f"generator.tuning.minutes={own or 'null'}"]
    generator = configured(*words)["generator"]
    with time_limit(3):
        generator.fit(make_splits(Task.BINARY), seed=0, prepared=tmp_path, directory=tmp_path)
    assert given[0].minutes == pytest.approx(expected, abs=0.05)
    generator.fit(make_splits(Task.BINARY), seed=0, prepared=tmp_path, directory=tmp_path)
    assert given[1].minutes == own


def test_a_fit_over_its_time_fails_with_a_sentence_and_is_not_tried_again(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def slow(self: object, splits: object, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        tries.append(1)
        (directory / "half_done").write_text("…")
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(SmoteGenerator, "fit", slow)
    words = [*SMALL, "minutes=0.002", f"output_dir={tmp_path}"]
    for _ in range(2):
        found = command(*words)
        assert found.code == 1
    assert len(tries) == 1
    (record,) = read_runs([tmp_path])
    assert record.status == "failed"
    assert "OverTimeError: fitting did not end within 0.002 minutes" in record.error and "minutes=0.004" in record.error
    (entry,) = (tmp_path / "cache" / "fit").glob("*/entry.json")
    assert json.loads(entry.read_text())["facts"]["over_time"] is True and not list(entry.parent.glob("half_done"))


def test_drawing_has_as_much_time_and_a_limit_is_part_of_what_a_fit_depends_on(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*SMALL, f"output_dir={tmp_path}").code == 0
    assert command(*SMALL, "minutes=5", f"output_dir={tmp_path}").code == 0
    assert len(list((tmp_path / "cache" / "fit").glob("*/entry.json"))) == 2
    monkeypatch.setattr(SmoteGenerator, "sample", lambda self, n, *, seed, directory: time.sleep(5))
    assert command(*SMALL, "minutes=0.002", f"output_dir={tmp_path}").code == 1
    assert any("drawing did not end within 0.002 minutes" in record.error for record in read_runs([tmp_path]))


def test_drawing_that_was_stopped_early_says_how_long_it_would_take(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hopeless(self: object, n: int, *, seed: int, directory: Path) -> None:
        raise TimeIsUp(expected=3000, so_far="7 of 90 rows")

    monkeypatch.setattr(SmoteGenerator, "sample", hopeless)
    for _ in range(2):
        found = command(*SMALL, "minutes=10", f"output_dir={tmp_path}")
        assert found.code == 1
        assert "drawing would not end within 10 minutes: at its pace, 50 (0.0 spent; 7 of 90 rows)" in found.err
        assert "minutes=60" in found.err
    (record,) = read_runs([tmp_path])
    assert record.status == "failed" and "OverTimeError" in record.error


@pytest.mark.parametrize("wrong", ["minutes=0", "minutes=-1", "minutes=soon"])
def test_a_limit_that_is_none_is_refused(wrong: str, command: Callable[..., Any], tmp_path: Path) -> None:
    found = command(*SMALL, wrong, f"output_dir={tmp_path}")
    assert found.code == 1 and f"{wrong}: must be a number above 0, or null" in found.err
