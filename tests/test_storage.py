"""Canonical and strict JSON, and files that are whole or not there."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from harmonic.errors import ConfigError
from harmonic.storage import canonical, jsonable, key_of, storage_errors, write_json


def test_the_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": [1, 2.5, None], "a": {"d": True, "c": "é"}}) == (
        '{"a":{"c":"\\u00e9","d":true},"b":[1,2.5,null]}'
    )


def test_the_key_is_the_head_of_a_sha256_that_never_changes() -> None:
    assert key_of({}) == "44136fa355b3678a"  # printf '{}' | sha256sum
    assert key_of({"k": (1, 2)}) == key_of({"k": [1, 2]})


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.float64(1.0), "float64"),
        (np.int64(1), "int64"),
        (np.bool_(True), "bool"),
        (np.zeros(2), "ndarray"),
        (Path("x"), "Path"),
        ({1, 2}, "set"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_inputs_that_are_not_plain_are_refused_by_their_dotted_name(value: object, what: str) -> None:
    with pytest.raises(TypeError, match=rf"inputs\.a\[1\]\.b is .*{what}"):
        canonical({"a": [0, {"b": value}]})


def test_keys_that_are_not_text_are_refused() -> None:
    with pytest.raises(TypeError, match=r"inputs\.a: the key 1 is of type int"):
        canonical({"a": {1: "x"}})


def test_strict_json_has_no_nan_and_no_numpy() -> None:
    value = {"a": np.float32(0.5), "b": [float("nan"), float("-inf"), np.int64(3)], 4: Path("x") / "y", "c": np.True_}
    assert jsonable(value) == {"a": 0.5, "b": [None, None, 3], "4": "x/y", "c": True}


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(path, {"status": "running"})
    with pytest.raises(TypeError):
        write_json(path, {"status": object()})
    assert json.loads(path.read_text()) == {"status": "running"}
    write_json(path, {"status": "done"})
    assert json.loads(path.read_text()) == {"status": "done"}
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_only_the_named_errors_become_errors_about_output_dir(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), storage_errors(tmp_path, only=(28,)):
        tmp_path.mkdir()
    with pytest.raises(ConfigError, match="output_dir="), storage_errors(tmp_path):
        tmp_path.mkdir()
    with (
        pytest.raises(ConfigError, match="write to another folder: out=FOLDER"),
        storage_errors(tmp_path, key="out"),
    ):
        tmp_path.mkdir()


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.json"
    write_json(path, {"status": "running"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"status": "done"})
    assert json.loads(path.read_text()) == {"status": "running"}
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_many_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    """As jobs on several machines do; before, they shared one temporary name."""
    path = tmp_path / "record.json"

    def write(number: int) -> None:
        for _ in range(50):
            write_json(path, {"number": number, "text": str(number) * 9999})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    found = json.loads(path.read_text())
    assert found["text"] == str(found["number"]) * 9999
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
