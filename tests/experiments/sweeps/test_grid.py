"""The re-check of a sweep: what is done is left out without being composed, and any doubt launches the job."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module

from experiments.stages.keys import stage_versions
from experiments.sweeps.grid import code_files, data_read, ground, key_for, signature
from harmonic.datasets import Dataset
from harmonic.runs.done_file import finished
from harmonic.runs.identity import identity
from harmonic.tables.column_types.kinds import type_table
from harmonic.tables.reading.files import read_csv
from harmonic.tables.splits import Splits
from harmonic.tables.splitting import split_rows

ROOT = Path(__file__).resolve().parents[3]
QUICK = ["generator=marginals,copy", "evaluator=fidelity", "tracker=off", "scale=smoke", "data_dir=null"]
Sweep = Callable[..., str]


@pytest.fixture
def sweep(tmp_path: Path, command: Callable[..., Any]) -> Sweep:
    """The command `harmonic -m`; what it printed. Every sweep has a folder of its own."""
    count = iter(range(100))

    def sweep(*words: str, options: Sequence[str] = ()) -> str:
        place = [f"output_dir={tmp_path}", f"hydra.sweep.dir={tmp_path}/sweeps/{next(count):02}"]
        found = command("-m", *options, *QUICK, *place, *words)
        assert found.code == 0, found.err
        return str(found.out)

    return sweep


def records(output: Path) -> list[dict[str, Any]]:
    """Those of the last sweep, by number."""
    return [json.loads(path.read_text()) for path in sorted(max((output / "sweeps").iterdir()).glob("jobs/*.json"))]


def launched(printed: str) -> int:
    """How many jobs a sweep launched."""
    lines = [line for line in printed.splitlines() if "Launching" in line]
    return int(lines[0].split("Launching")[1].split()[0]) if lines else 0


def test_finished_jobs_are_left_out_and_only_the_missing_ones_are_launched(sweep: Sweep, tmp_path: Path) -> None:
    assert launched(sweep()) == 2
    again = sweep()
    assert launched(again) == 0 and again.count("done already") == 2 and "sweep: 2 done before" in again
    kept = records(tmp_path)
    assert [record["number"] for record in kept] == [0, 1]
    assert [record["status"] for record in kept] == ["skipped"] * 2

    (Path(kept[1]["run"]) / "synthetic.csv").unlink()
    third = sweep()
    assert launched(third) == 1 and "sweep: 1 done, 1 done before" in third
    assert [record["number"] for record in records(tmp_path)] == [0, 1]  # as in the whole grid
    assert [record["status"] for record in records(tmp_path)] == ["skipped", "done"]


def test_a_forced_job_is_never_left_out(sweep: Sweep) -> None:
    for _ in range(2):
        assert "sweep: 1 done\n" in sweep("generator=copy", "force=true")


def test_a_job_of_changed_files_looks_for_itself(sweep: Sweep, tmp_path: Path) -> None:
    table, scale = tmp_path / "own.csv", tmp_path / "conf" / "scale" / "own.yaml"
    rows = (ROOT / "harmonic/data/diabetes.csv").read_text().splitlines()
    table.write_text("\n".join(rows[:200]))
    scale.parent.mkdir(parents=True)
    scale.write_text("defaults: [smoke, _self_]\n")
    words = ("generator=marginals", "scale=own", "dataset=csv", f"dataset.path={table}", "dataset.target=Outcome")
    own = functools.partial(sweep, *words, options=["--config-dir", str(tmp_path / "conf")])
    assert launched(own()) == 1 and launched(own()) == 0
    before = records(tmp_path)[0]["run"]

    scale.write_text("# a comment changes no result\ndefaults: [smoke, _self_]\n")
    assert "sweep: 1 done before" in (found := own()) and launched(found) == 1
    table.write_text("\n".join(rows[:201]))
    assert "sweep: 1 done\n" in own()
    assert records(tmp_path)[0]["run"] != before


@functools.cache
def hydra_of_a_job() -> Any:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", ["seed=1"], return_hydra_config=True).hydra


def grounds(**changes: Any) -> dict[str, Any]:
    found = ground(hydra_of_a_job())
    assert found is not None and found["files"] and found["code"]
    return {**found, **changes}


def test_the_code_behind_a_key_is_all_that_makes_rows_and_a_runs_identity() -> None:
    made_by = (identity, finished, stage_versions, Dataset, Splits, split_rows, type_table, read_csv)
    files = {Path(str(inspect.getsourcefile(part))).resolve() for part in made_by}
    assert files <= set(code_files())


def test_the_key_is_that_of_the_composed_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = key_for(["seed=1", "generator=copy"], grounds())
    assert key_for(["generator=copy", "seed=1"], grounds()) == key
    monkeypatch.setenv("HARMONIC_DATA_DIR", "elsewhere")
    others = [key_for(["seed=1", "generator=copy"], grounds())]
    monkeypatch.delenv("HARMONIC_DATA_DIR")
    others += [key_for(["seed=1", "generator=copy"], grounds(code="other"))]
    monkeypatch.chdir(tmp_path)
    others += [key_for(["seed=1", "generator=copy"], grounds())]
    others += [key_for(["seed=1", "generator=copy", "n_samples=3"], grounds())]
    assert len({key, *others}) == 5


@pytest.mark.parametrize(
    "words", [["generator.a={b: 1}", "generator.a.b=2"], ["+llm.a=1", "+scale.a=2"], ["~llm", "+llm.a=1"]], ids=str
)
def test_where_the_order_of_overrides_may_matter_it_is_kept(words: list[str]) -> None:
    on = grounds()
    assert key_for(words, on) != key_for(words[::-1], on)


def test_what_cannot_be_told_has_no_key() -> None:
    assert key_for(["experiment_name=${now:%H}"], grounds()) is None
    assert key_for(["seed=1"], None) is None
    assert data_read({"_target_": "elsewhere.Dataset", "path": None}) is None


def test_a_signature_changes_with_every_file_below(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    given = {"_target_": "harmonic.datasets.Dataset", "path": None, "data_dir": str(tmp_path), "name": "own"}
    seen = [data_read(given)]  # nothing there yet
    for name, text in (("a.csv", "1"), ("a.csv", "12"), ("raw/b.csv", ""), ("raw/c.csv", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        seen.append(data_read(given))
    assert [list(found or {}) for found in seen] == [[str(folder)]] * 5
    assert len({str(found) for found in seen}) == 5
    assert signature(folder / "a.csv") != signature(folder / "raw" / "b.csv")
    assert data_read({**given, "data_dir": None}) == {}
