"""What evaluators keep in the stage cache because other runs, or a run that goes on after a kill, want it again.

Within `keeping` a result stays under everything that it depends on; outside of it, it is made anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harmonic.runs.cache import Build, Cache

_kept: ContextVar[tuple[Cache, bool] | None] = ContextVar("kept", default=None)


@contextmanager
def keeping(cache: Cache, *, force: bool = False) -> Iterator[None]:
    """Within it, results are kept in the cache; `force` makes them anew all the same."""
    token = _kept.set((cache, force))
    try:
        yield
    finally:
        _kept.reset(token)


@contextmanager
def kept(stage: str, inputs: dict[str, Any], build: Build) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder that `build` filled and the facts that it returned: kept ones of the same `inputs`, or made now.

    Within `keeping` the folder is the cache's entry in this stage; else it is gone when the block ends.
    """
    found = _kept.get()
    if found is not None:
        cache, force = found
        entry = cache.compute(stage, inputs, build, force=force)
        yield entry.path, entry.facts
    else:
        with TemporaryDirectory(prefix=f"{stage}-") as folder:
            yield Path(folder), build(Path(folder)) or {}
