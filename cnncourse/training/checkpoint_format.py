"""The layout of a checkpoint file: a safetensors header with a checksum at a fixed place, and what goes through it."""

import hashlib
import json
import math
import struct
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from cnncourse.training.checkpoint_tree import CheckpointError

VERSION = 1
"""Version of the layout inside ``__metadata__``; readers refuse a later one."""

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Width in bytes to a type that NumPy knows too."""
NAMED = {name: dtype for dtype, name in DTYPES.items()}

START = b'{"__metadata__":{"checksum":"'
"""Each header starts so: the checksum has a fixed place."""
CHECKSUM_AT = 8 + len(START)
CHECKSUM_WIDTH = 64
BLANK = b"0" * CHECKSUM_WIDTH

MOST_HEADER = 100_000_000
"""Bytes of a header that readers of safetensors accept."""
PIECE = 16 << 20
"""Bytes handed to the operating system at once."""
MOST_WAITING = 128 << 20
"""Bytes of tensors on their way through the checksum, so that copies from a card do not pile up."""


@dataclass(frozen=True)
class Header:
    """What stands before the tensors."""

    notes: dict[str, str]
    """The ``__metadata__`` of the file."""
    layout: list[tuple[str, torch.dtype, tuple[int, ...]]]
    """Name, type and shape of each tensor, in the order of the file."""
    raw: bytes
    """Length and JSON as they stand in the file."""


def header_of(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    """Return length and JSON that stand before the tensors, the checksum blank.

    Args:
        tensors: in the order of the file, the widest types first.
        notes: words for ``__metadata__``.

    Returns:
        A multiple of eight bytes.

    Raises:
        CheckpointError: if a tensor has a type that the format lacks, or there are too many tensors.
    """
    header: dict[str, Any] = {
        "__metadata__": {"checksum": BLANK.decode(), "version": str(VERSION), "format": "pt", **notes}
    }
    end = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            raise CheckpointError(
                f"safetensors files hold no {tensor.dtype} ({name}); convert it, such as by torch.view_as_real()"
            )
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    if len(raw) > MOST_HEADER:
        raise CheckpointError(
            f"names and plain values of a checkpoint must take at most {MOST_HEADER:,} bytes, got {len(raw):,}; "
            "put long lists of numbers into tensors"
        )
    return struct.pack("<Q", len(raw)) + raw


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read what stands before the tensors, and compare it with the size of the file.

    Args:
        file: at its start.
        path: for the messages.

    Returns:
        The header; nothing in it is believed before the checksum was compared.

    Raises:
        CheckpointError: if the file is empty, truncated, or no safetensors file.
    """
    size = file.seek(0, 2)
    file.seek(0)
    first = file.read(8)
    brace = file.read(1)
    file.seek(8)
    if size == 0:
        raise CheckpointError(f"{path} is empty: whoever wrote it was stopped; use an earlier checkpoint")
    length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
    if not 2 <= length <= MOST_HEADER or brace not in (b"{", b""):
        raise CheckpointError(_said_of_foreign(path, first))
    if 8 + length > size:
        raise CheckpointError(_truncated(path, size, f"more than {8 + length:,}"))
    raw = file.read(length)
    try:
        notes, layout, end = _parsed(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file: its header makes no sense ({error!r}); "
            "use an earlier checkpoint"
        ) from error
    if 8 + length + end > size:
        raise CheckpointError(_truncated(path, size, f"{8 + length + end:,}"))
    if 8 + length + end < size:
        raise CheckpointError(
            f"{path} is damaged: it holds {size:,} bytes, {8 + length + end:,} were written; "
            "use an earlier checkpoint"
        )
    return Header(notes, layout, first + raw)


def _said_of_foreign(path: Path, first: bytes) -> str:
    """Say what a file is that starts so."""
    if first[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return (
            f"{path} is a zip archive, as torch.save writes; it is not opened here, because what it pickles can run "
            "code; read_weights() reads the weights in it without running anything"
        )
    if len(first) > 1 and first[0] == 0x80 and first[1] <= 5:
        return (
            f"{path} is a Python pickle; it is not opened here, because it can run code; read_weights() reads the "
            "weights that an old torch.save wrote without running anything"
        )
    return (
        f"{path} is damaged or no safetensors file: it starts with {first!r}, not with the length of a header; use "
        "an earlier checkpoint"
    )


def _truncated(path: Path, size: int, written: str) -> str:
    return (
        f"{path} is truncated: it holds {size:,} of {written} bytes; it was copied or written in part, "
        "use an earlier checkpoint"
    )


def _parsed(header: Any) -> tuple[dict[str, str], list[tuple[str, torch.dtype, tuple[int, ...]]], int]:
    """Return notes, layout and the number of bytes of all tensors, which follow each other without a gap."""
    notes = header.pop("__metadata__", {})
    if not all(isinstance(word, str) for word in notes.values()):
        raise ValueError("__metadata__ holds words only")
    layout, end = [], 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = NAMED[entry["dtype"]], tuple(entry["shape"])
        if not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        start, end = end, end + math.prod(shape) * dtype.itemsize
        if entry["data_offsets"] != [start, end]:
            raise ValueError(f"{name} lies at {entry['data_offsets']} instead of {[start, end]}")
        layout.append((name, dtype, shape))
    return notes, layout, end


def blanked(raw: bytes) -> bytes:
    """Return a header with zeros for its checksum, as it was when the checksum was taken.

    Args:
        raw: from a file.

    Returns:
        As many bytes.
    """
    return raw[:CHECKSUM_AT] + BLANK + raw[CHECKSUM_AT + CHECKSUM_WIDTH :]


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor's values in the order of its axes.

    Args:
        tensor: dense tensor on any device.

    Returns:
        The tensor's own memory where it is contiguous on the CPU, else that of a copy. It can be written to.
    """
    if tensor.numel() == 0:  # may have strides that PyTorch cannot view as bytes
        return memoryview(b"")
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    if not plain.is_contiguous():
        # By NumPy, in one thread: PyTorch's threads wait for more work in a busy loop, and the checksum needs the core.
        values = plain.view(INTEGERS[plain.element_size()]).numpy()
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    return plain.reshape(-1).view(torch.uint8).numpy().data


class Checksum:
    """SHA-256 in another thread, while this one reads or writes.

    Of the hashes in Python's library, SHA-256 is the fastest that is more than a parity check: processors compute
    it in hardware, at about the speed of writing to memory, so that it takes no time of its own here.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, "checksum")
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._bytes_waiting = 0

    def __enter__(self) -> "Checksum":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def add(self, piece: bytes | memoryview) -> None:
        """Take in what must not change until :meth:`result`.

        Args:
            piece: the next bytes.
        """
        self._waiting.append((len(piece), self._thread.submit(self._hash.update, piece)))
        self._bytes_waiting += len(piece)
        while self._bytes_waiting > MOST_WAITING and len(self._waiting) > 1:
            self._finish_oldest()

    def result(self) -> str:
        """Return the checksum of everything added, in hexadecimal digits."""
        while self._waiting:
            self._finish_oldest()
        return self._hash.hexdigest()

    def _finish_oldest(self) -> None:
        length, future = self._waiting.popleft()
        future.result()
        self._bytes_waiting -= length
