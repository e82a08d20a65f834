"""How many tokens a batch may hold: by the memory that the next batch can get."""

from __future__ import annotations

import psutil
import pytest
import torch

from harmonic.decoding.memory import affordable_tokens


def gpu(monkeypatch: pytest.MonkeyPatch, free: int, reserved: int, allocated: int) -> None:
    """A card with so many bytes free, and so many that PyTorch has taken, of which some are in use."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated)


@pytest.mark.parametrize(("room", "tokens"), [(2000, 1000), (1999, 500), (1000, 500), (999, 250), (0, 1)])
def test_tokens_are_halved_until_they_fit_into_half_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, room: int, tokens: int
) -> None:
    gpu(monkeypatch, free=room, reserved=0, allocated=0)
    assert affordable_tokens(1000, 1, "cuda") == tokens


def test_what_an_earlier_batch_has_freed_is_there_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, free=2000, reserved=500, allocated=500)
    first = affordable_tokens(1000, 1, "cuda")
    gpu(monkeypatch, free=900, reserved=1600, allocated=500)  # the batch took 1,100 and freed them: PyTorch keeps them
    assert affordable_tokens(1000, 1, "cuda") == first == 1000


def test_on_a_cpu_the_systems_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    available = type("Memory", (), {"available": 3000})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    assert affordable_tokens(1000, 2, torch.device("cpu")) == 500
