"""When tuning ends: after so many minutes, with its schedule fitted to them, or when validation rows are told worse."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import Prompt, asked
from harmonic.tuning import budget
from harmonic.tuning.lora import load_tuned, tune
from harmonic.tuning.scoring import pairs_nll
from harmonic.tuning.settings import Tuning

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LLM = TinyModel(name="tiny", dtype="float32", device="cpu", target_modules=TARGETS)
EXAMPLES = [asked(f"number {i}: ", f'{{"a": "{i}"}}') for i in range(40)]
SECOND = 1 / 60  # minutes


class Clock:
    """Each look at it finds a second more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float = 1.0) -> None:
        self.times = count(1000.0, step)
        monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(self.times)))


def run(folder: Path, validation: list[Prompt] | None = None, history: Any = None, **given: Any) -> dict[str, float]:
    settings: dict[str, Any] = {
        "batch_size": 2, "learning_rate": 1e-2, "warmup_ratio": 0.0, "epochs": 1.5, "dropout": 0.0,
        "checkpoint_every": None,
    }  # fmt: skip
    return tune(
        LLM,
        EXAMPLES,
        Tuning(**settings | given),
        seed=0,
        directory=folder,
        history=history,
        validation=validation or (),
    )


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    history = json.loads((folder / "history.json").read_text())
    return [(point["step"], point[name]) for point in history if name in point]


