"""The model tuned on questions and answers: tuned once for all who ask, and its losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonic.errors import ConfigError
from harmonic.evaluation.llm_effectiveness import answering
from harmonic.evaluation.llm_effectiveness.answering import answer_losses, tuned_on
from harmonic.evaluation.llm_effectiveness.effectiveness import LanguageModelEffectiveness
from harmonic.evaluation.privacy.canary import CanaryExposure
from harmonic.evaluation.result_cache import caching_results
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.runs.cache import Cache
from harmonic.tables.canaries import plant
from harmonic.tuning.settings import Tuning

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LLM = TinyModel(name="tiny", dtype="float32", device="cpu", target_modules=MODULES)
EXAMPLES = [asked("Which? ", answer) for answer in ("yes", "no", "yes")]
ONE_STEP = Tuning(batch_size=4, learning_rate=1e-2, scheduler="constant", warmup_ratio=0.0, checkpoint_every=None)


@pytest.fixture
def tunings(monkeypatch) -> list[int]:
    """Grows by one with each tuning."""
    done: list[int] = []
    tune = answering.tune

    def counted(*arguments, **named):
        done.append(len(done))
        return tune(*arguments, **named)

    monkeypatch.setattr(answering, "tune", counted)
    return done


def weights(model) -> np.ndarray:
    return torch.cat([part.detach().flatten() for part in model.parameters()]).numpy()


def test_a_model_that_was_tuned_is_not_tuned_again(tunings, tmp_path):
    with caching_results(Cache(tmp_path)):
        first = weights(tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)[0])
    with caching_results(Cache(tmp_path)):  # a run that goes on, in another process
        again = weights(tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)[0])
    assert len(tunings) == 1
    assert (first == again).all()
    assert not np.allclose(first, weights(LLM.load()[0]), atol=1e-9)


def test_whatever_it_depends_on_makes_another_model(tunings, tmp_path):
    with caching_results(Cache(tmp_path)):
        tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)
        tuned_on(EXAMPLES[:2], LLM, ONE_STEP, seed=0)
        tuned_on(EXAMPLES, replace(LLM, hidden_size=16), ONE_STEP, seed=0)
        tuned_on(EXAMPLES, LLM, replace(ONE_STEP, rank=2), seed=0)
        tuned_on(EXAMPLES, LLM, ONE_STEP, seed=1)
    assert len(tunings) == 5
    with caching_results(Cache(tmp_path), force=True):
        tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)
    assert len(tunings) == 6


def test_outside_of_a_run_nothing_is_kept(tunings, tmp_path):
    with caching_results(Cache(tmp_path)):
        pass
    tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)
    tuned_on(EXAMPLES, LLM, ONE_STEP, seed=0)
    assert len(tunings) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["question", "list"])
def test_effectiveness_and_the_canary_audit_share_one_model(toy, tunings, tmp_path, form):
    splits = plant(toy, {"count": 4}, 0)
    settings = {
        "llm": LLM,
        "tuning": {"max_examples": 4, "checkpoint_every": None},
        "labels": {"no": "bad", "yes": "good"},
        "form": form,
        "lists": {"rows": 4},
    }
    effectiveness = LanguageModelEffectiveness(**settings, max_test_rows=4)
    audit = CanaryExposure(**settings, signals=["lle"], max_scored_decoys=4)
    with caching_results(Cache(tmp_path)):
        measures = effectiveness.evaluate(splits, toy.train, seed=0)
        measures.merge(audit.evaluate(splits, toy.train, seed=0))
    assert len(tunings) == 1
    assert np.isfinite([measures["lle/accuracy"], measures["canary/lle/auc"]]).all()


def test_a_loss_is_that_of_a_plain_pass_over_question_and_answer():
    model, tokenizer = LLM.load()
    chat = Chat(tokenizer)
    examples = [asked("Is it? ", "yes"), asked("Is it not? ", "certainly"), asked("Is it? ", "no")]
    found = answer_losses(model, chat, examples, 1000)
    for example, loss in zip(examples, found, strict=True):
        question, answer = chat.prompts([example.prompt])[0], chat.completions([example.completion])[0]
        with torch.inference_mode():
            logs = model(input_ids=torch.tensor([question + answer])).logits[0, len(question) - 1 : -1].log_softmax(-1)
        assert loss == pytest.approx(-sum(float(logs[place, token]) for place, token in enumerate(answer)), abs=1e-3)
    with pytest.raises(ConfigError, match=r"llm\.context=5"):
        answer_losses(model, chat, examples, 5)
