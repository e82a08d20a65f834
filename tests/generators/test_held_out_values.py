"""What only held-out rows have is unknown to every generator, and known to measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import parted
import pytest
from hydra import compose, initialize_config_module
from test_generators import CONF, UNTRAINED, skip_without_its_environment
from whole_runs import harmonic, report_of

from baselines.great.row_text import RowReader, row_texts
from experiments.configuration.building import built as build
from experiments.configuration.hydra_errors import resolved
from experiments.sample_again import read_settings, sample_again
from experiments.stages.keys import StageInputs
from experiments.stages.measuring import refit_of
from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, SamplingError
from harmonic.generators.base import Generator, LanguageGenerator
from harmonic.generators.ruled import fitted_to
from harmonic.prompts.row_format import InvalidAnswer
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tables.training_view import for_generators

SMALL = [
    "llm=tiny", "scale=smoke", "tracker=off", "dataset=csv", "dataset.path=null", "dataset.name=birds",
    "dataset.target=nests", "n_samples=60",
]  # fmt: skip


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parted.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(birds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of harmonic_dense by a model of random weights: it draws what its grammar lets it."""
    words = [*SMALL, f"dataset.data_dir={birds}", "generator.sampling.mode=constrained"]
    words += ["generator.categories=text"]  # so that prompts can be looked through
    words += ["evaluator=[privacy,membership,fidelity]", "evaluator.data_leakage_test.max_rows=20"]
    return harmonic(tmp_path_factory.mktemp("out"), base=words)


def test_a_grammar_has_no_value_that_only_held_out_rows_have(finished: Path) -> None:
    train = parted.parts()["train"]
    assert parted.foreign(read(finished / "synthetic.csv"), train) == []
    assert set(read(finished / "synthetic.csv")["bird"]) == set(train["bird"])
    prompts = "".join(path.read_text() for path in (finished / "prompts").iterdir())
    assert parted.OWN["train"] in prompts and not any(bird in prompts for bird in parted.HELD_OUT)


def test_held_out_rows_are_scored_whatever_they_hold(finished: Path) -> None:
    report = report_of(finished)
    for name in ("dlt_holdout", "mia/loss/auc", "mia/min_k/auc"):
        assert report["metrics"][name] is not None, report["unavailable"]


def test_more_rows_under_a_condition_that_only_held_out_rows_satisfy_are_refused(finished: Path) -> None:
    for wanted in (
        "condition={bird: teal}",
        "condition={weight: 12.5}",
        "condition={ring: ''}",
        "range={seen: [2031-01-01, null]}",
    ):
        with pytest.raises(ConfigError, match="training row"):
            sample_again(finished, read_settings(["n=2", wanted]))
    rows = read(
        sample_again(finished, read_settings(["n=20", "condition={bird: tern}", "range={seen: [2021-05-01, null]}"]))[0]
    )
    assert set(rows["bird"]) == {"tern"} and parted.foreign(rows, parted.parts()["train"]) == []


def built(name: str, birds: Path) -> tuple[Generator, Splits]:
    """The generator as configured, and the table."""
    words = [*SMALL, f"generator={name}", f"dataset.data_dir={birds}"]
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", words)
    if name.startswith("harmonic"):
        config.generator.sampling.attempts = 1  # random weights gain nothing from more
    if name == "great":
        config.generator.sampling.empty_batches = 1  # as above
    plain = resolved(config)
    return build(plain["generator"]), build(plain["dataset"]).load(0)


GENERATORS = [  # the ablations are settings of one class, with one grammar
    pytest.param(name, marks=pytest.mark.slow if "_no_" in name or "tabularargn" in name else ())
    for name in sorted(path.stem for path in CONF.glob("*.yaml"))
]
N = 20  # rows, of which two in five would name a bird of HELD_OUT if it were a choice


@pytest.mark.parametrize("name", GENERATORS)
def test_no_generator_gives_what_only_held_out_rows_have(name: str, birds: Path, tmp_path: Path) -> None:
    skip_without_its_environment(name)
    generator, splits = built(name, birds)
    given = for_generators(splits)
    generator = fitted_to(generator, given)
    generator.prepare(given, N, seed=0, directory=tmp_path)
    generator.fit(given, seed=0, prepared=tmp_path, directory=tmp_path)
    generator.load(given, prepared=tmp_path, directory=tmp_path)
    if isinstance(generator, LanguageGenerator):
        for part in (splits.test, splits.val, splits.train):
            assert np.isfinite(generator.nll(part.frame.head(6))).all()
    if name in UNTRAINED:
        with pytest.raises(SamplingError):
            generator.sample(N, seed=0, directory=tmp_path / "sample")
        return
    (tmp_path / "sample").mkdir()
    sample = generator.sample(N, seed=0, directory=tmp_path / "sample")
    rows = Table(splits.schema.conform(sample.frame), splits.schema).texts()
    found = parted.foreign(rows, parted.parts()["train"])
    if name == "holdout":  # fresh real rows, for comparison
        assert {f"bird={parted.OWN['val']}", "site=south", "ring=''"} <= set(found)
    else:
        assert found == []


def test_a_text_that_names_what_only_held_out_rows_have_is_no_row(birds: Path) -> None:
    splits = built("great", birds)[1]
    reader = RowReader(for_generators(splits).schema)
    texts = row_texts(splits.train)
    assert reader.read(texts[0], ended=True)["bird"] == "tern"
    with pytest.raises(InvalidAnswer, match="bird"):
        reader.read(texts[0].replace("tern", "teal"), ended=True)


def test_a_generator_fitted_to_other_rows_is_told_of_those_alone(birds: Path) -> None:
    """As shadow models are, which learn held-out rows."""
    generator, splits = built("marginals", birds)
    rows = refit_of(generator, splits, 0.0).draw(splits.test, 24, 0)
    assert rows.schema == splits.schema
    assert set(rows.frame["bird"]) == {"finch", "gull", "teal"} and rows.frame["ring"].isna().any()


def test_what_generators_are_told_is_part_of_their_stages_keys(birds: Path, tmp_path: Path) -> None:
    def inputs(splits: Splits) -> dict[str, Any]:
        versions = {"prompts": 1, "fit": 1, "completion": 1}
        stages = StageInputs({"generator": {}}, splits, 5, 0, versions)
        assert stages.fit(None, None).get("columns") == stages.prompts().get("columns")
        return stages.prompts()

    splits = built("smote", birds)[1]
    columns = tmp_path / "columns.yaml"
    columns.write_text("site: {kind: category, categories: [north, south]}\n")
    declared = Dataset(data_dir=str(birds), name="birds", target="nests", missing="keep", columns=str(columns)).load(0)
    assert declared.rows_fingerprint() == splits.rows_fingerprint()
    assert len({inputs(splits)["columns"], inputs(declared)["columns"]}) == 2
    assert "columns" not in inputs(for_generators(splits))  # nothing is kept from it: its key stays as it was
