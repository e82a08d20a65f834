"""Locks between processes, on one machine or on several that share a folder.

Where the file system knows flock, the system owns the lock, and it ends with its process, even by a kill. Some network
file systems have no flock (NFS without a lock service, Lustre without `-o flock`). There a lock is a second file,
`<lock>.held`, that its holder renews every HEARTBEAT seconds. It names the holder's machine and process. A process on
the same machine takes it over as soon as the holder has ended. On another machine it does so once the file has not
been renewed for LEASE seconds.

Such a file is weaker than flock. A holder that stands still for longer than LEASE (a suspended machine, a server that
does not answer) loses its lock while it is alive. It finds that out before it publishes anything (`Held.check`).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from filelock import FileLock, SoftFileLease, Timeout

from harmonic.errors import ConfigError, LockLostError

logger = logging.getLogger(__name__)

SETTING = "HARMONIC_LOCKS"
"""Environment variable. "files": do not use flock, for folders whose flock works within one machine only."""

NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
LEASE = 300.0
"""In seconds; all processes at a folder must have the same. NFS may show a renewed time up to a minute late."""
HEARTBEAT = 30.0

_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that this process holds; `lease` is its file where flock does not guard it."""

    path: Path
    lease: SoftFileLease | None = None

    def check(self) -> None:
        """Raise LockLostError if another process has taken the lock over."""
        if self.lease is None:
            return
        for pause in (0.0, 0.2, 1.0):  # one that looks whether the holder is alive may move the file for a moment
            sleep(pause)
            if self.lease.is_lock_held_by_us:
                return
        raise LockLostError(
            f"{self.path}: this process stood still for more than {LEASE:.0f} seconds, "
            "and another one took over its work"
            "\n  fix: nothing needs to be done; start the same command again to see the result"
        )


@contextmanager
def locked(path: Path, doing: str) -> Iterator[Held]:
    """Hold the lock file at `path`. If another process holds it, log this once and wait."""
    with ExitStack() as stack:
        try:
            held = _acquired(path, stack, timeout=0)
        except Timeout:
            logger.info("waiting: another process is %s", doing)
            held = _acquired(path, stack, timeout=-1)
        yield held


@contextmanager
def locked_if_free(path: Path) -> Iterator[Held | None]:
    """Hold the lock file at `path`, or get None at once if another process holds it."""
    with ExitStack() as stack:
        try:
            held = _acquired(path, stack, timeout=0)
        except Timeout:
            held = None
        yield held


def _acquired(path: Path, stack: ExitStack, timeout: float) -> Held:
    """The lock; `stack` releases it. timeout: in seconds, -1 for none. Raises Timeout."""
    marker = path.with_name(f"{path.name}.held")
    with ExitStack() as taken:
        if _flock(path, taken, timeout) and not marker.exists():  # one without flock may hold the same lock
            stack.enter_context(taken.pop_all())
            return Held(path)
        lease = SoftFileLease(marker, lease_duration=LEASE, heartbeat_interval=HEARTBEAT)
        lease.acquire(timeout=timeout, poll_interval=0.2)
        taken.callback(lease.release)
        stack.enter_context(taken.pop_all())
        return Held(path, lease)


def _flock(path: Path, taken: ExitStack, timeout: float) -> bool:
    """Whether the lock was taken with flock; False if there is none here. Raises Timeout."""
    wanted = os.environ.get(SETTING, "")
    if wanted not in ("", "files"):
        raise ConfigError(SETTING, wanted, "unknown kind of locks", "leave it out, or set it to files")
    if wanted == "files":
        return False
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.2)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
        _warn(path, error)
        return False
    taken.callback(lock.release)
    return True


def _warn(path: Path, error: OSError) -> None:
    """Once in a process."""
    if not _warned:
        logger.warning(
            "the file system of %s has no file locks (%s): files that are renewed every %.0f seconds take their place; "
            "after a crash of another machine its work waits for %.0f minutes", path.parent, error.strerror, HEARTBEAT,
            LEASE / 60,
        )  # fmt: skip
        _warned.add(str(path.parent))
