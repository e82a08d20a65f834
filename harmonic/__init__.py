"""Synthetic tabular data from language models, with privacy that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmonic.api import Harmonic

__all__ = ["Harmonic"]


def __getattr__(name: str) -> Any:
    """`Harmonic`, loaded when it is asked for: importing one module of the package must not load them all."""
    if name == "Harmonic":
        from harmonic.api import Harmonic

        return Harmonic
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
