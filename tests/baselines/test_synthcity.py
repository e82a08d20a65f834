"""The wrapper around synthcity: seeded, silent, and true to the schema, whatever the plugin."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts import assert_conforms, drawn_apart, uninstall
from toys import make_splits

from baselines.synthcity.coding import coded, decoded
from baselines.synthcity.generator import SynthcityGenerator
from baselines.synthcity.plugins import ELSEWHERE, check_plugin, known_plugins, plugin_class, quiet
from harmonic.errors import ConfigError
from harmonic.tables.table import Task

CONF = Path(__file__).resolve().parents[2] / "conf" / "generator"
needs_synthcity = pytest.mark.skipif(find_spec("synthcity") is None, reason="pip install 'harmonic[synthcity]'")
TINY = {
    "tvae": {"n_iter": 2, "n_units_embedding": 8, "decoder_n_units_hidden": 8, "encoder_n_units_hidden": 8},
    "ctgan": {"n_iter": 2, "generator_n_units_hidden": 8, "discriminator_n_units_hidden": 8},
    "ddpm": {"n_iter": 2, "num_timesteps": 4, "dim_embed": 8},
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("ctgan", "ddpm")]


@needs_synthcity
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
@pytest.mark.parametrize("plugin", ["tvae", *SLOW])
def test_fitted_loaded_and_refitted_generators_draw_the_same_conforming_rows(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    plugin: str,
    task: Task,
) -> None:
    import torch

    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    splits = make_splits(task)
    generator = SynthcityGenerator(plugin=plugin, settings=TINY[plugin], device="cpu")
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    filters, chained = list(warnings.filters), pd.get_option("mode.chained_assignment")
    generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    first = generator.sample(23, seed=1, directory=tmp_path).frame

    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert list(warnings.filters) == filters and pd.get_option("mode.chained_assignment") == chained
    assert capfd.readouterr() == ("", "")
    assert any(line.startswith("fit: 2 of 2 epochs") for line in caplog.messages)
    assert_conforms(first, splits, 23)

    loaded = replace(generator)
    loaded.load(splits, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(23, seed=1, directory=tmp_path).frame, first)
    assert not loaded.sample(23, seed=2, directory=tmp_path).frame.equals(first)
    assert [file.name for file in tmp_path.iterdir()] == ["plugin.pkl"]  # nothing lies about
    again = replace(generator)
    again.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    pd.testing.assert_frame_equal(again.sample(23, seed=1, directory=tmp_path).frame, first)


@needs_synthcity
@pytest.mark.slow
@pytest.mark.parametrize("plugin", TINY)
def test_another_process_draws_the_same_rows(tmp_path: Path, plugin: str) -> None:
    setup = (
        "from experiments.run import configured\nfrom baselines.synthcity.generator import SynthcityGenerator\n"
        "splits = configured('tracker=off', 'dataset=german')['dataset'].load(0)\n"
        f"generator = SynthcityGenerator(plugin={plugin!r}, settings={TINY[plugin]!r}, device='cpu')"
    )
    fitted, loaded = drawn_apart(setup, tmp_path)
    assert fitted == loaded


@pytest.mark.parametrize(
    ("max_steps", "rows", "epochs"), [(None, 1000, 30), (3000, 1000, 30), (20, 1000, 4), (1, 1000, 1), (20, 3, 20)]
)
def test_large_tables_take_fewer_epochs(max_steps: int | None, rows: int, epochs: int) -> None:
    settings = {"n_iter": 30, "batch_size": 200, "max_steps": max_steps}
    given = SynthcityGenerator(plugin="tvae", settings=settings)._given(rows)
    assert given == {"n_iter": epochs, "batch_size": 200}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_iter": 3, "batch_size": 200, "max_steps": 0}, r"settings\.max_steps=0: (.|\n)*max_steps=null"),
        ({"n_iter": 3, "batch_size": 200, "max_steps": 0.5}, r"settings\.max_steps=0\.5"),
        ({"n_iter": 3, "batch_size": 0, "max_steps": 9}, r"settings\.batch_size=0"),
        ({"batch_size": 200, "max_steps": 9}, r"settings\.n_iter=None: .* beside max_steps"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SynthcityGenerator(plugin="tvae", settings=settings)._given(1000)


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_decoding_inverts_coding(task: Task) -> None:
    train = make_splits(task).train
    table = coded(train)
    assert all(np.issubdtype(dtype, np.number) for dtype in table.dtypes)
    pd.testing.assert_frame_equal(decoded(table, train), train.frame)


def test_decoding_keeps_wild_numbers_within_the_training_rows() -> None:
    train = make_splits().train
    found = decoded(coded(train) * 1000 - 10, train)
    assert found["age"].max() == train.frame["age"].max()
    assert set(found["job"]) <= set(train.frame["job"])


@needs_synthcity
@pytest.mark.parametrize("plugin", ["arf", "bayesian_network"])
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_plugins_without_epochs_draw_the_same_conforming_rows_for_a_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], plugin: str, task: Task
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"arf": {"num_trees": 3, "max_iters": 1}, "bayesian_network": {}}[plugin]
    splits, generator = make_splits(task), SynthcityGenerator(plugin=plugin, settings=settings, device="cpu")
    generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)
    generator.load(splits, prepared=tmp_path, directory=tmp_path)
    first = generator.sample(9, seed=1, directory=tmp_path).frame
    assert_conforms(first, splits, 9)
    assert not generator.sample(9, seed=2, directory=tmp_path).frame.equals(first)
    pd.testing.assert_frame_equal(generator.sample(9, seed=1, directory=tmp_path).frame, first)
    assert not hasattr(np, "in1d") or "in1d" in np.__all__
    assert capfd.readouterr() == ("", "") and [file.name for file in tmp_path.iterdir()] == ["plugin.pkl"]


@needs_synthcity
def test_every_plugin_for_tables_is_known_by_its_name() -> None:
    known = known_plugins()
    assert {"arf", "bayesian_network", "ctgan", "ddpm", "nflow", "rtvae", "tvae", "adsgan", "pategan"} <= set(known)
    assert not {"survival_gan", "timegan", "image_cgan", "radialgan"} & set(known)  # of other kinds of data
    assert set(ELSEWHERE) <= set(known)


@needs_synthcity
def test_an_unknown_plugin_names_those_near_it_before_any_work(tmp_path: Path) -> None:
    generator = SynthcityGenerator(plugin="tvea")
    with pytest.raises(ConfigError, match=r"generator\.plugin=tvea: unknown plugin(.|\n)*'tvae'"):
        generator.prepare(make_splits(), 5, seed=0, directory=tmp_path)


@needs_synthcity
@pytest.mark.parametrize("plugin", ELSEWHERE)
def test_a_plugin_that_does_not_keep_its_word_names_what_does(plugin: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)is not offered.*fix: generator="):
        check_plugin(plugin)
    name = ELSEWHERE[plugin].removeprefix("generator=")
    assert (CONF / f"{name}.yaml").is_file()


@needs_synthcity
def test_synthcitys_privbayes_adds_too_little_noise_and_none_to_empty_cells() -> None:
    """Why it is not offered: noise of n rows is n times too small, and combinations that no row has stay at 0."""
    with quiet():
        from synthcity.plugins.privacy.plugin_privbayes import PrivBayes

        theirs = PrivBayes(epsilon=1.0, K=1)
        few, many = (theirs._laplace_noise_parameter(rows, 9) for rows in (100, 10_000))
        counts = theirs._get_noisy_counts_for_attributes(pd.DataFrame({"a": [0, 0, 1], "b": [0, 0, 1]}), ["a", "b"])
    assert few == pytest.approx(100 * many)  # of counts, it must not depend on them
    assert len(counts) == 2  # of four cells


def test_without_the_extra_the_error_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("synthcity", monkeypatch)
    with pytest.raises(ConfigError, match=r"pip install 'harmonic\[synthcity\]'"):
        plugin_class("tvae")


@needs_synthcity
def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    generator = SynthcityGenerator(plugin="tvae", settings={"iterations": 3})
    with pytest.raises(ConfigError, match=r"generator\.settings=.*iterations"):
        generator.fit(make_splits(), seed=0, prepared=tmp_path, directory=tmp_path)
