"""The contract of every generator in conf/generator, at smoke scale: fits, samples, is seeded, leaves no trace."""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from baselines.environments.foreign_process import python_of
from experiments.configuration.building import built
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.base import Generator, LanguageGenerator, Sample
from harmonic.tables.splits import Splits

CONF = Path(__file__).resolve().parents[2] / "conf" / "generator"
SLOW = ("harmonic_no_", "tabularargn")  # the latter in an environment of its own, four processes each
GENERATORS = [
    # The ablations are settings of harmonic, each tested where it is made; in `make test-slow` they run whole, too.
    pytest.param(name, marks=pytest.mark.slow if name.startswith(SLOW) else ())
    for name in sorted(path.stem for path in CONF.glob("*.yaml"))
]
N = 6
UNTRAINED = {
    "great",  # free text from a model of random weights is no row; its own tests sample from trained ones
    "tabularargn_dp",  # of sixty rows it protects every value
}


@functools.cache
def configuration(name: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        found = compose("config", ["dataset=diabetes", f"generator={name}", "llm=tiny", "scale=smoke", "data_dir=null"])
    if name.startswith("harmonic"):
        found.generator.sampling.attempts = 1  # random weights gain nothing from more
    if name == "great":
        found.generator.sampling.empty_batches = 1  # as above
    return found


def parts(name: str) -> tuple[Generator, Splits]:
    """The generator as configured, and some of the packaged rows; new ones each time."""
    found = built(OmegaConf.to_container(configuration(name), resolve=True))
    splits: Splits = found["dataset"].load(0)
    return found["generator"], Splits(splits.train.take(np.arange(60)), splits.val.take(np.arange(30)), splits.test)


def skip_without_its_environment(name: str) -> None:
    """Skip a test of a generator that lives in an environment of its own, where that has not been made."""
    if own := configuration(name).generator.get("environment"):
        try:
            python_of(own)
        except ConfigError as error:
            pytest.skip(str(error))


def fitted(name: str, folder: Path, *, seed: int) -> Generator:
    """An instance that has only loaded what another one wrote when it was prepared and fitted."""
    generator, splits = parts(name)
    for part in ("prepared", "fitted"):
        (folder / part).mkdir(parents=True)
    generator.prepare(splits, N, seed=seed, directory=folder / "prepared")
    generator.fit(splits, seed=seed, prepared=folder / "prepared", directory=folder / "fitted")
    later, splits = parts(name)
    later.load(splits, prepared=folder / "prepared", directory=folder / "fitted")
    return later


def drawn(generator: Generator, folder: Path, *, seed: int) -> Sample:
    folder.mkdir(parents=True)
    return generator.sample(N, seed=seed, directory=folder)


def global_states() -> list[Any]:
    import torch

    legacy = np.random.get_state()
    return [random.getstate(), [np.asarray(part).tolist() for part in legacy], torch.get_rng_state().tolist()]


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_keeps_the_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "cwd"
    work.mkdir()
    monkeypatch.chdir(work)
    skip_without_its_environment(name)
    parts(name)  # some libraries draw from these states when they are first imported
    before = global_states()
    generator = fitted(name, tmp_path, seed=3)
    if isinstance(generator, LanguageGenerator):
        assert np.isfinite(generator.nll(parts(name)[1].test.frame.head(3))).all()
    if name in UNTRAINED:
        with pytest.raises(SamplingError):
            drawn(generator, tmp_path / "sample", seed=3)
    else:
        sample = drawn(generator, tmp_path / "sample", seed=3)
        schema = parts(name)[1].schema
        assert len(sample.frame) == N
        pd.testing.assert_frame_equal(schema.conform(sample.frame), sample.frame)
        for column in schema.columns:
            assert not column.categories or set(sample.frame[column.name]) <= set(column.categories)
        assert not drawn(generator, tmp_path / "other", seed=4).frame.equals(sample.frame)
        again = drawn(fitted(name, tmp_path / "again", seed=3), tmp_path / "again" / "sample", seed=3)
        pd.testing.assert_frame_equal(again.frame, sample.frame)
    assert global_states() == before
    assert list(work.iterdir()) == []
