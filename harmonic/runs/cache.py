"""The stage cache: results are found by the content of their inputs.

The result of a stage is in `<output_dir>/cache/<stage>/<key>/`, where the key is a hash of everything that the result
depends on. So equal inputs are computed once, by the first run, and changed inputs never get an old result.
`entry.json` is written last and describes the folder; a folder without it is not finished. Unfinished work is in
`<key>.partial/`, which survives a kill.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harmonic.locks import Held, locked, locked_if_free
from harmonic.storage import (
    DISK_REFUSES,
    INCOMING,
    canonical,
    key_of,
    refusals_named,
    storage_errors,
    write_json,
)

logger = logging.getLogger(__name__)

Build = Callable[[Path], dict[str, Any] | None]
"""Writes the result into a folder, and returns small facts about it, or None."""

HASH_LIMIT = 4 * 2**20
"""In bytes. A file up to this size is hashed whenever its entry is read. A larger one, such as an adapter, is hashed
only if its modification time has changed, so that reading an entry is quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished stage. seconds: the time of its build, or of the last attempt if it was interrupted.

    processor_seconds: the same in processor time of the process and its threads; 0 in entries of older versions.
    """

    stage: str
    key: str
    path: Path
    cached: bool
    seconds: float
    created: str
    processor_seconds: float = 0.0
    inputs: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class _Damaged(Exception):
    """The folder of an entry does not match its entry.json."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The stage cache of one output folder."""

    output_dir: Path

    @property
    def root(self) -> Path:
        return Path(self.output_dir) / "cache"

    def compute(self, stage: str, inputs: dict[str, Any], build: Build, *, force: bool = False) -> Entry:
        """The entry for these inputs: a finished and intact one, or one that is built now.

        `build(folder)` works in `<key>.partial/`. After a killed or failed build the folder stays, and the next build
        continues from it. Exceptions of `build` are passed on; only a disk that takes no more, or a folder that may not
        be written, becomes a ConfigError. Its facts must be JSON values (NaN becomes None), and are part of the entry.
        force: build in an empty folder and replace the entry; if another process finishes one while this call waits,
        that one is used.

        Reading an entry checks the size of every file, and its SHA-256 up to HASH_LIMIT. A damaged entry is renamed to
        `<key>.damaged-<n>`, with a warning, and built again. If several processes need the same key, one builds and the
        others wait. Raises ConfigError if the output folder is not writable.
        """
        key = key_of(inputs)
        folder = self.root / stage / key
        before = self._sound(folder)
        if before and not force:
            return before
        with storage_errors(self.output_dir):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(folder) as held:
            if (entry := self._sound(folder, set_aside=True)) and not (force and entry == before):
                return entry
            return self._build(folder, inputs, build, force, held)

    def partial(self, stage: str, inputs: dict[str, Any]) -> Path:
        """Where the entry for these inputs is built, for processes that help the one that computes it."""
        folder = self.root / stage / key_of(inputs)
        return folder.with_name(folder.name + ".partial")

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[Held]:
        doing = f"computing stage {folder.parent.name!r} (key {folder.name})"
        with ExitStack() as stack:
            with storage_errors(self.output_dir):
                held = stack.enter_context(locked(folder.with_name(folder.name + ".lock"), doing))
            yield held

    def _build(self, folder: Path, inputs: dict[str, Any], build: Build, force: bool, held: Held) -> Entry:
        partial = self.partial(folder.parent.name, inputs)
        with storage_errors(self.output_dir):
            if force:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(exist_ok=True)
            # From a build that was killed just before the last step, and while it wrote a file.
            for left in (partial / "entry.json", *partial.rglob(INCOMING)):
                left.unlink(missing_ok=True)
        started, processor = time.perf_counter(), time.process_time()
        with storage_errors(self.output_dir, only=DISK_REFUSES), refusals_named(partial):
            facts = build(partial) or {}
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        with storage_errors(self.output_dir):
            held.check()
            files = {str(path.relative_to(partial)): _describe(path) for path in _files(partial)}
            content = {"stage": folder.parent.name, "key": folder.name, "inputs": inputs, "seconds": seconds,
                       "processor_seconds": processor, "created": datetime.now(UTC).isoformat(), "facts": facts,
                       "files": files}  # fmt: skip
            write_json(partial / "entry.json", content)
            held.check()
            replaced = folder.with_name(f"{folder.name}.replaced")
            if folder.exists():  # a folder cannot be renamed onto one that is not empty
                shutil.rmtree(replaced, ignore_errors=True)
                os.replace(folder, replaced)
            os.replace(partial, folder)
            shutil.rmtree(replaced, ignore_errors=True)
        return _read(folder, cached=False)

    def _sound(self, folder: Path, *, set_aside: bool = False) -> Entry | None:
        """The verified entry in this folder, or None. set_aside: rename a damaged one, which needs the lock."""
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
                logger.warning("%s: the cached result is damaged (%s); it is kept as %s and computed again",
                               folder.parent.name, damage, aside)  # fmt: skip
            return None

    def find(self, stage: str, inputs: dict[str, Any]) -> Entry | None:
        """The intact entry for these inputs, or None. Changes nothing."""
        return self._sound(self.root / stage / key_of(inputs))

    def entries(self, stage: str = "*") -> list[Entry]:
        """All finished entries (of this stage), the oldest first, without checking their files."""
        found = []
        for path in self.root.glob(f"{stage}/*/entry.json"):
            if "." not in path.parent.name:
                try:
                    found.append(_read(path.parent))
                except _Damaged:
                    continue
        return sorted(found, key=lambda entry: entry.created)

    def why(self, stage: str, inputs: dict[str, Any]) -> list[str]:
        """Why this stage must be computed: the inputs that differ from the most similar entry, one per line.

        Empty if there is an entry for these inputs.
        """
        if self.find(stage, inputs):
            return []
        wanted = _flat(json.loads(canonical(inputs)))
        nearest: list[str] | None = None
        for entry in reversed(self.entries(stage)):  # among equally similar ones, the latest
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
        """Delete all entries with other keys than those in `keep`, and all damaged ones; return their folders.

        Unfinished work is deleted, too, unless a process is working on it.
        """
        gone = []
        for path in sorted(self.root.glob("*/*")):
            key, _, suffix = path.name.partition(".")
            if path.is_dir() and (key not in keep or suffix.startswith(("damaged", "replaced"))):
                with locked_if_free(path.with_name(f"{key}.lock")) as held:
                    if held:
                        shutil.rmtree(path)
                        gone.append(path)
        return gone


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _describe(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())  # after a power cut, entry.json must not exist without its files
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": digest}


def _read(folder: Path, *, cached: bool = True, verify: bool = False) -> Entry:
    """The entry in this folder. Raises _Damaged if its entry.json, or with `verify` one of its files, has changed."""
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
    """{dotted key: leaf}; a list or an empty dict is a leaf."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat


def _shown(flat: dict[str, Any], name: str, limit: int = 60) -> str:
    text = json.dumps(flat[name]) if name in flat else "absent"
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"
