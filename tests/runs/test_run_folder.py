"""Run folders: identity, products, report, DONE."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.runs import run as runs
from harmonic.runs.identity import identity
from harmonic.runs.run import Run

ROOT = Path(__file__).resolve().parents[2]
CONFIG: dict[str, Any] = {"generator": {"k": 5}, "seed": 0, "output_dir": "outputs", "tracker": {"mode": "auto"}}


def opened(tmp_path: Path, **changes: Any) -> Run:
    return Run.open({**CONFIG, **changes}, tmp_path, "main", "german", "harmonic", 0)


def report(run: Run) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content: dict[str, Any] = json.loads((run.folder / "report.json").read_text(), parse_constant=refuse)
    return content


def rows(folder: Path) -> dict[str, float]:
    (folder / "synthetic.csv").write_text("a,b\n1,2\n")
    (folder / "adapter").mkdir(exist_ok=True)
    (folder / "adapter" / "weights.bin").write_bytes(bytes(100))
    return {"raw": 0.9}


def complete(run: Run) -> Run:
    with run:
        entry = run.stage("sample", {"k": 5}, rows)
        run.place(entry.path / "synthetic.csv", "synthetic.csv")
        run.place(entry.path / "adapter", "adapter")
        run.record(validity={"raw": entry.facts["raw"]})
        run.finish({"nrs": 0.5})
    return run


def test_the_folder_is_named_after_experiment_dataset_generator_seed_and_identity(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert run.folder == tmp_path / "main" / "german" / "harmonic" / f"seed0-{identity(CONFIG)}"
    assert run.folder.is_dir()
    assert len(run.run_id) == 8
    assert int(run.run_id, 16) >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"output_dir": "x"}, {"data_dir": "/data"}, {"tracker": {"mode": "offline"}}, {"launcher": "slurm"},
        {"stage": "fit"}, {"force": True}, {"summary": "all"}, {"dry_run": True}, {"hydra": {"job": {"num": 3}}},
        {"choose": {"risk": 0.6}}, {"minutes": None},
        {"generator": {"k": 5, "_guarantee_": {"epsilon": 1.0, "unit": "one row"}}},
    ],
)  # fmt: skip
def test_what_does_not_change_results_does_not_change_the_run_id(change: dict[str, Any]) -> None:
    assert identity({**CONFIG, **change}) == identity(CONFIG)


@pytest.mark.parametrize("change", [{"generator": {"k": 6}}, {"seed": 1}, {"n_samples": 10}, {"minutes": 5}])
def test_what_changes_results_changes_the_run_id(change: dict[str, Any]) -> None:
    assert identity({**CONFIG, **change}) != identity(CONFIG)


def test_a_class_that_moves_within_its_package_is_the_same() -> None:
    before, after, other, foreign = (
        {**CONFIG, "generator": {"_target_": target, "parts": [{"_target_": target}]}}
        for target in ("own.tabsyn.TabSyn", "own.tabsyn.generator.TabSyn", "own.tabsyn.Other", "theirs.tabsyn.TabSyn")
    )
    assert identity(before) == identity(after)
    assert len({identity(config) for config in (before, other, foreign)}) == 3


def test_a_setting_that_came_later_makes_another_run_only_where_it_is_given() -> None:
    before = {**CONFIG, "scale": {"name": "quick"}, "dataset": {"name": "german"}}
    after = {**before, "scale": {"name": "quick", "minutes": None}, "dataset": {"name": "german", "max_rows": None}}
    given = {**after, "dataset": {"name": "german", "max_rows": 100}}
    assert identity(before) == identity(after) != identity(given)
    privacy = {"_target_": "harmonic.privacy.Privacy", "tolerance": 0.01}
    old, new, limited = (
        identity({**CONFIG, "evaluator": {"privacy": {**privacy, **more}}})
        for more in ({}, {"max_pairs": None}, {"max_pairs": 1000})
    )
    assert old == new != limited


def test_other_rows_make_another_run() -> None:
    assert identity(CONFIG, "fingerprint a") != identity(CONFIG, "fingerprint b")


def test_a_complete_run_is_done_and_its_report_says_everything(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert not run.is_done
    complete(run)
    assert run.is_done
    content = report(run)
    assert content["status"] == "done"
    assert content["run_id"] == run.run_id
    assert content["config"] == CONFIG
    assert content["seed"] == 0
    assert content["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert content["versions"]["numpy"] == np.__version__
    assert content["metrics"] == {"nrs": 0.5}
    assert content["validity"] == {"raw": 0.9}
    assert content["stages"]["sample"]["cached"] is False
    assert content["stages"]["sample"]["seconds"] >= 0
    assert content["peak_rss_mb"] > 5
    assert content["error"] is None
    assert content["created"] <= content["finished"]
    assert "git" in content
    assert json.loads((run.folder / "DONE").read_text())["run_id"] == run.run_id


def test_metrics_that_are_nan_are_null_with_a_reason(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.finish(
            {"dlt": float("nan"), "mia/worst": np.float64("nan"), "nrs": np.float64(1)}, {"dlt": "no likelihood"}
        )
    content = report(run)
    assert content["metrics"] == {"dlt": None, "mia/worst": None, "nrs": 1.0}
    assert content["unavailable"] == {"dlt": "no likelihood", "mia/worst": "not a number"}
    assert run.is_done


def test_a_cached_stage_keeps_the_time_and_memory_of_its_build(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        time.sleep(0.1)
        np.ones(40 * 2**20 // 8).sum()

    with opened(tmp_path, n_samples=1) as first:
        first.stage("fit", {}, build)
    with opened(tmp_path, n_samples=2) as second:
        second.stage("fit", {}, build)
    built, cached = report(first)["stages"]["fit"], report(second)["stages"]["fit"]
    assert built["seconds"] >= 0.1
    assert cached == {**built, "cached": True}
    assert report(second)["peak_rss_mb"] >= built["peak_rss_mb"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can begin a new peak")
def test_each_stage_has_its_own_peak_memory(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage("fit", {}, lambda folder: {"sum": float(np.ones(200 * 2**20 // 8).sum())})
        run.stage("sample", {}, lambda folder: None)
    content = report(run)
    peak = {name: stage["peak_rss_mb"] for name, stage in content["stages"].items()}
    assert peak["fit"] - peak["sample"] == pytest.approx(200, abs=40)
    assert content["peak_rss_mb"] == peak["fit"]


def test_the_log_says_what_was_cached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for samples in (1, 2):
        with opened(tmp_path, n_samples=samples) as run:
            run.stage("fit", {}, lambda folder: None)
    assert [record.message for record in caplog.records] == ["fit: 0.0 s", "fit: cached (0.0 s when computed)"]


def test_the_log_says_why_a_stage_is_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="harmonic.runs.run")
    with opened(tmp_path) as run:
        run.stage("fit", {"rank": 16, "seed": 0}, lambda folder: None)
        run.stage("fit", {"rank": 8, "seed": 0}, lambda folder: None)
    assert caplog.records[1].message == "fit: to be computed (rank: 16 -> 8)"


def test_force_computes_every_stage_anew(tmp_path: Path) -> None:
    complete(opened(tmp_path))
    run = complete(Run.open(CONFIG, tmp_path, "main", "german", "harmonic", 0, force=True))
    assert report(run)["stages"]["sample"]["cached"] is False
    assert run.is_done


def test_a_run_that_stops_early_stays_running(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage("fit", {}, rows)
    assert report(run)["status"] == "running"
    assert not run.is_done
    assert not (run.folder / "DONE").exists()


def test_the_report_is_written_after_every_stage(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        assert report(run)["stages"] == {}
        run.stage("fit", {}, rows)
        assert list(report(run)["stages"]) == ["fit"]
        run.record(metrics={"nrs": 1.0})
        assert report(run)["metrics"] == {"nrs": 1.0}


def test_starting_again_removes_done_first(tmp_path: Path) -> None:
    complete(opened(tmp_path))
    again = opened(tmp_path)
    assert again.is_done, "opening alone changes nothing"
    with again:
        assert not again.is_done
        assert not (again.folder / "DONE").exists()
    assert not opened(tmp_path).is_done


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_is_recorded_with_its_stage_and_passes(tmp_path: Path, kind: type[BaseException]) -> None:
    def failing(folder: Path) -> None:
        raise kind("no luck")

    run = opened(tmp_path)
    with pytest.raises(kind, match="no luck"), run:
        run.stage("fit", {}, rows)
        run.stage("sample", {}, failing)
    content = report(run)
    assert content["status"] == "failed"
    assert {**content["error"], "traceback": ""} == {
        "stage": "sample", "type": kind.__name__, "message": "no luck", "traceback": "",
    }  # fmt: skip
    assert "in failing" in content["error"]["traceback"]
    assert list(content["stages"]) == ["fit"]
    assert not run.is_done


@pytest.mark.parametrize(("begun", "stage"), [(False, "start"), (True, "after fit")])
def test_an_exception_outside_of_the_stages_says_so(tmp_path: Path, begun: bool, stage: str) -> None:
    run = opened(tmp_path)
    with pytest.raises(ZeroDivisionError), run:
        if begun:
            run.stage("fit", {}, rows)
        1 / 0  # noqa: B018
    assert report(run)["error"]["stage"] == stage


def test_an_exception_after_finish_takes_done_back(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with pytest.raises(ZeroDivisionError), run:
        run.finish({"nrs": 1.0})
        assert run.is_done
        raise ZeroDivisionError
    assert not (run.folder / "DONE").exists()
    assert report(run)["status"] == "failed"


def test_a_run_that_failed_can_be_started_again(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError
    assert complete(opened(tmp_path)).is_done
    assert report(run)["error"] is None


@pytest.mark.parametrize("name", ["DONE", "report.json", "synthetic.csv", "adapter/weights.bin"])
def test_a_run_is_not_done_when_a_file_of_it_is_gone_or_cut(tmp_path: Path, name: str) -> None:
    run = complete(opened(tmp_path))
    file = run.folder / name
    content = file.read_bytes()
    file.unlink()
    assert not run.is_done
    file.write_bytes(content[:-3])
    assert not run.is_done
    file.write_bytes(content)
    assert run.is_done


def test_done_of_another_report_does_not_count(tmp_path: Path) -> None:
    run = complete(opened(tmp_path))
    text = (run.folder / "report.json").read_text()
    (run.folder / "report.json").write_text(text.replace('"nrs": 0.5', '"nrs": 0.9'))
    assert not run.is_done


def test_products_are_hard_links_to_the_cache(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        entry = run.stage("sample", {}, rows)
        placed = run.place(entry.path / "synthetic.csv", "nested/synthetic.csv")
        folder = run.place(entry.path / "adapter", "adapter")
    assert placed.samefile(entry.path / "synthetic.csv")
    assert (folder / "weights.bin").samefile(entry.path / "adapter" / "weights.bin")


def test_products_are_copied_where_linking_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(runs.os, "link", no_links)
    run = complete(opened(tmp_path))
    assert run.is_done
    assert (run.folder / "synthetic.csv").read_text() == "a,b\n1,2\n"
    assert (run.folder / "synthetic.csv").stat().st_nlink == 1


def test_placing_again_replaces_files_and_folders_and_leaves_nothing_beside_them(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "new.bin").write_bytes(b"new")
    with opened(tmp_path) as run:
        entry = run.stage("sample", {}, rows)
        for _ in range(2):  # the second time the very same files are there
            run.place(entry.path / "synthetic.csv", "synthetic.csv")
            run.place(entry.path / "adapter", "adapter")
        run.place(other / "new.bin", "synthetic.csv")
        run.place(other, "adapter")
    assert (run.folder / "synthetic.csv").read_bytes() == b"new"
    assert [path.name for path in (run.folder / "adapter").iterdir()] == ["new.bin"]
    assert {path.name for path in run.folder.iterdir()} == {".lock", "adapter", "report.json", "synthetic.csv"}
    assert (entry.path / "synthetic.csv").read_text() == "a,b\n1,2\n", "the cache keeps its own"


def test_a_copy_that_breaks_off_leaves_the_old_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str, target: str) -> None:
        Path(target).write_text("a,")
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path) as run:
        entry = run.stage("sample", {}, rows)
        run.place(entry.path / "synthetic.csv", "synthetic.csv")
        monkeypatch.setattr(runs, "link_or_copy", broken)
        with pytest.raises(ConfigError, match=r"output_dir=.*\n  fix: free some space"):
            run.place(entry.path / "adapter" / "weights.bin", "synthetic.csv")
    assert (run.folder / "synthetic.csv").read_text() == "a,b\n1,2\n"


def test_a_product_that_is_not_there_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as run, pytest.raises(FileNotFoundError):
        run.place(tmp_path / "absent.csv", "synthetic.csv")


def test_outputs_that_cannot_be_written_are_found_at_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"output_dir=.*file: .*\n  fix: make the folder writable"):
        opened(tmp_path / "file")


def test_a_disk_nearly_full_is_found_at_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MINIMUM_FREE_MB", 10**9)
    with pytest.raises(ConfigError, match=r"output_dir=.*MB are free there.*\n  fix: free some space"):
        opened(tmp_path)


KILLED = """
import sys, time
from pathlib import Path
from harmonic.runs.run import Run

