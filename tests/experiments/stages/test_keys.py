"""Stage keys: every setting and every input of a run asks for another key, or there is a reason why not."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import hydra
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from experiments.stages.keys import SHAPE_PROMPTS, StageInputs, configured_versions, stage_versions
from harmonic.datasets import Dataset
from harmonic.evaluation.base import Evaluator
from harmonic.generators.base import Generator
from harmonic.prompts import covering
from harmonic.storage import key_of
from harmonic.tables.reading.aside import Aside
from harmonic.tables.reading.files import read_parquet
from harmonic.tables.splits import Splits

CONF = Path(__file__).resolve().parents[3] / "conf"
GENERATORS = ("harmonic", "harmonic_dense", "great", "smote")  # one of each make
EVALUATORS = "evaluator=[full,canary,anonymeter]"
Keys = dict[str, str]

CHANGES_NO_RESULT = {
    "output_dir": "where results are written",
    "summary": "what is printed",
    "experiment_name": "the name of a folder",
    "stage": "how far the run goes",
    "force": "whether the cache is asked",
    "dry_run": "whether anything is computed",
    "tracker": "who is told of the numbers",
    "data_dir": "where the rows are; which rows they are, their fingerprint says",
    "dataset": "as data_dir; see test_every_setting_of_a_dataset_…",
    "canaries": "planted rows are training rows, and in the fingerprint",
}
"""Settings, or groups of them, that change no stage's key, and why not."""


@functools.cache
def composed(generator: str) -> Any:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", [f"generator={generator}", EVALUATORS, "scale=smoke", "data_dir=null"])


