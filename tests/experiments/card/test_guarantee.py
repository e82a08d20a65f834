"""What the card says of a generator's own guarantee: from the settings that bring it about, and what voids it."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from test_card import QUIET, attacked, report

from experiments.card.guarantee import guarantee, refuted
from experiments.card.limits import not_tested, warnings
from experiments.card.privacy_card import card


def configured(*overrides: str) -> dict[str, Any]:
    """A report of a run with that generator."""
    with initialize_config_module("conf", version_base="1.3"):
        found: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return report(attacked(QUIET), config=found)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["generator=aim"], "(1, 1e-05)-differential privacy (one row more or less)"),
        (["generator=aim", "generator.epsilon=10", "generator.delta=1e-6"], "(10, 1e-06)-differential privacy"),
        (["generator=privbayes", "generator.epsilon=0.5"], "0.5-differential privacy (one row replaced by another)"),
        (["generator=tabularargn_dp"], "(10, 1e-05)-differential privacy (one row more or less, among those"),
        (
            ["generator=tabularargn_dp", "generator.settings.differential_privacy.max_epsilon=3"],
            "(3, 1e-05)-differential privacy",
        ),
    ],
)
def test_the_card_tells_the_guarantee_that_the_settings_bring_about(overrides: list[str], words: str) -> None:
    found = configured(*overrides)
    text = card(found)
    assert f"By construction: {words}" in text
    assert "\n- the seed stays secret" in text and "declared (dataset.columns)" in text
    assert not any("gives none" in line for line in not_tested(found))


@pytest.mark.parametrize("name", ["smote", "arf", "tabularargn", "harmonic_dense"])
def test_other_generators_promise_nothing(name: str) -> None:
    found = configured(f"generator={name}")
    assert guarantee(found) is None and "By construction" not in card(found)
    assert any("gives none" in line for line in not_tested(found))


def test_a_measured_epsilon_above_the_guarantee_is_said() -> None:
    aim, bayes = configured("generator=aim"), configured("generator=privbayes")
    for found, most in ((aim, 2.0), (bayes, 1.0)):  # a replaced row is one less and one more
        for measured, contradicts in ((most - 0.1, False), (most + 0.1, True)):
            found["metrics"]["epsilon"] = measured
            assert bool(list(refuted(found))) is contradicts
            assert any("does not hold here" in line for line in warnings(found)) is contradicts