def build(folder):
    print("ready", flush=True)
    time.sleep(60)

with Run.open({"seed": 0}, Path(sys.argv[1]), "main", "german", "harmonic", 0) as run:
    run.stage("fit", {}, lambda folder: None)
    run.stage("sample", {}, build)
"""


def test_a_killed_run_has_a_whole_report_and_can_be_started_again_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run = Run.open({"seed": 0}, tmp_path, "main", "german", "harmonic", 0)
    assert report(run)["status"] == "running"
    assert list(report(run)["stages"]) == ["fit"]
    assert not run.is_done
    started = time.monotonic()
    with run:
        assert run.stage("fit", {}, rows).cached
        assert not run.stage("sample", {}, rows).cached
        run.finish({})
    assert time.monotonic() - started < 5
    assert run.is_done


def test_two_at_the_same_run_take_turns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with opened(tmp_path):
            inside.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with opened(tmp_path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert any("waiting: another process is at the run" in record.message for record in caplog.records)


def test_a_run_imports_no_heavy_package(tmp_path: Path) -> None:
    code = KILLED.replace("time.sleep(60)", "pass") + (
        "    run.finish({})\n"
        "heavy = {'torch', 'transformers', 'wandb', 'sklearn', 'hydra', 'omegaconf', 'pandas'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_unfinished_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    run = opened(tmp_path)
    left = run.folder / ".report.json.00c0ffee.incoming"
    left.write_text("half")
    with run:
        assert not left.exists()
