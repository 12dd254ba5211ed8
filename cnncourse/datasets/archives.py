"""Archives unpacked as if a stranger had made them: nothing leaves the folder, nothing half-done stays."""

import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from cnncourse.downloads import CacheError, RemoteFile, fetch, file_sha256, locked
from cnncourse.progress import progress_bar

LIMIT = 16 << 30
"""Bytes that an archive may grow to: far above every data set of this package, below what fills a disk."""

_SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)


class ArchiveError(ValueError):
    """An archive is damaged, or holds what this package does not unpack; the message names the member."""


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str
    """``file``, ``folder`` or what else it is."""
    size: int
    opened: Callable[[], IO[bytes] | None]


def extracted(archive: Path, place: Path, *, limit: int = LIMIT, progress: bool | None = None) -> Path:
    """Unpack a zip or tar archive into a folder that appears whole or not at all.

    Only files and folders are unpacked, only inside the folder, and without the owners, permissions and dates
    of the archive. Several processes may ask at once: one unpacks, the others wait for it.

    Args:
        archive: an existing .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz file.
        place: the folder that shall hold the content; used as it is when it is there.
        limit: bytes that the content may have.
        progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

    Returns:
        ``place``.

    Raises:
        ArchiveError: if the archive is damaged or too large, or a member points outside, is a link or a
            device.
        CacheError: if the folder cannot be written.
    """
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.parent / f".{place.name}.lock") as alone:
            if place.is_dir():  # another process was faster
                return place
            part = place.parent / f".{place.name}{'' if alone else '.' + secrets.token_hex(4)}.part"
            shutil.rmtree(part, ignore_errors=True)  # a killed process left it
            part.mkdir()
            try:
                with progress_bar(
                    f"unpacking {archive.name}", total=None, unit="file", show=progress
                ) as advance:
                    _unpack(archive, part, limit, advance)
                try:
                    part.rename(place)
                except OSError:
                    if not place.is_dir():
                        raise
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CacheError(
            f"{archive} cannot be unpacked into {place} ({error.strerror or error}); set the environment "
            "variable CNNCOURSE_HOME to a folder that can be written and has room"
        ) from error
    return place


def fetched_and_extracted(remote: RemoteFile, folder: Path) -> Path:
    """Return the folder with the content of a remote archive, downloading and unpacking it if need be.

    The name of the folder holds the beginning of the archive's hash, so another version never takes its place;
    once it is there, the archive itself may be deleted.

    Args:
        remote: the archive.
        folder: where both are kept.

    Returns:
        ``folder / (name without suffix)-(12 digits of the hash)``.

    Raises:
        DownloadError: if the archive is not there and no mirror gives it.
        ArchiveError: if it cannot be unpacked.
        CacheError: if the folder cannot be written.
    """
    place = folder / f"{stem(remote.name)}-{remote.sha256[:12]}"
    return place if place.is_dir() else extracted(fetch(remote, folder), place)


def local_archive(archive: Path, folder: Path) -> tuple[Path, str]:
    """Unpack an archive of one's own into a folder named after its content.

    Args:
        archive: an existing file.
        folder: where the unpacked content is kept.

    Returns:
        The folder with the content, and the archive's SHA-256.

    Raises:
        ArchiveError: if it cannot be unpacked.
        CacheError: if the folder cannot be written.
    """
    sha256 = file_sha256(archive)
    return extracted(archive, folder / f"{stem(archive.name)}-{sha256[:12]}"), sha256


