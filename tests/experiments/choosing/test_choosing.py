"""`harmonic -m experiment=choose` from end to end: what is judged by which rows, what is written, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sklearn import datasets

from baselines.smote.generator import SmoteGenerator
from experiments.configuration.building import reopened
from harmonic.errors import ConfigError

QUICK = [
    "scale=smoke", "tracker=off", "data_dir=null", "evaluator.machine_learning_efficacy.models=[linear]",
    "evaluator.yardsticks.models=[linear]", "evaluator.membership_inference.attacks=[dcr,domias]",
]  # fmt: skip


def written(folder: Path, name: str) -> Path:
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv(path := folder / f"{name}.csv", index=False)
    return path


def words(output: Path, path: Path, *more: str) -> list[str]:
    table = ["dataset=csv", f"dataset.path={path}", "dataset.target=target"]
    return ["-m", "experiment=choose", *table, *QUICK, f"output_dir={output}", *more]


def reports(output: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(output.glob("choose/*/*/*/report.json"))]


def last(output: Path) -> Path:
    return max((output / "sweeps").iterdir())


def test_methods_are_judged_on_validation_rows_and_the_one_taken_once_on_the_test_rows(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    output, path = tmp_path / "out", written(tmp_path, "wine")
    found = command(*words(output, path, "generator=holdout,smote,fw_smote", "choose.risk=1"))
    assert found.code == 0, found.err[-2000:]
    done = reports(output)
    assert {report["config"]["evaluate_on"] for report in done if report["generator"] == "holdout"} == {"validation"}
    (final,) = [report for report in done if report["config"]["evaluate_on"] == "test"]
    told = json.loads((last(output) / "choice.json").read_text())
    assert told["taken"] == final["generator"] in ("smote", "fw_smote") and told["measure"] == "mle/f1_macro"
    best = {
        r["generator"]: r["metrics"]["mle/f1_macro"] for r in done if r is not final and r["generator"] != "holdout"
    }
    assert best[told["taken"]] == max(best.values())
    page = (last(output) / "choice.md").read_text()
    assert f"Chosen: {told['taken']}" in found.out and f"Chosen: {told['taken']}" in page
    assert f"harmonic-sample {told['run']} n=1000" in found.out
    assert "<svg" in (last(output) / "front.svg").read_text() and "![Utility against risk](front.svg)" in page
    assert (Path(told["run"]) / "synthetic.csv").is_file()
    held_out_rows_stay_unseen(output, final, done)


def held_out_rows_stay_unseen(output: Path, final: dict[str, Any], done: list[dict[str, Any]]) -> None:
    """The rows that the final word is by were in no part that anything was chosen by."""
    seen, tested = set(), set()
    for report in done:
        (folder,) = output.glob(f"choose/*/{report['generator']}/seed0-{report['run_id']}")
        splits = reopened(folder)["dataset"].load(0)
        if report is final:
            tested = {tuple(row) for row in splits.test.texts().itertuples(index=False)}
            assert len(splits.train) == 113  # what the dataset's own split gives
        else:
            assert report["config"]["dataset"]["split"] == {"train": 0.5, "val": 0.3, "test": 0.2}
            seen |= {tuple(row) for part in (splits.train, splits.val) for row in part.texts().itertuples(index=False)}
    assert len(tested) == 36 and not tested & seen


def test_the_same_command_again_computes_nothing_and_another_limit_tells_of_the_earlier_look(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, path = tmp_path / "out", written(tmp_path, "wine")
    given = words(output, path, "generator=smote,fw_smote")
    first = command(*given, "choose.risk=1", f"hydra.sweep.dir={output}/sweeps/1")
    monkeypatch.setattr(SmoteGenerator, "fit", lambda *_, **__: pytest.fail("computed again"))
    again = command(*given, "choose.risk=1", f"hydra.sweep.dir={output}/sweeps/2")
    assert first.code == again.code == 0 and "sweep: 3 done before" in again.out
    monkeypatch.undo()
    taken = json.loads((output / "sweeps" / "1" / "choice.json").read_text())["taken"]
    others = property(lambda choice: [one for one in choice.candidates if one.generator != taken])
    monkeypatch.setattr("experiments.choosing.choice.Choice.allowed", others)  # as another limit would have it
    turned = command(*given, "choose.risk=1", f"hydra.sweep.dir={output}/sweeps/3")
    assert "used before" not in again.out and f"used before, for {taken}" in turned.out


def test_a_method_that_fails_is_told_and_does_not_fail_the_choice(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConfigError("generator", "smote", "needs a package that is missing", "pip install it")

    monkeypatch.setattr(SmoteGenerator, "fit", broken)
    found = command(*words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote,marginals"))
    assert found.code == 0 and "1 done, 1 could not be tried" in found.out
    page = (last(tmp_path / "out") / "choice.md").read_text()
    assert "ConfigError: generator=smote: needs a package that is missing" in page
    assert "No method is chosen: none has both numbers" in page
    assert all(report["config"]["evaluate_on"] == "validation" for report in reports(tmp_path / "out"))


def test_what_there_is_no_time_for_is_not_begun(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = count()  # a clock that moves on by a minute whenever it is read
    clock = SimpleNamespace(monotonic=lambda: 60.0 * next(minutes))
    monkeypatch.setattr("experiments.choosing.sweeper.time", clock)
    given = words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote,fw_smote", "choose.minutes=2")
    found = command(*given, "choose.risk=1")
    assert "not started: no time was left" in (last(tmp_path / "out") / "choice.md").read_text(), found.out[-3000:]
    assert {report["generator"] for report in reports(tmp_path / "out")} == {"smote"}


def test_the_methods_have_the_limit_that_the_command_sets(command: Callable[..., Any], tmp_path: Path) -> None:
    given = words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote")
    assert command(*given, "choose.risk=1").code == 0
    assert {report["config"]["minutes"] for report in reports(tmp_path / "out")} == {4.0}
    assert command(*given, "choose.risk=1", "minutes=3", f"output_dir={tmp_path}/other").code == 0
    assert {report["config"]["minutes"] for report in reports(tmp_path / "other")} == {3.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("choose.minutes=0", "choose.minutes=0: must be a number above 0"),
        ("choose.risk=0.3", "choose.risk=0.3: must be a number of at least 0.5 and of at most 1, or null"),
        ("choose.risk=low", "choose.risk=low: must be a number"),
        ("choose.validation=0.5", "choose.validation=0.5: leaves 30% of the rows to learn from"),
        ("choose.minuets=3", "fix: choose.minutes=3"),
        ("generator=smote,nonsense", "generator=smote,nonsense: "),
        ("dataset.target=target,alcohol", "dataset.target=target,alcohol: has several values"),
        ("seed=0,1", "seed=0,1: has several values"),
    ],
)
def test_wrong_values_are_named_with_a_fix_before_anything_is_run(
    wrong: str, said: str, command: Callable[..., Any], tmp_path: Path
) -> None:
    found = command(*words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote,fw_smote", wrong))
    assert found.code == 1 and said in found.err and "fix:" in found.err, found.err[-1500:]
    assert not list((tmp_path / "out").glob("choose/*"))


def test_the_preset_without_m_and_its_settings_without_the_preset_are_refused_with_the_command(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    given = words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote")
    alone = command(*given[1:])
    assert alone.code == 1 and not (tmp_path / "out" / "choose").exists()
    assert command(*given[1:], "evaluate_on=test").code == 0  # one of its jobs again, as the next step would have it
    found = command("choose.risk=0.6", *QUICK, "generator=smote")
    assert found.code == 1 and "fix: it is a setting of a preset: harmonic -m experiment=choose" in found.err


def test_without_a_target_methods_are_judged_by_how_columns_go_together(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    given = words(tmp_path / "out", written(tmp_path, "wine"), "generator=smote,fw_smote", "choose.risk=1")
    found = command(*[word for word in given if not word.startswith("dataset.target")])
    told = json.loads((last(tmp_path / "out") / "choice.json").read_text())
    assert found.code == 0 and told["measure"] == "correlation_similarity" and told["taken"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_two_tables_from_the_index_with_methods_that_learn(
    name: str, command: Callable[..., Any], tmp_path: Path
) -> None:
    table = [f"dataset.path={written(tmp_path, name)}", "dataset=csv", "dataset.target=target", "tracker=off"]
    methods = "generator=holdout,smote,tvae,tabddpm,tabsyn"
    found = command("-m", "experiment=choose", *table, methods, "choose.risk=0.8", f"output_dir={tmp_path}/out")
    assert found.code == 0, found.err[-2000:]
    told = json.loads((last(tmp_path / "out") / "choice.json").read_text())
    final = json.loads((Path(told["run"]) / "report.json").read_text())
    assert told["taken"] in methods and final["config"]["evaluate_on"] == "test"
    assert final["metrics"]["mle/f1_macro"] > 0.8
    assert len(pd.read_csv(Path(told["run"]) / "synthetic.csv")) == {"wine": 113, "breast_cancer": 364}[name]
