"""Every file in conf composes into a whole configuration, and every part of it can be built."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import hydra
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from experiments.configuration.building import built
from experiments.configuration.hydra_errors import resolved
from harmonic.datasets import Dataset
from harmonic.errors import ConfigError
from harmonic.evaluation.base import Evaluator
from harmonic.generators.base import Generator
from harmonic.llm.language_model import LanguageModel
from harmonic.recipes import at_scales, settings_of
from harmonic.runs.identity import class_name
from harmonic.tracking import Tracker

CONF = Path(__file__).resolve().parents[1] / "conf"
NEEDED = {"csv": ["dataset.path=table.csv", "dataset.target=y"]}
PLUGINS = {"ray": "hydra_plugins.hydra_ray_launcher"}  # not in the tested environment: its pins are older
CHOICES = {
    folder.name: [
        file.stem
        for file in sorted(folder.glob("*.yaml"))
        if file.stem not in PLUGINS or importlib.util.find_spec(PLUGINS[file.stem]) is not None
    ]
    for folder in sorted(CONF.iterdir())
    if folder.is_dir() and folder.name not in ("hydra", "__pycache__")
}
PRESETS = [f"experiment={name}" for name in CHOICES.pop("experiment")]
ROUNDS = [  # one choice of each group at a time, the short groups over again: each is composed, with few compositions
    " ".join(f"{group}={names[turn % len(names)]}" for group, names in CHOICES.items())
    for turn in range(max(map(len, CHOICES.values())))
]


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("choices", [*ROUNDS, *PRESETS])
def test_every_choice_composes_and_its_parts_can_be_built(choices: str) -> None:
    words = choices.split()
    config = configuration(*words, *(more for word in words for more in NEEDED.get(word.partition("=")[2], [])))
    plain: Any = OmegaConf.to_container(config, resolve=True)  # every interpolation has a value
    assert isinstance(plain["seed"], int)
    parts = built(plain)
    assert isinstance(parts["dataset"], Dataset)
    assert isinstance(parts["llm"], LanguageModel)
    assert isinstance(parts["generator"], Generator)
    assert isinstance(parts["tracker"], Tracker)
    assert parts["evaluator"] and all(isinstance(part, Evaluator) for part in parts["evaluator"].values())


def leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    """Every setting below a path, with its value; the empty mappings among them."""
    if isinstance(node, dict) and node:
        return [leaf for name, inner in node.items() for leaf in leaves(inner, f"{path}.{name}")]
    return [(path, node)]


@pytest.mark.parametrize("generator", CHOICES["generator"])
def test_every_setting_of_a_generator_can_be_set_by_itself(generator: str) -> None:
    plain: Any = OmegaConf.to_container(configuration(f"generator={generator}").generator, resolve=True)
    own = [(path, value) for path, value in leaves(plain, "generator") if not path.startswith("generator.llm.")]
    numbers = {path: value + 1 for path, value in own if isinstance(value, int | float)}
    changed = configuration(f"generator={generator}", *(f"{path}={value}" for path, value in numbers.items()))
    assert {path: OmegaConf.select(changed, path) for path in numbers} == numbers


SETTINGS = {
    ("ctabgan", "training"): "baselines.ctabgan.training.CtabganTraining",
    ("great", "tuning"): "baselines.great.training.GreatTuning",
    ("great", "sampling"): "baselines.great.generator.GreatSampling",
    ("harmonic", "tuning"): "harmonic.tuning.lora.Tuning",
    ("harmonic", "sampling"): "harmonic.decoding.settings.Sampling",
    ("realtabformer", "sampling"): "baselines.realtabformer.generator.RealTabFormerSampling",
    ("realtabformer", "tuning"): "baselines.realtabformer.training.RealTabFormerTuning",
    ("tabsyn", "autoencoder"): "baselines.tabsyn.autoencoder.AutoencoderSettings",
    ("tabsyn", "diffusion"): "baselines.tabsyn.diffusion.DiffusionSettings",
}


@pytest.mark.parametrize(("generator", "part"), SETTINGS)
def test_every_field_of_a_generators_settings_is_in_its_file(generator: str, part: str) -> None:
    fields = dataclasses.fields(hydra.utils.get_class(SETTINGS[generator, part]))
    assert set(configuration(f"generator={generator}").generator[part]) == {field.name for field in fields}


def test_presets_that_compare_draw_as_many_rows_as_are_learnt_over_three_seeds_at_least() -> None:
    presets = {path.stem: path.read_text(encoding="utf-8") for path in (CONF / "experiment").glob("*.yaml")}
    comparing = {name for name, text in presets.items() if "PrintTables" in text} - {"quickstart"}  # a first look
    assert comparing == {"ablation", "comparison", "dense_ablation", "front", "main_results", "privacy"}
    for name in comparing:
        preset: Any = OmegaConf.load(CONF / "experiment" / f"{name}.yaml")
        assert preset.n_samples is None and len(str(preset.hydra.sweeper.params.seed).split(",")) >= 3, name
        assert configuration(f"experiment={name}", "scale=smoke").n_samples is None, name


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_opens_with_a_comment(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_ablations_differ_from_harmonic_in_one_setting_each() -> None:
    whole: Any = OmegaConf.to_container(configuration("generator=harmonic").generator, resolve=True)
    expected = {
        "harmonic_no_knn": {**whole, "neighbors": {**whole["neighbors"], "metric": "random"}},
        "harmonic_no_filter": {**whole, "filter": False},
        "harmonic_no_permutation": {**whole, "permutation": False},
    }
    for name, ablation in expected.items():
        assert OmegaConf.to_container(configuration(f"generator={name}").generator, resolve=True) == ablation


def test_the_ablations_of_the_dense_recipe_differ_from_it_in_one_ingredient_each() -> None:
    whole = leaves(OmegaConf.to_container(configuration("generator=harmonic_dense").generator, resolve=True), "")
    ablations = [name for name in CHOICES["generator"] if name.startswith("harmonic_dense_")]
    assert len(ablations) > 5
    for name in ablations:
        own = leaves(OmegaConf.to_container(configuration(f"generator={name}").generator, resolve=True), "")
        changed = sorted(path for (path, value), (_, other) in zip(whole, own, strict=True) if value != other)
        # Random rows are neither neighbours in tuning nor shown in sampling; a label counts in both, too.
        both = name in ("harmonic_dense_no_knn", "harmonic_dense_no_label")
        assert len(changed) == (2 if both else 1), (name, changed)


def test_the_papers_settings_are_reachable_by_three_choices() -> None:
    config = configuration("generator=harmonic", "llm=llama2_7b_chat", "scale=paper")
    tuning = config.generator.tuning
    assert (tuning.epochs, tuning.learning_rate, tuning.batch_size) == (1, 3e-4, 16)
    assert (tuning.scheduler, tuning.warmup_ratio, tuning.weight_decay) == ("cosine", 0.01, 1e-5)
    assert (tuning.rank, tuning.alpha, tuning.dropout) == (16, 32, 0.05)
    assert config.llm.context == 2048
    assert config.llm.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert config.n_samples is None and config.generator.sampling.temperature == 0.7


def test_effectiveness_asks_the_papers_questions_at_its_scale_and_lists_on_a_laptop() -> None:
    paper = configuration("scale=paper", "evaluator=llm").evaluator.language_model_effectiveness
    assert paper.form == "question" and paper.tuning.vocabulary == "all" and paper.tuning.max_examples is None
    assert (paper.tuning.epochs, paper.tuning.learning_rate, paper.tuning.batch_size) == (7, 1e-4, 32)
    for scale in ("quick", "smoke"):
        config = configuration(f"scale={scale}", "evaluator=[llm,canary]").evaluator
        judge, audit = config.language_model_effectiveness, config.canary_exposure
        assert judge.form == "list" and judge.tuning.vocabulary == "occurring" and judge.tuning.max_tokens
        shared = ("llm", "tuning", "task_sentence", "labels", "words", "form", "lists")  # then one model serves both
        assert all(judge[name] == audit[name] for name in shared)


SIZES = pd.read_csv(Path(__file__).with_name("generator_sizes.csv"), keep_default_na=False)
SCALES = sorted(path.stem for path in (CONF / "scale").glob("*.yaml"))


@pytest.mark.parametrize("generator", sorted(set(SIZES["generator"])))
def test_generators_have_their_sizes_at_each_scale(generator: str) -> None:
    own = SIZES[SIZES["generator"] == generator]
    assert {"paper", "quick", "smoke"} == set(SCALES) and len(own) >= 3
    for scale in SCALES:
        config = configuration(f"generator={generator}", f"scale={scale}")
        found = {name: OmegaConf.select(config.generator, name) for name in own["setting"]}
        assert found == dict(zip(own["setting"], map(yaml.safe_load, own[scale]), strict=True)), scale


@pytest.mark.parametrize("path", sorted((CONF / "generator").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_size_is_given_for_every_scale_and_only_where_they_differ(path: Path) -> None:
    raw: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    for setting, value in leaves(raw, "generator"):
        if (sizes := at_scales(value)) is not None:
            assert sorted(sizes) == SCALES, setting
            assert len(set(map(str, sizes.values()))) > 1, setting
        assert "${scale" not in str(value), setting


def test_hydra_and_the_python_api_read_the_same_settings() -> None:
    for name in CHOICES["generator"]:
        plain: Any = OmegaConf.to_container(configuration(f"generator={name}", "scale=smoke").generator, resolve=True)
        plain.pop("llm", None)
        read = settings_of(name, "smoke")
        for settings in (read, plain):
            settings.pop("_guarantee_", None)  # for the card, no argument: it refers to settings
        assert read == plain


def test_a_size_can_be_set_and_a_scale_without_one_is_an_error() -> None:
    config = configuration("generator=tvae", "generator.settings.n_iter=50")
    assert resolved(config)["generator"]["settings"]["n_iter"] == 50
    with pytest.raises(ConfigError, match=r"(?s)generator\.settings\.n_iter.*has no value for this scale"):
        resolved(configuration("generator=tvae", "scale.name=mine"))


def test_classes_of_one_package_have_names_of_their_own() -> None:
    targets = {
        line.partition("_target_:")[2].partition("#")[0].strip()
        for path in CONF.rglob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "_target_:" in line
    }
    named = sorted(class_name(target) for target in targets)
    assert len(named) > 20
    assert len(set(named)) == len(named)
