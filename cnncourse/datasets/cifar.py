"""CIFAR-10 and CIFAR-100, read from the original archives or from what others unpacked of them.

The binary version is downloaded, because it needs no pickle. Where only the Python version is at hand, it is
read by an unpickler that knows bytes, numbers, lists, dictionaries and arrays of bytes and nothing else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cnncourse.datasets.archives import read_members
from cnncourse.datasets.cifar_classes import CIFAR10, CIFAR10_JPEG, CIFAR100, CIFAR100_COARSE
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.numpy_pickle import PickleError, read_pickle
from cnncourse.datasets.packed_files import packed_images, remembered
from cnncourse.downloads import CacheError, DownloadError, RemoteFile, cache_folder, fetch, file_sha256

_TORONTO = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")
_MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets"
_SWIFT = "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10"
_PADDLE = "https://dataset.bj.bcebos.com/cifar"


@dataclass(frozen=True)
class _Form:
    """One of the forms in which the data set is published."""

    archive: RemoteFile
    folder: str
    """The only folder in the archive."""
    files: dict[str, tuple[str, ...]]
    """File names of each split."""
    binary: bool


def _remote(name: str, sha256: str, places: tuple[str, ...]) -> RemoteFile:
    return RemoteFile(name, sha256, tuple(f"{place}/{name}" for place in places))


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))

FORMS = {
    "cifar10": (
        _Form(
            _remote(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                (*_TORONTO, _SWIFT, _MINDSPORE),
            ),
            "cifar-10-batches-bin",
            {"train": tuple(f"{name}.bin" for name in _BATCHES), "test": ("test_batch.bin",)},
            binary=True,
        ),
        _Form(
            _remote(
                "cifar-10-python.tar.gz",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                (_PADDLE, *_TORONTO),
            ),
            "cifar-10-batches-py",
            {"train": _BATCHES, "test": ("test_batch",)},
            binary=False,
        ),
    ),
    "cifar100": (
        _Form(
            _remote(
                "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                _TORONTO,
            ),
            "cifar-100-binary",
            {"train": ("train.bin",), "test": ("test.bin",)},
            binary=True,
        ),
        _Form(
            _remote(
                "cifar-100-python.tar.gz",
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                (_PADDLE, *_TORONTO),
            ),
            "cifar-100-python",
            {"train": ("train",), "test": ("test",)},
            binary=False,
        ),
    ),
}
"""In the order of preference: what is there is used before anything is downloaded."""

SIZES = {"train": 50_000, "test": 10_000}


def cifar10(split: Literal["train", "test"], *, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return CIFAR-10: colour photographs, 32 x 32, 50,000 to train with and 10,000 to test with.

    Krizhevsky (2009), chapter 3 of Learning Multiple Layers of Features from Tiny Images.

    Args:
        split: ``"train"`` or ``"test"``.
        root: folder that holds, or shall hold, the archive ``cifar-10-binary.tar.gz`` or
            ``cifar-10-python.tar.gz``, or the folder ``cifar-10-batches-bin`` or ``cifar-10-batches-py`` out of
            it; ``None`` is :func:`cache_folder`. What is there is used without network.

    Returns:
        (N, 3, 32, 32) images and (N,) labels 0 to 9, in the original order.

    Raises:
        ValueError: if the split is unknown.
        DownloadError: if nothing is there and no mirror gives it.
        CacheError: if what is there cannot be read or is incomplete.
    """
    return _cifar("cifar10", CIFAR10, split, root, labels_per_record=1, label=0)


def cifar100(
    split: Literal["train", "test"],
    *,
    root: str | os.PathLike[str] | None = None,
    labels: Literal["fine", "coarse"] = "fine",
) -> LabelledImages:
    """Return CIFAR-100: colour photographs, 32 x 32, 50,000 to train with and 10,000 to test with.

    Krizhevsky (2009), chapter 3 of Learning Multiple Layers of Features from Tiny Images.

    Args:
        split: ``"train"`` or ``"test"``.
        root: as in :func:`cifar10`, with ``cifar-100-binary.tar.gz``, ``cifar-100-python.tar.gz``, or the
            folder ``cifar-100-binary`` or ``cifar-100-python``.
        labels: ``"fine"`` for the 100 classes, ``"coarse"`` for the 20 superclasses.

    Returns:
        (N, 3, 32, 32) images and (N,) labels, in the original order.

    Raises:
        ValueError: if the split or the kind of labels is unknown.
        DownloadError: if nothing is there and no mirror gives it.
        CacheError: if what is there cannot be read or is incomplete.
    """
    if labels not in ("fine", "coarse"):
        raise ValueError(f"labels must be 'fine' or 'coarse', got {labels!r}")
    info, label = (CIFAR100, 1) if labels == "fine" else (CIFAR100_COARSE, 0)
    return _cifar("cifar100", info, split, root, labels_per_record=2, label=label)


