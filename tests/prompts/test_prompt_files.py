"""The folder of prompts: what is written is read back, and validation is optional."""

from __future__ import annotations

from pathlib import Path

from harmonic.prompts.prompt import asked
from harmonic.prompts.prompt_files import PromptFiles

TRAINING, SAMPLING = [asked("a", "1", (0,)), asked("b", "2")], [asked("c")]


def test_each_kind_of_prompt_is_read_back(tmp_path: Path) -> None:
    files = PromptFiles(tmp_path / "prompts")
    files.write_training(TRAINING)
    files.write_sampling(iter(SAMPLING))
    files.write_validation([asked("d", "4")])
    assert (list(files.training()), list(files.sampling())) == (TRAINING, SAMPLING)
    assert list(files.validation()) == [asked("d", "4")]


def test_without_validation_there_is_no_such_file(tmp_path: Path) -> None:
    files = PromptFiles(tmp_path)
    files.write_training(TRAINING)
    files.write_validation([])
    assert not files.validation() and [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]