def digest(folder: Path) -> str:
    return sha256((folder / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()


class Rates(dict[int, float]):
    """The learning rate of each step."""

    def __call__(self, values: dict[str, float], step: int) -> None:
        if "train/learning_rate" in values:
            self[step] = values["train/learning_rate"]


def test_tuning_stops_in_its_minutes_and_the_schedule_is_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    short, rates = Rates(), Rates()
    # The clock starts, step 1 a second later and so on: three steps took three seconds, and six are left at step 4.
    assert run(tmp_path / "timed", minutes=10 * SECOND, history=rates)["steps"] == 10
    assert [step for step, _ in points(tmp_path / "timed", "train/loss")] == list(range(1, 11))
    assert run(tmp_path / "ten", epochs=0.5, history=short)["steps"] == 10
    for step in range(6, 11):  # from there on as if it had been ten from the start
        assert rates[step] == pytest.approx(short[step], rel=1e-6)
    assert rates[1] > rates[4] > 0.9e-2 > rates[6] and rates[10] < 0.05 * rates[1]
    assert not (tmp_path / "timed" / "steps.json").exists()


def test_time_enough_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    assert run(tmp_path / "plain")["steps"] == 30
    assert run(tmp_path / "timed", minutes=60)["steps"] == 30
    assert digest(tmp_path / "plain") == digest(tmp_path / "timed")


def test_a_killed_run_keeps_the_number_of_steps_that_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(values: dict[str, float], step: int) -> None:
        if step == 7:
            raise KeyboardInterrupt

    Clock(monkeypatch)
    run(tmp_path / "whole", minutes=10 * SECOND, checkpoint_every=3)
    Clock(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", minutes=10 * SECOND, checkpoint_every=3, history=stop)
    Clock(monkeypatch, step=0.001)  # the machine is much faster now
    assert run(tmp_path / "broken", minutes=10 * SECOND, checkpoint_every=3)["steps"] == 10
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


@pytest.mark.parametrize("killed", [2, 3])
def test_a_run_killed_before_its_speed_was_known_measures_it_anew(
    killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(values: dict[str, float], step: int) -> None:
        if step == killed and "train/loss" in values:
            raise KeyboardInterrupt

    Clock(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, minutes=10 * SECOND, checkpoint_every=1, history=stop)
    assert 8 <= run(tmp_path, minutes=10 * SECOND, checkpoint_every=1)["steps"] <= 14


# ---- validation


def validation_loss(folder: Path, told: list[Prompt]) -> float:
    """Under the adapter that was kept, by a way of its own: nats a token."""
    model, tokenizer = load_tuned(LLM, folder / "adapter")
    chat = Chat(tokenizer)
    answers = chat.completions([prompt.completion for prompt in told])
    losses = pairs_nll(model, chat.prompts([prompt.prompt for prompt in told]), answers)
    return float(losses.sum() / sum(map(len, answers)))


def test_validation_rows_are_told_as_the_facts_and_the_history_say(tmp_path: Path) -> None:
    told = [asked(f"number {i}: ", f'{{"a": "{i}"}}') for i in range(40, 46)]
    seen: list[tuple[int, float]] = []

    def history(values: dict[str, float], step: int) -> None:
        if "validation/loss" in values:
            seen.append((step, values["validation/loss"]))

    facts = run(tmp_path, told, epochs=2, history=history)
    assert seen == points(tmp_path, "validation/loss") and [step for step, _ in seen] == list(range(5, 41, 5))
    assert facts["validation_loss"] == min(loss for _, loss in seen)
    assert validation_loss(tmp_path, told) == pytest.approx(facts["validation_loss"], abs=1e-4)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["adapter", "history.json"] and not (tmp_path / "adapter" / "losses.json").exists()


def test_tuning_stops_when_they_are_told_worse_and_the_best_adapter_is_kept(tmp_path: Path) -> None:
    told = [asked(f"number {i}: ", "zyxwvu ZYXWVU" * 3) for i in range(4)]  # the more is learnt, the less likely
    facts = run(tmp_path, told, epochs=8, learning_rate=3e-2)
    looks = [loss for _, loss in points(tmp_path, "validation/loss")]
    best = int(np.argmin(looks))
    assert facts["steps"] < 160 and len(looks) == best + 3 < 8  # two looks more than the best one
    assert all(loss > looks[best] for loss in looks[best + 1 :])
    assert validation_loss(tmp_path, told) == pytest.approx(looks[best], abs=1e-4)


def test_looking_changes_nothing_of_what_is_learnt(tmp_path: Path) -> None:
    told = [asked(f"number {i}: ", f'{{"a": "{i}"}}') for i in range(40)]  # told better and better
    run(tmp_path / "plain", dropout=0.1)
    run(tmp_path / "watched", told, dropout=0.1)
    assert points(tmp_path / "plain", "train/loss") == points(tmp_path / "watched", "train/loss")
    best, _ = min(points(tmp_path / "watched", "validation/loss"), key=lambda point: point[1])
    if best == 30:
        assert digest(tmp_path / "plain") == digest(tmp_path / "watched")


def test_a_killed_run_takes_its_looks_up_again(tmp_path: Path) -> None:
    told = EXAMPLES[:5]

    def stop(values: dict[str, float], step: int) -> None:
        if step == 14 and "train/loss" in values:
            raise KeyboardInterrupt

    run(tmp_path / "whole", told, checkpoint_every=5)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", told, checkpoint_every=5, history=stop)
    run(tmp_path / "broken", told, checkpoint_every=5)
    assert points(tmp_path / "broken", "validation/loss") == points(tmp_path / "whole", "validation/loss")
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


def test_losses_that_are_torn_while_they_are_written_do_not_hinder_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_text

    def torn(path: Path, text: str, **given: Any) -> int:
        if "losses.json" in path.name and len(json.loads(text)) == 3:
            whole(path, text[: len(text) // 2])
            raise KeyboardInterrupt
        return whole(path, text, **given)

    told = EXAMPLES[:5]
    run(tmp_path / "whole", told, checkpoint_every=5)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "write_text", torn)
        run(tmp_path / "broken", told, checkpoint_every=5)
    run(tmp_path / "broken", told, checkpoint_every=5)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


def test_a_narrow_vocabulary_tells_the_same_losses_over_the_tokens_that_are_left(tmp_path: Path) -> None:
    told = EXAMPLES[:6]
    facts = run(tmp_path, told, vocabulary="occurring")
    assert (tmp_path / "adapter" / "vocabulary.json").is_file()
    assert facts["learnt_tokens"] == sum(
        len(ids) for ids in Chat(LLM.tokenizer()).completions([p.completion for p in EXAMPLES])
    )
    assert 0 < facts["validation_loss"] < points(tmp_path, "train/loss")[0][1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("minutes", 0), ("passes", -1), ("validation", 0.6), ("validation", -0.1), ("vocabulary", "some")],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"tuning.{name}={value}"):
        tune(LLM, EXAMPLES, Tuning(**{name: value}), seed=0, directory=tmp_path)
