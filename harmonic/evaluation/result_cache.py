"""Results of evaluators in the stage cache: for other runs, and for a run that continues after it was stopped.

Within `caching_results`, results are kept under all inputs that they depend on. Outside it, each is computed again.
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
def caching_results(cache: Cache, *, force: bool = False) -> Iterator[None]:
    """Within this block, results are kept in the cache. `force`: compute them again even if they are there."""
    token = _kept.set((cache, force))
    try:
        yield
    finally:
        _kept.reset(token)


@contextmanager
def cached_result(stage: str, inputs: dict[str, Any], build: Build) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder that `build` fills and the facts that it returns, from the cache if it has them for these `inputs`.

    Within `caching_results` the folder is an entry of this stage in the cache; otherwise it is deleted after the block.
    """
    found = _kept.get()
    if found is not None:
        cache, force = found
        entry = cache.compute(stage, inputs, build, force=force)
        yield entry.path, entry.facts
    else:
        with TemporaryDirectory(prefix=f"{stage}-") as folder:
            yield Path(folder), build(Path(folder)) or {}
