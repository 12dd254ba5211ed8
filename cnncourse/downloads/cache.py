"""Where downloads are kept, and how two processes take turns there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that holds downloads; it need not exist yet.

    ``CNNCOURSE_HOME`` if it is set; else ``cnncourse`` under ``XDG_CACHE_HOME``; else ``~/.cache/cnncourse``.

    Returns:
        An absolute path.
    """
    home = os.environ.get("CNNCOURSE_HOME")
    if home:
        return Path(home).expanduser().absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    base = Path(caches) if caches and Path(caches).is_absolute() else Path.home() / ".cache"
    return base / "cnncourse"


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock on a file inside the ``with``, waiting for other processes; a crash releases it.

    Args:
        path: the lock file; it is created, and stays (removing it would let two processes hold two locks).

    Yields:
        True with the lock; False where the file system or platform has none, so that the caller must not
        share temporary files.
    """
    with path.open("a+b") as handle:
        try:
            import fcntl
        except ImportError:  # Windows
            yield False
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # some network file systems
            yield False
            return
        yield True
