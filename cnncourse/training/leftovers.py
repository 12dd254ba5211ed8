"""Names of files that are being written, and which of them nobody will finish."""

import hashlib
import os
import platform
import re
import secrets
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

SUFFIX = ".partial"
"""Ends the names of files that are being written."""
NAME = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.partial")

SURELY_DEAD_AFTER = 24 * 3600.0
"""Seconds without a change after which a file of another machine is nobody's: there, processes cannot be asked."""


def temporary_name(name: str) -> str:
    """Return a hidden name that tells who is writing.

    Args:
        name: the final name.

    Returns:
        The final name, this machine, this process and a random part.
    """
    return f".{name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the files that killed writers left in a folder.

    A file goes when its writer ran on this machine and runs no longer, or when nothing happened to it for a day.

    Args:
        folder: the folder.

    Returns:
        What was removed.
    """
    removed = []
    for path in sorted(folder.glob(f".*{SUFFIX}")):
        with suppress(OSError):  # somebody else was quicker, or may not
            if _is_dead(path):
                path.unlink()
                removed.append(path)
    return removed


def _is_dead(path: Path) -> bool:
    match = NAME.fullmatch(path.name)
    if match is None:
        return False
    # The clock of the folder's disk, which may be another machine's, can differ from ours by minutes, not by a day.
    if time.time() - path.stat().st_mtime > SURELY_DEAD_AFTER:
        return True
    return match["machine"] == _machine() and not _runs(int(match["process"]))


def _runs(process: int) -> bool:
    if os.name == "nt":  # os.kill would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@cache
def _machine() -> str:
    """Return eight digits for this machine since it was started; they name nobody."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with suppress(OSError):
        return hashlib.blake2b(f"{platform.node()} {boot.read_text()}".encode(), digest_size=4).hexdigest()
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
