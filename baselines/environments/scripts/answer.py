"""Answers one request: python answer.py SCRIPT REQUEST, in an environment with the packages that SCRIPT needs.

REQUEST is a JSON file {"task": "fit" | "sample", …}; the function of that name in SCRIPT gets its other entries and
`tell`. It writes lines of JSON to standard output: {"done", "total", "notes"} during the work, and at the end
{"error"}, or {"result", "peak_mb"} with the most memory that it held, in MiB. All other output goes to standard error.
When standard input ends, the program ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def main(script: str, request: str) -> int:
    """Answer it; the exit status."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")

    def tell(done: float, total: float, **notes: Any) -> None:
        say(done=done, total=total, notes={name: str(value) for name, value in notes.items()})

    try:
        given = json.loads(Path(request).read_text(encoding="utf-8"))
        found = importlib.util.spec_from_file_location("script", script)
        module = importlib.util.module_from_spec(found)  # type: ignore[arg-type]
        found.loader.exec_module(module)  # type: ignore[union-attr]
        say(result=getattr(module, given.pop("task"))(tell=tell, **given), peak_mb=_peak())
    except Exception as error:
        traceback.print_exc()
        say(error=f"{type(error).__name__}: {error}")
        return 1
    return 0


def _peak() -> float:
    """The most memory that this process held, in MiB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), default=0.0)


def _end_with_parent() -> None:
    """End this process when its parent ends: the parent keeps standard input open until then."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
