"""The device of a baseline, from `generator.device`."""

from __future__ import annotations

from harmonic.errors import ConfigError, unknown

DEVICES = ("auto", "cpu", "cuda")


def resolved_device(device: str) -> str:
    """Resolve one of DEVICES to "cpu" or "cuda"; "auto" is a GPU if there is one.

    Raises ConfigError for another name, and for "cuda" without a GPU.
    """
    import torch

    if device not in DEVICES:
        raise unknown("generator.device", device, "device", DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("generator.device", device, "there is no GPU here", "generator.device=auto")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
