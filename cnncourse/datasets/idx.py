"""MNIST and Fashion-MNIST, read from the original IDX files.

The reader is ours because the format is four lines of arithmetic and importing torchvision for it would take
longer than reading the file; tests compare it with torchvision's.
"""

import gzip
import os
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.downloads import CacheError, RemoteFile, cache_folder, fetch

MNIST = DataInfo(
    name="mnist",
    title="MNIST",
    licence="usually given as CC BY-SA 3.0",
    citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document "
    "Recognition, Proceedings of the IEEE 86(11), 1998",
    homepage="http://yann.lecun.com/exdb/mnist/",
    classes=tuple("0123456789"),
)

FASHION_MNIST = DataInfo(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking "
    "Machine Learning Algorithms, 2017, arXiv:1708.07747",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    classes=(
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
)

_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://raw.githubusercontent.com/fgnt/mnist/master",
)
_MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_FASHION_MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
)
_FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def mnist(split: Literal["train", "test"], *, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return MNIST: handwritten digits, 28 x 28, 60,000 to train with and 10,000 to test with.

    LeCun, Bottou, Bengio & Haffner (1998), section III.A.

    Args:
        split: ``"train"`` or ``"test"``.
        root: folder that holds, or shall hold, ``MNIST/raw/*.gz``; ``None`` is :func:`cache_folder`. Files
            that are there are used without network, the others are downloaded.

    Returns:
        (N, 1, 28, 28) images and (N,) labels 0 to 9.

    Raises:
        ValueError: if the split is unknown.
        DownloadError: if a file is missing and no mirror gives it.
        CacheError: if the folder cannot be written or read.

    Book: pooling_lenet
    """
    return _read(MNIST, "MNIST", split, root, mirrors=_MNIST_MIRRORS, sha256=_MNIST_SHA256)


def fashion_mnist(
    split: Literal["train", "test"], *, root: str | os.PathLike[str] | None = None
) -> LabelledImages:
    """Return Fashion-MNIST: articles of clothing, 28 x 28, 60,000 to train with and 10,000 to test with.

    Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747.

    Args:
        split: ``"train"`` or ``"test"``.
        root: folder that holds, or shall hold, ``FashionMNIST/raw/*.gz``; see :func:`mnist`.

    Returns:
        (N, 1, 28, 28) images and (N,) labels 0 to 9.

    Raises:
        ValueError: if the split is unknown.
        DownloadError: if a file is missing and no mirror gives it.
        CacheError: if the folder cannot be written or read.
    """
    return _read(FASHION_MNIST, "FashionMNIST", split, root, mirrors=_FASHION_MIRRORS, sha256=_FASHION_SHA256)


def read_idx(content: bytes) -> Tensor:
    """Return the array in an IDX file of unsigned bytes.

    The format of the MNIST files: two zero bytes, a byte for the type (8: unsigned byte), a byte for the
    number of axes, the lengths of the axes as big-endian 32-bit numbers, the values.

    Args:
        content: the uncompressed file.

    Returns:
        uint8 tensor of the shape that the file states.

    Raises:
        ValueError: if the content is not of this format or has another length than it states.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"an IDX file of unsigned bytes starts with 00 00 08, got {content[:3].hex(' ')}")
    start = 4 + 4 * content[3]
    shape = tuple(int(length) for length in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != int(np.prod(shape)):
        raise ValueError(
            f"an IDX file of shape {shape} holds {int(np.prod(shape))} bytes, got {len(content) - start}"
        )
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy())


def _read(
    info: DataInfo,
    folder: str,
    split: str,
    root: str | os.PathLike[str] | None,
    *,
    mirrors: tuple[str, ...],
    sha256: dict[str, str],
) -> LabelledImages:
    """Fetch and read the two files of a split."""
    if split not in _FILES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    place = (cache_folder() if root is None else Path(root).expanduser()) / folder / "raw"
    names = _FILES[split]
    arrays = []
    for name in names:
        remote = RemoteFile(name, sha256[name], tuple(f"{mirror}/{name}" for mirror in mirrors))
        arrays.append(_unpacked(fetch(remote, place)))
    images, labels = arrays
    return LabelledImages(
        images.unsqueeze(1),
        labels.long(),
        info,
        split,
        {f"{folder}/raw/{name}": sha256[name] for name in names},
    )


def _unpacked(path: Path) -> Tensor:
    try:
        return read_idx(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error) as error:
        raise CacheError(
            f"{path} cannot be read ({error}); delete it, and it will be downloaded again"
        ) from error
