"""What a data set consists of, counted and measured on its pixels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from cnncourse.datasets.folder_images import FolderImages, ImageError
from cnncourse.datasets.labelled import LabelledImages
from cnncourse.datasets.normalisation import Normalisation

_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class DataStatistics:
    """Counted and measured properties of a data set."""

    name: str
    """Short name of the data set."""
    split: str
    """Which part of it."""
    count: int
    """Number of images."""
    per_class: dict[str, int]
    """Number of images of each class, by class name, in the order of the labels."""
    smallest: tuple[int, int]
    """Height and width of the image of fewest pixels."""
    largest: tuple[int, int]
    """Height and width of the image of most pixels."""
    mean: tuple[float, ...]
    """Mean of each channel, 0 black to 1 white."""
    std: tuple[float, ...]
    """Standard deviation of each channel over images and pixels, in the same unit."""
    colour: bool
    """Whether any image has pixels that are not grey."""
    measured: int
    """Number of images from which mean, std and colour come."""
    sha256: str
    """Of the pixels of all images, or the bytes of all files, and of the labels."""


def statistics(data: LabelledImages | FolderImages, *, at_most: int = 500, seed: int = 0) -> DataStatistics:
    """Count and measure a data set.

    Images in memory are measured all and exactly. Of images in files all are counted, sized and hashed, but
    only a sample is decoded, to the middle 224 x 224 pixels of a short side of 256.

    Args:
        data: at least one image.
        at_most: images to decode, at least 1; it matters for images in files only.
        seed: of the choice of these.

    Returns:
        The statistics.

    Raises:
        ValueError: if there are no images, or a channel is the same everywhere.
        ImageError: if a file cannot be read as an image.
    """
    if len(data) == 0:
        raise ValueError(f"statistics are counted on at least one image, got none in {data!r}")
    if at_most < 1:
        raise ValueError(f"at_most must be at least 1, got {at_most=}")
    digest = hashlib.sha256()
    if isinstance(data, LabelledImages):
        measured = data
        sizes = [(data.images.shape[2], data.images.shape[3])]
        digest.update(data.images.contiguous().numpy().tobytes())
    else:
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        measured = data.select(order[:at_most].sort().values).to_images(224, short_side=256, progress=False)
        sizes = sorted((_size(path) for path in data.paths), key=lambda size: (size[0] * size[1], size))
        for path in data.paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(data.targets.numpy().astype("<i8").tobytes())
    counts = torch.bincount(data.targets, minlength=len(data.classes)).tolist()
    scale = Normalisation.of(measured)
    return DataStatistics(
        name=data.info.name,
        split=data.split,
        count=len(data),
        per_class=dict(zip(data.classes, counts, strict=True)),
        smallest=sizes[0],
        largest=sizes[-1],
        mean=scale.mean,
        std=scale.std,
        colour=any(not torch.equal(measured.images[:, 0], channel)
                   for channel in measured.images.unbind(1)[1:]),
        measured=len(measured),
        sha256=digest.hexdigest(),
    )  # fmt: skip


def _size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file, as it is to be looked at."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as an image ({error}); replace or remove it") from error
    return (width, height) if turned else (height, width)
