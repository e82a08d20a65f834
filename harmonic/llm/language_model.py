"""A pretrained language model, wherever it comes from.

Each source is a dataclass in this folder, which a file in conf/llm names and fills: HubModel, WheelModel, and TinyModel
for tests. No code that comes with a model is run: weights are safetensors or GGUF files, and `trust_remote_code` is off
by default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from harmonic.errors import ConfigError, unknown
from harmonic.llm import machine
from harmonic.settings import Count

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("auto", "bfloat16", "float16", "float32")
DEVICES = ("auto", "cpu", "cuda", "split")


@dataclass(kw_only=True)
class LanguageModel(ABC):
    """A pretrained causal language model.

    dtype: the type of the weights. "auto" is bfloat16 if the device computes in it; else float16 on a GPU and float32
    on a CPU. device: "auto" (a GPU if there is one), "cpu", "cuda", or "split" (layers over all GPUs). If there are
    several GPUs, CUDA_VISIBLE_DEVICES chooses one; if there are several processes, each takes its own.
    quantization: "4bit" loads NF4 weights through bitsandbytes (GPU only). target_modules: the linear layers that LoRA
    adapts. context: the longest prompt with its answer, in tokens; None takes the model's own limit.
    """

    has_files: ClassVar[bool] = False
    """Whether the model has files that another program can load."""

    name: str
    dtype: str = "auto"
    device: str = "auto"
    quantization: str | None = None
    context: Count | None = None
    target_modules: list[str] = field(default_factory=list)

    @abstractmethod
    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The model on its device, in eval mode, and its tokenizer. Raises ConfigError."""

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer alone: cheap, to check lengths before any expensive work."""

    @abstractmethod
    def config(self) -> Any:
        """The model's transformers configuration: its size and its longest sequence, without its weights."""

    def folder(self) -> str | None:
        """Where the model's files are: a folder, or a hub id. None for a model without files."""
        return None

    def options(self) -> dict[str, Any]:
        """Further arguments of transformers' from_pretrained."""
        return {}

    def resolved_device(self) -> str:
        """The device of the inputs, such as "cuda" or "cpu". Raises ConfigError if there is no such GPU."""
        import torch

        if self.device not in DEVICES:
            raise unknown("llm.device", self.device, "device", DEVICES)
        if torch.cuda.is_available() and self.device != "cpu":
            return f"cuda:{machine.local_rank()}" if machine.processes() > 1 else "cuda"
        if self.device in ("cuda", "split"):
            raise ConfigError("llm.device", self.device, "there is no GPU here", "llm.device=auto or llm.device=cpu")
        return "cpu"

    def resolved_dtype(self) -> torch.dtype:
        """The type of the weights, with "auto" decided for this machine. Raises ConfigError."""
        import torch

        if self.dtype not in DTYPES:
            raise unknown("llm.dtype", self.dtype, "type of weights", DTYPES)
        on_cpu = self.resolved_device() == "cpu"
        if self.dtype == "float16" and on_cpu:
            raise ConfigError("llm.dtype", self.dtype, "cannot be tuned on a CPU", "llm.dtype=auto")
        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        if not on_cpu:
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.bfloat16 if machine.cpu_computes_bfloat16() else torch.float32

    def max_tokens(self, model_config: Any) -> int:
        """The longest sequence of prompt and answer together, in tokens."""
        return self.longest(getattr(model_config, "max_position_embeddings", None))

    def longest(self, own: int | None) -> int:
        """The same, given the longest sequence that the model itself allows (None: no limit)."""
        limits = [limit for limit in (self.context, own) if limit]
        return min(limits) if limits else 2048
