"""The narrow output layer: the same logits for the tokens that are left, and likelihoods over those alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from row_texts import merging_tokenizer

from harmonic.decoding.constraints import RowConstraints
from harmonic.decoding.decoder import Decoder
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.table import Column, Kind, Schema, Task
from harmonic.tuning.examples import occurring
from harmonic.tuning.scoring import answer_token_nll
from harmonic.tuning.vocabulary import Vocabulary

LLM = TinyModel(name="tiny", dtype="float32", device="cpu")
VOCABULARY = Vocabulary(np.array([3, 10, 40, 65, 66, 67, 120, 257]))


def model(tied: bool = False):
    """A small Llama with weights that tell tokens apart; `tied`: input and output layer are one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        initializer_range=0.5, tie_word_embeddings=tied,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("tied", [False, True])
def test_the_narrow_layer_gives_the_same_logits_and_reads_all_tokens(tied: bool) -> None:
    full, narrow = model(tied), model(tied)
    VOCABULARY.narrow(narrow)
    ids = torch.tensor([[5, 299, 0, 65, 40, 201]])  # most are outside of it
    with torch.inference_mode():
        expected, found = full(ids).logits, narrow(ids).logits
    assert found.shape == (1, 6, 8)
    torch.testing.assert_close(found, expected[..., VOCABULARY.ids])
    assert narrow.get_input_embeddings().weight.shape[0] == 300
    assert not any(weight.requires_grad for weight in narrow.get_output_embeddings().parameters())


def test_places_and_tokens_are_each_others_inverse() -> None:
    assert VOCABULARY.index(VOCABULARY.ids).tolist() == list(range(8))
    assert VOCABULARY.index([65, 0, 257, 258, 4, 3]).tolist() == [3, -1, 7, -1, -1, 0]
    assert VOCABULARY.index([]).tolist() == []


def test_any_text_can_be_written_and_tokens_of_the_texts_are_there(tmp_path: Path) -> None:
    tokenizer = merging_tokenizer(['say "hi" {x}', "never learnt: xyz"] * 20)
    chat = Chat(tokenizer)
    found = occurring([asked("never learnt: xyz", 'say "hi" {x}')], chat)
    assert (np.diff(found.ids) > 0).all() and len(found.ids) < len(tokenizer)
    assert (found.index(chat.completions(['say "hi" {x}'])[0]) >= 0).all()
    assert (found.index([chat.end, chat.line_end]) >= 0).all()
    written = [tokenizer.convert_tokens_to_ids(piece) for piece in tokenizer.tokenize("Ж|😀\n")]
    single = [token for token in written if len(tokenizer.convert_ids_to_tokens(token)) == 1]
    assert single and (found.index(single) >= 0).all()  # each byte has its token
    found.write(tmp_path)
    again = Vocabulary.read(tmp_path)
    assert again is not None and again.ids.tolist() == found.ids.tolist()
    assert json.loads((tmp_path / "vocabulary.json").read_text()) == found.ids.tolist()
    assert Vocabulary.read(tmp_path / "elsewhere") is None


def test_likelihoods_are_the_full_models_over_the_tokens_that_are_left() -> None:
    full, narrow = model(), model()
    VOCABULARY.narrow(narrow)
    draw = np.random.default_rng(0)
    answers = [VOCABULARY.ids[draw.integers(0, 8, length)].tolist() for length in (1, 5, 9, 3)]
    context = [5, 299, 0, 7]
    found = answer_token_nll(narrow, context, answers, vocabulary=VOCABULARY)
    for answer, losses in zip(answers, found, strict=True):
        with torch.inference_mode():
            logits = full(torch.tensor([[*context, *answer]])).logits[0, len(context) - 1 : -1]
        logs = logits[:, VOCABULARY.ids].double().log_softmax(-1)
        expected = [-float(logs[place, token]) for place, token in enumerate(VOCABULARY.index(answer))]
        assert losses == pytest.approx(expected, abs=1e-4)


def test_a_token_outside_has_next_to_no_probability_and_the_others_are_as_they_were() -> None:
    narrow = model()
    VOCABULARY.narrow(narrow)
    (inside,) = answer_token_nll(narrow, [5, 6], [[65, 66, 67]], vocabulary=VOCABULARY)
    (outside,) = answer_token_nll(narrow, [5, 6], [[65, 66, 99]], vocabulary=VOCABULARY)
    assert outside[:2] == pytest.approx(inside[:2]) and 80 < outside[2] < 100


def test_the_output_layer_of_split_layers_still_fetches_its_input() -> None:
    """Over several GPUs accelerate's hooks carry values from layer to layer; here all of them are the CPU."""
    from accelerate import dispatch_model

    parts = {"model.embed_tokens": "cpu", "model.layers": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
    split = dispatch_model(model(), device_map=parts | {"model.rotary_emb": "cpu"}, force_hooks=True)
    assert hasattr(split.lm_head, "_hf_hook")
    fetched: list[torch.device] = []
    VOCABULARY.narrow(split)
    pre_forward = split.lm_head._hf_hook.pre_forward
    split.lm_head._hf_hook.pre_forward = lambda *given: fetched.append(given[1].device) or pre_forward(*given)
    plain = model()
    VOCABULARY.narrow(plain)
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.equal(split(input_ids=ids).logits, plain(input_ids=ids).logits)
    assert len(fetched) == 1 and split.lm_head._hf_hook.execution_device == split.lm_head.weight.device


COLUMNS = (
    Column(name="n", kind=Kind.INTEGER, minimum=0, maximum=99),
    Column(name="c", kind=Kind.CATEGORY, categories=("a", "b")),
)
SCHEMA = Schema(columns=COLUMNS, target="c", task=Task.BINARY, description="things")


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_decoding_gives_the_same_rows_where_the_constraint_leaves_out_the_others_anyway(temperature: float) -> None:
    tokenizer = LLM.tokenizer()
    chat = Chat(tokenizer)
    vocabulary = Vocabulary(np.array(sorted({*tokenizer.encode("0123456789|ab"), chat.line_end, chat.end})))
    form = find_row_format("compact", SCHEMA)
    prompts = [ids for ids, _ in chat.encode([asked(f"row {i}: ") for i in range(5)])]
    found = []
    for known in (None, vocabulary):
        weights = LLM.load()[0]
        if known is not None:
            known.narrow(weights)
        decoder = Decoder(weights, chat.line_end, temperature, 20, vocabulary=known)
        constraints = [RowConstraints(form, tokenizer, chat.line_end).start(["c", "n"]) for _ in prompts]
        draws = [np.random.default_rng([1, row]) for row in range(5)]
        found.append([answer.ids for answer in decoder.constrained(prompts, draws, constraints)])
    assert found[0] == found[1]
    for ids in found[1]:
        form.parse(chat.text(ids), ["c", "n"])
    free = decoder.free(prompts, draws)
    assert {token for answer in free for token in answer.ids} <= set(vocabulary.ids.tolist())
