"""The stage cache: keys, reuse, interruption, concurrency, damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harmonic.errors import ConfigError
from harmonic.runs.cache import HASH_LIMIT, Cache
from harmonic.storage import key_of

ROOT = Path(__file__).resolve().parents[2]


def rows(text: str, log: list[str] | None = None):
    """A builder that writes rows.csv and notes that it ran."""

    def build(folder: Path) -> dict[str, int]:
        if log is not None:
            log.append(text)
        (folder / "part").mkdir(exist_ok=True)
        (folder / "part" / "rows.csv").write_text(text)
        return {"rows": len(text)}

    return build


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def background(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_equal_inputs_are_built_once_and_bring_the_same_facts(cache: Cache) -> None:
    log: list[str] = []
    first = cache.compute("sample", {"seed": 1, "k": 5}, rows("abc", log))
    second = cache.compute("sample", {"k": 5, "seed": 1}, rows("xyz", log))
    assert log == ["abc"]
    assert (first.cached, second.cached) == (False, True)
    assert (second.path, second.facts, second.seconds) == (first.path, {"rows": 3}, first.seconds)
    assert (second.path / "part" / "rows.csv").read_text() == "abc"


@pytest.mark.parametrize("inputs", [{"k": 6}, {"k": 5.0}, {"k": "5"}, {"k": True}, {"k": None}, {"k": [5]}, {"j": 5}])
def test_other_inputs_are_built_apart(cache: Cache, inputs: dict) -> None:
    first = cache.compute("sample", {"k": 5}, rows("abc"))
    other = cache.compute("sample", inputs, rows("xyz"))
    assert not other.cached
    assert other.path != first.path


def test_a_stage_never_takes_another_stages_entry(cache: Cache) -> None:
    cache.compute("fit", {"k": 5}, rows("abc"))
    assert not cache.compute("sample", {"k": 5}, rows("xyz")).cached


def test_the_seconds_are_those_of_the_build(cache: Cache) -> None:
    cache.compute("fit", {}, lambda folder: time.sleep(0.05))
    assert 0.05 <= cache.compute("fit", {}, rows("")).seconds < 5


def test_facts_that_are_nan_come_back_as_none_both_times(cache: Cache) -> None:
    first = cache.compute("evaluate", {}, lambda folder: {"dlt": float("nan"), "nrs": 0.5})
    second = cache.compute("evaluate", {}, lambda folder: {})
    assert first.facts == second.facts == {"dlt": None, "nrs": 0.5}


def test_force_builds_from_an_empty_folder_and_replaces_the_entry(cache: Cache) -> None:
    def failing(folder: Path) -> None:
        (folder / "left.txt").write_text("half done")
        raise RuntimeError

    first = cache.compute("fit", {}, rows("old"))
    with pytest.raises(RuntimeError):
        cache.compute("fit", {}, failing, force=True)
    assert cache.compute("fit", {}, rows("unused")).cached, "a failed forced build must leave the finished entry"
    forced = cache.compute("fit", {}, rows("new"), force=True)
    assert not forced.cached
    assert sorted(path.name for path in forced.path.iterdir()) == ["entry.json", "part"]
    again = cache.compute("fit", {}, rows("unused"))
    assert again.cached
    assert again.path == first.path
    assert (again.path / "part" / "rows.csv").read_text() == "new"


def test_a_failed_build_leaves_no_entry_and_its_exception_passes(cache: Cache) -> None:
    def failing(folder: Path) -> None:
        (folder / "rows.jsonl").write_text("1\n")
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        cache.compute("sample", {}, failing)
    assert cache.entries() == []
    assert cache.find("sample", {}) is None
    seen = []
    cache.compute("sample", {}, lambda folder: seen.append((folder / "rows.jsonl").read_text()))
    assert seen == ["1\n"], "the next build goes on from what the failed one wrote"


KILLED = """
import sys, time
from pathlib import Path
from harmonic.runs.cache import Cache

def build(folder):
    with open(folder / "rows.jsonl", "a") as file:
        for row in range(3):
            print(row, file=file, flush=True)
        print("ready", flush=True)
        time.sleep(60)

Cache(Path(sys.argv[1])).compute("sample", {"seed": 0}, build)
"""


def test_a_killed_build_is_not_finished_and_the_next_one_goes_on_at_once(cache: Cache) -> None:
    process = background(KILLED, cache.output_dir)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert cache.find("sample", {"seed": 0}) is None
    assert cache.entries() == []

    def build(folder: Path) -> dict[str, int]:
        done = len((folder / "rows.jsonl").read_text().splitlines())
        with open(folder / "rows.jsonl", "a") as file:
            file.writelines(f"{row}\n" for row in range(done, 5))
        return {"kept": done}

    started = time.monotonic()
    entry = cache.compute("sample", {"seed": 0}, build)
    assert time.monotonic() - started < 2, "the killed process's lock must not block"
    assert entry.facts == {"kept": 3}
    assert (entry.path / "rows.jsonl").read_text() == "0\n1\n2\n3\n4\n"
    assert cache.compute("sample", {"seed": 0}, build).cached


RACING = """
import logging, os, sys, time
from pathlib import Path
from harmonic.runs.cache import Cache
logging.basicConfig(level="INFO")
out, force = Path(sys.argv[1]), sys.argv[2] == "True"

