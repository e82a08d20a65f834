"""TabularARGN: columns are drawn one after the other, in any order, each by a small network that sees the earlier ones.

Tiwald, Krchova, Sidorenko, Vargas Vieyra, Scriminaci, Platzer 2025, arXiv 2501.12012. Code: mostlyai-engine
(Apache-2.0), in a separate environment, because it needs other versions of torch and psutil than harmonic.

A fifth of the training rows is kept back and decides when training ends: `learnt_rows` are the other rows. Rare
categories (in fewer than about eight rows) and the ends of numeric ranges are protected, which is the library's
default: a rare category is replaced by a draw from the frequent ones. With `differential_privacy` it is trained by
DP-SGD (Opacus); conf/generator/tabularargn_dp.yaml says what this promises, and under which conditions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from baselines.environments.foreign_generator import ForeignGenerator
from harmonic.generators.base import Versions
from harmonic.settings import Between, Count, Fields, NotNegative, Positive
from harmonic.tables.table import Schema


@dataclass(frozen=True, kw_only=True)
class DifferentialPrivacy:
    """Settings of differentially private training, which ends before more than max_epsilon is spent.

    noise_multiplier: standard deviation of the noise over max_grad_norm, to which each row's gradient is clipped.
    value_protection_epsilon: the part of max_epsilon for ranges and categories.
    """

    max_epsilon: Positive = 10.0
    delta: Between = 1e-5
    noise_multiplier: NotNegative = 1.5
    max_grad_norm: Positive = 1.0
    value_protection_epsilon: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class TabularArgnSettings:
    """Settings of the training. epochs, minutes: its limits (None: no limit). validation: the share of rows kept back.

    batch_size: None takes it from the number of rows. value_protection: whether rare values are protected.
    """

    model: Literal["Small", "Medium", "Large"] = "Medium"
    epochs: Count = 100
    minutes: Positive | None = None
    batch_size: Count | None = None
    validation: Between = 0.2
    value_protection: bool = True
    differential_privacy: Annotated[dict[str, Any], Fields(DifferentialPrivacy)] | None = None


@dataclass(kw_only=True)
class TabularArgnGenerator(ForeignGenerator):
    """TabularARGN. settings: see TabularArgnSettings; device: "auto" (a GPU if there is one), "cpu" or "cuda"."""

    takes_gaps: ClassVar[bool] = True  # a missing value is one more value of its column
    versions: ClassVar[Versions] = Versions()
    script: ClassVar[str] = "tabularargn.py"

    environment: str = "tabularargn"
    settings: Annotated[dict[str, Any], Fields(TabularArgnSettings)] = field(default_factory=dict)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def _told(self, schema: Schema) -> dict[str, Any]:
        settings = asdict(TabularArgnSettings(**self.settings))
        if settings["differential_privacy"] is not None:
            settings["differential_privacy"] = asdict(DifferentialPrivacy(**settings["differential_privacy"]))
        settings["device"] = None if self.device == "auto" else self.device
        return super()._told(schema) | {"settings": settings}
