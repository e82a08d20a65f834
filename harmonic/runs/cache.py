"""The stage cache: results addressed by the content of their inputs.

A stage's result lives in `<output_dir>/cache/<stage>/<key>/`, where the key is a hash of everything the
result depends on: equal inputs are computed once, by whichever run comes first, and changed inputs never
meet an old result. `entry.json` in the folder is written last and says what the folder holds; a folder
without it is not finished. Work in progress lies in `<key>.partial/`, which survives a kill.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harmonic.storage import DISK_FULL, canonical, key_of, locked, storage_errors, write_json

logger = logging.getLogger(__name__)

Build = Callable[[Path], dict[str, Any] | None]
"""Fills the folder it is given, and returns small facts about the result, or None."""

HASH_LIMIT = 4 * 2**20
"""Bytes. A file up to this size is hashed whenever its entry is read; a larger one, such as an adapter,
only if its modification time differs from the recorded one, so that reading an entry stays cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished stage. `seconds` is what its build took, in its last attempt where it was interrupted."""

    stage: str
    key: str
    path: Path
    cached: bool
    seconds: float
    created: str
    inputs: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class _Damaged(Exception):
    """An entry's folder does not hold what its entry.json says."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The stage cache of one output folder."""

    output_dir: Path

    @property
    def root(self) -> Path:
        return Path(self.output_dir) / "cache"

    def compute(self, stage: str, inputs: dict[str, Any], build: Build, *, force: bool = False) -> Entry:
        """The entry for these inputs: the finished one if there is a sound one, else built now.

        `build(folder)` works in `<key>.partial/`. A killed or failed build leaves it as it is, and the next
        one finds it, to go on from what is there. Its exceptions pass through; only a full disk becomes a
        ConfigError. Its facts must be JSON values (NaN turns into None) and come back with the entry.
        `force` builds from an empty folder, and replaces the entry; one that another process finishes after
        this call began counts as replaced.

        An entry is verified when read: every file's size, and its SHA-256 up to HASH_LIMIT. A damaged one is
        set aside as `<key>.damaged-<n>` with a warning, and built again. Of several processes at one key, one
        builds and the others wait. Raises ConfigError if the output folder cannot be written to.
        """
        called = datetime.now(UTC)
        key = key_of(inputs)
        folder = self.root / stage / key
        if not force and (entry := self._sound(folder)):
            return entry
        with storage_errors(self.output_dir):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(folder):
            if entry := self._sound(folder, set_aside=True):
                if not force or datetime.fromisoformat(entry.created) > called:
                    return entry
            return self._build(folder, inputs, build, force)

    def partial(self, stage: str, inputs: dict[str, Any]) -> Path:
        """Where the entry for these inputs is built, for processes that work along with the one that computes it."""
        folder = self.root / stage / key_of(inputs)
        return folder.with_name(folder.name + ".partial")

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        path = folder.with_name(folder.name + ".lock")
        with storage_errors(self.output_dir):
            path.touch()
        with locked(path, f"computing stage {folder.parent.name!r} (key {folder.name})"):
            yield

    def _build(self, folder: Path, inputs: dict[str, Any], build: Build, force: bool) -> Entry:
        partial = self.partial(folder.parent.name, inputs)
        with storage_errors(self.output_dir):
            if force:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(exist_ok=True)
            (partial / "entry.json").unlink(missing_ok=True)  # of a build killed just before the last step
        started = time.perf_counter()
        with storage_errors(self.output_dir, only=DISK_FULL):
            facts = build(partial) or {}
        seconds = time.perf_counter() - started
        with storage_errors(self.output_dir):
            files = {str(path.relative_to(partial)): _describe(path) for path in _files(partial)}
            content = {"stage": folder.parent.name, "key": folder.name, "inputs": inputs, "seconds": seconds,
                       "created": datetime.now(UTC).isoformat(), "facts": facts, "files": files}  # fmt: skip
            write_json(partial / "entry.json", content)
            replaced = folder.with_name(f"{folder.name}.replaced")
            if folder.exists():  # a folder cannot be renamed onto one that is not empty
                shutil.rmtree(replaced, ignore_errors=True)
                os.replace(folder, replaced)
            os.replace(partial, folder)
            shutil.rmtree(replaced, ignore_errors=True)
        return _read(folder, cached=False)

    def _sound(self, folder: Path, *, set_aside: bool = False) -> Entry | None:
        """The verified entry in this folder, or None. Setting a damaged one aside needs the lock."""
        if not folder.exists():
            return None
        try:
            return _read(folder, verify=True)
        except _Damaged as damage:
            if set_aside:
                number = 1
                while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
                    number += 1
                with storage_errors(self.output_dir):
                    os.replace(folder, aside)
                logger.warning("%s: cached result is damaged (%s); set aside as %s and computed again",
                               folder.parent.name, damage, aside)  # fmt: skip
            return None

    def find(self, stage: str, inputs: dict[str, Any]) -> Entry | None:
        """The sound entry for these inputs, or None. Changes nothing."""
        return self._sound(self.root / stage / key_of(inputs))

    def entries(self, stage: str = "*") -> list[Entry]:
        """All finished entries (of this stage), the oldest first; their files are not verified."""
        found = []
        for path in self.root.glob(f"{stage}/*/entry.json"):
            if "." not in path.parent.name:
                try:
                    found.append(_read(path.parent))
                except _Damaged:
                    continue
        return sorted(found, key=lambda entry: entry.created)

    def why(self, stage: str, inputs: dict[str, Any]) -> list[str]:
        """Why this stage must be computed: the inputs that differ from the nearest entry, one a line.

        Empty if there is an entry for these inputs.
        """
        if self.find(stage, inputs):
            return []
        wanted = _flat(json.loads(canonical(inputs)))
        nearest: list[str] | None = None
        for entry in reversed(self.entries(stage)):  # of equally near ones, the latest
            had = _flat(entry.inputs)
            lines = [
                f"{name}: {_shown(had, name)} -> {_shown(wanted, name)}"
                for name in sorted(wanted.keys() | had.keys())
                if _shown(had, name, limit=0) != _shown(wanted, name, limit=0)
            ]
            if nearest is None or len(lines) < len(nearest):
                nearest = lines
        if nearest is None:
            return [f"no entry of stage {stage!r} yet"]
        return nearest or ["the entry for these inputs is damaged"]

    def prune(self, keep: Collection[str]) -> list[Path]:
        """Delete what has another key than those in `keep`, and all that was set aside; return the folders.

        Half-done work goes too. A key that some process is working on is left alone.
        """
        gone = []
        for path in sorted(self.root.glob("*/*")):
            key, _, suffix = path.name.partition(".")
            if path.is_dir() and (key not in keep or suffix.startswith(("damaged", "replaced"))):
                try:
                    with FileLock(path.with_name(f"{key}.lock"), timeout=0):
                        shutil.rmtree(path)
                except Timeout:
                    continue
                gone.append(path)
        return gone


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _describe(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())  # entry.json must not outlive a power cut that its files do not
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": digest}


def _read(folder: Path, *, cached: bool = True, verify: bool = False) -> Entry:
    """The entry in this folder. Raises _Damaged if its entry.json, or with `verify` a file, is not as written."""
    try:
        content = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        if key_of(content["inputs"]) != folder.name:
            raise _Damaged("entry.json belongs to other inputs")
        files = content.pop("files")
        entry = Entry(path=folder, cached=cached, **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Damaged(f"entry.json: {error!r}") from error
    if verify:
        for name, known in files.items():
            _verify(folder / name, name, known)
    return entry


def _verify(path: Path, name: str, known: dict[str, Any]) -> None:
    try:
        status = path.stat()
        if status.st_size != known["size"]:
            raise _Damaged(f"{name} has {status.st_size} bytes, not {known['size']}")
        if status.st_size > HASH_LIMIT and status.st_mtime_ns == known["mtime_ns"]:
            return
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known["sha256"]:
                raise _Damaged(f"{name} has changed")
    except OSError as error:
        raise _Damaged(f"{name}: {error.strerror}") from error


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to leaves; a list or an empty dict is a leaf."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat


def _shown(flat: dict[str, Any], name: str, limit: int = 60) -> str:
    text = json.dumps(flat[name]) if name in flat else "absent"
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"
