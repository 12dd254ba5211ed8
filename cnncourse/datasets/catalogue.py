"""All data sets by name: what they are, where they come from, and one function that loads any of them."""

import difflib
import inspect
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

import torch

from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import DataInfo, LabelledImages


@dataclass(frozen=True)
class Entry:
    """What is known of a data set without loading it."""

    name: str
    """Short name, as given to :func:`load`."""
    reader: str
    """The function that reads it, as ``module:function``; it is imported when it is needed."""
    described: str
    """Its :class:`DataInfo`, as ``module:name``; empty for a folder of one's own."""
    images: Mapping[str, int]
    """Number of images in each part, with default options; empty for a folder of one's own."""
    side: int | None
    """Height and width in pixels, with default options; ``None`` if images differ in size."""
    source: Literal["embedded", "download", "by hand", "yours"]
    """Carried by an installed package, downloaded when needed, to be put in place by hand, or one's own."""
    download_bytes: int = 0
    """Size of the download, with default options."""

    @property
    def info(self) -> DataInfo | None:
        """Title, licence, citation, homepage and classes."""
        if not self.described:
            return None
        found: DataInfo = _imported(self.described)
        return found

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that :func:`load` passes on to the reader."""
        return tuple(name for name in _parameters(self) if name not in ("split", "root"))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for printing and for JSON.

        Returns:
            Strings, numbers, lists and dictionaries.
        """
        info = self.info
        return {
            "name": self.name,
            "title": info.title if info else "Your own images: a folder, or an archive of one",
            "licence": info.licence if info else "",
            "citation": info.citation if info else "",
            "homepage": info.homepage if info else "",
            "classes": list(info.classes) if info else [],
            "images": dict(self.images),
            "side": self.side,
            "source": self.source,
            "download_bytes": self.download_bytes,
            "options": list(self.options),
        }


def _entry(  # noqa: PLR0917 - a row of the table below
    name: str,
    reader: str,
    described: str,
    images: dict[str, int],
    side: int | None,
    source: Literal["embedded", "download", "by hand", "yours"],
    download_bytes: int = 0,
) -> tuple[str, Entry]:
    package = "cnncourse.datasets"
    module = reader.partition(":")[0]
    return name, Entry(
        name,
        f"{package}.{reader}",
        f"{package}.{module}:{described}" if described else "",
        MappingProxyType(images),
        side,
        source,
        download_bytes,
    )


_SIXTY = {"train": 60_000, "test": 10_000}
_FIFTY = {"train": 50_000, "test": 10_000}

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    dict(
        (
            _entry("digits", "embedded:digits", "DIGITS", {"train": 1_347, "test": 450}, 8, "embedded"),
            _entry("patches", "patches:patches", "PATCHES", {"train": 2_000, "test": 1_000}, 32, "embedded"),
            _entry("shapes", "shapes:shapes", "SHAPES", {"train": 2_000, "test": 2_000}, 32, "embedded"),
            _entry("mnist", "idx:mnist", "MNIST", _SIXTY, 28, "download", 11_594_722),
            _entry("fashion-mnist", "idx:fashion_mnist", "FASHION_MNIST", _SIXTY, 28, "download", 30_878_645),
            _entry("cifar10", "cifar:cifar10", "CIFAR10", _FIFTY, 32, "download", 170_052_171),
            _entry("cifar100", "cifar:cifar100", "CIFAR100", _FIFTY, 32, "download", 168_513_733),
            _entry("cifar10-jpeg", "cifar:cifar10_jpeg", "CIFAR10_JPEG", _FIFTY, 32, "by hand"),
            _entry(
                "tiny-imagenet-20",
                "tiny_imagenet:tiny_imagenet_20",
                "TINY_IMAGENET_20",
                {"train": 10_000, "val": 1_000},
                64,
                "by hand",
            ),
            _entry(
                "imagenette",
                "imagenette:imagenette",
                "IMAGENETTE",
                {"train": 9_469, "val": 3_925},
                None,
                "download",
                99_003_388,
            ),
            _entry(
                "hymenoptera",
                "imagenette:hymenoptera",
                "HYMENOPTERA",
                {"train": 244, "val": 153},
                None,
                "download",
                47_286_322,
            ),
            _entry(
                "flowers102",
                "flowers:flowers102",
                "FLOWERS102",
                {"train": 1_020, "val": 1_020, "test": 6_149},
                None,
                "download",
                344_878_000,
            ),
            _entry(
                "pets", "pets:pets", "PETS", {"train": 3_680, "test": 3_669}, None, "download", 811_092_049
            ),
            _entry("folder", "folder_archives:images_at", "", {}, None, "yours"),
        )
    )
)
"""Every data set by its name, the quick ones first."""


