"""Reading a pretrained model's weights from a hub, a folder or a GGUF file, quietly and with plain errors."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonic.errors import ConfigError, unknown
from harmonic.llm.language_model import LanguageModel
from harmonic.llm.machine import local_rank, processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


SMALLEST_WEIGHTS = 1_000_000  # bytes; a smaller file is a pointer or an incomplete download
HUB_TIMEOUT = 5.0  # seconds to wait for the hub's first answer


def quiet_libraries() -> None:
    """Keep Hugging Face's libraries from writing progress bars and notices between the program's own lines.

    Errors still show, and so does the progress bar of a download on a terminal. TRANSFORMERS_VERBOSITY takes
    precedence. Called before a model is loaded or tuned; a second call changes nothing.
    """
    from huggingface_hub.utils import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    if sys.stderr.isatty() and not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
        enable_progress_bars()
    if "TRANSFORMERS_VERBOSITY" not in os.environ:
        logging.set_verbosity_error()
    # peft and trl still say gradient_checkpointing where transformers now says activation_checkpointing.
    renamed = r"`(is_)?gradient_checkpointing(_kwargs)?` is deprecated"
    warnings.filterwarnings("ignore", renamed, FutureWarning, module=r"transformers\.")


def load_weights(source: LanguageModel, folder: Callable[[], str]) -> PreTrainedModel:
    """The model in a folder, with the source's dtype, device and quantization, in eval mode.

    folder: called last, because it may download the files. Only safetensors are read. Raises ConfigError if the model
    is not there, if weights are missing, or if this machine cannot load it with these settings.
    """
    from transformers import AutoModelForCausalLM

    quiet_libraries()
    device = source.resolved_device()
    options: dict[str, Any] = {"dtype": source.resolved_dtype(), "use_safetensors": True}
    options |= source.options()
    if source.quantization:
        options["quantization_config"] = _quantization(source)
    if source.device == "split":
        if processes() > 1:
            fix = "llm.device=auto, or start one process"
            raise ConfigError("llm.device", source.device, f"cannot be used by {processes()} processes at once", fix)
        options["device_map"] = "auto"
    elif source.quantization:
        # Under `accelerate launch` every process holds the whole quantized model on its own GPU.
        options["device_map"] = {"": local_rank()}
    path = folder()
    with explain_missing(path):
        model, found = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True, **options)
    if missing := sorted(found["missing_keys"]):
        problem = f"{len(missing)} weights are missing, such as {missing[0]}"
        raise ConfigError("llm.path", path, problem, "download the model again, or use another one")
    return (model if "device_map" in options else model.to(device)).eval()


def _quantization(source: LanguageModel) -> Any:
    """The bitsandbytes settings for "4bit". Raises ConfigError if they cannot be used here."""
    import torch

    key, value = "llm.quantization", source.quantization
    if value != "4bit":
        raise unknown(key, value, "quantization", ("4bit", "null"))
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
def explain_missing(path: str) -> Iterator[None]:
    """Turn the many errors of a missing model into one that says what to do."""
    try:
        yield
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        fix = (
            "check the name; a gated model needs `hf auth login`; without a network give a folder that holds the "
            "model (llm.path=/models/...), or use llm=smollm2_135m, which comes from the package index"
        )
        raise ConfigError("llm.path", path, f"the model could not be loaded: {first}", fix) from error


@functools.cache
def hub_answers() -> bool:
    """Whether the hub can be reached. If not, earlier downloads are used, without retries."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception:  # another HTTP client may be installed; any of its errors means the same
        return False
    return True


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF file as bfloat16 safetensors, with its tokenizer, into `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_libraries()
    if gguf.stat().st_size < SMALLEST_WEIGHTS:
        raise ConfigError("llm.file", gguf.name, "is too small to be a model", "delete the model cache and try again")
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # The weights are dense now. With the marker, the next load would look for quantized ones.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for marker in ("hf_quantizer", "is_quantized", "quantization_method"):
        model.__dict__.pop(marker, None)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