def stem(name: str) -> str:
    """Return the name of an archive without what says its format.

    Args:
        name: such as ``cifar-10-binary.tar.gz``.

    Returns:
        Such as ``cifar-10-binary``.
    """
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def read_members(archive: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Return the content of some members of a tar archive without unpacking it.

    Args:
        archive: a tar file, compressed or not.
        wanted: names as they stand in the archive.

    Returns:
        Content by name.

    Raises:
        ArchiveError: if the archive is damaged or a member is not there.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for info in tar:
                name = info.name.removeprefix("./")
                if name in wanted and info.isfile():
                    handle = tar.extractfile(info)
                    found[name] = handle.read() if handle is not None else b""
                if len(found) == len(wanted):
                    break
    except (*_DAMAGED, OSError) as error:
        raise ArchiveError(f"{archive} cannot be read ({error}); delete it and try again") from error
    if missing := sorted(set(wanted) - set(found)):
        raise ArchiveError(f"{archive} has no member {missing[0]!r}; it is another archive than expected")
    return found


def _unpack(archive: Path, folder: Path, limit: int, advance: Callable[[int], object]) -> None:
    left = limit
    seen: set[PurePosixPath] = set()
    with _open_members(archive) as members:
        for member in members:
            inside = _safe_path(archive, member)
            if member.kind == "folder":
                (folder / inside).mkdir(parents=True, exist_ok=True)
                continue
            if inside in seen:
                raise ArchiveError(f"{archive} holds {member.name!r} twice; nothing was kept of it")
            seen.add(inside)
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            left -= _copy(archive, member, folder / inside, left, limit)
            advance(1)


def _copy(archive: Path, member: _Member, target: Path, left: int, limit: int) -> int:
    """Write one file; never trust the size that the archive states."""
    source = member.opened()
    if source is None:
        raise ArchiveError(f"{archive}: {member.name!r} cannot be read; nothing was kept of it")
    size = 0
    with source, target.open("wb") as out:
        while chunk := source.read(1 << 20):
            size += len(chunk)
            if size > left:
                raise ArchiveError(
                    f"{archive} grows beyond {limit:,} bytes at {member.name!r}; nothing was kept of it. "
                    "If that is right, unpack it yourself and give the folder"
                )
            out.write(chunk)
    return size


def _safe_path(archive: Path, member: _Member) -> PurePosixPath:
    """Return where a member may be written inside the folder."""
    path = PurePosixPath(member.name)
    drive = re.match("[A-Za-z]:", member.name) or (os.name == "nt" and ":" in member.name)
    if path.is_absolute() or ".." in path.parts or drive or set(member.name) & {"\\", "\0"}:
        raise ArchiveError(
            f"{archive}: {member.name!r} points outside the folder; nothing was kept of this archive, which "
            "was made to do harm or by mistake"
        )
    if member.kind not in ("file", "folder"):
        raise ArchiveError(
            f"{archive}: {member.name!r} is a {member.kind}, and only files and folders are unpacked; "
            "nothing was kept of it"
        )
    return path


@contextmanager
def _open_members(archive: Path) -> Iterator[Iterator[_Member]]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as content:
                yield _zip_members(content)
        else:
            with tarfile.open(archive) as content:
                yield _tar_members(content)
    except (*_DAMAGED, RuntimeError) as error:  # RuntimeError: a zip file with a password
        raise ArchiveError(
            f"{archive} is damaged or no archive that can be unpacked ({error}); get it again"
        ) from error
    except OSError as error:
        if error.errno is None or not os.access(archive, os.R_OK):  # gzip's own complaint has no number
            raise ArchiveError(f"{archive} is damaged or cannot be read ({error}); get it again") from error
        raise


def _zip_members(content: zipfile.ZipFile) -> Iterator[_Member]:
    for info in content.infolist():
        mode = info.external_attr >> 16
        kind = "folder" if info.is_dir() else "file"
        if stat.S_ISLNK(mode):
            kind = "link"
        yield _Member(info.filename, kind, info.file_size, lambda info=info: content.open(info))  # type: ignore[misc]


def _tar_members(content: tarfile.TarFile) -> Iterator[_Member]:
    for info in content:
        kind = "file" if info.isfile() else "folder" if info.isdir() else "device"
        if info.issym() or info.islnk():
            kind = "link"
        yield _Member(info.name, kind, info.size, lambda info=info: content.extractfile(info))  # type: ignore[misc]
    # Compressed data end with a checksum, which is looked at only by whoever reads that far.
    while content.fileobj is not None and content.fileobj.read(1 << 20):
        pass
