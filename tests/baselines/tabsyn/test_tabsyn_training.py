"""The training loop: what is kept, when it ends, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.tabsyn.training import NetworkTraining, train
from harmonic.errors import ConfigError
from harmonic.randomness import seeded


@pytest.mark.parametrize(
    ("settings", "rows", "steps"),
    [
        ({"epochs": 3, "batch_size": 4}, 10, 9),
        ({"epochs": 3, "batch_size": 40}, 10, 3),
        ({"epochs": 3, "batch_size": 4, "max_steps": 7}, 10, 7),
    ],
)
def test_epochs_batches_and_the_limit_of_steps_are_kept(settings: dict[str, int], rows: int, steps: int) -> None:
    import torch

    weight = torch.nn.Linear(1, 1)
    seen: list[int] = []

    def loss(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(batch.tolist())
        return weight.weight.sum() ** 2, weight.weight.sum() ** 2

    with seeded(0):
        assert train(weight, loss, rows, NetworkTraining(**settings), stage="toy")["steps"] == steps
    counts = np.bincount(seen, minlength=rows)
    assert counts.max() - counts.min() <= (0 if "max_steps" not in settings else 1)


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_the_training() -> None:
    import torch

    network = torch.nn.Linear(1, 1)
    watched = iter([5.0, 3.0, 1.0, 2.0, 2.0, 2.0, 0.5, 0.1])
    kept: list[float] = []

    def loss(_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return network.weight.sum(), torch.tensor(next(watched))

    def note(mean: float) -> None:
        if mean == 1.0:
            kept.append(network.weight.item())

    settings = NetworkTraining(epochs=100, batch_size=2, patience=3)
    with seeded(0):
        facts = train(network, loss, 2, settings, stage="toy", after_epoch=note)
    assert facts == {"loss": 1.0, "steps": 6.0}
    assert network.weight.item() == kept[0]


def test_the_learning_rate_falls_when_the_loss_does_not() -> None:
    import torch

    network = torch.nn.Linear(1, 1, bias=False)
    places: list[float] = []

    def loss(_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        places.append(network.weight.item())
        return network.weight.sum(), torch.tensor(1.0)  # Adam goes down by the learning rate at every step

    settings = NetworkTraining(epochs=9, batch_size=1, learning_rate=0.01, decay=0.5, decay_patience=2)
    with seeded(0):
        train(network, loss, 1, settings, stage="toy")
    # the first epoch is the best, two more are waited for, and the fourth without a lower loss halves the rate
    np.testing.assert_allclose(-np.diff(places), [0.01] * 4 + [0.005] * 3 + [0.0025], rtol=1e-3)


def test_averaged_weights_lie_behind_the_last_ones() -> None:
    import torch

    def trained(averaging: float | None) -> float:
        with seeded(0):
            network = torch.nn.Linear(1, 1, bias=False)
            start = network.weight.item()
            falling = iter(range(100, 0, -1))
            settings = NetworkTraining(epochs=50, batch_size=1, learning_rate=0.01, averaging=averaging)
            train(network, lambda _: (network.weight.sum(), torch.tensor(float(next(falling)))), 1, settings, stage="t")
        return network.weight.item() - start

    assert trained(None) == pytest.approx(-0.5, rel=1e-3)
    # the mean of 0.01, 0.02, … weighted 0.9^age, the first one standing for all before
    weights = np.r_[0.9**49, 0.1 * 0.9 ** np.arange(48, -1, -1)]
    assert trained(0.9) == pytest.approx(-0.01 * weights @ np.arange(1, 51), rel=1e-3)


def test_a_loss_that_is_no_number_is_an_error_that_names_the_learning_rate() -> None:
    import torch

    network = torch.nn.Linear(1, 1)
    settings = NetworkTraining(epochs=5, learning_rate=0.5)
    with seeded(0), pytest.raises(ConfigError, match=r"generator\.toy\.learning_rate=0\.5: made .* nan(.|\n)*=0\.05"):
        train(network, lambda _: (network.weight.sum() * float("nan"),) * 2, 4, settings, stage="toy")


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("max_steps", 0), ("batch_size", 0), ("learning_rate", 0.0), ("decay", 1.5), ("averaging", 1.0)],
)
def test_settings_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"generator\.toy\.{name}={value}"):
        NetworkTraining(**{"epochs": 1, name: value}).check("toy")