def cifar10_jpeg(
    split: Literal["train", "test"], *, root: str | os.PathLike[str] | None = None
) -> LabelledImages:
    """Return CIFAR-10 as JPEG copies of quality 75, for development where the originals cannot be had.

    Results on them are not comparable with published ones: a network trained on the originals loses about ten
    percentage points. The first load decodes, later ones read the decoded form from the cache.

    Args:
        split: ``"train"`` or ``"test"``.
        root: folder that holds ``cifar10/train_jpeg.npz`` and ``cifar10/test_jpeg.npz``; ``None`` is
            :func:`cache_folder`.

    Returns:
        (N, 3, 32, 32) images and (N,) labels 0 to 9.

    Raises:
        ValueError: if the split is unknown or a file damaged.
        DownloadError: if a file is not there; it cannot be downloaded.
    """
    _known(split)
    place = cache_folder() if root is None else Path(root).expanduser()
    name = f"{split}_jpeg.npz"
    return packed_images(place / "cifar10" / name, CIFAR10_JPEG, split, name=f"cifar10/{name}")


def records_from_binary(content: bytes, labels_per_record: int) -> NDArray[np.uint8]:
    """Return the records in a file of the binary version.

    A record is one label (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 1,024 red, green and blue
    values each, row by row.

    Args:
        content: the file.
        labels_per_record: 1 or 2.

    Returns:
        (N, labels_per_record + 3072).

    Raises:
        ValueError: if the length is no multiple of a record's.
    """
    length = labels_per_record + 3072
    if not content or len(content) % length:
        raise ValueError(f"a file of records of {length} bytes cannot have {len(content)} bytes")
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, length)


def records_from_pickle(content: bytes, labels_per_record: int) -> NDArray[np.uint8]:
    """Return the records in a file of the Python version, without executing what it says.

    Args:
        content: the file.
        labels_per_record: 1 or 2.

    Returns:
        (N, labels_per_record + 3072), as :func:`records_from_binary`.

    Raises:
        ValueError: if the content is of another form, or would call anything when unpickled.
    """
    batch = read_pickle(content)
    if not isinstance(batch, dict):
        raise PickleError(f"a batch is a dictionary, got {type(batch).__name__}")
    entries = {
        key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()
    }
    names = ("labels",) if labels_per_record == 1 else ("coarse_labels", "fine_labels")
    data = entries.get("data")
    columns = [entries.get(name) for name in names]
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072:
        raise PickleError("a batch has an array 'data' with 3,072 bytes for each image")
    for name, column in zip(names, columns, strict=True):
        if not isinstance(column, list) or len(column) != len(data):
            raise PickleError(f"a batch has a list {name!r} with a number for each image")
        if not all(isinstance(value, int) and 0 <= value < 256 for value in column):
            raise PickleError(f"{name!r} must hold numbers from 0 to 255")
    return np.concatenate([np.array(columns, dtype=np.uint8).T, data], axis=1)


def _known(split: str) -> None:
    if split not in SIZES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")


def _cifar(
    name: str,
    info: DataInfo,
    split: str,
    root: str | os.PathLike[str] | None,
    *,
    labels_per_record: int,
    label: int,
) -> LabelledImages:
    _known(split)
    place = cache_folder() if root is None else Path(root).expanduser()
    records, sha256 = _records(FORMS[name], place, split, labels_per_record)
    labels = records[:, label]
    counts = np.bincount(labels, minlength=len(info.classes))
    if (counts != SIZES[split] / len(info.classes)).any() or len(counts) != len(info.classes):
        raise CacheError(
            f"{', '.join(sha256)} in {place} is not {info.title} as published: {len(labels):,} images instead "
            f"of {SIZES[split]:,}, or not the same number in each class. Delete it, and it will be downloaded"
        )
    images = torch.from_numpy(np.ascontiguousarray(records[:, labels_per_record:]).reshape(-1, 3, 32, 32))
    return LabelledImages(images, torch.from_numpy(labels.astype(np.int64)), info, split, sha256)


def _records(
    forms: tuple[_Form, ...], place: Path, split: str, labels_per_record: int
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Return the records of a split and the hashes of the files they came from."""
    for form in forms:
        folder = place / form.folder
        if all((folder / name).is_file() for name in form.files[split]):
            return _from_folder(form, folder, split, labels_per_record)
    there = [form for form in forms if (place / form.archive.name).is_file()]
    failures: list[str] = []
    for form in (*there, *(form for form in forms if form not in there)):
        try:
            archive = fetch(form.archive, place)
        except DownloadError as error:
            failures.append(str(error))
            continue
        return _from_archive(form, archive, split, labels_per_record)
    raise DownloadError("\n\n".join(failures))


def _from_folder(
    form: _Form, folder: Path, split: str, labels_per_record: int
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    paths = [folder / name for name in form.files[split]]
    try:
        records = [_parsed(form, labels_per_record)(path.read_bytes()) for path in paths]
        sha256 = {f"{form.folder}/{path.name}": file_sha256(path) for path in paths}
    except (ValueError, OSError) as error:
        raise CacheError(
            f"{folder} cannot be read ({error}); delete it, and the archive is used or downloaded"
        ) from error
    return np.concatenate(records), sha256


def _from_archive(
    form: _Form, archive: Path, split: str, labels_per_record: int
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    wanted = tuple(f"{form.folder}/{name}" for name in form.files[split])

    def build() -> NDArray[np.uint8]:
        content = read_members(archive, wanted)
        return np.concatenate([_parsed(form, labels_per_record)(content[name]) for name in wanted])

    sha256 = form.archive.sha256
    return remembered(f"{form.folder}-{split}-{sha256[:16]}", build), {archive.name: sha256}


def _parsed(form: _Form, labels_per_record: int) -> Callable[[bytes], NDArray[np.uint8]]:
    read = records_from_binary if form.binary else records_from_pickle
    return lambda content: read(content, labels_per_record)
