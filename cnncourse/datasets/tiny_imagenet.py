"""Twenty classes of Tiny ImageNet, packed by hand."""

import os
from pathlib import Path
from typing import Literal

from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.packed_files import packed_images
from cnncourse.downloads import cache_folder

TINY_IMAGENET_20 = DataInfo(
    name="tiny-imagenet-20",
    title="Tiny ImageNet, 20 of its 200 classes",
    licence="ImageNet's terms: non-commercial research and education; the photographs belong to others",
    citation="Y. Le and X. Yang, Tiny ImageNet Visual Recognition Challenge, CS231n course report, Stanford "
    "University, 2015",
    homepage="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    classes=(
        *(
            "goldfish",
            "bullfrog",
            "jellyfish",
            "king penguin",
            "golden retriever",
            "tabby",
            "lion",
            "ladybug",
        ),
        *("monarch", "African elephant", "lesser panda", "lampshade", "school bus", "sports car"),
        *("steel arch bridge", "teapot", "mushroom", "banana", "pizza", "seashore"),
    ),
)


def tiny_imagenet_20(
    split: Literal["train", "val"], *, root: str | os.PathLike[str] | None = None
) -> LabelledImages:
    """Return twenty classes of Tiny ImageNet: photographs of 64 x 64, 10,000 to train with and 1,000 to test with.

    Le & Yang (2015). The labels of the original test part were never published, so results are reported on
    ``"val"``. The first load decodes, later ones read the decoded form from the cache.

    Args:
        split: ``"train"`` or ``"val"``.
        root: folder that holds ``tiny_imagenet20/train_jpeg.npz`` and ``tiny_imagenet20/val_jpeg.npz``;
            ``None`` is :func:`cache_folder`.

    Returns:
        (N, 3, 64, 64) images and (N,) labels 0 to 19; grey photographs have three equal channels.

    Raises:
        ValueError: if the split is unknown or a file damaged.
        DownloadError: if a file is not there; it cannot be downloaded.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split must be 'train' or 'val', got {split!r}")
    place = cache_folder() if root is None else Path(root).expanduser()
    name = f"tiny_imagenet20/{split}_jpeg.npz"
    return packed_images(place / name, TINY_IMAGENET_20, split, name=name)
