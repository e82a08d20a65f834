"""Likelihoods of many answers against plain forward passes, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from harmonic.llm.tiny_model import TinyModel
from harmonic.tuning.scoring import answer_token_nll, pairs_nll

VOCABULARY = 258


@pytest.fixture(scope="module")
def model():
    """Random weights, large enough that every token's place and past show in the likelihoods."""
    tiny = TinyModel(name="tiny", dtype="float32", device="cpu").load()[0]
    with torch.no_grad():
        for weights in tiny.parameters():
            weights.mul_(4 if weights.ndim == 2 else 1)
    return tiny


def one_by_one(model, prompts, answers):
    """Summed nll of each answer: the whole sequence, nothing cached, nothing beside it."""
    totals = []
    with torch.inference_mode():
        for prompt, answer in zip(prompts, answers, strict=True):
            logits = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0]
            predictions = logits[len(prompt) - 1 : -1].float()
            totals.append(functional.cross_entropy(predictions, torch.tensor(answer), reduction="sum").item())
    return np.array(totals)


def mean_nll(model, context, answers, **given):
    """Each answer's mean, nats per token."""
    return np.array([tokens.mean() for tokens in answer_token_nll(model, context, answers, **given)])


def lengths(answers):
    return np.array([len(answer) for answer in answers])


def sequences(count, longest, tokens=VOCABULARY, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(tokens, size=rng.integers(1, longest + 1)).tolist() for _ in range(count)]


# Few distinct tokens: many share their starts, some are the start of another, some are the same.
ALIKE = sequences(60, 8, tokens=2)
APART = sequences(20, 30)
CONTEXT = sequences(1, 50, seed=3)[0] * 2


@pytest.mark.parametrize("context", [CONTEXT, [7]], ids=["long context", "context of one token"])
@pytest.mark.parametrize("answers", [ALIKE, APART, [[5]]], ids=["alike", "apart", "one token"])
def test_answers_score_as_one_by_one(model, context, answers):
    expected = one_by_one(model, [context] * len(answers), answers) / lengths(answers)
    assert np.ptp(expected) > 0.1 or len(answers) == 1
    assert mean_nll(model, context, answers) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("prompts", [sequences(60, 8, tokens=2, seed=1), sequences(60, 30, seed=1)])
def test_answers_behind_prompts_of_their_own_score_as_one_by_one(model, prompts):
    prompts = [[3, 4, *prompt] for prompt in prompts]
    expected = one_by_one(model, prompts, ALIKE)
    assert pairs_nll(model, prompts, ALIKE) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_every_token_scores_as_in_a_plain_pass(model):
    """Each token is the last one of the answer that ends with it."""
    found = answer_token_nll(model, CONTEXT, APART)
    assert [len(losses) for losses in found] == [len(answer) for answer in APART]
    starts = [answer[: place + 1] for answer in APART[:3] for place in range(len(answer))]
    contexts = [[*CONTEXT, *start[:-1]] for start in starts]
    expected = one_by_one(model, contexts, [start[-1:] for start in starts])
    assert np.concatenate(found[:3]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 9, 64])
def test_batch_size_and_order_do_not_matter(model, batch_tokens):
    expected = mean_nll(model, CONTEXT, ALIKE)
    order = np.random.default_rng(0).permutation(len(ALIKE))
    shuffled = mean_nll(model, CONTEXT, [ALIKE[index] for index in order], batch_tokens=batch_tokens)
    assert shuffled == pytest.approx(expected[order], abs=1e-5)


def test_uniform_model_has_the_vocabularys_perplexity():
    uniform = TinyModel(name="tiny", dtype="float32", device="cpu").load()[0]
    with torch.no_grad():
        uniform.lm_head.weight.zero_()
    assert np.exp(mean_nll(uniform, CONTEXT, APART)) == pytest.approx(VOCABULARY)


def test_no_answers_are_no_values(model):
    assert mean_nll(model, CONTEXT, []).shape == (0,)
    assert pairs_nll(model, [], []).shape == (0,)


@pytest.mark.parametrize(("prompts", "answers"), [([[]], [[1]]), ([[1]], [[]]), ([[1]], []), ([[1]], [[1], [2]])])
def test_what_has_no_likelihood_is_refused(model, prompts, answers):
    with pytest.raises(ValueError, match="needs a prompt"):
        pairs_nll(model, prompts, answers)


def test_bfloat16_differs_by_rounding_alone(model):
    half = TinyModel(name="tiny", dtype="bfloat16", device="cpu").load()[0]
    expected = one_by_one(half, [CONTEXT] * len(APART), APART) / lengths(APART)
    assert mean_nll(half, CONTEXT, APART) == pytest.approx(expected, abs=0.02)


def test_a_pass_keeps_to_its_tokens_and_what_is_shared_is_computed_once(model):
    sizes = []
    handle = model.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    try:
        mean_nll(model, CONTEXT, [[1, 2, 3, last] for last in range(100)], batch_tokens=24)
    finally:
        handle.remove()
    assert sizes[0] == len(CONTEXT) - 1
    # The context's last token and 1, 2, 3 open each pass: 20 ends fit behind them.
    assert sizes[1:] == [24] * 5


@pytest.mark.parametrize("kernel", ["eager", "flex_attention"])
def test_any_attention_kernel_scores_alike_and_is_put_back(model, kernel):
    expected = mean_nll(model, CONTEXT, ALIKE)
    other = TinyModel(name="tiny", dtype="float32", device="cpu").load()[0]
    other.load_state_dict(model.state_dict())
    other.set_attn_implementation(kernel)
    assert mean_nll(other, CONTEXT, ALIKE) == pytest.approx(expected, abs=1e-5)
    assert other.config._attn_implementation == kernel


@pytest.mark.parametrize("window", [8, 4096])
def test_sliding_windows_are_kept(window):
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=window, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mistral = MistralForCausalLM(config).eval()
    expected = one_by_one(mistral, [CONTEXT] * len(APART), APART) / lengths(APART)
    assert mean_nll(mistral, CONTEXT, APART) == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft, with transformers 5
def test_adapters_that_are_not_merged_count(model):
    from peft import LoraConfig, get_peft_model

    base = TinyModel(name="tiny", dtype="float32", device="cpu").load()[0]
    before = mean_nll(base, CONTEXT, ALIKE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tuned = get_peft_model(
            base, LoraConfig(target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        )
    tuned.eval()
    expected = one_by_one(tuned, [CONTEXT] * len(ALIKE), ALIKE) / lengths(ALIKE)
    assert mean_nll(tuned, CONTEXT, ALIKE) == pytest.approx(expected, abs=1e-5)
    assert np.abs(expected - before).max() > 1e-3
