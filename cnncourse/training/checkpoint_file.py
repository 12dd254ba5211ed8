"""A checkpoint as one file: written whole or not at all, checked before it is believed, never unpickled.

The file is a safetensors file, so that any reader of that format finds the tensors under path-like names. What is
not a tensor stands as JSON in its ``__metadata__``, and so does a SHA-256 of the file, taken with zeros in its own
place.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from cnncourse.training.checkpoint_format import (
    CHECKSUM_AT,
    START,
    VERSION,
    Checksum,
    Header,
    blanked,
    bytes_of,
    header_of,
    read_header,
)
from cnncourse.training.checkpoint_tree import CheckpointError, Tree, put_together, take_apart
from cnncourse.training.leftovers import temporary_name

PIECE = 16 << 20
"""Bytes handed to the operating system at once."""


def write_checkpoint(path: str | os.PathLike[str], tree: Tree) -> Path:
    """Write a tree to a file: after a crash, a kill or on a full disk, the file is the old one or the new one.

    Written under another name in the same folder, flushed to the disk, renamed, and the folder flushed.

    Args:
        path: file to write or to replace; its folder exists.
        tree: nested dict, list or tuple of Tensor, int, float, bool, str and None. Tensors lie on any device;
            they are read without a copy where they are contiguous on the CPU.

    Returns:
        The path.

    Raises:
        CheckpointError: if the tree holds something else, or the file cannot be written.
    """
    path = Path(path)
    temporary = write_temporary(path, tree)
    publish(temporary, path)
    return path


def read_checkpoint(path: str | os.PathLike[str]) -> Tree:
    """Read what :func:`write_checkpoint` wrote; the checksum is compared before anything is used.

    Args:
        path: the file.

    Returns:
        The tree, its tensors on the CPU, each with memory of its own.

    Raises:
        CheckpointError: if there is no such file, it is damaged, or it was not written by this function's partner.
    """
    return read_with_notes(path)[0]


def read_with_notes(path: str | os.PathLike[str]) -> tuple[Tree, dict[str, str]]:
    """Read a checkpoint as :func:`read_checkpoint` does, with the words of its ``__metadata__``.

    Args:
        path: the file.

    Returns:
        The tree and the metadata.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    path = Path(path)
    try:
        with path.open("rb", buffering=0) as file, Checksum() as checksum:
            header = read_header(file, path)
            if not header.raw[8:].startswith(START) or "tree" not in header.notes:
                raise CheckpointError(
                    f"{path} is a safetensors file, but no checkpoint of a training run; read_weights() reads "
                    "its tensors"
                )
            _check_version(header.notes, path)
            checksum.add(blanked(header.raw))
            tensors = _read_tensors(file, header, checksum, path)
            found = checksum.result()
    except OSError as error:
        raise CheckpointError(_said_of_reading(path, error)) from error
    if found != header.notes["checksum"]:
        raise CheckpointError(
            f"{path} is damaged: its checksum is {found[:12]}…, written was {header.notes['checksum'][:12]}…; "
            "use an earlier checkpoint"
        )
    try:
        return put_together(header.notes["tree"], tensors), header.notes
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be read: {error}; use an earlier checkpoint") from error


def write_temporary(path: Path, tree: Tree, notes: Mapping[str, str] | None = None) -> Path:
    """Write a tree next to its final path, flushed to the disk, and return where.

    Args:
        path: final path, for :func:`publish`.
        tree: as for :func:`write_checkpoint`.
        notes: further words for ``__metadata__``.

    Returns:
        Path of the temporary file; nothing is left behind when this raises.

    Raises:
        CheckpointError: as :func:`write_checkpoint`.
    """
    try:
        apart = take_apart(tree)
        # The widest types first, so that each tensor starts at a multiple of its width.
        tensors = dict(sorted(apart.tensors.items(), key=lambda named: -named[1].element_size()))
        header = header_of(tensors, {"tree": apart.structure, **(notes or {})})
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from None
    temporary = path.with_name(temporary_name(path.name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
        try:
            with Checksum() as checksum:
                checksum.add(header)
                _write(descriptor, header)
                for tensor in tensors.values():
                    piece = bytes_of(tensor)
                    checksum.add(piece)
                    _write(descriptor, piece)
                os.fsync(descriptor)  # while the checksum is still being computed
                os.lseek(descriptor, CHECKSUM_AT, os.SEEK_SET)
                _write(descriptor, checksum.result().encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise CheckpointError(_said_of_writing(path, error)) from error
        raise
    return temporary


def publish(temporary: Path, path: Path) -> None:
    """Give a temporary file its final name, in one step that a crash cannot halve.

    Args:
        temporary: from :func:`write_temporary`, in the same folder.
        path: the final path; what stood there is replaced.

    Raises:
        CheckpointError: if the file cannot be renamed.
    """
    try:
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise CheckpointError(_said_of_writing(path, error)) from error


def flush_file(path: Path) -> None:
    """Bring a file's content to the disk.

    Args:
        path: the file.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut.

    Args:
        folder: the folder.
    """
    if os.name == "nt":  # Windows cannot open a folder; its journal holds the names
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it: the operating system may take less than it is offered."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest[:PIECE]) :]


def _read_tensors(file: BinaryIO, header: Header, checksum: Checksum, path: Path) -> dict[str, Tensor]:
    tensors = {}
    for name, dtype, shape in header.layout:
        tensors[name] = torch.empty(shape, dtype=dtype, device="cpu")
        content = bytes_of(tensors[name])
        rest = content
        while rest:
            count = file.readinto(rest[:PIECE])  # type: ignore[attr-defined]
            if not count:
                raise CheckpointError(f"{path} became shorter while it was read; use an earlier checkpoint")
            rest = rest[count:]
        checksum.add(content)
    return tensors


def _check_version(notes: Mapping[str, str], path: Path) -> None:
    version = notes.get("version", "")
    if not version.isdecimal() or int(version) > VERSION:
        raise CheckpointError(
            f"{path} has layout version {version or 'none'}, this release reads up to {VERSION}; "
            "update cnncourse, or use an earlier checkpoint"
        )


REMEDIES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "the quota is used up: free some space or choose another disk",
    errno.EFBIG: "files may not grow so large here: raise the limit (ulimit -f) or choose another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "its parent is a file: choose another folder",
    errno.EISDIR: "it is a folder: choose the name of a file",
    errno.EIO: "the disk is failing: choose another one",
}


def _said_of_writing(path: Path, error: OSError) -> str:
    remedy = REMEDIES.get(error.errno or 0, "see the cause")
    return f"{path} cannot be written ({error.strerror}); {remedy}. What was there before is unchanged"


def _said_of_reading(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist; look at the folder for the names of its checkpoints"
    return f"{path} cannot be read ({error.strerror}); see that it is a file that you may read"
