"""All shards from one command: the same table with any launcher; a lost shard is alone, and is drawn again."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from whole_runs import harmonic

from experiments.sample_command import main
from experiments.sample_shards import ShardedSample
from experiments.sample_sweep import _ranges
from harmonic.decoding.decoder import Decoder
from harmonic.shell import quoted, setting

TINY = ["llm=tiny", "scale=smoke", "tracker=off", "data_dir=null", "n_samples=6", "stage=fit"]
BATCHES = "generator.sampling.batch_tokens=1000"  # small ones, so that a part has many
ODD = 'it\'s "${x}", a\\b'
CITY = shlex.split(setting("condition", {"city": ["Ulm", ODD]}))[0]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default recipe on a file with identifiers."""
    folder = tmp_path_factory.mktemp("tuned")
    frame = pd.DataFrame(
        {
            "key": [f"K-{7 * row + 3:03d}" for row in range(60)],
            "age": [str(20 + 7 * row % 50) for row in range(60)],
            "city": ["Ulm", ODD, "Kiel"] * 20,
            "churn": ["yes", "no"] * 30,
        }
    )
    frame.to_csv(folder / "table.csv", index=False)
    own = ["dataset=csv", f"dataset.path={folder / 'table.csv'}", "dataset.target=churn", BATCHES]
    return harmonic(folder / "outputs", *own, base=TINY)


