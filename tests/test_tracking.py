"""Trackers: what W&B receives, read back from its own files, and that it never fails a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harmonic.errors import ConfigError
from harmonic.runs.run import Run
from harmonic.tracking import NullTracker, WandbTracker, summary
from harmonic.wandb_session import tracked_id

ROOT = Path(__file__).resolve().parents[1]
KEY = "0123456789" * 4


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No W&B settings and no credentials; nothing is written outside of the test's folder."""
    for name in list(os.environ):
        if name.startswith("WANDB_") and name != "WANDB_SERVICE":
            monkeypatch.delenv(name)
    for name, folder in {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cached"}.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module", autouse=True)
def stopped_service() -> Iterator[None]:
    yield
    if "wandb" in sys.modules:
        import wandb

        wandb.teardown()


def opened(tmp_path: Path, **changes: Any) -> Run:
    config = {"generator": {"k": 5}, "seed": 0, **changes}
    return Run.open(config, tmp_path / "outputs", "main", "german", "harmonic", 0)


def kept_id(run: Run) -> str:
    return (run.folder / "wandb_id").read_text().strip()


def tracked(run: Run, tracker: WandbTracker | NullTracker) -> None:
    """A run of one stage with three synthetic rows."""

    def rows(folder: Path) -> None:
        (folder / "synthetic.csv").write_text("age,risk\n48,good\n7,bad\n10.0,\n")

    tracker.start(run)
    try:
        with run:
            entry = run.stage("sample", {}, rows)
            run.place(entry.path / "synthetic.csv", "synthetic.csv")
            tracker.log({"train/loss": 1.5, "train/grad": float("nan")}, step=10)
            tracker.log({"train/loss": 0.5}, step=20)
            run.record(validity={"raw": 0.9})
            run.finish({"nrs": 0.25, "mle/xgboost/f1_macro": 0.75, "dlt": float("nan")}, {"dlt": "no likelihood"})
    finally:
        tracker.finish(run)