def names() -> tuple[str, ...]:
    """Return the names of all data sets.

    Returns:
        What :func:`load` takes, the quick ones first.
    """
    return tuple(CATALOGUE)


def entry(name: str) -> Entry:
    """Return what is known of a data set.

    Args:
        name: one of :func:`names`; capitals, hyphens and underscores do not matter.

    Returns:
        Its entry.

    Raises:
        ValueError: if there is no such data set.
    """
    plain = {_plain(known): known for known in CATALOGUE}
    if _plain(name) in plain:
        return CATALOGUE[plain[_plain(name)]]
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    guess = f"did you mean {plain[near[0]]!r}? " if near else ""
    raise ValueError(f"there is no data set {name!r}; {guess}Known are {', '.join(CATALOGUE)}")


def load(
    name: str,
    split: str,
    *,
    root: str | os.PathLike[str] | None = None,
    val_fraction: float | None = None,
    val_seed: int = 0,
    **options: Any,
) -> LabelledImages | FolderImages:
    """Return a part of a data set.

    Small images come as tensors, photographs of different sizes as paths that are decoded when they are
    wanted. Where the authors made no validation part, one can be held out of the training part: the same
    ``val_fraction`` and ``val_seed`` for ``"train"`` and ``"val"`` give two parts that share no image and
    together are the training part.

    Args:
        name: one of :func:`names`; capitals, hyphens and underscores do not matter.
        split: ``"train"``, ``"val"`` or ``"test"``.
        root: folder that holds, or shall hold, the files; ``None`` is :func:`cache_folder`.
        val_fraction: share of the training part to hold out, 0 < val_fraction < 1, the same in each class;
            ``None`` holds out nothing.
        val_seed: seed of what is held out.
        **options: passed on to the reader, such as ``path`` for ``"folder"`` or ``size`` for ``"imagenette"``.

    Returns:
        The images with labels and origin.

    Raises:
        ValueError: if the name, the part or an option is unknown or out of its range.
        DownloadError: if a file is missing and no mirror gives it.
        CacheError: if the files cannot be kept or read.
    """
    known = entry(name)
    arguments = _arguments(known, root, options)
    read: Callable[..., LabelledImages | FolderImages] = _imported(known.reader)
    if split not in ("train", "val", "test"):
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    if val_fraction is None or split == "test":
        _has(known, split)
        return read(split, **arguments)
    if _has_own_val(known, read, arguments):
        raise ValueError(
            f"{known.name} has a validation part of its own; leave val_fraction out and load 'train' and 'val'"
        )
    whole = read("train", **arguments)
    train, val = whole.held_out(val_fraction, generator=torch.Generator().manual_seed(val_seed))
    lost = set(val.targets.tolist()) - set(train.targets.tolist())
    if lost:
        raise ValueError(
            f"val_fraction={val_fraction} leaves no image of {whole.classes[min(lost)]!r} to learn from; "
            "take a smaller fraction"
        )
    return train if split == "train" else val


def _has(known: Entry, split: str) -> None:
    """Refuse a part that the data set does not have; folders of one's own are asked when they are read."""
    if known.source == "yours" or split in known.images:
        return
    if split == "val":
        raise ValueError(
            f"{known.name} has no validation part; hold one out of the training part with the same "
            "val_fraction, such as 0.1, for 'train' and for 'val'"
        )
    raise ValueError(
        f"{known.name} has the parts {' and '.join(known.images)}, and no {split!r} with published labels"
    )


def _has_own_val(
    known: Entry, read: Callable[..., LabelledImages | FolderImages], arguments: dict[str, Any]
) -> bool:
    if known.source != "yours":
        return "val" in known.images
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the question whether it is there
            read("val", **{**arguments, "unreadable": "stop"})
    except ValueError:  # no such part; whatever else is wrong is said again for the training part
        return False
    return True


def _arguments(known: Entry, root: str | os.PathLike[str] | None, options: dict[str, Any]) -> dict[str, Any]:
    """Check the options against what the reader takes."""
    unknown = sorted(set(options) - set(known.options))
    if unknown:
        allowed = ", ".join((*known.options, "val_fraction", "val_seed"))
        raise ValueError(f"{known.name} has no option {unknown[0]!r}; it takes {allowed}")
    parameters = _parameters(known)
    for name in known.options:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"{known.name} needs the option {name}; add {name}=…")
    if root is None:
        return dict(options)
    if "root" not in parameters:
        raise ValueError(f"{known.name} is {known.source} and needs no files; leave root out")
    return {"root": root, **options}


def _parameters(known: Entry) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_imported(known.reader)).parameters


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _imported(where: str) -> Any:
    module, name = where.split(":")
    return getattr(import_module(module), name)
