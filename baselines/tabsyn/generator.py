"""TabSyn: a diffusion model in the latent space of a variational autoencoder over column tokens.

Zhang, Zhang, Srinivasan, Shen, Qin, Faloutsos, Rangwala, Karypis: "Mixed-Type Tabular Data Synthesis with Score-based
Diffusion in Latent Space", ICLR 2024, arXiv 2310.09656. Our own code, written from the paper. From the published code
(github.com/amazon-science/tabsyn, Apache-2.0) only the settings were taken that the paper does not give.

Differences, and why: transformer layers are PyTorch's, with normalisation before attention, not after it, and without a
class token, which no reconstruction uses. Latents are divided by their common standard deviation, not by 2, so that
noise levels mean the same for every table. β and the choice of the kept weights depend on the loss of the training
rows; in the published code, on that of the test rows, which no generator may see. Sampling is deterministic, given its
noise. New, and off at the paper's scale: a limit of steps, and averaged weights, because few steps make worse rows
without them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import pandas as pd

from baselines.device import resolved_device
from baselines.tabsyn.autoencoder import Autoencoder, AutoencoderSettings, train_autoencoder
from baselines.tabsyn.diffusion import Denoiser, DiffusionSettings, denoised, noise_levels, train_denoiser
from baselines.tabsyn.encoding import TableEncoding
from baselines.tabsyn.training import NetworkTraining
from harmonic.errors import ConfigError, DataError
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.progress import Progress
from harmonic.randomness import derive, seeded
from harmonic.settings import Fields
from harmonic.storage import write_json
from harmonic.tables.splits import Splits

if TYPE_CHECKING:
    from torch import Tensor, nn

BLOCK = 8192  # rows drawn at once
Settings = TypeVar("Settings", bound=NetworkTraining)


@dataclass(frozen=True, slots=True)
class Networks:
    """The autoencoder, the denoiser, and the mean, (size,), and common standard deviation, (), of the latents.

    parts: all of these, for reading and writing.
    """

    parts: nn.ModuleDict
    autoencoder: Autoencoder
    denoiser: Denoiser

    @classmethod
    def build(cls, encoding: TableEncoding, first: AutoencoderSettings, second: DiffusionSettings) -> Networks:
        """New networks for a table with this encoding, with weights drawn from torch's global state."""
        import torch
        from torch import nn

        autoencoder = Autoencoder.build(len(encoding.numeric), encoding.cardinalities, first)
        size = (len(encoding.numeric) + len(encoding.categorical)) * first.token_size
        denoiser, latents = Denoiser.build(size, second.width), nn.Module()
        latents.register_buffer("mean", torch.zeros(size))
        latents.register_buffer("std", torch.ones(()))
        parts = nn.ModuleDict({"autoencoder": autoencoder.parts, "denoiser": denoiser.parts, "latents": latents})
        return cls(parts, autoencoder, denoiser)

    def standardised(self, latents: Tensor) -> Tensor:
        """Standardise these latents, (n, size), and keep their mean and deviation.

        One deviation for all numbers: those that a reconstruction does not need vary little, and should stay so.
        """
        own: Any = self.parts["latents"]
        own.mean.copy_(latents.mean(0))
        own.std.copy_((latents - own.mean).square().mean().sqrt().clamp(min=1e-6))  # it is 0 if all rows are equal
        return (latents - own.mean) / own.std

    def rows(self, noise: Tensor, levels: Tensor) -> tuple[Any, Any]:
        """Scores and codes of the rows for this noise, (n, size) standard normal."""
        own: Any = self.parts["latents"]
        latents = denoised(self.denoiser, noise.to(own.mean.device), levels)
        return self.autoencoder.rows(latents * own.std + own.mean)


@dataclass(kw_only=True)
class TabSynGenerator(Generator):
    """Learns latents of rows, then their distribution.

    autoencoder, diffusion: see AutoencoderSettings and DiffusionSettings. device: "auto" (a GPU if there is one),
    "cpu" or "cuda".
    """

    versions: ClassVar[Versions] = Versions()

    autoencoder: Annotated[dict[str, Any], Fields(AutoencoderSettings)] = field(default_factory=dict)
    diffusion: Annotated[dict[str, Any], Fields(DiffusionSettings)] = field(default_factory=dict)
    device: str = "auto"

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train both stages; write tabsyn.json and tabsyn.safetensors into `directory`.

        Returns the loss and steps of each stage. Raises ConfigError if a setting is invalid, DataError without rows.
        """
        import torch
        from safetensors.torch import save_model

        first = checked(AutoencoderSettings, self.autoencoder, "autoencoder")
        second = checked(DiffusionSettings, self.diffusion, "diffusion")
        device = resolved_device(self.device)
        if not len(splits.train):
            raise DataError("there is no training row\n  fix: give the training split some rows")
        encoding = TableEncoding.of(splits.train)
        scores, codes = (torch.from_numpy(array).to(device) for array in encoding.encode(splits.train.frame))
        with seeded(derive(seed, "tabsyn")):
            networks = Networks.build(encoding, first, second)
            networks.parts.to(device)
            found = {"autoencoder": train_autoencoder(networks.autoencoder, scores, codes, first)}
            latents = networks.standardised(networks.autoencoder.latents(scores, codes))
            found["diffusion"] = train_denoiser(networks.denoiser, latents, second)
        save_model(networks.parts, str(directory / "tabsyn.safetensors"))
        state = {"autoencoder": asdict(first), "diffusion": asdict(second), "encoding": encoding.to_dict()}
        write_json(directory / "tabsyn.json", state)
        self.load(splits, prepared=prepared, directory=directory)
        return {f"{stage}/{name}": value for stage, facts in found.items() for name, value in facts.items()}

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        """Read what `fit` wrote, with its settings."""
        from safetensors.torch import load_model

        state = json.loads((directory / "tabsyn.json").read_text(encoding="utf-8"))
        self._schema, self._encoding = splits.schema, TableEncoding.from_dict(state["encoding"])
        self._settings = DiffusionSettings(**state["diffusion"])
        with seeded(derive(0, "tabsyn", "networks to fill")):  # the drawn weights are overwritten
            self._networks = Networks.build(self._encoding, AutoencoderSettings(**state["autoencoder"]), self._settings)
        load_model(self._networks.parts, directory / "tabsyn.safetensors")
        self._networks.parts.to(resolved_device(self.device)).eval()

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows."""
        import torch

        random = torch.Generator().manual_seed(derive(seed, "tabsyn", "sample"))
        own = self._settings
        levels = noise_levels(own.sampling_steps, own.noise_floor, own.noise_ceiling, own.curvature)
        size = len(self._networks.parts["latents"].mean)  # type: ignore[arg-type]
        frames = []
        with Progress("sample", n, "rows") as progress:
            for start in range(0, n, BLOCK):
                noise = torch.randn((min(BLOCK, n - start), size), generator=random)
                frames.append(self._encoding.decode(*self._networks.rows(noise, levels), self._schema))
                progress.advance(len(noise))
        return Sample(pd.concat(frames, ignore_index=True))


def checked(kind: type[Settings], given: dict[str, Any], stage: str) -> Settings:
    """The settings of a stage. Raises ConfigError if one is unknown, missing or invalid."""
    try:
        settings = kind(**given)
        settings.check(stage)
    except TypeError as error:
        raise ConfigError(f"generator.{stage}", given, str(error), f"see {kind.__module__}.{kind.__name__}") from error
    return settings
