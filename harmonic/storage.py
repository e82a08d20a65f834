"""Writing files for the cache and the runs: canonical and strict JSON, atomic files, and clear errors."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from harmonic.errors import ConfigError, HarmonicError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_REFUSES = (*DISK_FULL, errno.EROFS)
"""Errors that come from writing alone. EROFS: the disk became read-only, as Linux makes a damaged one."""
PROBE = 2**20
"""In bytes. If so many cannot be written, an error of a library that writes means that the disk takes no more."""


def canonical(inputs: dict[str, Any]) -> str:
    """The JSON text of these inputs in one fixed form: sorted keys, no spaces, ASCII.

    Allowed are str, int, finite float, bool, None, and lists (tuples) and dicts (with str keys) of them. 1 and 1.0
    differ. Raises TypeError, with the dotted key, for anything else. This includes numpy scalars, because their text
    depends on the numpy version.
    """
    _refuse_others(inputs, "inputs")
    return json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_others(value: Any, where: str) -> None:
    if type(value) is dict:
        for name, inner in value.items():
            if type(name) is not str:
                raise TypeError(f"{where}: the key {name!r} is of type {type(name).__name__}, not str")
            _refuse_others(inner, f"{where}.{name}")
    elif type(value) in (list, tuple):
        for position, inner in enumerate(value):
            _refuse_others(inner, f"{where}[{position}]")
    elif type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"{where} is of type {type(value).__name__}; inputs are plain JSON values")
    elif type(value) is float and not math.isfinite(value):
        raise TypeError(f"{where} is {value}; inputs are finite")


def key_of(inputs: dict[str, Any]) -> str:
    """The first 16 hex digits of the SHA-256 of `canonical(inputs)`."""
    return hashlib.sha256(canonical(inputs).encode()).hexdigest()[:16]


def jsonable(value: Any) -> Any:
    """The value for strict JSON: NaN and infinities become None, numpy scalars plain numbers, paths texts."""
    if isinstance(value, dict):
        return {str(name): jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON. A reader finds the old file or the complete new one, even after a crash."""
    text = json.dumps(jsonable(value), indent=2, allow_nan=False) + "\n"
    with replacing(path) as incoming, open(incoming, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


INCOMING = ".*.incoming"
"""What the names of unfinished files look like. A kill leaves them behind."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new name beside `path`, for a file that takes its place at the end of the block.

    The name is random, so that no two processes share it, on whichever machines. After an exception the file is gone.
    """
    incoming = path.with_name(f".{path.name}.{secrets.token_hex(6)}.incoming")
    try:
        yield incoming
        os.replace(incoming, path)
    finally:
        incoming.unlink(missing_ok=True)


@contextmanager
def storage_errors(folder: Path, only: Collection[int] = (), key: str = "output_dir") -> Iterator[None]:
    """Turn an OSError into a ConfigError about `folder`, which the setting `key` names.

    only: error numbers. Others are raised as they are, unless a file in `folder` may not be written.
    """
    try:
        yield
    except OSError as error:
        if only and error.errno not in only and not _forbidden(error, folder):
            raise
        full = error.errno in DISK_FULL
        fix = "free some space there, or " if full else "make the folder writable, or "
        raise ConfigError(key, folder, str(error), f"{fix}write to another folder: {key}=FOLDER") from error


def _forbidden(error: OSError, folder: Path) -> bool:
    path = error.filename if isinstance(error.filename, str) else ""
    return error.errno in (errno.EACCES, errno.EPERM) and Path(path).absolute().is_relative_to(folder.absolute())


@contextmanager
def refusals_named(folder: Path) -> Iterator[None]:
    """Turn errors of libraries that could not write into `folder` (torch has its own for it) into an OSError."""
    try:
        yield
    except (HarmonicError, OSError):
        raise
    except Exception as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        try:
            with NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
                probe.write(bytes(PROBE))
        except OSError as refused:
            raise refused from error
        raise


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make target a hard link to the file source, or a copy if the file system has no links."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError as error:  # another file system, one without hard links, too many links
        if error.errno in DISK_FULL:
            raise
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
