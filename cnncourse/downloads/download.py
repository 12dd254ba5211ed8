"""Downloads that end in the right bytes or in an error that says what to do.

Own code on ``urllib`` because a stale connection in a lecture hall must not cost the whole file: an
interrupted download goes on where it stopped (HTTP Range), on the next mirror if need be, and only a file
with the right SHA-256 ever appears under its name. The usual libraries for this (pooch, torchvision) resume
nothing and know one address a file.
"""

import hashlib
import os
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from cnncourse.downloads.cache import locked
from cnncourse.progress import progress_bar

CHUNK = 1 << 18
"""Bytes read at once."""
TIMEOUT = 20.0
"""Seconds without a byte after which a mirror counts as silent."""
ATTEMPTS = 3
"""Times one mirror is asked in a row when it breaks off without having sent anything new."""


class DownloadError(OSError):
    """No mirror gave the file; the message says which were asked, and where to put the file by hand."""


class CacheError(OSError):
    """The cache folder cannot be read or written; the message says how to choose another."""


class _UnusableError(Exception):
    """This mirror cannot give the file (reason in the message)."""


class _BrokenOffError(Exception):
    """The connection ended too early; asking again may help."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be had from several addresses."""

    name: str
    """File name in the cache."""
    sha256: str
    """Hexadecimal SHA-256 of the content, or its first digits where only they are known: at least 8 of the 64."""
    urls: tuple[str, ...]
    """Addresses, asked in this order."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{8,64}", self.sha256) or not self.urls:
            raise ValueError(
                f"{self.name} needs a SHA-256 (8 to 64 digits 0-9a-f) and at least one address, got "
                f"{self.sha256!r} and {self.urls}"
            )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Args:
        path: an existing file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(remote: RemoteFile, folder: Path, *, progress: bool | None = None) -> Path:
    """Return the path of a file with the right content, downloading it if it is not there.

    A file that is there is trusted only if its hash is right; otherwise it is replaced. Several processes
    may ask at once: one downloads, the others wait for it.

    Args:
        remote: the file.
        folder: where it is kept; created when missing.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Returns:
        ``folder / remote.name``, verified.

    Raises:
        DownloadError: if no mirror gives the right content.
        CacheError: if the folder cannot be written.
    """
    target = folder / remote.name
    if _is_right(target, remote):  # no lock needed, so a read-only copy will do
        return target
    with _writable(remote, target):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f".{remote.name}.lock") as alone:
            if _is_right(target, remote):  # another process was faster
                return target
            owner = "" if alone else f".{secrets.token_hex(4)}"
            part = folder / f".{remote.name}.{remote.sha256[:8]}{owner}.part"
            try:
                _from_mirrors(remote, part, target, progress)
                part.replace(target)
            finally:
                if not alone:  # nobody else would ever find this part again
                    part.unlink(missing_ok=True)
    return target


def _is_right(path: Path, remote: RemoteFile) -> bool:
    try:
        return path.is_file() and file_sha256(path).startswith(remote.sha256)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions"
        ) from error


@contextmanager
def _writable(remote: RemoteFile, target: Path) -> Iterator[None]:
    """Turn what a file system refuses into an error that names the remedy."""
    try:
        yield
    except (DownloadError, CacheError):
        raise
    except OSError as error:
        raise CacheError(
            f"{remote.name} cannot be stored in {target.parent} ({error.strerror or error}); set "
            "the environment variable CNNCOURSE_HOME to a folder that can be written, or put the file there "
            f"by hand as {target}"
        ) from error


def _from_mirrors(remote: RemoteFile, part: Path, target: Path, progress: bool | None) -> None:
    """Fill ``part`` with the right content, from the first mirror that can."""
    refusals: list[str] = []
    for url in remote.urls:
        try:
            _from_mirror(url, remote, part, progress)
            return
        except _UnusableError as reason:
            refusals.append(f"  {url}: {reason}")
    rule = "be" if len(remote.sha256) == 64 else "begin with"
    raise DownloadError(
        f"{remote.name} could not be downloaded:\n"
        + "\n".join(refusals)
        + f"\nCheck the network and try again (what has arrived is kept), or get the file from one of these "
        f"addresses in another way and put it here: {target}\nIts SHA-256 must {rule} {remote.sha256}"
    )


def _from_mirror(url: str, remote: RemoteFile, part: Path, progress: bool | None) -> None:
    """Fill ``part`` from one mirror, going on where the last attempt stopped."""
    failures = 0
    while True:
        begun = _size(part)
        try:
            _transfer(url, part, progress)
        except _BrokenOffError as reason:
            failures = 0 if _size(part) > begun else failures + 1
            if failures >= ATTEMPTS:
                raise _UnusableError(str(reason)) from reason
            continue
        if _is_right(part, remote):
            return
        found = file_sha256(part)
        part.unlink()
        if not begun:
            raise _UnusableError(
                f"gave other content than expected (truncated or corrupt: wrong SHA-256 {found}, not {remote.sha256})"
            )
        # The first half may have come from a bad mirror: this one gets a fresh chance.


def _transfer(url: str, part: Path, progress: bool | None) -> None:
    """Append to ``part`` what the mirror sends, until it has sent all."""
    have = _size(part)
    answer = _opened(url, have)
    if answer is None:  # there is nothing beyond what we have
        return
    with answer:
        span = answer.headers.get("Content-Range", "")
        if not (answer.status == 206 and span.startswith(f"bytes {have}-")):
            have = 0  # the mirror starts again, so do we
        announced = answer.headers.get("Content-Length")
        length = int(announced) if announced else None
        with (
            part.open("r+b" if have else "wb") as out,
            progress_bar(part.name, total=length, unit="B", show=progress) as advance,
        ):
            out.seek(have)
            received = 0
            while chunk := _read(answer):
                out.write(chunk)
                received += len(chunk)
                advance(len(chunk))
            # To the disk before the name changes, so that a power cut cannot leave an empty file under it.
            out.flush()
            os.fsync(out.fileno())
    if length is not None and received < length:
        raise _BrokenOffError(
            f"the connection broke off after {have + received:,} of {have + length:,} bytes"
        )


def _opened(url: str, have: int) -> HTTPResponse | None:
    """Ask for a file from byte ``have`` on; None means that it ends there."""
    try:
        request = urllib.request.Request(
            url, headers={"User-Agent": "cnncourse", "Accept-Encoding": "identity"}
        )
        if have:
            request.add_header("Range", f"bytes={have}-")
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:
                return None
            raise _UnusableError(f"answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _UnusableError(str(error.reason)) from error  # nobody there: no use to ask again
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise _UnusableError(str(error)) from error


def _read(answer: HTTPResponse) -> bytes:
    """Read on; what breaks here is the network, never our disk."""
    try:
        return answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(f"the connection broke off ({error or type(error).__name__})") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
