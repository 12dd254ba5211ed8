"""Images that occur twice: inside a part of a data set, or in the training and the test part."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.datasets.folder_images import FolderImages, read_image
from cnncourse.datasets.labelled import LabelledImages


@dataclass(frozen=True, order=True)
class Copy:
    """One of several images that are the same."""

    dataset: int
    """Which of the data sets asked about, from 0."""
    index: int
    """Which image of it, from 0."""
    split: str
    """The data set's name of the part."""
    target: int
    """Its label."""


def find_duplicates(*datasets: LabelledImages | FolderImages) -> list[tuple[Copy, ...]]:
    """Find images with equal pixels, across data sets and inside them.

    Compared are size, channels and decoded pixels (by their SHA-256), so files that differ only in their
    metadata count as the same and an image saved twice as JPEG does not.

    Args:
        *datasets: one or more, usually the parts of one data set.

    Returns:
        Groups of two or more, in the order of their first image; empty if there are none.

    Raises:
        ValueError: if there is nothing to compare.
        ImageError: if an image file cannot be decoded.
    """
    groups: dict[bytes, list[Copy]] = defaultdict(list)
    _not_empty(datasets)
    for number, data in enumerate(datasets):
        targets = data.targets.tolist()
        for index, digest in enumerate(_digests(data)):
            groups[digest].append(Copy(number, index, data.split, targets[index]))
    return sorted(tuple(group) for group in groups.values() if len(group) > 1)


def find_near_duplicates(
    *datasets: LabelledImages, distance: int = 10, difference: float = 20.0
) -> list[tuple[Copy, Copy, float]]:
    """Find pairs of images that look alike though their pixels differ, such as the same picture saved twice.

    Candidates have nearly the same difference hash: 64 bits that say, for 8 x 8 places of the image scaled to
    8 x 9 grey values, whether it gets brighter to the right. Their pixels decide. Every pair is looked at, which
    takes seconds for tens of thousands of images; a shifted, turned or mirrored copy is not found. The default
    limits are for photographs; dark images such as MNIST differ little on average, and need smaller ones.

    Args:
        *datasets: one or more of the same image size.
        distance: bits in which the hashes may differ, 0 to 64.
        difference: mean absolute difference of the pixels, in levels of 0 to 255, up to which a pair counts.

    Returns:
        Pairs with their mean absolute difference (0 for equal images), most alike first.

    Raises:
        ValueError: if there is nothing to compare, or the images have different sizes.
    """
    if not 0 <= distance <= 64 or difference < 0:
        raise ValueError(
            f"distance must lie in [0, 64] and difference be at least 0, got {distance=}, {difference=}"
        )
    _not_empty(datasets)
    sizes = {tuple(data.images.shape[1:]) for data in datasets}
    if len(sizes) > 1:
        raise ValueError(f"near duplicates are looked for among images of one size, got {sorted(sizes)}")
    images = torch.cat([data.images for data in datasets])
    first, second = _close_pairs(difference_hash(images), distance)
    where = [
        Copy(number, index, data.split, target)
        for number, data in enumerate(datasets)
        for index, target in enumerate(data.targets.tolist())
    ]
    found = []
    for begin in range(0, len(first), 4096):
        some = slice(begin, begin + 4096)
        gaps = (images[first[some]].float() - images[second[some]].float()).abs().flatten(1).mean(1)
        for chosen in (gaps <= difference).nonzero().flatten().tolist():
            pair = where[int(first[begin + chosen])], where[int(second[begin + chosen])]
            found.append((*pair, float(gaps[chosen])))
    return sorted(found, key=lambda pair: (pair[2], pair[0], pair[1]))


def difference_hash(images: Tensor) -> Tensor:
    """Return 64 bits of each image that survive small changes of its pixels.

    N. Krawetz, Kind of Like That, The Hacker Factor Blog, 2013: grey values, scaled to 8 rows of 9, each
    compared with its right neighbour.

    Args:
        images: (N, C, H, W), uint8.

    Returns:
        (N, 64), bool.
    """
    grey = torch.empty((len(images), 1, 8, 9))
    for begin in range(0, len(images), 4096):  # in parts, because floats take four times the memory
        some = slice(begin, begin + 4096)
        grey[some] = functional.interpolate(
            images[some].float().mean(1, keepdim=True),
            size=(8, 9),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
    return (grey[..., 1:] > grey[..., :-1]).flatten(1)


def _close_pairs(hashes: Tensor, distance: int) -> tuple[Tensor, Tensor]:
    """Return all pairs i < j whose rows differ in at most ``distance`` places.

    With ±1 for the bits, the product of two rows is 64 - 2 x distance: every pair costs 64 multiplications,
    and no pair is missed. Sums of 64 ones are exact in float32.
    """
    signs = hashes.float() * 2 - 1
    firsts, seconds = [], []
    for begin in range(0, len(signs), 2048):
        products = signs[begin : begin + 2048] @ signs[begin:].T
        rows, columns = (products >= 64 - 2 * distance).nonzero(as_tuple=True)
        later = columns > rows
        firsts.append(rows[later] + begin)
        seconds.append(columns[later] + begin)
    return torch.cat(firsts), torch.cat(seconds)


def _not_empty(datasets: tuple[LabelledImages | FolderImages, ...]) -> None:
    if not any(len(data) for data in datasets):
        raise ValueError("there are no images to compare; give at least one data set that is not empty")


def _digests(data: LabelledImages | FolderImages) -> Iterator[bytes]:
    """Hash height, width, channels and pixels of each image, channels last as files have them."""
    if isinstance(data, FolderImages):
        for path in data.paths:
            image = read_image(path)
            yield _digest(image.height, image.width, 3, image.tobytes())
        return
    channels, height, width = data.images.shape[1:]
    for begin in range(0, len(data), 1024):
        for pixels in data.images[begin : begin + 1024].permute(0, 2, 3, 1).contiguous().numpy():
            yield _digest(height, width, channels, pixels.tobytes())


def _digest(height: int, width: int, channels: int, pixels: bytes) -> bytes:
    return hashlib.sha256(f"{height} {width} {channels}\n".encode() + pixels).digest()
