"""TabSyn's first stage: a variational autoencoder over column tokens (paper, section 3.2).

Each column becomes a token of a few numbers. Transformers over the tokens of a row compute a mean and a log-variance
for every token. A third transformer, with one readout per column, restores the row. The weight β of the divergence
falls during training: this makes the latents smooth first, and then the rows exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines.tabsyn.training import NetworkTraining, train
from harmonic.settings import Count, NotNegative

if TYPE_CHECKING:
    from torch import Tensor, nn

TIME = 0.5  # share of the time for fitting; the rest is for the diffusion
BLOCK = 8192  # rows that go through a network at once outside training


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(NetworkTraining):
    """Settings of the first stage.

    token_size: numbers in the token of a column. layers: of each transformer. width: of its feed-forward layers, as a
    multiple of token_size. beta, beta_floor, beta_decay, beta_patience: see BetaSchedule.
    """

    token_size: Count = 4
    layers: Count = 2
    width: Count = 32
    beta: NotNegative = 1e-2
    beta_floor: NotNegative = 1e-5
    beta_decay: NotNegative = 0.7
    beta_patience: Count = 10

    def check(self, stage: str) -> None:
        super().check(stage)
        for name in ("token_size", "layers", "width", "beta_patience"):
            self._require(getattr(self, name) >= 1, stage, name, "must be at least 1", 1)
        self._require(0 <= self.beta_floor <= self.beta, stage, "beta_floor", f"must be in [0, beta={self.beta}]", 0)
        self._require(0 < self.beta_decay <= 1, stage, "beta_decay", "must be in (0, 1]", 0.7)


@dataclass
class BetaSchedule:
    """The weight of the divergence: `beta`, multiplied by `decay` if the loss has not fallen for `patience` epochs.

    It never falls below `floor`.
    """

    beta: float
    floor: float
    decay: float
    patience: int
    best: float = math.inf
    waited: int = 0

    def update(self, loss: float) -> None:
        """Use the reconstruction loss of an epoch."""
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)
        if self.waited == self.patience:
            self.beta, self.waited = max(self.beta * self.decay, self.floor), 0


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """From scores (n, numeric columns) and codes (n, category columns) to latents (n, columns, token size), and back.

    The tokens of the numeric columns come first.
    """

    parts: nn.ModuleDict
    cardinalities: list[int]

    @classmethod
    def build(cls, numeric: int, cardinalities: list[int], settings: AutoencoderSettings) -> Autoencoder:
        """A new autoencoder with weights drawn from torch's global state.

        numeric: the number of numeric columns. cardinalities: the number of categories of each other column.
        """
        import torch
        from torch import nn

        size, categories = settings.token_size, len(cardinalities)

        def transformer() -> nn.Module:
            options: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": True}
            layers = [
                nn.TransformerEncoderLayer(size, 1, settings.width * size, **options) for _ in range(settings.layers)
            ]
            return nn.Sequential(*layers)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter((2 * torch.rand(shape) - 1) / math.sqrt(size))

        tokens = {"directions": drawn(numeric, size), "categories": drawn(sum(cardinalities), size)}
        tokens["biases"] = drawn(numeric + categories, size)
        readout = {"directions": drawn(numeric, size), "biases": nn.Parameter(torch.zeros(numeric))}
        parts: dict[str, nn.Module] = {"tokens": nn.ParameterDict(tokens), "numbers": nn.ParameterDict(readout)}
        parts["categories"] = nn.ModuleList(nn.Linear(size, count) for count in cardinalities)
        parts |= {name: transformer() for name in ("mean", "log_variance", "decoder")}
        return cls(nn.ModuleDict(parts), cardinalities)

    def tokens(self, scores: Tensor, codes: Tensor) -> Tensor:
        """The tokens of the columns, (n, columns, token size).

        For a number, its score times a direction; for a category, an embedding; both plus the column's own bias.
        """
        import torch

        own: Any = self.parts["tokens"]
        starts = torch.from_numpy(np.cumsum([0, *self.cardinalities])[:-1])  # the start of each column's embeddings
        numbers = scores[:, :, None] * own["directions"]
        categories = torch.nn.functional.embedding(codes + starts.to(codes.device), own["categories"])
        return torch.cat([numbers, categories], dim=1) + own["biases"]

    def encode(self, scores: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of each row's latent, both (n, columns, token size)."""
        tokens = self.tokens(scores, codes)
        return self.parts["mean"](tokens), self.parts["log_variance"](tokens)

    def decode(self, latents: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores, (n, numeric columns), and the logits of each category column, (n, categories)."""
        hidden = self.parts["decoder"](latents)
        own: Any = self.parts["numbers"]
        readouts: Any = self.parts["categories"]
        numeric = len(own["biases"])
        scores = (hidden[:, :numeric] * own["directions"]).sum(-1) + own["biases"]
        return scores, [readout(hidden[:, numeric + column]) for column, readout in enumerate(readouts)]

    def losses(self, scores: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction loss of latents drawn from torch's global state, and divergence from the standard normal.

        Reconstruction: squared error, mean over the numeric columns, plus cross-entropy, mean over the others.
        Divergence: mean over the latent numbers. Both are scalars, in nats except the squared error.
        """
        import torch
        from torch.nn import functional

        mean, log_variance = self.encode(scores, codes)
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        found, logits = self.decode(latents)
        reconstruction = mean.new_zeros(())
        if scores.shape[1]:
            reconstruction = functional.mse_loss(found, scores)
        if logits:
            entropies = [functional.cross_entropy(own, codes[:, column]) for column, own in enumerate(logits)]
            reconstruction = reconstruction + torch.stack(entropies).mean()
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).mean() / 2
        return reconstruction, divergence

    def latents(self, scores: Tensor, codes: Tensor) -> Tensor:
        """The means of the rows' latents, (n, columns · token size)."""
        import torch

        with torch.inference_mode():
            blocks = zip(scores.split(BLOCK), codes.split(BLOCK), strict=True)
            return torch.cat([self.parts["mean"](self.tokens(*block)).flatten(1) for block in blocks])

    def rows(self, latents: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and the likeliest codes of latents, (n, columns · token size)."""
        import torch

        own: Any = self.parts["tokens"]
        tokens = latents.unflatten(1, own["biases"].shape)
        scores, codes = [], []
        with torch.inference_mode():
            for block in tokens.split(BLOCK):
                found, logits = self.decode(block)
                likeliest = [
                    torch.empty(len(block), 0, dtype=torch.long),
                    *(one.argmax(1, True).cpu() for one in logits),
                ]
                scores.append(found.cpu())
                codes.append(torch.cat(likeliest, dim=1))
        return torch.cat(scores).numpy(), torch.cat(codes).numpy()


def train_autoencoder(
    autoencoder: Autoencoder, scores: Tensor, codes: Tensor, settings: AutoencoderSettings
) -> dict[str, float]:
    """Train in place on rows, (n, numeric columns) and (n, category columns), with torch's global state.

    Returns {"loss": the lowest reconstruction loss of an epoch, "steps", "beta": the last}.
    """
    beta = BetaSchedule(settings.beta, settings.beta_floor, settings.beta_decay, settings.beta_patience)

    def loss(batch: Tensor) -> tuple[Tensor, Tensor]:
        reconstruction, divergence = autoencoder.losses(scores[batch], codes[batch])
        return reconstruction + beta.beta * divergence, reconstruction

    facts = train(
        autoencoder.parts, loss, len(scores), settings, stage="autoencoder", after_epoch=beta.update, until=TIME
    )
    return facts | {"beta": beta.beta}
