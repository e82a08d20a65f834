"""Which training rows each synthetic row's prompt showed, from the prompts through sampling to the measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import open_dict

from experiments.run import run_job
from harmonic.decoding.decoder import Decoded
from harmonic.generators.base import Generator
from harmonic.method.fitted import FittedModel
from harmonic.method.generator import HarmonicGenerator
from harmonic.prompts.chat import Chat
from harmonic.prompts.stored_prompts import StoredPrompts

SETTINGS = ["llm=tiny", "scale=smoke", "tracker=off", "data_dir=null"]


class Copying:
    """A decoder that answers each prompt with its first example, and at its first try with no row at all.

    Batches are answered in whatever order they come, so that a row's place tells nothing of its prompt.
    """

    max_new_tokens, largest_batch = 400, 3

    def __init__(self, chat: Chat, failing: int) -> None:
        self.chat, self.failing = chat, failing

    def budget(self) -> int:
        return 2**20

    def close(self) -> None:
        pass

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None:
        pass

    def free(self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator]) -> list[Decoded]:
        answers = []
        for prompt in prompts:
            self.failing -= 1
            text = self.chat.text(prompt)
            first = "{" + text.partition("Example one: {")[2].partition("}")[0] + "}"
            answers.append(self.chat.completions(["sorry" if self.failing >= 0 else first])[0][:-1])
        return [Decoded(answer, True) for answer in answers]


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let HARMONIC copy; how often it does not, at first, may be set."""
    given = SimpleNamespace(failing=0, sampled=0)

    def decoder(self: FittedModel, settings: Any) -> tuple[Any, int]:
        given.sampled += 1
        return Copying(self.chat, given.failing), 100_000

    monkeypatch.setattr(FittedModel, "decoder", decoder)
    return given


def harmonic(output: Path, *overrides: str) -> dict[str, Any]:
    """The report of one job in this process: of the paper's method, whose prompts name their examples."""
    if not any(override.startswith("generator=") for override in overrides):
        overrides = ("generator=harmonic", "generator.tuning.max_examples=2", *overrides)
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(
            "config", [*SETTINGS, "evaluator=prompt_copy", f"output_dir={output}", *overrides], return_hydra_config=True
        )
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return json.loads((run_job(config, choices) / "report.json").read_text())


def assert_all_copied(report: dict[str, Any]) -> None:
    """Every row is one of its prompt's: 1 less chance, which is 0, for no two rows of Diabetes are equal."""
    assert report["metrics"]["prompt_copy/rows"] == 1
    assert 0.7 < report["metrics"]["prompt_copy/cells"] < 0.9  # less chance, for some numbers are frequent


def test_a_generator_that_copies_its_prompt_is_found_out_in_every_row(copying: SimpleNamespace, tmp_path: Path) -> None:
    assert_all_copied(harmonic(tmp_path, "generator.sampling.rows_per_prompt=3"))


def test_redrawn_rows_keep_their_prompt(copying: SimpleNamespace, tmp_path: Path) -> None:
    copying.failing = 7
    report = harmonic(tmp_path, "generator.sampling.mode=reject")
    assert report["validity"]["rejected/no_json"] == 7
    assert_all_copied(report)


def test_rows_from_the_cache_keep_their_prompt(copying: SimpleNamespace, tmp_path: Path) -> None:
    harmonic(tmp_path)
    again = harmonic(tmp_path, "evaluator.prompt_copy.resamples=50")
    assert copying.sampled == 1 and again["stages"]["sample"]["cached"]
    assert not again["stages"]["evaluate_prompt_copy"]["cached"]
    assert_all_copied(again)


def test_planted_rows_are_copied_like_any_others(copying: SimpleNamespace, tmp_path: Path) -> None:
    report = harmonic(tmp_path, "canaries.count=200", "n_samples=20")
    assert_all_copied(report)
    folder = max((tmp_path / "cache" / "prompts").iterdir(), key=lambda path: path.stat().st_mtime)
    shown = [prompt.rows for prompt in StoredPrompts(folder / "sample.jsonl")]
    assert np.max(shown) >= report["rows"]["train"]  # some of those copied from were planted


def test_other_rows_are_no_copies_of_the_prompt(
    copying: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = HarmonicGenerator.shown
    monkeypatch.setattr(HarmonicGenerator, "shown", lambda *given, **named: np.roll(true(*given, **named), 1, axis=0))
    assert harmonic(tmp_path)["metrics"]["prompt_copy/rows"] == pytest.approx(0, abs=0.2)


def test_generators_without_such_prompts_have_no_such_measure(tmp_path: Path) -> None:
    report = harmonic(tmp_path, "generator=marginals")
    assert report["metrics"]["prompt_copy/rows"] is None
    assert "needs a generator with prompts that show training rows" in report["unavailable"]["prompt_copy/rows"]
    assert not hasattr(Generator, "shown")
