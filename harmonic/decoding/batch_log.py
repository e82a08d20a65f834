"""The finished batches of a sampling run, one per line, so that a killed run can continue."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class BatchLog:
    """The file: a header (what the run depends on, and facts decided at its start), then one line per batch.

    A file with another `identity`, or without a header, is started again. If the identity is the same, `facts` are
    those of the header. The first line that cannot be read, because a kill or a crash of the machine cut it off, is
    dropped with all after it.
    """

    def __init__(self, path: Path, identity: str, facts: dict[str, Any]) -> None:
        self.path, self.facts = path, facts
        self._done: dict[str, dict[str, Any]] = {}
        lines, size = _readable(path.read_bytes() if path.is_file() else b"")
        if lines and lines[0].get("identity") == identity:
            self.facts = lines[0]["facts"]
            self._done = {line["name"]: line for line in lines[1:]}
            if size < path.stat().st_size:
                os.truncate(path, size)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            self._write({"identity": identity, "facts": facts})

    def find(self, name: str, rows: Sequence[int]) -> dict[str, Any] | None:
        """The result of this batch, if it is finished and asked for the same rows."""
        found = self._done.get(name)
        return found["brought"] if found is not None and found["asked"] == list(rows) else None

    def append(self, name: str, rows: Sequence[int], brought: dict[str, Any]) -> None:
        """Write a finished batch to disk, before the next one begins."""
        self._write({"name": name, "asked": list(rows), "brought": brought})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps(line).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _readable(text: bytes) -> tuple[list[dict[str, Any]], int]:
    """The lines up to the first one that is not whole, and their size in bytes."""
    lines, size = [], 0
    for line in text.splitlines(keepends=True):
        try:
            read = json.loads(line)
        except ValueError:  # also of bytes that are no text
            break
        if not line.endswith(b"\n") or not isinstance(read, dict):
            break
        lines.append(read)
        size += len(line)
    return lines, size
