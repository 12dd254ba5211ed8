"""Imagenette and the ants and bees of PyTorch's transfer-learning tutorial: small parts of ImageNet."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cnncourse.datasets.archives import fetched_and_extracted
from cnncourse.datasets.folder import image_folder, split_folders
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import DataInfo
from cnncourse.downloads import RemoteFile, cache_folder

_IMAGENET_TERMS = "ImageNet's terms: non-commercial research and education; the photographs belong to others"

WNIDS = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
"""Class names by the name of their folder, which is ImageNet's."""

IMAGENETTE = DataInfo(
    name="imagenette",
    title="Imagenette",
    licence=_IMAGENET_TERMS,
    citation="J. Howard, Imagenette, 2019, https://github.com/fastai/imagenette; J. Deng, W. Dong, R. Socher, "
    "L.-J. Li, K. Li and L. Fei-Fei, ImageNet: A Large-Scale Hierarchical Image Database, CVPR 2009",
    homepage="https://github.com/fastai/imagenette",
    classes=tuple(WNIDS.values()),
)

HYMENOPTERA = DataInfo(
    name="hymenoptera",
    title="Hymenoptera (ants and bees)",
    licence=_IMAGENET_TERMS,
    citation="S. Chilamkurthy, Transfer Learning for Computer Vision Tutorial, PyTorch tutorials, 2017",
    homepage="https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html",
    classes=("ants", "bees"),
)

_FASTAI = "https://s3.amazonaws.com/fast-ai-imageclas"
_IMAGENETTE_ARCHIVES = {
    "160": ("imagenette2-160", "64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5"),
    "320": ("imagenette2-320", "569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c"),
    "full": ("imagenette2", "6cbfac238434d89fe99e651496f0812ebc7a10fa62bd42d6874042bf01de4efd"),
}
IMAGENETTE_SIZES = {"train": 9_469, "val": 3_925}

_HYMENOPTERA_ARCHIVE = RemoteFile(
    "hymenoptera_data.zip",
    "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209",
    ("https://download.pytorch.org/tutorial/hymenoptera_data.zip",),
)
HYMENOPTERA_SIZES = {"train": 244, "val": 153}


def imagenette(
    split: Literal["train", "val"],
    *,
    root: str | os.PathLike[str] | None = None,
    size: Literal["160", "320", "full"] = "160",
) -> FolderImages:
    """Return Imagenette: photographs of ten easily told classes of ImageNet, 9,469 and 3,925.

    Howard (2019), the second version, whose validation part is 30 %.

    Args:
        split: ``"train"`` or ``"val"``; there is no other part, so results are reported on ``"val"``.
        root: folder that holds, or shall hold, the archive or the folder out of it (``imagenette2-160`` and so
            on, or ``imagenette``); ``None`` is :func:`cache_folder`. What is there is used without network.
        size: pixels of the short side, or ``"full"`` for the original size: 99 MB, 342 MB or 1.6 GB.

    Returns:
        Paths and labels 0 to 9; a folder with fewer images says so in its title.

    Raises:
        ValueError: if the split or the size is unknown, or the folder has other classes.
        DownloadError: if nothing is there and no mirror gives it.
        CacheError: if it cannot be kept.
    """
    if str(size) not in _IMAGENETTE_ARCHIVES:
        raise ValueError(f"size must be '160', '320' or 'full', got {size!r}")
    stem, sha256 = _IMAGENETTE_ARCHIVES[str(size)]
    archive = RemoteFile(f"{stem}.tgz", sha256, (f"{_FASTAI}/{stem}.tgz",))
    return _train_and_val(
        IMAGENETTE,
        split,
        root,
        folders=(stem, "imagenette"),
        archive=archive,
        class_folders=tuple(WNIDS),
        sizes=IMAGENETTE_SIZES,
    )


def hymenoptera(
    split: Literal["train", "val"], *, root: str | os.PathLike[str] | None = None
) -> FolderImages:
    """Return photographs of ants and bees: 244 to train with and 153 to test with.

    Args:
        split: ``"train"`` or ``"val"``; there is no other part, so results are reported on ``"val"``.
        root: folder that holds, or shall hold, ``hymenoptera_data.zip`` or the folder out of it
            (``hymenoptera_data`` or ``hymenoptera``); ``None`` is :func:`cache_folder`.

    Returns:
        Paths and labels, 0 ant and 1 bee; a folder with fewer images says so in its title.

    Raises:
        ValueError: if the split is unknown, or the folder has other classes.
        DownloadError: if nothing is there and no mirror gives it.
        CacheError: if it cannot be kept.
    """
    return _train_and_val(
        HYMENOPTERA,
        split,
        root,
        folders=("hymenoptera_data", "hymenoptera"),
        archive=_HYMENOPTERA_ARCHIVE,
        class_folders=HYMENOPTERA.classes,
        sizes=HYMENOPTERA_SIZES,
    )


def _train_and_val(
    info: DataInfo,
    split: str,
    root: str | os.PathLike[str] | None,
    *,
    folders: tuple[str, ...],
    archive: RemoteFile,
    class_folders: tuple[str, ...],
    sizes: dict[str, int],
) -> FolderImages:
    """Return a part of a data set that is published as an archive of one folder, the first of ``folders``."""
    if split not in sizes:
        raise ValueError(f"split must be 'train' or 'val', got {split!r}; {info.title} has no other part")
    place = cache_folder() if root is None else Path(root).expanduser()
    there = [place / folder for folder in folders if "val" in _parts(place / folder)]
    folder = there[0] if there else fetched_and_extracted(archive, place) / folders[0]
    data = _quietly(folder, split, class_folders)
    if len(data) != sizes[split]:
        info = replace(info, title=f"{info.title} (a part: {len(data):,} of {sizes[split]:,} images)")
    sha256 = data.sha256 if there else {archive.name: archive.sha256}
    return replace(data, info=info, sha256=sha256)


def _parts(folder: Path) -> dict[str, Path]:
    return split_folders(folder) if folder.is_dir() else {}


def _quietly(folder: Path, split: str, names: tuple[str, ...]) -> FolderImages:
    """Read a folder of known content, whose stray files are no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = image_folder(folder, split)
    if data.classes != names:
        raise ValueError(
            f"{folder} has the class folders {', '.join(data.classes)}; expected {', '.join(names)}"
        )
    return data