@pytest.fixture
def sample(tuned: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """`harmonic-sample`, in this process. Gives the exit code, and what was printed on both streams."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level  # Hydra sets up its own

    def sample(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(tuned), *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    yield sample
    root.handlers[:], root.level = handlers, level


def described(table: Path) -> dict[str, Any]:
    """The description of a table, without the seconds."""
    return {**json.loads(table.with_name(f"{table.name}.json").read_text()), "seconds": 0}


def records(table: Path) -> list[dict[str, Any]]:
    """Those of the last sweep over the table's shards."""
    last = max(table.with_name(f"{table.name}.sweeps").iterdir())
    return sorted((json.loads(path.read_text()) for path in last.glob("jobs/*.json")), key=lambda one: one["number"])


def test_every_launcher_gives_the_table_that_is_drawn_without_one(
    sample: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    words = ["n=29", "seed=2", "part_rows=7", "shards=3", CITY]
    assert sample(*words, f"out={tmp_path / 'none'}")[0] == 0
    whole = pd.read_parquet(tmp_path / "none")
    assert len(whole) == 29 and set(whole["city"]) == {"Ulm", ODD}
    for launcher in (["local"], ["joblib", "hydra.launcher.n_jobs=2"]):
        table = tmp_path / launcher[0]
        code, out, err = sample(*words, f"out={table}", f"launcher={launcher[0]}", *launcher[1:])
        assert code == 0, err
        assert [(one["overrides"], one["status"]) for one in records(table)] == [
            (["shard=0"], "done"), (["shard=1"], "done"), (["shard=2"], "done"),
        ]  # fmt: skip
        assert out.endswith(f"5 of 5 parts are there\nwrote {table}\nwrote {table}.json\n")
        assert pd.read_parquet(table).to_csv().encode() == whole.to_csv().encode()
        assert pd.read_parquet(table).equals(whole)
        assert described(table) == described(tmp_path / "none")
        assert sorted(path.name for path in table.iterdir()) == [f"part-{part:06d}.parquet" for part in range(5)]


def test_a_shard_that_fails_leaves_the_others_whole_and_the_same_command_draws_the_rest(
    sample: Callable[..., tuple[int, str, str]], tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["n=29", "part_rows=7", "shards=3", f"out={tmp_path / 'new table'}", "launcher=local"]
    own, drawn = ShardedSample._draw_part, []

    def failing(self: ShardedSample, part: int, drawer: Any) -> None:
        drawn.append(part)
        if part == 1 and drawn.count(1) == 1:
            raise ZeroDivisionError("of all things")
        own(self, part, drawer)

    monkeypatch.setattr(ShardedSample, "_draw_part", failing)
    code, out, err = sample(*words)
    assert code == 1 and drawn == [0, 1, 3, 4]
    assert "sweep: 2 done, 1 failed" in out and "ZeroDivisionError: of all things" in out
    assert "3 of 5 parts are there" in out and "error: missing are the parts 1-2" in err
    again = " ".join(quoted(word) for word in ["harmonic-sample", str(tuned), *words])
    assert err.endswith(f"fix: the same command draws them: {again}\n")
    assert not (tmp_path / "new table.json").exists()

    code, out, err = sample(*shlex.split(again)[2:])
    assert code == 0 and drawn[4:] == [1, 2], err
    assert [one["overrides"] for one in records(tmp_path / "new table")] == [["shard=1"]]
    assert described(tmp_path / "new table")["rows"] == 29
    # Where nothing is missing, no job is started; a description that a kill has prevented is written.
    (tmp_path / "new table.json").unlink()
    sweeps = sorted((tmp_path / "new table.sweeps").iterdir())
    code, out, err = sample(*words)
    assert code == 0 and described(tmp_path / "new table")["rows"] == 29
    assert sorted((tmp_path / "new table.sweeps").iterdir()) == sweeps and len(sweeps) == 2


@pytest.mark.slow  # three processes load torch; the kills themselves are in sweeps/test_lost_jobs.py, without it
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit leaves its log files to the collector
def test_a_job_that_is_killed_leaves_the_others_whole_and_the_same_command_goes_on(
    sample: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job in a process of its own, as on Slurm, by the executor of submitit for one machine."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'harmonic[slurm]'")
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1)
    table = tmp_path / "table"
    words = ["n=400", "part_rows=200", "shards=2", f"out={table}", "launcher=local", "hydra/launcher=submitit_local"]
    killing = threading.Thread(target=killed, args=(table, 1), daemon=True)
    killing.start()
    code, out, err = sample(*words)
    killing.join()
    assert code == 1 and "sweep: 1 done, 1 killed" in out, out + err
    assert "1 of 2 parts are there" in out and "error: missing are the parts 1\n" in err
    (progress,) = table.glob(".000001-*.partial/progress.jsonl")
    before = progress.stat().st_size
    assert before > 0

    code, out, err = sample(*words)
    assert code == 0 and "sweep: 1 done\n" in out, out + err
    assert [one["overrides"] for one in records(table)] == [["shard=1"]]
    calls: list[int] = []
    decode = Decoder.constrained
    monkeypatch.setattr(Decoder, "constrained", lambda *given: (calls.append(1), decode(*given))[1])
    assert sample(*words[:3], f"out={tmp_path / 'none'}")[0] == 0 and len(calls) > 4
    assert pd.read_parquet(table).equals(pd.read_parquet(tmp_path / "none"))


def killed(table: Path, part: int) -> None:
    """Kill the process that draws this part, once it has drawn a batch of it."""
    deadline = time.monotonic() + 300
    while not list(table.glob(f".{part:06d}-*.partial/progress.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for process in psutil.Process().children(recursive=True):
        if any(Path(file.path).name == f".{part:06d}.lock" for file in process.open_files()):
            os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["shards=2", "launcher=joblb"], "launcher=joblb: unknown launcher 'joblb'\n  fix: launcher=joblib"),
        (["shards=2", "launchr=joblib"], "launchr=joblib: unknown setting 'launchr'\n  fix: did you mean 'launcher'"),
        (["launcher=joblib"], "launcher=joblib: is for rows in shards"),
        (["part_rows=10"], "part_rows=10: is for rows in shards"),
        (["shards=2", "shard=1", "launcher=joblib"], "shard=1: launcher=joblib draws all shards"),
        (["shards=2", "hydra.launcher.n_jobs=3"], "hydra.launcher.n_jobs=3: says how a launcher runs jobs"),
        (["shards=2", "launcher=joblib", "hydra.launcher.njobs=3"], "fix: hydra.launcher.n_jobs=3"),
        (["shards=2", "launcher=joblib", "hydra.launcher.n_jobs=many"], "hydra.launcher.n_jobs=many: Value 'many'"),
        (["shards=2", "launcher=joblib", "condition={city: Bonn}"], "condition={city: Bonn}"),
        (["shards=2", "launcher=joblib", "n=0"], "n=0: must be at least 1"),
    ],
)
def test_what_cannot_be_is_told_before_any_job(
    sample: Callable[..., tuple[int, str, str]], tmp_path: Path, words: list[str], told: str
) -> None:
    code, _, err = sample(*words, f"out={tmp_path / 'table'}")
    assert code == 1 and told in err and err.count("error: ") == 1 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_be_drawn_in_parts_is_told_before_any_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = harmonic(tmp_path / "outputs", "generator=marginals", base=TINY)
    with pytest.raises(SystemExit):
        main([str(run), "n=9", "shards=2", "launcher=joblib", f"out={tmp_path / 'table'}"])
    assert "Marginals draws whole tables" in capsys.readouterr().err
    assert not list(tmp_path.glob("table*"))


def test_parts_are_named_by_their_ranges() -> None:
    assert _ranges([0]) == "0" and _ranges([0, 1, 2, 5, 8, 9]) == "0-2, 5, 8-9"
