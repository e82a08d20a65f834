"""CTAB-GAN+'s downstream loss: a classifier or regressor, trained on real rows, is applied to the fake ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from baselines.ctabgan import networks as networks
from baselines.ctabgan.mode_encoding import RowEncoding
from harmonic.tables.table import Table

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Downstream:
    """The auxiliary network: it predicts a row's target from its other columns, and the generator's rows must agree.

    part: the place of the target in an encoded row. values: for a regression, (options, 2): what an option adds to the
    standardised value of the target, as a constant and as a factor of the number before the options. None for a
    classification.
    """

    network: nn.Sequential
    part: slice
    values: Tensor | None

    @classmethod
    def of(cls, encoding: RowEncoding, table: Table, rows: Tensor) -> Downstream | None:
        """A new network; None if there is no other column, or if the target is constant."""
        import torch

        target = table.schema.target
        part = encoding.parts[target]
        code = next(code for code in encoding.codes if code.name == target)
        if not code.width or code.width == encoding.width:
            return None
        values, outputs = None, code.choices
        if not table.schema.task.is_classification:
            constant = np.array([*code.forward(np.array(code.levels)), *code.centres])
            linear = np.array([*np.zeros(len(code.levels)), *code.spreads])
            scaled = code.forward(table.target.to_numpy(np.float64))
            mean, deviation = scaled.mean(), scaled.std()
            stacked = np.column_stack([(constant - mean) / deviation, linear / deviation])
            values, outputs = torch.tensor(stacked, dtype=torch.float32, device=rows.device), 1
        network = networks.auxiliary(encoding.width - code.width, outputs).to(rows.device)
        return cls(network, part, values)

    def loss(self, rows: Tensor) -> Tensor:
        """Cross-entropy or smooth L1 between the targets of encoded rows, (B, width), and the network's prediction."""
        import torch
        from torch.nn import functional

        predicted = self.network(torch.cat([rows[:, : self.part.start], rows[:, self.part.stop :]], dim=1))
        target = rows[:, self.part]
        if self.values is None:
            return functional.cross_entropy(predicted, target.argmax(dim=1))
        return functional.smooth_l1_loss(predicted[:, 0], self._value(target))

    def _value(self, target: Tensor) -> Tensor:
        """The standardised value of a regression's target, (B,), from its part of the rows; differentiable."""
        assert self.values is not None
        constant, linear = self.values.unbind(dim=1)
        options = target[:, -len(constant) :] if len(constant) > 1 else target.new_ones(len(target), 1)
        value = (options * constant).sum(dim=1)
        return value + target[:, 0] * (options * linear).sum(dim=1) if linear.any() else value
