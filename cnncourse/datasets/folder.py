"""Folders of photographs, one sub-folder for each class."""

import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from cnncourse.datasets.folder_images import FolderImages, ImageError, read_image
from cnncourse.datasets.labelled import DataInfo

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""What counts as an image, by the end of its name in small letters: the list of torchvision's ImageFolder."""

SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Folder names that say to which part their images belong."""


@dataclass(frozen=True)
class _ClassFolder:
    """What one class folder holds."""

    images: tuple[Path, ...]
    others: tuple[Path, ...]


def image_folder(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    info: DataInfo | None = None,
    unreadable: Literal["stop", "skip"] = "stop",
) -> FolderImages:
    """Return the images in a folder that has one sub-folder for each class.

    Either ``path/class/…/image.jpg``, which has one part only, called ``train``, or
    ``path/train/class/…/image.jpg`` with ``path/val`` and ``path/test`` beside it. Classes are the sorted names
    of the class folders; the images of a class may lie deeper. Hidden files and folders (a name that starts
    with a dot or ``__``) do not count; other files that are no images are left out with a warning.

    Args:
        path: the folder.
        split: ``"train"``, ``"val"`` or ``"test"``.
        info: title, licence and so on, whose classes must be those of the folder; ``None`` takes what can be
            known, the name of the folder.
        unreadable: what happens to files that cannot be decoded. ``"stop"``: an error names the first one when
            it is its turn. ``"skip"``: each file is decoded now, and the unreadable ones are left out with a
            warning.

    Returns:
        The images, sorted by class and path.

    Raises:
        ValueError: if the folder is not there, has no such part, has no images in a class, or its parts have
            different classes.
        ImageError: if a file is empty.
    """
    if unreadable not in ("stop", "skip"):
        raise ValueError(f"unreadable must be 'stop' or 'skip', got {unreadable!r}")
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; give the folder that holds one sub-folder for each class")
    parts = split_folders(root)
    if split not in parts:
        raise ValueError(
            f"{root} has no part {split!r}, only {', '.join(parts)}; name one of them, or make a folder "
            f"{root / split} with one sub-folder for each class"
        )
    classes = _same_classes(root, parts)
    if info is not None and len(info.classes) != len(classes):
        raise ValueError(f"{root} has {len(classes)} classes and {info.title} has {len(info.classes)}")
    data = _scanned(parts[split], classes, info or _unknown(root, classes), split)
    if data.ignored:
        warnings.warn(
            f"{parts[split]}: {len(data.ignored)} files are no images and are left out, such as "
            f"{data.ignored[0]}",
            stacklevel=2,
        )
    return data if unreadable == "stop" else _readable(data)


def split_folders(root: Path) -> dict[str, Path]:
    """Return the parts of a data set in a folder: those of its sub-folders train, val and test that hold classes.

    Args:
        root: an existing folder.

    Returns:
        Folder by part; ``{"train": root}`` if there are no such sub-folders.
    """
    parts: dict[str, Path] = {}
    for split, names in SPLIT_FOLDERS.items():
        for name in names:
            if (root / name).is_dir() and any(True for _ in visible_folders(root / name)):
                parts.setdefault(split, root / name)
    return parts or {"train": root}


def visible_folders(folder: Path) -> Iterator[Path]:
    """Yield the sub-folders that count, sorted by name.

    Args:
        folder: an existing folder.

    Yields:
        Those whose name starts neither with a dot nor with ``__``.
    """
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith((".", "__")):
            yield entry


def _same_classes(root: Path, parts: dict[str, Path]) -> tuple[str, ...]:
    """Return the classes, which must be the same in every part."""
    names = {split: tuple(entry.name for entry in visible_folders(folder)) for split, folder in parts.items()}
    first, classes = next(iter(names.items()))
    if not classes:
        loose = sum(entry.suffix.lower() in IMAGE_SUFFIXES for entry in root.iterdir())
        has = f"{loose} images and no folders" if loose else "no folders"
        raise ValueError(
            f"{root} has {has}; put the images of each class into a sub-folder with the class's name"
        )
    for split, others in names.items():
        if others != classes:
            missing, more = sorted(set(classes) - set(others)), sorted(set(others) - set(classes))
            says = [f"{_some(missing)} only in {first}"] if missing else []
            says += [f"{_some(more)} only in {split}"] if more else []
            raise ValueError(
                f"{root}: {first} and {split} must have the same classes, got {' and '.join(says)}; "
                "the labels would mean different things"
            )
    return classes


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _scanned(folder: Path, classes: tuple[str, ...], info: DataInfo, split: str) -> FolderImages:
    paths: list[Path] = []
    labels: list[int] = []
    others: list[Path] = [entry for entry in sorted(folder.iterdir()) if _counts(entry)]
    listing = hashlib.sha256()
    for label, name in enumerate(classes):
        found = _class_folder(folder / name)
        if not found.images:
            raise ValueError(
                f"{folder / name} holds no images ({len(found.others)} other files); fill it or remove it, "
                "because a class without images cannot be learnt"
            )
        for image in found.images:
            size = image.stat().st_size
            if size == 0:
                raise ImageError(f"{image} cannot be read as an image (it is empty); replace or remove it")
            listing.update(f"{image.relative_to(folder).as_posix()}\t{size}\n".encode())
        paths += found.images
        labels += [label] * len(found.images)
        others += found.others
    return FolderImages(
        tuple(paths),
        torch.tensor(labels, dtype=torch.int64),
        info,
        split,
        {f"names and sizes of the files in {folder.name}": listing.hexdigest()},
        tuple(others),
    )


def _counts(entry: Path) -> bool:
    return entry.is_file() and not entry.name.startswith((".", "__"))


def _class_folder(folder: Path) -> _ClassFolder:
    """Return the files below a class folder, sorted by path; links are followed, but not in circles."""
    images: list[Path] = []
    others: list[Path] = []
    visited: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for path in (Path(place, name) for name in sorted(files)):
            if _counts(path):
                (images if path.suffix.lower() in IMAGE_SUFFIXES else others).append(path)
    return _ClassFolder(tuple(sorted(images)), tuple(sorted(others)))


def _readable(data: FolderImages) -> FolderImages:
    """Leave out what cannot be decoded."""
    bad: list[int] = []
    for index, path in enumerate(data.paths):
        try:
            read_image(path)
        except ImageError:
            bad.append(index)
    if not bad:
        return data
    whole = torch.ones(len(data), dtype=torch.bool)
    whole[bad] = False
    left = data.select(whole.nonzero().squeeze(1))
    for label in sorted(set(data.targets.tolist()) - set(left.targets.tolist())):
        raise ImageError(f"no image of the class {data.classes[label]!r} can be read")
    warnings.warn(
        f"{len(bad)} of {len(data)} images cannot be read and are left out, such as {data.paths[bad[0]]}",
        stacklevel=3,
    )
    return left


def _unknown(root: Path, classes: tuple[str, ...]) -> DataInfo:
    name = root.resolve().name or "folder"
    return DataInfo(
        name=name,
        title=name,
        licence="not known; ask whoever made the images",
        citation="",
        homepage="",
        classes=classes,
    )
