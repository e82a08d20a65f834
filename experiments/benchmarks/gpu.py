"""Tuning, reading, drawing and scoring on a GPU: tokens a second, share of the chip's peak, memory.

    python -m experiments.benchmarks.gpu [--models smollm2_135m llama2_7b] [--steps 3] [--rows 32 64 256]
    python -m experiments.benchmarks.gpu --models tiny --device cpu      # to try it where there is no GPU

The models have the shapes of SmolLM2-135M and LLaMA-2-7B, and random weights, so that nothing is downloaded; the speed
does not depend on the weights. But a model that has learnt nothing never agrees with the guesses of
harmonic.decoding.prompt_lookup, and never ends an answer: free drawing is faster with a tuned model. Sequences have 650
to 1,000 tokens, of which the last 90 are learnt or drawn, as in the paper's instructions with five rows.

- tune: LoRA of rank 16 on the seven linear layers (harmonic.tuning.trainer), 16 examples in an optimizer step, so many
  of them at once. The first step is not timed. "Any order": without harmonic.randomness.fixed_order, which makes a
  GPU repeat its numbers.
- read: the prompts of a batch into the cache. free: 90 tokens a row, without reading. constrained: rows of Diabetes
  under their grammar, one token for each byte, most of them forced.
- score: the likelihoods of 64 answers behind one context, so many tokens in a pass.

Floating-point operations are 2 N a token forward, and 2 N more for the gradient of the inputs (the weights themselves
are frozen): N are the weights of the layers, without embeddings, output layer, attention scores and adapters. The peak
is NVIDIA's for dense bfloat16 products.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonic.llm.language_model import LanguageModel
from harmonic.llm.tiny_model import TinyModel
from harmonic.randomness import derive, fixed_order, seeded
from harmonic.tuning.examples import IGNORED, Encoded
from harmonic.tuning.lora import free_memory
from harmonic.tuning.settings import Tuning

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harmonic.decoding.constraints import RowConstraint

SEED, TEMPERATURE, BATCH, CONTEXT = 0, 0.7, 16, 400
LONGEST_ROW = 300  # tokens of a constrained row
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 300, "tie_word_embeddings": True,
    },
    "smollm2_135m": {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
    },
    "llama2_7b": {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False,
    },
}  # fmt: skip
DEVICE_BATCHES = {"tiny": [4], "smollm2_135m": [4, 16], "llama2_7b": [4]}
PEAKS = {  # TFLOP/s by a part of the card's name, the more special name first (NVIDIA's data sheets)
    "B200": 2250, "H200": 989, "GH200": 989, "H100 PCIe": 756, "H100 NVL": 835, "H100": 989, "A100": 312,
    "L40S": 362, "L40": 181, "L4": 121, "A10": 125, "A6000": 155, "RTX 4090": 165, "RTX 3090": 71,
}  # fmt: skip


@dataclass(kw_only=True)
class RandomLlama(LanguageModel):
    """A Llama of any shape with random weights, made on its device, with a tokenizer of one token per byte."""

    shape: dict[str, Any]

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        import torch
        from transformers import AutoModelForCausalLM

        with torch.device(self.resolved_device()), seeded(derive(SEED, "gpu weights")):
            model = AutoModelForCausalLM.from_config(self.config(), dtype=self.resolved_dtype())
        return model.eval(), self.tokenizer()

    def config(self) -> Any:
        from transformers import LlamaConfig

        return LlamaConfig(**self.shape, max_position_embeddings=4096)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        return TinyModel(name="bytes").tokenizer()


@dataclass(frozen=True)
class Measured:
    """One line of the table. tokens: that were read or written in `seconds`; peak_gb: the most memory at once."""

    model: str
    what: str
    tokens: int
    seconds: float
    operations: float
    peak_gb: float | None

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    @property
    def tflops(self) -> float:
        """Floating-point operations, 10¹² a second."""
        return self.operations / self.seconds / 1e12


@dataclass(frozen=True)
class Bench:
    """Measures one model. lengths: the shortest and the longest sequence; answer: the tokens at its end."""

    llm: RandomLlama
    lengths: tuple[int, int]
    answer: int
    steps: int

    def tuning(self, at_once: int, *, fixed: bool = True) -> Measured:
        """The optimizer steps after the first one. fixed: gradients are added in a fixed order, as in a run."""
        self._reset()
        with fixed_order(self.llm.resolved_device()) if fixed else nullcontext():
            layers, marks = self._tuned(at_once)
        (begun, before), (ended, after) = marks[0], marks[-1]
        tokens, peak = after - before, self._peak()
        free_memory()
        what = f"tune, {at_once} at once" + ("" if fixed else ", any order")
        return Measured(self.llm.name, what, tokens, ended - begun, 4.0 * layers * tokens, peak)

    def _tuned(self, at_once: int) -> tuple[int, list[tuple[float, int]]]:
        """The weights of the layers; and after each optimizer step the time, and the tokens so far."""
        from datasets import Dataset

        from harmonic.tuning.examples import Examples
        from harmonic.tuning.trainer import answer_trainer

        settings = Tuning(batch_size=BATCH, device_batch_size=at_once, checkpoint_every=None)
        model, tokenizer = self.llm.load()
        layers = layer_weights(model)
        rows = [self._example(number) for number in range(BATCH * (1 + self.steps))]
        examples = Examples(Dataset.from_list(rows), self.lengths[1], self.answer * len(rows))
        marks: list[tuple[float, int]] = []
        with TemporaryDirectory() as scratch:
            trainer = answer_trainer(self.llm, model, tokenizer, examples, settings, SEED, Path(scratch))
            trainer.add_callback(_after_steps(lambda: marks.append((self._now(), trainer.tokens_seen))))
            trainer.train()
        return layers, marks

    def drawing(self, model: PreTrainedModel, counts: Sequence[int]) -> Iterator[Measured]:
        """Reading, free and constrained drawing. More rows than half of the free memory holds are left out."""
        from harmonic.decoding.decoder import Decoder

        layers, longest = layer_weights(model), self.lengths[1]
        for rows in counts:
            prompts = [self._ids(number)[: -self.answer] for number in range(rows)]
            reader, writer = (Decoder(model, -1, TEMPERATURE, new, rows * longest) for new in (1, self.answer))
            if writer.budget() < rows * longest:
                continue
            reader.free(prompts[:2], _draws(2))  # to warm up
            self._reset()
            begun = self._now()
            reader.free(prompts, _draws(rows))
            read = self._now()
            writer.free(prompts, _draws(rows))
            ended, peak = self._now(), self._peak()
            of_reading, tokens = read - begun, sum(map(len, prompts))
            yield Measured(self.llm.name, f"read, {rows} rows", tokens, of_reading, 2.0 * layers * tokens, peak)
            tokens, seconds = rows * (self.answer - 1), ended - read - of_reading
            yield Measured(self.llm.name, f"free, {rows} rows", tokens, seconds, 2.0 * layers * tokens, peak)
            self._reset()
            begun = self._now()
            tokens = self._constrained(model, prompts)
            seconds = self._now() - begun - of_reading
            yield Measured(
                self.llm.name, f"constrained, {rows} rows", tokens, seconds, 2.0 * layers * tokens, self._peak()
            )

    def scoring(self, model: PreTrainedModel, pass_tokens: int) -> Measured:
        """The likelihoods of answers behind one context."""
        from harmonic.tuning.scoring import answer_token_nll

        context = self._ids(0)[:CONTEXT]
        answers = [self._ids(number)[: self.answer] for number in range(1, 65)]
        answer_token_nll(model, context, answers[:2], batch_tokens=pass_tokens)  # to warm up
        self._reset()
        begun = self._now()
        answer_token_nll(model, context, answers, batch_tokens=pass_tokens)
        tokens, seconds = sum(map(len, answers)), self._now() - begun
        operations = 2.0 * layer_weights(model) * (tokens + len(context))
        return Measured(self.llm.name, f"score, {pass_tokens} a pass", tokens, seconds, operations, self._peak())

    def _constrained(self, model: PreTrainedModel, prompts: list[list[int]]) -> int:
        """Write a row of Diabetes behind each prompt; the number of tokens written."""
        from harmonic.decoding.decoder import Decoder

        constraints, end = diabetes_rows(len(prompts))
        answers = Decoder(model, end, TEMPERATURE, LONGEST_ROW).constrained(prompts, _draws(len(prompts)), constraints)
        return sum(len(answer.ids) for answer in answers)

    def _ids(self, number: int) -> list[int]:
        """Random tokens, as many as a sequence has."""
        draw = np.random.default_rng(derive(SEED, "gpu tokens", number))
        length = int(draw.integers(self.lengths[0], self.lengths[1] + 1))
        return draw.integers(self.llm.shape["vocab_size"], size=length).tolist()

    def _example(self, number: int) -> Encoded:
        ids = self._ids(number)
        known = len(ids) - self.answer
        return {"input_ids": ids, "labels": [IGNORED] * known + ids[known:]}

    @property
    def _on_gpu(self) -> bool:
        return self.llm.resolved_device() != "cpu"

    def _now(self) -> float:
        """The time when the GPU has done all that it was asked."""
        import torch

        if self._on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def _reset(self) -> None:
        import torch

        free_memory()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()

    def _peak(self) -> float | None:
        import torch

        return torch.cuda.max_memory_allocated() / 2**30 if self._on_gpu else None


def layer_weights(model: torch.nn.Module) -> int:
    """The weights of the linear layers, without the output layer."""
    import torch

    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return sum(module.weight.numel() for name, module in linear.items() if name != "lm_head")


def diabetes_rows(count: int) -> tuple[list[RowConstraint], int]:
    """A constraint for each row, columns in the table's order, for the tokenizer of bytes; and the end of a row."""
    from experiments.configuration.building import configured
    from harmonic.decoding.constraints import RowConstraints
    from harmonic.prompts.chat import Chat
    from harmonic.prompts.row_format import find_row_format

    schema = configured("dataset=diabetes", "data_dir=null")["dataset"].load(SEED).train.schema
    chat = Chat(TinyModel(name="bytes").tokenizer())
    rows = RowConstraints(find_row_format("json", schema), chat.tokenizer, chat.end)
    return [rows.start(schema.names) for _ in range(count)], chat.end


