"""Labels: what a prompt marks as learnt, and nothing else; counted in the vocabulary where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import Part, Prompt, asked
from harmonic.tuning.examples import IGNORED, encode, occurring, stored_examples

CHAT = Chat(TinyModel(name="tiny").tokenizer())
LIST = Prompt(
    (Part("head\n"), Part("1|2\n", row=0), Part("3|4\n", True, 1), Part("5\n"), Part("é|6\n", True, 2)), document=True
)
QUESTION = asked("Generate: ", "7|8")


def learnt_text(example: dict[str, list[int]]) -> str:
    ids = [token for token, label in zip(example["input_ids"], example["labels"], strict=True) if label != IGNORED]
    return CHAT.tokenizer.decode(ids)


def test_of_a_list_its_learnt_lines_have_labels_and_their_ends() -> None:
    (example,) = encode([LIST], CHAT, 2048)
    assert CHAT.tokenizer.decode(example["input_ids"]) == "head\n1|2\n3|4\n5\né|6\n"
    assert learnt_text(example) == "3|4\né|6\n"
    labels, ids = np.array(example["labels"]), np.array(example["input_ids"])
    assert (labels[labels != IGNORED] == ids[labels != IGNORED]).all()


def test_of_a_question_the_answer_and_its_end_have_labels() -> None:
    found = list(encode([QUESTION, LIST, QUESTION], CHAT, 2048))  # mixed, and in their order
    assert [learnt_text(example) for example in found] == ["7|8<|im_end|>", "3|4\né|6\n", "7|8<|im_end|>"]


def test_labels_count_in_the_vocabulary() -> None:
    vocabulary = occurring([LIST, QUESTION], CHAT)
    for prompt in (LIST, QUESTION):
        (plain,), (narrow,) = encode([prompt], CHAT, 2048), encode([prompt], CHAT, 2048, vocabulary)
        assert narrow["input_ids"] == plain["input_ids"]
        labels = np.array(narrow["labels"])
        assert np.where(labels == IGNORED, IGNORED, vocabulary.ids[labels]).tolist() == plain["labels"]
        assert (labels[labels != IGNORED] >= 0).all()


def test_an_example_that_is_too_long_is_named() -> None:
    with pytest.raises(ConfigError, match=r"llm\.context=20: the tuning prompt number 1 takes"):
        list(encode([LIST, asked("x" * 30, "y")], CHAT, 20))


def test_examples_wait_in_a_file_until_tuning_is_over(tmp_path: Path) -> None:
    prompts, path = [QUESTION, LIST] * 700, tmp_path / "examples.arrow"  # more than are encoded together
    expected = list(encode(prompts, CHAT, 2048))
    with stored_examples(prompts, CHAT, 2048, None, path) as examples:
        assert path.is_file() and examples.dataset[:] == {
            name: [example[name] for example in expected] for name in ("input_ids", "labels")
        }
        assert examples.longest == max(len(example["input_ids"]) for example in expected)
        assert examples.learnt_tokens == sum(label != IGNORED for one in expected for label in one["labels"])
    assert not path.exists()


def test_no_file_is_left_if_an_example_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 of 2 are too long"):
        with stored_examples([LIST, asked("x" * 30, "y")], CHAT, 20, None, tmp_path / "examples.arrow"):
            pass
    assert not list(tmp_path.iterdir())