def records(folder: Path) -> dict[str, list[Any]]:
    """The records in the transaction log of a W&B run that is finished, by kind.

    W&B's service closes the file a moment after `finish`, so the last record is waited for. The file
    is a LevelDB log after a header of 7 bytes: blocks of 32 KiB, chunks of checksum, length, type (1 whole,
    2 first, 3 middle, 4 last) and data; a record is a protobuf message.
    """
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 30
    while "exit" not in (found := parsed(path.read_bytes())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def parsed(content: bytes) -> dict[str, list[Any]]:
    from wandb.proto import wandb_internal_pb2

    found = defaultdict(list)
    at, data = 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        if at + 7 + length > len(content):
            break  # still being written
        data += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record.FromString(data)
            name, data = record.WhichOneof("record_type"), b""
            found[name].append(getattr(record, name))
    return found


def plain(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def own_service() -> dict[str, str]:
    """The environment for a process that must start a W&B service of its own, and not use the one of these tests."""
    return {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}


def offline_folders(run: Run) -> list[Path]:
    return sorted((run.output_dir / "wandb").glob("offline-run-*"))


def test_an_offline_run_holds_config_summary_history_rows_and_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", logger="harmonic")
    monkeypatch.chdir(tmp_path / "home")
    hooks = sys.exit, sys.excepthook
    run = opened(tmp_path)
    tracker = WandbTracker(project="tables", entity="team", tags=["paper", "quick"], sample_rows=2)
    tracked(run, tracker)
    (folder,) = offline_folders(run)
    found = records(folder)

    (started,) = found["run"]
    assert (started.run_id, started.project, started.entity) == (kept_id(run), "tables", "team")
    assert (started.run_group, started.job_type, list(started.tags)) == ("main", "harmonic", ["paper", "quick"])
    assert started.display_name == "german-harmonic-seed0"
    config = plain(started.config.update)
    assert config["generator"] == {"k": 5}
    assert config["run"]["folder"] == str(run.folder)
    assert [config["run"][name] for name in ("dataset", "generator", "seed")] == ["german", "harmonic", 0]

    values: dict[str, Any] = {}
    for update in found["summary"]:
        values |= plain(update.update)
    assert values["nrs"] == 0.25
    assert values["mle/xgboost/f1_macro"] == 0.75
    assert values["unavailable/dlt"] == "no likelihood"
    assert "dlt" not in values
    assert values["time/sample_s"] == run.report["stages"]["sample"]["seconds"]
    assert values["memory/sample_mb"] == run.report["stages"]["sample"]["peak_rss_mb"]
    assert values["validity/raw"] == 0.9
    assert values["status"] == "done"
    assert values["peak_rss_mb"] == run.report["peak_rss_mb"]

    points = [plain(point.item) for point in found["history"]]
    losses = [(point["step"], point["train/loss"]) for point in points if "train/loss" in point]
    assert losses == [(10, 1.5), (20, 0.5)]
    assert not any("train/grad" in point for point in points)
    (table,) = folder.glob("files/media/table/synthetic_rows*.json")
    assert json.loads(table.read_text())["data"] == [["48", "good"], ["7", "bad"]]
    artifacts = {artifact.type: artifact for artifact in found["artifact"]}
    assert artifacts["dataset"].name == f"synthetic-german-harmonic-seed0-{run.run_id}"
    (file,) = artifacts["dataset"].manifest.contents
    assert (file.path, file.local_path) == ("synthetic.csv", str(run.folder / "synthetic.csv"))
    (ended,) = found["exit"]
    assert ended.exit_code == 0

    assert tracker.sync_hint() == f"wandb sync {folder}"
    assert caplog.messages[-1] == f"to upload this run: wandb sync {folder}"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert capfd.readouterr() == ("", ""), "W&B itself must be quiet"
    assert (sys.exit, sys.excepthook) == hooks
    assert not {"WANDB_DATA_DIR", "WANDB_CACHE_DIR"} & set(os.environ)
    assert list((tmp_path / "home").rglob("*.*")) == [], "everything lies in the output folder"
    assert sys.modules["wandb"].run is None


def test_runs_in_one_process_are_kept_apart(tmp_path: Path) -> None:
    tracker = WandbTracker(mode="offline", group="mine", job_type="other")
    for seed in (1, 2):
        run = opened(tmp_path, seed=seed)
        tracked(run, tracker)
    first, second = (records(folder) for folder in offline_folders(run))
    assert first["run"][0].run_id != second["run"][0].run_id
    for found in (first, second):
        assert (found["run"][0].run_group, found["run"][0].job_type) == ("mine", "other")
        assert sum(any(item.nested_key == ["train/loss"] for item in point.item) for point in found["history"]) == 2


def test_a_failed_run_is_marked_as_failed(tmp_path: Path) -> None:
    run, tracker = opened(tmp_path), WandbTracker(mode="offline")

    def failing(folder: Path) -> None:
        raise ZeroDivisionError("no rows")

    tracker.start(run)
    with pytest.raises(ZeroDivisionError):
        try:
            with run:
                run.stage("fit", {}, failing)
        finally:
            tracker.finish(run)
    found = records(offline_folders(run)[0])
    assert found["exit"][0].exit_code == 1
    values = plain(update for one in found["summary"] for update in one.update)
    assert values["status"] == "failed"
    assert values["error"] == "fit: ZeroDivisionError: no rows"


def test_a_run_that_is_started_again_keeps_its_id(tmp_path: Path) -> None:
    for _ in range(2):
        run = opened(tmp_path)
        tracked(run, WandbTracker(mode="offline"))
    first, second = offline_folders(run)
    assert records(first)["run"][0].run_id == records(second)["run"][0].run_id == kept_id(run)
    assert kept_id(run).startswith(f"{run.run_id}-")


def test_the_same_run_in_two_output_folders_is_two_runs_on_wandb(tmp_path: Path) -> None:
    runs = [opened(tmp_path / name) for name in ("laptop", "cluster")]
    assert runs[0].run_id == runs[1].run_id
    ids = [tracked_id(run.folder, run.run_id) for run in runs]
    assert len(set(ids)) == 2
    assert ids == [tracked_id(run.folder, run.run_id) for run in runs]
    shutil.move(tmp_path / "laptop", tmp_path / "moved")
    moved = opened(tmp_path / "moved")
    assert tracked_id(moved.folder, moved.run_id) == ids[0], "a folder that moves keeps its run"


def test_a_run_of_before_is_continued_under_its_run_id(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with run:
        run.finish({"nrs": 1.0})
    assert tracked_id(run.folder, run.run_id) == run.run_id


def test_a_killed_run_keeps_its_configuration_and_its_numbers_so_far(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys, time
from pathlib import Path
from harmonic.runs.run import Run
from harmonic.tracking import FLUSH_SECONDS, WandbTracker
config = {{"generator": {{"k": 5}}, "seed": 0}}
run = Run.open(config, Path({str(tmp_path / "outputs")!r}), "main", "german", "harmonic", 0)
tracker = WandbTracker(mode="offline")
tracker.start(run)
with run:
    tracker.log({{"train/loss": 1.5}}, step=10)
    run.record(metrics={{"nrs": 0.25}})
    tracker.update(run)
    time.sleep(FLUSH_SECONDS + 2)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=own_service(), capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = (tmp_path / "outputs" / "wandb").glob("offline-run-*")
    (path,) = folder.glob("*.wandb")
    found = parsed(path.read_bytes())
    assert "exit" not in found
    config = plain(found["run"][0].config.update)
    assert config["generator"] == {"k": 5} and config["run"]["dataset"] == "german"
    points = [plain(point.item) for point in found["history"]]
    assert [(point["step"], point["train/loss"]) for point in points] == [(10, 1.5)]
    values: dict[str, Any] = {}
    for update in found["summary"]:
        values |= plain(update.update)
    assert (values["nrs"], values["train/loss"], values["status"]) == (0.25, 1.5, "running")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment and the file that `wandb agent` prepares for a process (wandb_agent.py, _command_run)."""
    import wandb

    parameters = tmp_path / "agent" / "wandb" / "sweep-sw1" / "config-abc12345.yaml"
    parameters.parent.mkdir(parents=True)
    chosen = {"generator": "smote", "seed": 0}
    parameters.write_text(
        yaml.safe_dump({"wandb_version": 1} | {key: {"value": value} for key, value in chosen.items()})
    )
    for name, value in {
        "SWEEP_ID": "sw1", "RUN_ID": "abc12345", "SWEEP_PARAM_PATH": str(parameters), "PROJECT": "agents",
        "ENTITY": "team", "DIR": str(tmp_path / "agent"),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()  # so that the environment is read
    yield
    wandb.teardown()


@pytest.mark.usefixtures("agent")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # W&B does not close the agent's file
def test_a_run_that_an_agent_started_is_the_agents_run_with_its_whole_configuration(tmp_path: Path) -> None:
    for _ in range(2):  # the agent starts it again, as after a preemption
        run, tracker = opened(tmp_path), WandbTracker(mode="offline", project="mine", entity="me")
        tracked(run, tracker)
    assert tracker.awaited
    found = [records(folder)["run"][0] for folder in offline_folders(run)]
    assert len(found) == 2
    for started in found:
        assert (started.run_id, started.sweep_id) == ("abc12345", "sw1")
        assert (started.project, started.entity) == ("agents", "team")
        config = plain(started.config.update)
        assert config["generator"] == "smote", "W&B keeps the sweep's own parameters"
        assert config["settings"] == {"generator": {"k": 5}, "seed": 0}
        assert config["run"]["generator"] == "harmonic"


def test_what_an_agent_began_is_continued_by_hand_under_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(tmp_path)
    monkeypatch.setenv("WANDB_SWEEP_ID", "sw1")
    monkeypatch.setenv("WANDB_RUN_ID", "abc12345")
    assert tracked_id(run.folder, run.run_id) == "abc12345"
    monkeypatch.delenv("WANDB_SWEEP_ID")
    assert tracked_id(run.folder, run.run_id) == "abc12345"
    other = opened(tmp_path, seed=1)
    assert tracked_id(other.folder, other.run_id) != "abc12345", "a run id without a sweep is not an agent's"


@pytest.mark.parametrize("mode", ["auto", "online"])
def test_without_credentials_a_run_is_offline_and_nobody_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    run, tracker = opened(tmp_path), WandbTracker(mode=mode)
    tracked(run, tracker)
    assert len(offline_folders(run)) == 1
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == (mode == "online")
    assert all("wandb login" in warning for warning in warnings)


@pytest.mark.parametrize("source", ["environment", "netrc"])
def test_with_credentials_but_no_network_a_run_is_kept_offline_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    import wandb

    wandb.teardown()  # so that the address below is read
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if source == "environment":
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    else:
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 login user password {KEY}\n")
    run, tracker = opened(tmp_path), WandbTracker(timeout=1.0)
    tracked(run, tracker)
    assert run.is_done
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "online" in warning and "127.0.0.1:9" in warning
    (folder,) = offline_folders(run)
    assert len(records(folder)["summary"]) > 0
    assert tracker.sync_hint() == f"wandb sync {folder}"
    wandb.teardown()


def test_a_malformed_key_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    run = opened(tmp_path)
    tracked(run, WandbTracker())
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "WANDB_API_KEY invalid" in warning
    assert "short" not in warning
    assert len(offline_folders(run)) == 1


@pytest.mark.parametrize(
    ("mode", "variable", "folders"),
    [("auto", "disabled", 0), ("auto", "dryrun", 1), ("offline", "disabled", 1), ("disabled", "offline", 0)],
)
def test_the_environments_mode_counts_where_the_config_says_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, variable: str, folders: int
) -> None:
    monkeypatch.setenv("WANDB_MODE", variable)
    run = opened(tmp_path)
    tracked(run, WandbTracker(mode=mode))
    assert len(offline_folders(run)) == folders


def test_an_unknown_mode_is_an_error_that_names_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened(tmp_path)
    with pytest.raises(ConfigError, match=r"tracker\.mode=sometimes"):
        WandbTracker(mode="sometimes").start(run)
    monkeypatch.setenv("WANDB_MODE", "never")
    with pytest.raises(ConfigError, match="WANDB_MODE=never"):
        WandbTracker().start(run)


@pytest.mark.parametrize("name", ["setup", "init", "Table", "Artifact.add_file"])
def test_whatever_fails_in_wandb_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    import wandb

    owner, _, attribute = name.rpartition(".")
    monkeypatch.setattr(getattr(wandb, owner) if owner else wandb, attribute, broken)
    run = opened(tmp_path)
    tracked(run, WandbTracker(mode="offline"))
    assert run.is_done
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "RuntimeError: broken" in warning


KILLED_SERVICE = """
import json, logging, sys, time
from pathlib import Path
import psutil
from harmonic.runs.run import Run
from harmonic.tracking import WandbTracker
logging.basicConfig(level="WARNING", format="%(levelname)s %(message)s", stream=sys.stdout)
tracker = WandbTracker(mode="offline")
for seed in range(3):
    run = Run.open({"seed": seed}, Path(sys.argv[1]), "main", "german", "harmonic", seed)
    tracker.start(run)
    services = [one for one in psutil.Process().children(recursive=True) if "wandb-core" in one.name()]
    assert services
    try:
        with run:
            for service in services if seed == 1 else []:
                service.kill()
                service.wait()
            for step in range(20):
                tracker.log({"train/loss": 1.5}, step=step)
            run.finish({"nrs": 0.25})
    finally:
        tracker.finish(run)
    print(json.dumps([run.is_done, (run.folder / "wandb_id").read_text().strip()]), flush=True)
"""


def test_a_service_that_is_killed_takes_no_run_with_it_and_the_next_run_is_tracked(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_SERVICE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=own_service(), capture_output=True, text=True, check=True, timeout=120)
    lines = done.stdout.splitlines()
    (warning,) = [line for line in lines if line.startswith("WARNING")]
    assert "W&B could not log" in warning
    ended = [json.loads(line) for line in lines if line.startswith("[")]
    assert [well for well, _ in ended] == [True] * 3
    for _, run_id in (ended[0], ended[2]):
        (file,) = (tmp_path / "wandb").glob(f"offline-run-*-{run_id}*/*.wandb")
        assert records(file.parent)["exit"][0].exit_code == 0


def test_without_the_package_the_run_is_untracked_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = opened(tmp_path)
    tracked(run, WandbTracker())
    assert run.is_done
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_tracker_off_needs_no_wandb(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "conf" / "tracker" / "off.yaml").read_text())
    code = f"""
import sys
sys.modules["wandb"] = None  # an import of it would fail
from pathlib import Path
from harmonic.runs.run import Run
from harmonic.tracking import {config["_target_"].rpartition(".")[2]} as Tracker
run, tracker = Run.open({{}}, Path({str(tmp_path)!r}), "main", "german", "harmonic", 0), Tracker()
tracker.start(run)
with run:
    tracker.log({{"loss": 1.0}}, step=1)
    run.finish({{"nrs": 1.0}})
tracker.finish(run)
print(run.is_done, tracker.sync_hint(), sorted({{"torch", "transformers", "hydra", "omegaconf"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True None []\n"
    assert not (tmp_path / "wandb").exists()


def test_the_conf_file_names_the_trackers_own_arguments_and_defaults() -> None:
    config = yaml.safe_load((ROOT / "conf" / "tracker" / "wandb.yaml").read_text())
    assert config.pop("_target_") == "harmonic.tracking.WandbTracker"
    config["tags"] = tuple(config["tags"])
    assert WandbTracker(**config) == WandbTracker()


def test_the_summary_of_a_run_that_never_began_is_empty() -> None:
    assert summary({}) == {}
