"""A rough estimate of what tuning and sampling will take: tokens, time, memory.

Tokens are counted. For the time, one layer of the model, with random weights, is timed on this machine while it reads a
prompt and learns from it. The other costs were fitted to runs of SmolLM2-135M on two CPU cores (experiments/LOG.md).
The result is a range: a factor of 1.6 either way. No run on a GPU was compared.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harmonic.decoding.settings import Sampling
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.prompt_fit import PromptFit
from harmonic.tuning.settings import Tuning

MEASURED_SECONDS = 0.2  # for reading, and again for learning
_ROUGH = 1.6  # the ends of the range: the estimate divided and multiplied by this
_LONG, _SHORT = 512, 64  # tokens that the layer reads; the smaller number for a large model
_LARGE = 2048  # a model of at least this width is large
_TUNING = 1.0  # for adapters, logits and the optimizer, relative to the layers
_SAMPLING = 1.5  # for the answers' tokens and invalid answers, relative to reading the prompts
_PROGRAM = 0.9e9  # bytes of the program without a model
_SAVED = 12  # values kept for the backward pass, per layer and unit of width
_LOGITS = 12  # bytes for each entry of the vocabulary and token of an answer
_ROWS_AT_ONCE = 64  # in sampling


@dataclass(frozen=True, kw_only=True)
class Size:
    """The numbers that a model's memory depends on."""

    parameters: int
    layers: int
    width: int
    inner: int
    vocabulary: int
    cache_bytes: int  # of one token
    item_bytes: int

    @classmethod
    def of(cls, llm: LanguageModel) -> Size:
        """The size of this model, from its configuration alone. Raises ConfigError if that cannot be loaded."""
        import torch
        from transformers import AutoModelForCausalLM

        from harmonic.decoding.decoder import cache_bytes_per_token

        config = llm.config()
        dtype = llm.resolved_dtype()
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
        parameters = sum(weights.numel() for weights in model.parameters())
        text = config.get_text_config()
        return cls(
            parameters=parameters,
            layers=text.num_hidden_layers,
            width=text.hidden_size,
            inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
            vocabulary=text.vocab_size,
            cache_bytes=cache_bytes_per_token(config, dtype),
            item_bytes=dtype.itemsize,
        )

    @property
    def resident(self) -> float:
        """Bytes of the program with the weights."""
        return _PROGRAM + self.parameters * self.item_bytes


def estimate(
    llm: LanguageModel, fit: PromptFit, examples: int, n: int, tuning: Tuning, sampling: Sampling
) -> list[str]:
    """The lines to print: tuning, sampling, and how they were estimated. examples: tuning prompts; n: rows to draw.

    Raises ConfigError if the model's configuration cannot be loaded.
    """
    if fit.tuning is None or fit.sampling is None or fit.row is None:
        return ["no estimate: the prompts' tokens were not counted"]
    size, device = Size.of(llm), llm.resolved_device()
    reading, learning = (size.layers * seconds for seconds in layer_seconds(llm))

    used = min(examples, tuning.max_examples or examples)
    mean, longest = fit.tuning["mean"], int(fit.tuning["max"])
    total = tuning.epochs * used * mean
    at_once = tuning.device_batch(device, longest)
    memory = size.resident + at_once * (
        longest * size.layers * _SAVED * (2 * size.width + size.inner) * size.item_bytes
        + fit.row["max"] * size.vocabulary * _LOGITS
    )
    epochs = "1 epoch" if tuning.epochs == 1 else f"{tuning.epochs:g} epochs"
    how = f"{total:,.0f} tokens in {epochs} of {used} examples ({mean:,.0f} each, {longest:,} at most)"
    lines = [f"tuning: {how}: {_span(total * learning * _TUNING)}, {memory / 1e9:.1f} GB"]

    prompts, prompt = sampling.prompts_needed(n), fit.sampling["mean"] - (fit.room or 0)
    read, written = prompts * prompt, n * fit.row["mean"]
    longest = int(fit.sampling["max"])
    at_once = min(n, _ROWS_AT_ONCE, max(sampling.batch_tokens // longest, 1))
    memory = size.resident + at_once * longest * size.cache_bytes
    how = f"{n} rows of about {fit.row['mean']:,.0f} tokens from {prompts} prompts of {prompt:,.0f}"
    lines.append(f"sampling: {how}: {_span((read + written) * reading * _SAMPLING)}, {memory / 1e9:.1f} GB")
    return [*lines, f"rough figures, from one of {size.layers} layers timed on this {device} just now"]


def layer_seconds(llm: LanguageModel) -> tuple[float, float]:
    """Seconds of one layer to read a token, and to read it and pass a gradient back: the shortest of some tries.

    On a CPU one core is timed, and its time is divided by the number of threads: on a busy machine several threads wait
    for each other, and their time would say nothing about an idle machine.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(llm.config())
    text = config.get_text_config()
    text.num_hidden_layers, text.vocab_size = 1, 256
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:1]
    device, dtype = llm.resolved_device(), llm.resolved_dtype()
    tokens = _SHORT if text.hidden_size >= _LARGE and device == "cpu" else _LONG
    with torch.random.fork_rng(devices=[]):
        model: Any = AutoModelForCausalLM.from_config(config).to(device, dtype).requires_grad_(False).eval()
        shown = torch.randn(1, tokens, text.hidden_size).to(device, dtype)

    def read() -> None:
        with torch.inference_mode():
            model(inputs_embeds=shown, logits_to_keep=1)

    def learn() -> None:
        model(inputs_embeds=shown.detach().requires_grad_(), logits_to_keep=1).logits.sum().backward()

    threads = torch.get_num_threads()
    shared = threads if device == "cpu" else 1
    torch.set_num_threads(1)
    try:
        return _least_seconds(read, device) / tokens / shared, _least_seconds(learn, device) / tokens / shared
    finally:
        torch.set_num_threads(threads)


def _least_seconds(work: Callable[[], None], device: str) -> float:
    """The shortest time of the work, after a first try."""
    import torch

    work()
    best, started = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - started < MEASURED_SECONDS:
        begun = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return best


def _span(seconds: float) -> str:
    """The range in words: "about 3-8 min"."""
    low, high = seconds / _ROUGH, seconds * _ROUGH
    for unit, name in ((3600.0, "h"), (60.0, "min")):
        if high >= 2 * unit:
            first, last = low / unit, high / unit
            return f"about {first:.0f}-{last:.0f} {name}" if first >= 3 else f"about {first:.1f}-{last:.1f} {name}"
    return f"about {low:.0f}-{high:.0f} s"
