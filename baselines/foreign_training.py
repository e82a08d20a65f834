"""Training with another library's transformers.Trainer: import the library, keep it quiet, report the progress."""

from __future__ import annotations

import importlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.progress import History, Progress
from harmonic.time_limit import time_is_up

ROW = "training_row"
"""The name in a batch for the positions of its rows in the training table."""

_LEARNT = "learnt.json"
_POINTS = 200  # of the loss, over a whole training


def imported(module: str, *, package: str, generator: str) -> Any:
    """Import a module of another package. Raises ConfigError if it is missing; its extra has the generator's name."""
    try:
        with muted():
            return importlib.import_module(module)
    except ImportError as error:
        problem = f"needs {package}, which cannot be imported ({error})"
        raise ConfigError("generator", generator, problem, f"pip install 'harmonic[{generator}]'") from error


def binding(max_steps: int | None, steps: int) -> int | None:
    """max_steps, if it ends a training of `steps` steps early; else None."""
    return max_steps if max_steps is not None and max_steps < steps else None


def logging_steps(steps: int) -> int:
    """Optimizer steps between two points of the loss."""
    return max(steps // _POINTS, 1)


def reporter(progress: Progress, history: History | None) -> Any:
    """A callback that moves `progress` by optimizer steps, and sends points to `history` and to its own `points`.

    It ends a training of one process when its time is up (harmonic.time_limit); of several processes none ends alone.

    points: [{"step", "train/loss"}, …]. Several trainings that continue each other may share the callback.
    """
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        points: list[dict[str, float]]

        def __init__(self) -> None:
            self.points = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.total = max(progress.total, state.max_steps)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                progress.advance(state.global_step - progress.done)
            if args.world_size == 1 and time_is_up():
                control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if not (state.is_world_process_zero and logs and "loss" in logs):
                return
            loss = float(logs["loss"])
            self.points.append({"step": state.global_step, "train/loss": loss})
            progress.note(loss=f"{loss:.3f}")
            if history is not None:
                rate = float(logs.get("learning_rate", "nan"))
                history({"train/loss": loss, "train/learning_rate": rate}, state.global_step)

    return Reporter()


def write_history(points: list[dict[str, float]], directory: Path) -> float:
    """Write history.json; return the mean loss of the last five points, or NaN without points."""
    (directory / "history.json").write_text(json.dumps(points), encoding="utf-8")
    last = [point["train/loss"] for point in points[-5:]]
    return sum(last) / len(last) if last else float("nan")


def note_rows(trainer: Any, seen: set[int]) -> None:
    """Let `trainer` add the positions of the rows to `seen`, for each batch that it really trains on.

    The data loader is one batch ahead, and a training that ends early never uses that batch. Batches have a tensor ROW,
    which is not passed to the model.
    """
    step = trainer.training_step

    def noted(model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        seen.update(inputs.pop(ROW).tolist())
        return step(model, inputs, *args, **more)

    trainer.training_step = noted


def write_learnt(seen: set[int], directory: Path) -> None:
    """Write learnt.json: the positions of the rows that were trained on."""
    (directory / _LEARNT).write_text(json.dumps(sorted(seen)), encoding="utf-8")


def read_learnt(directory: Path) -> NDArray[np.int64]:
    """The inverse of `write_learnt`: positions in ascending order, (rows,)."""
    return np.array(json.loads((directory / _LEARNT).read_text(encoding="utf-8")), dtype=np.int64)


@contextmanager
def muted() -> Iterator[None]:
    """Inside this context, libraries do not print, warn, draw bars or log to the root logger.

    Our own progress, on stderr or through named loggers, still shows.
    """
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    from harmonic.llm.weights import quiet_libraries

    root, placeholder = logging.getLogger(), logging.NullHandler()

    def drop(record: logging.LogRecord) -> bool:  # a new one each time, so that uses can be nested
        return False

    bars = not are_progress_bars_disabled()
    with warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as sink, redirect_stdout(sink):
        quiet_libraries()
        warnings.simplefilter("ignore")
        disable_progress_bars()
        root.addHandler(placeholder)  # or the first record would add a handler for the whole process
        root.addFilter(drop)  # applies only to records of this logger
        try:
            yield
        finally:
            root.removeFilter(drop)
            root.removeHandler(placeholder)
            if bars:
                enable_progress_bars()