def table(rows: int = 40, **columns: Any) -> pd.DataFrame:
    """A file with an identifier, free text, a constant, a gap and a target."""
    return pd.DataFrame(
        {
            "name": [f"P-{place:04}" for place in range(rows)],
            "age": [str(20 + place * 7 % 50) for place in range(rows)],
            "weight": [f"{50 + place * 0.37:.2f}" for place in range(rows)],
            "grade": ["1", "2", "3", "4"] * (rows // 4),
            "city": ["Ulm", "Bonn", "", "Kiel"] * (rows // 4),
            "remark": [f"she said on day {place} that it was fine" for place in range(rows)],
            "unit": ["kg"] * rows,
            "churn": ["yes", "no"] * (rows // 2),
        }
        | columns
    )


def loaded(folder: Path, frame: pd.DataFrame | None = None, **settings: Any) -> Splits:
    path = folder / "table.csv"
    (table() if frame is None else frame).to_csv(path, index=False, sep=settings.get("delimiter", ","))
    given = {"name": "csv", "path": str(path), "target": "churn", "missing": "keep", **settings}
    return Dataset(**given).load(0)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return loaded(tmp_path_factory.mktemp("table"), canaries={"count": 2})


def keys(splits: Splits, config: Any, versions: dict[str, int] | None = None) -> Keys:
    """The key of every stage, as if each stage's result were as new as its key."""
    plain: Any = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    inputs = StageInputs(plain, splits, plain["n_samples"], plain["seed"], versions or configured_versions(plain))
    found = {"prompts": key_of(inputs.prompts())}
    found["fit"] = key_of(inputs.fit(found["prompts"], None))
    found["sample"] = key_of(inputs.sample(found["fit"], found["prompts"]))
    for name in plain["evaluator"]:
        key = key_of(inputs.evaluate(name, found["fit"], found["prompts"], found["sample"]))
        found[f"evaluate_{name}"] = key
    return found


def first_changed(before: Keys, after: Keys) -> str | None:
    """The first stage that is computed anew; "evaluate" where it is some or all of the evaluators."""
    stage = next((stage for stage in before if before[stage] != after[stage]), None)
    return "evaluate" if stage and stage.startswith("evaluate_") else stage


def other(value: Any) -> Any:
    """A value of another content, of the same kind where there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, "other"]
    return {"other": 1} if isinstance(value, dict) else f"{value}-other"


def settings_of(node: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a resolved configuration by its dotted path; an empty mapping is one."""
    if isinstance(node, dict) and node:
        below = [settings_of(inner, f"{path}.{name}".lstrip(".")) for name, inner in node.items()]
        return {key: value for part in below for key, value in part.items()}
    return {path: node}


def reason(path: str) -> str | None:
    """Why the setting changes no key, if there is a reason."""
    return next((why for name, why in CHANGES_NO_RESULT.items() if path == name or path.startswith(f"{name}.")), None)


def expected_stage(path: str) -> str | None:
    """The stage that a setting must change first, where its path tells; None: any."""
    if path.startswith("evaluator."):
        return "evaluate"
    shaping = [f"generator.{part}.{name}" for part, names in SHAPE_PROMPTS.items() for name in names]
    if path in ("seed", "n_samples") or path.startswith(tuple(shaping)):
        return "prompts"
    for part, stage in {"generator.llm": "prompts", "generator.tuning": "fit", "generator.sampling": "sample"}.items():
        if path.startswith(f"{part}."):
            return stage
    return "prompts" if path.startswith("generator.") else "evaluate" if path == "evaluate_on" else None


@pytest.mark.parametrize("generator", GENERATORS)
def test_every_setting_asks_for_another_key_or_has_a_reason(generator: str, splits: Splits) -> None:
    written: Any = OmegaConf.to_container(composed(generator))
    resolved: Any = OmegaConf.to_container(composed(generator), resolve=True)
    versions = configured_versions(resolved)
    before = keys(splits, resolved, versions)
    for path, value in settings_of(resolved).items():
        if path.startswith("evaluator.") and generator != GENERATORS[0]:
            continue  # the same for all
        if path == "scale.name":
            continue  # chooses sizes: test_another_scale_asks_for_a_key_where_sizes_differ
        plain = changed_at(written, resolved, path, other(value))
        found = first_changed(before, keys(splits, plain, versions))
        if (why := reason(path)) is not None:
            assert found is None or path.startswith("dataset."), f"{path} has a reason ({why}), and changes {found}"
        else:
            assert found is not None, path
        if why is None and (stage := expected_stage(path)) is not None:
            assert found == stage, path


def changed_at(written: Any, resolved: Any, path: str, value: Any) -> dict[str, Any]:
    """The resolved configuration with another value there, and wherever the setting is referred to."""
    section, *names = path.split(".")
    refers = section not in ("generator", "evaluator")  # nothing refers to these
    plain, whole = (json.loads(json.dumps(tree)) for tree in (written if refers else resolved, resolved))
    node = plain
    for name in [section, *names][:-1]:
        whole = whole[name]
        if isinstance(node[name], str):  # refers to another part, which stays as it is
            node[name] = whole
        node = node[name]
    node[path.rpartition(".")[2]] = value
    return OmegaConf.to_container(OmegaConf.create(plain), resolve=True) if refers else plain  # type: ignore[return-value]


def test_prompts_of_a_large_table_depend_on_how_many_are_tuned_on(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: Any = OmegaConf.to_container(composed("harmonic"), resolve=True)
    fewer = json.loads(json.dumps(small))
    fewer["generator"]["tuning"]["max_examples"] = 3
    assert first_changed(keys(splits, small), keys(splits, fewer)) == "fit"
    before = keys(splits, small)
    monkeypatch.setattr(covering, "LARGE", 10)
    assert first_changed(before, keys(splits, small)) == "prompts"
    assert first_changed(keys(splits, small), keys(splits, fewer)) == "prompts"


def test_another_scale_asks_for_a_key_where_sizes_differ(splits: Splits) -> None:
    for generator, stage in {"harmonic_dense": "prompts", "great": "fit", "smote": None}.items():
        config = composed(generator)
        changed = OmegaConf.merge(config, {"scale": {"name": "quick"}})
        assert first_changed(keys(splits, config), keys(splits, changed)) == stage, generator


def test_an_evaluators_setting_changes_that_evaluator_alone(splits: Splits) -> None:
    config = composed("smote").copy()
    before = keys(splits, config)
    config.evaluator.privacy.tolerance = 0.02
    after = keys(splits, config)
    assert [stage for stage in before if before[stage] != after[stage]] == ["evaluate_privacy"]


@pytest.mark.parametrize("stage", ["prompts", "fit", "sample", "file", "completion", "evaluate_privacy"])
def test_a_raised_version_changes_its_stage_and_keeps_those_before(stage: str, splits: Splits) -> None:
    config: Any = OmegaConf.to_container(composed("smote"), resolve=True)
    versions = configured_versions(config)
    before = keys(splits, config, versions)
    after = keys(splits, config, versions | {stage: versions[stage] + 1})
    places = {"file": "sample", "completion": "prompts", "evaluate_privacy": "evaluate"}
    assert first_changed(before, after) == places.get(stage, stage)


def edited(splits: Splits, part: str) -> Splits:
    """The splits with the first cell of one part's ages another."""
    rows = getattr(splits, part)
    frame = rows.frame.copy()
    frame.loc[0, "age"] += 1
    return replace(splits, **{part: replace(rows, frame=frame)})


def with_aside(splits: Splits, name: str, **changes: Any) -> Splits:
    assert splits.layout is not None
    own = {key: value for key, value in changes.items() if key in Aside.__dataclass_fields__}
    made = {key: value for key, value in changes.items() if key not in own}

    def changed(aside: Aside) -> Aside:
        new = replace(aside.new, **made) if aside.new is not None else None
        return replace(aside, **own, new=new)

    asides = tuple(changed(aside) if aside.name == name else aside for aside in splits.layout.asides)
    return replace(splits, layout=replace(splits.layout, asides=asides))


def with_order(splits: Splits) -> Splits:
    assert splits.layout is not None
    return replace(splits, layout=replace(splits.layout, names=splits.layout.names[::-1]))


INPUTS: dict[str, tuple[Callable[[Splits], Splits], str]] = {
    "a training cell": (lambda splits: edited(splits, "train"), "prompts"),
    "a validation cell": (lambda splits: edited(splits, "val"), "prompts"),
    "a test cell": (lambda splits: edited(splits, "test"), "prompts"),
    "a planted row": (lambda splits: edited(splits, "canaries"), "prompts"),
    "a row that is not planted": (lambda splits: edited(splits, "decoys"), "prompts"),
    "which rows are held out": (lambda splits: replace(splits, kept_apart=splits.holdout), "prompts"),
    "the real identifiers": (lambda splits: with_aside(splits, "name", taken=frozenset({"P-0001"})), "sample"),
    "the make of identifiers": (lambda splits: with_aside(splits, "name", prefix="Q-"), "sample"),
    "a constant's value": (lambda splits: with_aside(splits, "unit", value="lb"), "sample"),
    "a column left out": (lambda splits: with_aside(splits, "remark", written=False), "sample"),
    "the order of columns": (with_order, "sample"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_asks_for_another_key_and_another_run(name: str, splits: Splits) -> None:
    change, stage = INPUTS[name]
    changed = change(splits)
    assert first_changed(keys(splits, composed("smote")), keys(changed, composed("smote"))) == stage
    assert changed.fingerprint() != splits.fingerprint()


def test_whether_a_parquet_file_is_wanted_and_its_dtypes_are_in_the_sample_key(splits: Splits, tmp_path: Path) -> None:
    frame = table().assign(age=lambda rows: rows["age"].astype("int64"))
    kinds: dict[str, Any] = {"int64": {}, "int16": {"age": "int16"}, "categories": {"churn": "category"}}
    found = []
    for name, dtypes in kinds.items():
        frame.astype(dtypes).to_parquet(tmp_path / f"{name}.parquet")
        found.append(str(tmp_path / f"{name}.parquet"))
    more = frame.astype({"churn": pd.CategoricalDtype(["no", "perhaps", "yes"])})
    more.to_parquet(tmp_path / "more.parquet")
    config = composed("smote").copy()
    assert splits.layout is not None
    before = keys(splits, config)
    seen = [before["sample"]]
    for path in [*found, str(tmp_path / "more.parquet")]:
        layout = replace(splits.layout, dtypes=read_parquet(path)[1])
        after = keys(replace(splits, layout=layout), config)
        assert first_changed(before, after) == "sample"
        seen.append(after["sample"])
    assert len(set(seen)) == 5


DATASET_CHANGES: dict[str, dict[str, Any]] = {
    "target": {"target": "city"},
    "task": {"target": "grade", "task": "regression"},
    "description": {"description": "customers"},
    "path": {"frame": table(unit=["lb"] * 40)},
    "kinds": {"kinds": {"age": "category"}},
    "canaries": {"canaries": {"count": 2}},
    "split": {"split": {"train": 0.5, "val": 0.25, "test": 0.25}},
    "max_rows": {"max_rows": 30},
    "identifiers": {"identifiers": "drop"},
    "free_text": {"free_text": "drop"},
    "missing": {"missing": "drop"},
    "missing_values": {"missing_values": ["Ulm", ""]},
    "delimiter": {"delimiter": ";"},  # the synthetic file is written as the real one
}
DATASET_CHANGES_NO_RESULT = {
    "name": "a label, and the name of a folder",
    "source": "where the rows are; which rows they are, their fingerprint says",
    "data_dir": "as source",
    "openml": "as source",
    "classes": "what the file's classes are called; the names are in the rows' fingerprint",
    "encoding": "how the file is read; how it is written is in the fingerprint",
    "header": "as encoding",
    "headline": "what tables show first",
    "formats": "how texts are read; what they say is in the fingerprint",
    "decimal": "as formats",
    "dates": "as formats",
    "columns": "a file of kinds; what they make of the columns is in the fingerprint",
    "rules": "the rules that are found and kept are in the fingerprint",
    "group": "the split that it leads to is in the fingerprint",
    "release": "whether a table may be released, not what it holds",
    "labels": "evaluators are given them as settings of their own",
    "words": "as labels",
    "task_sentence": "as labels",
}


def test_every_setting_of_a_dataset_asks_for_another_run_or_has_a_reason(tmp_path: Path) -> None:
    assert {one.name for one in fields(Dataset)} == DATASET_CHANGES.keys() | DATASET_CHANGES_NO_RESULT.keys()
    seen = {"unchanged": loaded(tmp_path).fingerprint()}
    seen["the other task"] = loaded(tmp_path, target="grade", task="multi classification").fingerprint()
    for name, changes in DATASET_CHANGES.items():
        seen[name] = loaded(tmp_path, **changes).fingerprint()
    assert len(set(seen.values())) == len(seen), seen


def configured_parts(group: str) -> dict[str, type]:
    """Every class that a file of the group names, by the class's name."""
    found = {}
    for path in sorted((CONF / group).glob("*.yaml")):
        node: Any = OmegaConf.to_container(OmegaConf.load(path))
        for part in node.values() if group == "evaluator" else [node]:
            if isinstance(part, dict) and "_target_" in part:
                kind = hydra.utils.get_class(part["_target_"])
                found[kind.__name__] = kind
    return found


def test_every_evaluator_states_its_version_in_its_own_class() -> None:
    found = configured_parts("evaluator")
    assert len(found) >= 12
    for kind in found.values():
        assert issubclass(kind, Evaluator) and isinstance(vars(kind).get("version"), int), kind


def test_every_generator_states_its_versions_in_its_own_class() -> None:
    found = configured_parts("generator")
    assert {"HarmonicGenerator", "SmoteGenerator", "RealRows", "TabSynGenerator"} <= found.keys()
    for kind in found.values():
        assert issubclass(kind, Generator) and "versions" in vars(kind), kind


def test_the_classes_of_a_run_and_its_configuration_tell_the_same_versions() -> None:
    config: Any = OmegaConf.to_container(composed("tabsyn"), resolve=True)
    classes = {name: hydra.utils.get_class(part["_target_"]) for name, part in config["evaluator"].items()}
    told = stage_versions(hydra.utils.get_class(config["generator"]["_target_"]), classes)
    assert configured_versions(config) == told and told["evaluate_anonymeter"] >= 1