def build(folder):
    with open(out / "builds", "a") as file:
        print(os.getpid(), file=file)
    time.sleep(0.5)
    (folder / "rows.csv").write_text(str(os.getpid()))

print("up", flush=True)
sys.stdin.readline()
entry = Cache(out).compute("fit", {"seed": 0}, build, force=force)
print(entry.cached, (entry.path / "rows.csv").read_text(), flush=True)
"""


@pytest.mark.parametrize("force", [False, True])
def test_of_two_processes_at_one_key_one_builds_and_the_other_waits_for_it(tmp_path: Path, force: bool) -> None:
    if force:
        Cache(tmp_path).compute("fit", {"seed": 0}, rows("old"))
    command = [sys.executable, "-c", RACING, str(tmp_path), str(force)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "up\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=20) for process in processes]
    (builder,) = (tmp_path / "builds").read_text().splitlines()
    assert sorted(out for out, _ in ended) == [f"False {builder}\n", f"True {builder}\n"]
    assert sum("waiting: another process is computing stage 'fit'" in errors for _, errors in ended) == 1


def test_threads_of_one_process_wait_for_each_other_too(cache: Cache) -> None:
    log: list[str] = []

    def build(folder: Path) -> None:
        log.append("built")
        time.sleep(0.2)

    threads = [threading.Thread(target=cache.compute, args=("fit", {}, build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert log == ["built"]


def truncate(entry: Path) -> None:
    (entry / "part" / "rows.csv").write_text("a")


def change(entry: Path) -> None:
    (entry / "part" / "rows.csv").write_text("abX")


def delete(entry: Path) -> None:
    (entry / "part" / "rows.csv").unlink()


def unfinish(entry: Path) -> None:
    (entry / "entry.json").unlink()


def garble(entry: Path) -> None:
    (entry / "entry.json").write_text('{"stage": "fit", "inp')


def swap(entry: Path) -> None:
    text = (entry / "entry.json").read_text()
    (entry / "entry.json").write_text(text.replace('"seed": 0', '"seed": 1'))


@pytest.mark.parametrize("damage", [truncate, change, delete, unfinish, garble, swap])
def test_a_damaged_entry_is_set_aside_with_a_warning_and_built_again(cache: Cache, damage, caplog) -> None:
    entry = cache.compute("fit", {"seed": 0}, rows("abc"))
    damage(entry.path)
    again = cache.compute("fit", {"seed": 0}, rows("abc"))
    assert not again.cached
    assert (again.path / "part" / "rows.csv").read_text() == "abc"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert entry.path.with_name(f"{entry.key}.damaged-1").is_dir()
    assert [found.key for found in cache.entries()] == [entry.key]


def test_a_large_file_is_hashed_only_if_its_time_differs(cache: Cache) -> None:
    def build(folder: Path) -> None:
        (folder / "adapter.bin").write_bytes(bytes(HASH_LIMIT + 1))

    entry = cache.compute("fit", {}, build)
    file = entry.path / "adapter.bin"
    written = file.stat().st_mtime_ns
    os.utime(file, ns=(0, 0))
    assert cache.find("fit", {}), "another time alone is no damage"
    with open(file, "r+b") as changed:
        changed.write(b"x")
    assert cache.find("fit", {}) is None
    os.utime(file, ns=(written, written))
    assert cache.find("fit", {}), "the documented shortcut: size and time as written"


def test_a_full_disk_is_an_error_about_output_dir(cache: Cache) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")

    def build(folder: Path) -> None:
        with open("/dev/full", "w") as file:
            file.write("rows")

    with pytest.raises(ConfigError, match=r"output_dir=.*No space left.*\n  fix: free some space") as caught:
        cache.compute("fit", {}, build)
    assert str(cache.output_dir) in str(caught.value)
    assert cache.entries() == []


def test_another_oserror_of_the_build_passes_as_it_is(cache: Cache) -> None:
    with pytest.raises(FileNotFoundError):
        cache.compute("fit", {}, lambda folder: (folder / "absent").read_text() and None)


def test_an_output_folder_that_cannot_be_made_is_an_error_about_output_dir(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"output_dir=.*file: .*\n  fix: make the folder writable"):
        Cache(tmp_path / "file").compute("fit", {}, rows("abc"))


def test_why_names_the_inputs_that_differ_from_the_nearest_entry(cache: Cache) -> None:
    assert cache.why("fit", {"seed": 0}) == ["no entry of stage 'fit' yet"]
    base = {"seed": 0, "tuning": {"rank": 16, "epochs": 1}, "llm": "tiny"}
    cache.compute("fit", {**base, "seed": 7, "llm": "other"}, rows("abc"))
    cache.compute("fit", base, rows("abc"))
    assert cache.why("fit", base) == []
    wanted = {"seed": 0, "tuning": {"rank": 8, "epochs": 1, "alpha": 32}, "llm": "tiny"}
    assert cache.why("fit", wanted) == ["tuning.alpha: absent -> 32", "tuning.rank: 16 -> 8"]


def test_why_tells_damage_from_other_inputs(cache: Cache) -> None:
    truncate(cache.compute("fit", {"seed": 0}, rows("abc")).path)
    assert cache.why("fit", {"seed": 0}) == ["the entry for these inputs is damaged"]


def test_entries_are_listed_by_age_and_stage(cache: Cache) -> None:
    keys = [cache.compute(stage, {"n": n}, rows("abc")).key for n, stage in enumerate(["fit", "sample", "fit"])]
    assert [entry.key for entry in cache.entries()] == keys
    assert [entry.inputs for entry in cache.entries("fit")] == [{"n": 0}, {"n": 2}]


def test_prune_keeps_the_named_entries_and_what_another_process_works_on(cache: Cache) -> None:
    kept = cache.compute("fit", {"n": 0}, rows("abc"))
    gone = cache.compute("fit", {"n": 1}, rows("abc"))
    truncate(kept.path)
    kept = cache.compute("fit", {"n": 0}, rows("abc"))  # leaves a damaged folder
    process = background(KILLED, cache.output_dir)
    assert process.stdout.readline() == "ready\n"
    try:
        removed = cache.prune({kept.key})
        busy = cache.root / "sample" / (key_of({"seed": 0}) + ".partial")
        assert sorted(removed) == sorted([gone.path, kept.path.with_name(f"{kept.key}.damaged-1")])
        assert busy.is_dir()
    finally:
        process.kill()
        process.communicate()
    assert cache.prune({kept.key}) == [busy]
    assert [entry.key for entry in cache.entries()] == [kept.key]


def test_an_entry_copied_with_its_folder_stays_sound(cache: Cache, tmp_path: Path) -> None:
    cache.compute("fit", {"n": 0}, rows("abc"))
    shutil.copytree(cache.root, tmp_path / "elsewhere" / "cache")
    assert Cache(tmp_path / "elsewhere").compute("fit", {"n": 0}, rows("xyz")).cached


def test_a_hundred_runs_are_checked_again_in_under_ten_seconds(cache: Cache) -> None:
    """A run has about five entries of a few files; 20 here stand for 100, under a fifth of the time."""

    def build(folder: Path) -> None:
        (folder / "adapter.bin").write_bytes(os.urandom(HASH_LIMIT + 1))
        (folder / "rows.jsonl").write_bytes(os.urandom(2**20))

    for n in range(4):
        cache.compute("fit", {"n": n}, build)
    started = time.perf_counter()
    for _ in range(25):
        for n in range(4):
            assert cache.find("fit", {"n": n})
    assert time.perf_counter() - started < 2


def test_entry_json_tells_stage_inputs_and_files(cache: Cache) -> None:
    entry = cache.compute("fit", {"n": 0}, rows("abc"))
    content = json.loads((entry.path / "entry.json").read_text())
    assert (content["stage"], content["key"], content["inputs"]) == ("fit", key_of({"n": 0}), {"n": 0})
    file = content["files"]["part/rows.csv"]
    assert file["size"] == 3
    assert file["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_force_does_not_look_at_the_clock(cache: Cache) -> None:
    """An entry from a machine whose clock is ahead, or from before the clock was put back, is computed again."""
    entry = cache.compute("fit", {}, rows("old"))
    about = json.loads((entry.path / "entry.json").read_text())
    about["created"] = "2999-01-01T00:00:00+00:00"
    (entry.path / "entry.json").write_text(json.dumps(about))
    forced = cache.compute("fit", {}, rows("new"), force=True)
    assert not forced.cached and (forced.path / "part" / "rows.csv").read_text() == "new"


def test_unfinished_files_of_a_killed_build_are_no_part_of_the_entry(cache: Cache) -> None:
    partial = cache.partial("fit", {})
    partial.mkdir(parents=True)
    for name in (".entry.json.00c0ffee.incoming", ".train.jsonl.00c0ffee.incoming"):
        (partial / name).write_text("half")
    entry = cache.compute("fit", {}, rows("abc"))
    assert sorted(path.name for path in entry.path.iterdir()) == ["entry.json", "part"]
