"""CTAB-GAN+: a conditional Wasserstein GAN for tables with mixed, long-tail and imbalanced columns.

Zhao, Kunar, Birke, Van der Scheer, Chen: CTAB-GAN+: Enhancing Tabular Data Synthesis, arXiv 2204.00401, 2022, after
CTAB-GAN: Effective Table Data Synthesizing, ACML 2021, arXiv 2102.08369. Our own code, written from the papers, under
this project's licence.

Differences: there is no differential privacy (noise in the critic's training, which costs quality; the comparison with
HARMONIC does not use it). The data decides how each column is encoded, not the user (see
baselines/ctabgan/encoding_rules.py). Numbers are clipped to the range of the training rows, not drawn again. The
generator's losses are added for one step. The auxiliary network can also predict a target with modes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from baselines.ctabgan.conditional_vector import ConditionVectors
from baselines.ctabgan.encoding_rules import EncodingRules, fit_encoding
from baselines.ctabgan.mode_encoding import RowEncoding
from baselines.ctabgan.networks import activate, generator, side_of
from baselines.ctabgan.training import CtabganTraining, train
from baselines.device import resolved_device
from baselines.rounding import rounded
from harmonic.errors import unknown
from harmonic.generators.base import Generator, Sample, Versions
from harmonic.randomness import derive, seeded
from harmonic.settings import Fields
from harmonic.storage import write_json
from harmonic.tables.splits import Splits

_NETWORK, _ENCODING = "generator.safetensors", "encoding.json"
_ROWS_AT_ONCE = 1000


@dataclass(kw_only=True)
class CtabganGenerator(Generator):
    """CTAB-GAN+.

    training: settings of `CtabganTraining`. encoding: settings of `EncodingRules`. device: "auto" (a GPU if there is
    one), "cpu" or "cuda".
    """

    versions: ClassVar[Versions] = Versions()

    training: Annotated[dict[str, Any], Fields(CtabganTraining)] = field(default_factory=dict)
    encoding: Annotated[dict[str, Any], Fields(EncodingRules)] = field(default_factory=dict)
    device: str = "auto"

    def fit(self, splits: Splits, *, seed: int, prepared: Path, directory: Path) -> dict[str, float]:
        """Train; write encoding.json and generator.safetensors into `directory`.

        Raises ConfigError if a setting is invalid, and DataError if no column varies, both before training.
        """
        settings, rules, device = self._settings(), self._rules(), resolved_device(self.device)
        from safetensors.torch import save_file

        random = np.random.default_rng(derive(seed, "batches"))
        with seeded(derive(seed, "networks")):  # also for the encoding: importing sklearn.mixture draws from random
            encoding = fit_encoding(splits.train, rules, derive(seed, "encoding"))
            fitted = train(splits.train, encoding, settings, device, random)
        save_file(fitted.network.cpu().state_dict(), directory / _NETWORK)
        write_json(directory / _ENCODING, {"columns": encoding.to_list(), "counts": fitted.conditions.counts})
        self.load(splits, prepared=prepared, directory=directory)
        return fitted.facts

    def load(self, splits: Splits, *, prepared: Path, directory: Path) -> None:
        settings, device = self._settings(), resolved_device(self.device)
        from safetensors.torch import load_file

        plain = json.loads((directory / _ENCODING).read_text(encoding="utf-8"))
        self._schema = splits.schema
        self._code, self._conditions = RowEncoding.from_list(plain["columns"]), ConditionVectors(plain["counts"])
        inputs = settings.noise + self._conditions.width
        with seeded(derive(0, "networks to fill")):  # the initial weights are drawn, then replaced
            self._network = generator(inputs, side_of(self._code.width), settings.channels)
        self._network.load_state_dict(load_file(directory / _NETWORK))
        self._network.to(device).eval()

    def sample(self, n: int, *, seed: int, directory: Path) -> Sample:
        """Draw n rows, each from noise and a condition vector that is drawn by the shares of the training rows."""
        import torch

        settings, device = self._settings(), resolved_device(self.device)
        random, encoded = np.random.default_rng(derive(seed, "condition")), []
        with seeded(derive(seed, "noise")), torch.no_grad():
            for start in range(0, n, _ROWS_AT_ONCE):
                count = min(_ROWS_AT_ONCE, n - start)
                conditions = torch.from_numpy(self._conditions.sampled(count, random))
                inputs = torch.cat([torch.randn(count, settings.noise), conditions], dim=1).to(device)
                raw = self._network(inputs)[:, : self._code.width]
                encoded.append(activate(raw, self._code.numbers, self._code.selectors).cpu().numpy())
        return Sample(rounded(self._code.decode(np.concatenate(encoded)), self._schema))

    def _settings(self) -> CtabganTraining:
        settings = _built(CtabganTraining, "training", self.training)
        settings.check()
        return settings

    def _rules(self) -> EncodingRules:
        return _built(EncodingRules, "encoding", self.encoding)


def _built(kind: Any, key: str, settings: dict[str, Any]) -> Any:
    """The dataclass `kind` with these settings. Raises ConfigError for an unknown setting."""
    known = kind.__dataclass_fields__
    for name in sorted(set(settings) - set(known)):
        raise unknown(f"generator.{key}.{name}", settings[name], "setting", known, name=name)
    return kind(**settings)