def peak_tflops(card: str) -> float | None:
    """The peak of a card with this name, in TFLOP/s; None if it is not in the table."""
    return next((float(peak) for name, peak in PEAKS.items() if name in card), None)


def measure(bench: Bench, arguments: argparse.Namespace) -> Iterator[Measured]:
    """All measurements of one model."""
    sizes = arguments.device_batch or DEVICE_BATCHES[bench.llm.name]
    for at_once in sizes:
        yield bench.tuning(at_once)
    if bench.llm.resolved_device() != "cpu":
        yield bench.tuning(sizes[0], fixed=False)
    model, _ = bench.llm.load()
    yield from bench.drawing(model, arguments.rows)
    for pass_tokens in arguments.pass_tokens:
        yield bench.scoring(model, pass_tokens)
    del model
    free_memory()


def line(found: Measured, peak: float | None) -> str:
    """A line of the Markdown table."""
    share = f"{100 * found.tflops / peak:.1f}%" if peak else "–"
    memory = f"{found.peak_gb:.1f}" if found.peak_gb is not None else "–"
    numbers = f"{found.tokens_per_s:,.0f} | {found.tflops:.3g} | {share} | {memory} | {found.seconds:.2f}"
    return f"| {found.model} | {found.what} | {numbers} |"


def _draws(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(derive(SEED, "gpu answers", row)) for row in range(count)]


