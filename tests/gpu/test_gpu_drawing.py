"""Drawing on a GPU: the answers of the CPU where rounding decides nothing, and the same ones again where it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gpu

PREFIX = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def prompts(lengths: Sequence[int], shared: Sequence[int] = PREFIX) -> list[list[int]]:
    draw = np.random.default_rng(0)
    return [[*shared, *draw.integers(0, 256, length).tolist()] for length in lengths]


def freely(model: Any, asked: list[list[int]], tokens: int = 30, end: int = 65, **given: Any) -> list[Any]:
    """Answers at temperature 1, with the common start of the prompts read once."""
    from small_models import draws

    from harmonic.decoding.decoder import Decoder

    decoder = Decoder(model, end, **{"temperature": 1.0, "max_new_tokens": tokens} | given)
    assert decoder.fast  # our cache and attention are in use
    decoder.share_prefix(asked)
    return decoder.free(asked, draws(len(asked)))


def constrained(model: Any, rows: int) -> list[dict[str, Any]]:
    """Rows of a small table, written under its grammar by a model that has learnt nothing."""
    from small_models import draws, tiny
    from toys import make_schema

    from harmonic.decoding.constraints import RowConstraints
    from harmonic.decoding.decoder import Decoder
    from harmonic.prompts.chat import Chat
    from harmonic.prompts.row_format import find_row_format

    tokenizer = tiny("cpu").tokenizer()
    chat, form = Chat(tokenizer), find_row_format("json", make_schema(decimals=2))
    made = RowConstraints(form, tokenizer, chat.end)
    decoder = Decoder(model, chat.end, 1.0, 120)
    asked = prompts([5 + 7 * (row % 4) for row in range(rows)])
    decoder.share_prefix(asked)
    orders = [["y", "n", "x"] if row % 2 else ["x", "y", "n"] for row in range(rows)]
    answers = decoder.constrained(asked, draws(rows), [made.start(order) for order in orders])
    return [form.parse(chat.text(answer.ids), order) for answer, order in zip(answers, orders, strict=True)]


def test_greedy_answers_are_generates(device: str) -> None:
    """Free drawing at temperature 0: the answers of transformers' generate."""
    import torch
    from small_models import varied

    model, asked = varied(device), prompts([3, 40, 1, 17])
    expected = [
        model.generate(
            torch.tensor([prompt], device=device), attention_mask=torch.ones(1, len(prompt), device=device).long(),
            do_sample=False, max_new_tokens=20, eos_token_id=None, pad_token_id=257,
        )[0, len(prompt) :].tolist()
        for prompt in asked
    ]  # fmt: skip
    assert [answer.ids for answer in freely(model, asked, 20, end=-1, temperature=0)] == expected


def test_free_answers_are_those_of_the_cpu(device: str) -> None:
    """Free drawing in double precision: the answers of the CPU, with guesses and a prompt that occurs several times."""
    from small_models import varied

    repeating = [*PREFIX, *[34, 35, 36, 37] * 9]
    asked = [*prompts([12, 3, 50, 30, 8]), repeating, repeating, repeating]
    found, expected = (freely(varied(place), asked) for place in (device, "cpu"))
    assert len({len(answer.ids) for answer in expected}) > 2  # rows leave at different times
    assert found == expected


def test_guesses_change_no_answer(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompt lookup: the same answers as without guesses."""
    from small_models import varied

    from harmonic.decoding.prompt_lookup import PromptLookup

    model, asked = varied(device), [[*PREFIX, *[34, 35, 36, 37] * 9], *prompts([20, 9])]
    guessed: list[int] = []
    guess = PromptLookup.guess

    def watched(self: PromptLookup, limit: int) -> list[int]:
        guessed.append(len(found := guess(self, limit)))
        return found

    monkeypatch.setattr(PromptLookup, "guess", watched)
    found = freely(model, asked, 80, end=-1, temperature=0.2)
    assert sum(guessed) > 10
    monkeypatch.setattr(PromptLookup, "guess", lambda self, limit: [])
    assert found == freely(model, asked, 80, end=-1, temperature=0.2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_same_batch_gives_the_same_answers(device: str, dtype: str) -> None:
    """Free drawing: our attention fits the type, and the same batch gives the same answers again."""
    import torch
    from small_models import varied

    model, asked = varied(device, getattr(torch, dtype)), prompts([12, 3, 50, 30, 8, 8, 21])
    first = freely(model, asked)
    assert first == freely(model, asked)
    assert len({tuple(answer.ids) for answer in first}) > 4


def test_constrained_rows_are_valid_and_those_of_the_cpu(device: str) -> None:
    """Constrained drawing in double precision: valid rows, and those of the CPU."""
    from small_models import varied

    found, expected = (constrained(varied(place), 8) for place in (device, "cpu"))
    assert found == expected
    assert len({str(row) for row in found}) > 1


def test_constrained_rows_in_bfloat16(device: str) -> None:
    """Constrained drawing in bfloat16: valid rows, the same again."""
    import torch
    from small_models import varied

    model = varied(device, torch.bfloat16)
    assert constrained(model, 24) == constrained(model, 24)


def test_a_narrow_vocabulary(device: str) -> None:
    """Outputs for the tokens that occur (tuning.vocabulary=occurring), in double precision as on the CPU."""
    from small_models import varied

    from harmonic.tuning.vocabulary import Vocabulary

    vocabulary = Vocabulary(np.arange(20, 120))
    answers = []
    for place in (device, "cpu"):
        model = varied(place)
        vocabulary.narrow(model)
        answers.append(freely(model, prompts([12, 3, 50]), vocabulary=vocabulary))
    assert answers[0] == answers[1]
    assert {token for answer in answers[0] for token in answer.ids} <= set(range(20, 120))


def test_one_row_at_a_time(device: str) -> None:
    """Models that our cache does not fit: one row at a time, with the same answers."""
    from small_models import draws, varied

    from harmonic.decoding.decoder import Decoder

    model, asked = varied(device), prompts([12, 3, 50])
    slow = Decoder(model, 65, temperature=1.0, max_new_tokens=20)
    slow.__dict__["fast"] = False
    slow.share_prefix(asked)
    assert slow.free(asked, draws(3)) == freely(model, asked, 20)


def test_tokens_are_drawn_with_their_odds(device: str) -> None:
    """The next token: drawn as on the CPU, and in the shares that the logits say."""
    import torch

    from harmonic.decoding.next_token import choose

    draw = np.random.default_rng(3)
    logits = torch.tensor(draw.normal(0, 2, 600), dtype=torch.float32)
    logits[draw.integers(0, 600, 100)] = float("-inf")
    uniforms = draw.random(20_000)
    rows = logits[None].repeat(len(uniforms), 1)
    found = choose(rows.to(device), uniforms, 0.7).cpu()
    assert int((found != choose(rows, uniforms, 0.7)).sum()) <= 5  # by rounding at the edge between two tokens
    odds = torch.softmax(logits.double() / 0.7, dim=0).numpy()
    shares = np.bincount(found.numpy(), minlength=600) / len(uniforms)
    assert not shares[odds == 0].any()
    assert np.abs(shares - odds).max() < 5 * np.sqrt(odds.max() / len(uniforms))
