"""Packed files: all compressed images of a small data set in one ``.npz``, and their decoded form in the cache.

A packed file holds four arrays: ``jpeg`` (uint8: all image files end to end), ``offsets`` (int64, N + 1: where
each begins), ``labels`` (N) and ``classes`` (names). Thousands of tiny files become one that is read at once.
"""

import hashlib
import io
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnncourse.datasets.folder_images import ImageError
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.downloads import DownloadError, cache_folder, file_sha256
from cnncourse.progress import progress_bar


@dataclass(frozen=True)
class Packed:
    """Compressed images with their labels."""

    jpeg: NDArray[np.uint8]
    """All image files (JPEG or PNG), end to end."""
    offsets: NDArray[np.int64]
    """(N + 1,), where each image begins; the last is the length."""
    labels: NDArray[np.int64]
    """(N,), class indices."""
    classes: tuple[str, ...]
    """Class names; the index is the label."""

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.offsets.shape != (count + 1,):
            raise ValueError(f"{count} labels need {count + 1} offsets, got {self.offsets.shape}")
        rising = bool((np.diff(self.offsets) > 0).all())
        if self.offsets[0] != 0 or not rising or self.offsets[-1] != len(self.jpeg):
            raise ValueError(
                f"offsets must rise from 0 to {len(self.jpeg)}, the number of bytes, got "
                f"{self.offsets[0]} to {self.offsets[-1]}{'' if rising else ', not rising'}"
            )
        if count and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels must lie in [0, {len(self.classes)}), got {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def stream(self, index: int) -> bytes:
        """Return one image file.

        Args:
            index: 0 to N - 1.

        Returns:
            The compressed bytes.
        """
        return self.jpeg[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def decoded(self, *, progress: bool | None = None) -> NDArray[np.uint8]:
        """Decode all images, which must have the same size.

        Args:
            progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

        Returns:
            (N, 3, H, W), RGB.

        Raises:
            ImageError: if an image cannot be decoded, or has another size than the first.
        """
        from PIL import Image

        images: NDArray[np.uint8] | None = None
        with progress_bar("decoding", total=len(self), unit="image", show=progress) as advance:
            for index in range(len(self)):
                try:
                    with Image.open(io.BytesIO(self.stream(index)), formats=("JPEG", "PNG")) as image:
                        pixels = np.asarray(image.convert("RGB"))
                except (OSError, SyntaxError, ValueError) as error:
                    raise ImageError(f"image {index} cannot be decoded ({error})") from error
                if images is None:
                    images = np.empty((len(self), 3, *pixels.shape[:2]), dtype=np.uint8)
                if pixels.shape[:2] != images.shape[2:]:
                    raise ImageError(
                        f"image {index} is {pixels.shape[0]} x {pixels.shape[1]}, the first is "
                        f"{images.shape[2]} x {images.shape[3]}; pack images of one size"
                    )
                images[index] = pixels.transpose(2, 0, 1)
                advance(1)
        return np.empty((0, 3, 1, 1), dtype=np.uint8) if images is None else images


def read_packed(path: Path) -> Packed:
    """Return the content of a packed file; no object in it is ever unpickled.

    Args:
        path: a ``.npz`` file.

    Returns:
        Its arrays, checked.

    Raises:
        ValueError: if it is no packed file, damaged, or its arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in ("jpeg", "offsets", "labels", "classes")}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no packed file of images or damaged ({error}); get it again") from error
    kinds = {"jpeg": "u", "offsets": "iu", "labels": "iu", "classes": "U"}
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in kinds[name]:
            raise ValueError(f"{path}: {name} has the wrong type, {array.dtype} {array.shape}")
    if arrays["jpeg"].dtype != np.uint8:
        raise ValueError(f"{path}: jpeg must be bytes, got {arrays['jpeg'].dtype}")
    try:
        return Packed(
            arrays["jpeg"],
            arrays["offsets"].astype(np.int64),
            arrays["labels"].astype(np.int64),
            tuple(str(name) for name in arrays["classes"]),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_packed(
    path: Path, files: Sequence[bytes], labels: Sequence[int] | Tensor, classes: Sequence[str]
) -> None:
    """Write a packed file; it appears whole or not at all.

    Args:
        path: ends in ``.npz``.
        files: N image files, JPEG or PNG, as they are.
        labels: N class indices.
        classes: class names.

    Raises:
        ValueError: if the name ends otherwise, or labels and images do not fit together.
    """
    if path.suffix != ".npz":
        raise ValueError(f"a packed file ends in .npz, got {path.name}")
    numbers = np.asarray(labels, dtype=np.int64)
    if len(files) != len(numbers):
        raise ValueError(f"there is one label for each image, got {len(files)} images, {len(numbers)} labels")
    packed = Packed(
        np.frombuffer(b"".join(files), dtype=np.uint8),
        np.concatenate([[0], np.cumsum([len(file) for file in files], dtype=np.int64)]).astype(np.int64),
        numbers,
        tuple(classes),
    )
    kind = np.uint8 if len(classes) <= 256 else np.int64
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as out:
            np.savez(
                out,
                jpeg=packed.jpeg,
                offsets=packed.offsets,
                labels=packed.labels.astype(kind),
                classes=np.array(packed.classes, dtype=np.str_),
            )
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def packed_images(path: Path, info: DataInfo, split: str, *, name: str | None = None) -> LabelledImages:
    """Return the images of a packed file, decoded once and then read from the cache.

    Args:
        path: the packed file.
        info: the data set it belongs to; its classes must be those of the file.
        split: which part of the data set it is.
        name: the name under which its SHA-256 is recorded; ``None`` is the file's name.

    Returns:
        (N, 3, H, W) images and their labels.

    Raises:
        DownloadError: if the file is not there.
        ValueError: if it cannot be read or has other classes.
    """
    if not path.is_file():
        raise DownloadError(
            f"{path} is not there, and {info.title} cannot be downloaded: it is a packed copy made by hand. Put "
            "the file there, or give the folder that has it as root, or set CNNCOURSE_HOME to it"
        )
    packed = read_packed(path)
    if packed.classes != info.classes:
        raise ValueError(f"{path} has the classes {packed.classes}, {info.title} has {info.classes}")
    sha256 = file_sha256(path)
    images = remembered(f"{info.name}-{split}-{sha256[:16]}", packed.decoded)
    return LabelledImages(
        torch.from_numpy(images),
        torch.from_numpy(packed.labels),
        info,
        split,
        {path.name if name is None else name: sha256},
    )


def remembered(key: str, build: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return an array that takes long to compute, from the cache if it is there and undamaged.

    It is kept as ``decoded/<key>.<SHA-256 of the file>.npy`` in :func:`cache_folder`: the name says what the
    content must be, and one rename makes both appear. A cache that cannot be written changes nothing.

    Args:
        key: names the source and its version.
        build: computes the array.

    Returns:
        The array.
    """
    folder = cache_folder() / "decoded"
    for path in sorted(folder.glob(f"{key}.*.npy")):
        array = _checked(path)
        if array is not None:
            return array
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
    array = build()
    part = folder / f".{key}.{secrets.token_hex(4)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            np.save(out, array, allow_pickle=False)
            out.flush()
            os.fsync(out.fileno())
        part.replace(folder / f"{key}.{file_sha256(part)}.npy")
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return array


def _checked(path: Path) -> NDArray[np.uint8] | None:
    """Return the array in a file whose name holds the hash of its content, or None."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != path.name.split(".")[-2]:
            return None
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array.astype(np.uint8, copy=False)
