"""One process at a time writes a folder: a lock that the operating system drops when its holder dies."""

import errno
import os
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path

from cnncourse.training.checkpoint_tree import CheckpointError, CheckpointWarning

NAME = ".lock"
"""File in the folder; it stays, since removing it would let two processes lock two files of one name."""

_held: dict[str, tuple[int, int, int]] = {}
"""Of this process: folder to (descriptor, process, number of holders). The process, since a fork copies this."""
_guard = threading.Lock()


class FolderLock:
    """The right to write a folder, shared by everybody in this process.

    A record lock (fcntl): a child that is forked, such as a loader's worker, does not inherit it, and so cannot keep
    it when its parent is killed.

    Args:
        folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key: str | None = None
        self._process = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock in this process."""
        return self._key is not None and self._process == os.getpid()

    def acquire(self) -> bool:
        """Take the lock.

        Returns:
            Whether this call took it; False when this object holds it already.

        Raises:
            CheckpointError: if another process holds it, or the folder cannot be written.
        """
        if self.held:
            return False
        key = str(self._folder.resolve())
        with _guard:
            descriptor, process, holders = _held.get(key, (-1, 0, 0))
            if process != os.getpid():
                descriptor, holders = _open_and_lock(self._folder), 0
            _held[key] = (descriptor, os.getpid(), holders + 1)
        self._key, self._process = key, os.getpid()
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if not self.held:
            self._key = None
            return
        with _guard:
            key, self._key = str(self._key), None
            descriptor, process, holders = _held.get(key, (-1, 0, 0))
            if process != os.getpid():
                return
            if holders > 1:
                _held[key] = (descriptor, process, holders - 1)
                return
            del _held[key]
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        if sys is not None and not sys.is_finalizing():
            self.release()


def _open_and_lock(folder: Path) -> int:
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}); choose a folder that you may write to"
        ) from error
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            holder = _holder(descriptor)
            os.close(descriptor)
            raise CheckpointError(
                f"{folder} is being written by another process{holder}; wait for it, stop "
                "it, or choose another folder"
            ) from error
        warnings.warn(
            CheckpointWarning(
                f"{folder} lies on a disk without locks ({error.strerror}): nothing stops a second run from "
                "writing it too"
            ),
            stacklevel=4,
        )
    with suppress(OSError):
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _holder(descriptor: int) -> str:
    """Return " (process N)" of the process that wrote its number into the lock file."""
    with suppress(OSError, ValueError):
        return f" (process {int(os.read(descriptor, 32))})"
    return ""


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
