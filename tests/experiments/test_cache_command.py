"""The stage cache from the command line: .venv/bin/pytest tests/experiments/test_cache_command.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cache_command import keys_in_use, main
from harmonic.runs.cache import Cache, Entry


def entry(output: Path, seed: int) -> Entry:
    def build(folder: Path) -> None:
        (folder / "rows.csv").write_text("a" * 2**20)

    return Cache(output).compute("sample", {"seed": seed}, build)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two entries, of which one belongs to a run."""
    used, _ = entry(tmp_path, 0), entry(tmp_path, 1)
    folder = tmp_path / "runs" / "diabetes"
    folder.mkdir(parents=True)
    stages = {"split": {"seconds": 0}, "sample": {"seconds": 1, "key": used.key}}
    (folder / "report.json").write_text(json.dumps({"stages": stages}))
    (tmp_path / "report.json").write_text("[]")  # not a run's
    return tmp_path


def test_entries_are_listed_with_their_runs(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(output)])
    shown = capsys.readouterr().out
    assert "2 entries, 2 MB" in shown
    for found in Cache(output).entries():
        line = next(line for line in shown.splitlines() if found.key in line)
        assert line.split()[-2] == str(keys_in_use(output)[found.key])


def test_pruning_leaves_what_a_run_has(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(output), "--prune"])
    assert "1 entries deleted" in capsys.readouterr().out
    assert [found.key for found in Cache(output).entries()] == list(keys_in_use(output))


def test_a_folder_without_a_cache_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main([str(tmp_path)])
    assert raised.value.code == 1
    assert "output_dir" in capsys.readouterr().err
