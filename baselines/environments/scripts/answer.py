"""Answers one request: python answer.py SCRIPT REQUEST, in an environment with the packages that SCRIPT needs.

REQUEST is a JSON file {"task": "fit" | "sample", …}; the function of that name in SCRIPT gets its other entries and
`tell`. It writes lines of JSON to standard output: {"done", "total", "notes"} during the work, and {"result"} or
{"error"} at the end. All other output goes to standard error. When standard input ends, the program ends.
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
        say(result=getattr(module, given.pop("task"))(tell=tell, **given))
    except Exception as error:
        traceback.print_exc()
        say(error=f"{type(error).__name__}: {error}")
        return 1
    return 0


def _end_with_parent() -> None:
    """End this process when its parent ends: the parent keeps standard input open until then."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