def _after_steps(note: Callable[[], None]) -> Any:
    """A callback that calls `note` after each optimizer step."""
    from transformers import TrainerCallback

    class AfterSteps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            note()

    return AfterSteps()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=["smollm2_135m", "llama2_7b"], choices=list(SHAPES))
    made.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    made.add_argument("--dtype", default="auto", help="of the weights")
    made.add_argument("--steps", type=int, default=3, help="optimizer steps that are timed")
    made.add_argument("--device-batch", type=int, nargs="+", help="examples at once in tuning")
    made.add_argument("--rows", type=int, nargs="+", default=[32, 64, 256], help="rows drawn at once")
    made.add_argument("--pass-tokens", type=int, nargs="+", default=[512, 4096], help="tokens scored at once")
    made.add_argument("--lengths", type=int, nargs=2, default=[650, 1000], help="the shortest and longest sequence")
    made.add_argument("--answer", type=int, default=90, help="tokens at the end that are learnt or drawn")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print each line as it comes."""
    import torch

    arguments = parser().parse_args(words)
    models = [
        RandomLlama(
            name=name, device=arguments.device, dtype=arguments.dtype, target_modules=TARGETS, shape=SHAPES[name]
        )
        for name in arguments.models
    ]
    models[0].resolved_device()  # before anything else: is there a GPU?
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    peak = peak_tflops(card)
    print(f"{card}, torch {torch.__version__}, peak {f'{peak:.0f} TFLOP/s' if peak else 'unknown'}\n")
    print("| model | what | tokens/s | TFLOP/s | of the peak | peak GiB | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    found = []
    for llm in models:
        bench = Bench(llm, (arguments.lengths[0], arguments.lengths[1]), arguments.answer, arguments.steps)
        for one in measure(bench, arguments):
            print(line(one, peak), flush=True)
            share = {"share_of_peak": one.tflops / peak} if peak else {}
            found.append(asdict(one) | {"tokens_per_s": one.tokens_per_s, "tflops": one.tflops} | share)
    print()
    print(json.dumps({"benchmark": "gpu", "card": card, "torch": torch.__version__, "measured": found}))


if __name__ == "__main__":
    main()
