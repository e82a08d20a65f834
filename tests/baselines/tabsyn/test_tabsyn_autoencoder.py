"""TabSyn's first stage: the weight of the divergence, the losses, and rows that survive their latents."""

from __future__ import annotations

import numpy as np
import pytest
from toys import make_splits

from baselines.tabsyn.autoencoder import Autoencoder, AutoencoderSettings, BetaSchedule, train_autoencoder
from baselines.tabsyn.encoding import TableEncoding
from harmonic.errors import ConfigError
from harmonic.randomness import seeded


def test_beta_falls_when_the_loss_has_not_and_never_below_its_floor() -> None:
    schedule = BetaSchedule(beta=1.0, floor=0.3, decay=0.5, patience=2)
    found = []
    for loss in [5.0, 4.0, 4.0, 4.5, 3.9, 4.0, 3.9, 3.9, 3.9, 3.9, 3.9]:
        schedule.update(loss)
        found.append(schedule.beta)
    # 4.0 and 4.5 are no lower than 4.0: halved; 3.9 is; 4.0 and 3.9 are not: the floor
    assert found == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("numeric", [True, False], ids=["mixed", "categories alone"])
def test_a_toy_table_comes_back_from_its_latents(numeric: bool) -> None:
    import torch

    train = make_splits(drop=() if numeric else ("age", "income", "noise"), rows=120).train
    encoding = TableEncoding.of(train)
    scores, codes = map(torch.from_numpy, encoding.encode(train.frame))
    settings = AutoencoderSettings(epochs=150, batch_size=120, learning_rate=1e-2, width=4, layers=1)
    with seeded(0):
        autoencoder = Autoencoder.build(scores.shape[1], encoding.cardinalities, settings)
        facts = train_autoencoder(autoencoder, scores, codes, settings)
    latents = autoencoder.latents(scores, codes)
    assert latents.shape == (120, 4 * len(train.schema.columns))
    found, found_codes = autoencoder.rows(latents)
    assert (found_codes == codes.numpy()).mean() > 0.99
    assert np.square(found - scores.numpy()).mean() < 0.05 if numeric else found.shape == (120, 0)
    assert facts["loss"] < 0.2
    assert latents.std(0).mean() > 0.3  # the rows are told apart by where their latents lie


def test_columns_do_not_depend_on_other_rows_of_the_batch() -> None:
    import torch

    settings = AutoencoderSettings(epochs=1)
    with seeded(0):
        autoencoder = Autoencoder.build(2, [3], settings)
        scores, codes = torch.randn(5, 2), torch.tensor([[0], [1], [2], [1], [0]])
    together, alone = autoencoder.latents(scores, codes), autoencoder.latents(scores[3:4], codes[3:4])
    torch.testing.assert_close(together[3:4], alone)
    assert (together[0] - together[4]).abs().max() > 1e-3


def test_the_divergence_is_that_of_torch_distributions() -> None:
    import torch
    from torch.distributions import Normal, kl_divergence

    with seeded(0):
        autoencoder = Autoencoder.build(3, [4, 2], AutoencoderSettings(epochs=1))
        scores, codes = torch.randn(7, 3), torch.randint(0, 2, (7, 2))
        _, divergence = autoencoder.losses(scores, codes)
    mean, log_variance = autoencoder.encode(scores, codes)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(divergence, expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [("token_size", 0), ("layers", 0), ("width", 0), ("beta_patience", 0), ("beta_floor", 0.5), ("beta_decay", 0.0)],
)
def test_settings_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"generator\.autoencoder\.{name}={value}"):
        AutoencoderSettings(**{"epochs": 1, name: value}).check("autoencoder")
