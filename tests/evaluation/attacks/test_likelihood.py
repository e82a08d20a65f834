"""Membership by likelihood: the formulas, and a tiny language model that learnt its rows by heart, or nothing."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from row_texts import row_text

from harmonic.evaluation.attacks.likelihood import calibrated_loss, min_k
from harmonic.evaluation.base import TokenScorer
from harmonic.evaluation.privacy.membership import MembershipInference
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.instruction import question
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.splits import Splits

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Counted(TinyModel):
    """Says how often it was loaded."""

    loads = 0

    def load(self):
        type(self).loads += 1
        return super().load()


def test_the_loss_attack_is_what_tuning_took_off_a_token():
    tuned, base = [np.array([1.0, 2.0]), np.array([3.0])], [np.array([2.0, 4.0]), np.array([2.5])]
    assert calibrated_loss(tuned, base).tolist() == [1.5, -0.5]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.2, -9.0), (0.4, -8.5), (0.01, -9.0), (1.0, -5.5)],
    ids=["one", "two", "never none", "all"],
)
def test_min_k_is_the_mean_of_the_least_likely_tokens(share, expected):
    losses = np.array([4.0, 9.0, 2.0, 8.0, 4.5])
    assert min_k([losses], share) == pytest.approx([expected])


@pytest.fixture
def few(table_of) -> Splits:
    """Sixteen members and as many others; numbers of five digits, and a label."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.integers(10_000, 100_000, 40)})
    frame["y"] = rng.choice(["a", "b"], 40).astype(object)
    table = table_of(frame)
    return Splits(table.take(range(16)), table.take(range(16, 24)), table.take(range(24, 40)))


@pytest.fixture
def fitted(taught):
    """As `taught`, with a model that counts how often it was loaded."""
    llm = Counted(
        name="tiny", dtype="float32", device="cpu", target_modules=TARGETS, hidden_size=64, embedding_factor=10
    )
    return partial(taught, llm)


def attack(splits, model):
    scorer = TokenScorer(model.nll, lambda rows, base: model.token_nll(rows, base=base))
    evaluator = MembershipInference(attacks=["loss", "min_k"], resamples=50)
    return evaluator.evaluate(splits, splits.val, seed=0, scorer=scorer)


@pytest.mark.slow
def test_rows_learnt_by_heart_are_told_from_others(few, fitted, tmp_path):
    measures = attack(few, fitted(few, tmp_path, epochs=240, learning_rate=5e-3))
    assert measures["mia/loss/auc"] > 0.9
    assert measures["mia/loss/auc/low"] > 0.8
    assert measures["mia/min_k/auc"] > 0.9


def test_a_model_that_learnt_nothing_tells_nothing(few, fitted, tmp_path):
    measures = attack(few, fitted(few, tmp_path, epochs=0.01, learning_rate=1e-30))
    assert measures["mia/loss/auc"] == 0.5
    assert (measures.series["mia/loss/members"] == 0).all()


def test_token_losses_add_up_and_the_base_model_comes_and_goes(few, fitted, tmp_path):
    model = fitted(few, tmp_path, epochs=1, learning_rate=1e-2)
    rows, before = few.test.frame, Counted.loads
    tuned = model.token_nll(rows)
    assert [losses.mean() for losses in tuned] == pytest.approx(model.nll(rows), rel=1e-6)
    base = model.token_nll(rows, base=True)
    assert Counted.loads == before + 2
    assert [len(losses) for losses in base] == [len(losses) for losses in tuned]
    assert np.abs(np.concatenate(base) - np.concatenate(tuned)).max() > 0.01
    assert np.concatenate(model.token_nll(rows)) == pytest.approx(np.concatenate(tuned), abs=1e-6)
    assert Counted.loads == before + 3


def test_the_base_model_is_the_one_that_was_not_tuned(few, fitted, tmp_path):
    """Against a plain forward pass over the text behind a row of the validation part."""
    import torch

    model = fitted(few, tmp_path, epochs=1, learning_rate=1e-2)
    found = model.token_nll(few.test.frame[:1], base=True)[0]
    plain, tokenizer = model.llm.load()
    text = row_text(few.test.frame.iloc[0], few.schema)
    order = tuple(range(len(few.schema.columns)))
    shown = row_text(few.val.frame.iloc[0], few.schema)
    asked = question(find_row_format("json", few.schema), [(shown, None, order)], None, order).prompt
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": text}]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]
    with torch.inference_mode():
        logs = plain(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    losses = [-float(logs[place - 1, token]) for place, token in enumerate(ids)][-len(found) - 1 : -1]
    assert found == pytest.approx(losses, abs=1e-4)
