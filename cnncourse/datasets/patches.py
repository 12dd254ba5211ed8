"""Small labelled crops of photographs that an installed package carries: ten materials, no network.

scikit-image and scikit-learn ship some photographs inside their wheels. Rectangles of them that show one
material each make a data set for classification: a class is a rectangle's material, an image a random window
in it. Training and test windows come from different rectangles with a band between them, so no pixel of a
test image was ever trained on.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.augmentation.streams import generator_for
from cnncourse.datasets.labelled import DataInfo, LabelledImages

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of the photograph; x1 and y1 are the first ones outside."""


@dataclass(frozen=True)
class Material:
    """One class: where in which photograph its training and test windows lie."""

    name: str
    """Class name."""
    package: str
    """Installed package that carries the photograph."""
    photograph: str
    """Its file, from the package's folder."""
    train: tuple[Box, ...]
    """Rectangles of training windows."""
    test: tuple[Box, ...]
    """Rectangles of test windows, at least 16 pixels from every rectangle of training windows."""


_SKIMAGE, _SKLEARN = "skimage", "sklearn"
_UPPER, _LOWER = ((0, 0, 512, 340),), ((0, 372, 512, 512),)

MATERIALS = (
    Material("brick", _SKIMAGE, "data/brick.png", _UPPER, _LOWER),
    Material("grass", _SKIMAGE, "data/grass.png", _UPPER, _LOWER),
    Material("gravel", _SKIMAGE, "data/gravel.png", _UPPER, _LOWER),
    Material("foliage", _SKLEARN, "datasets/images/china.jpg",
             train=((0, 345, 220, 427), (560, 150, 640, 427)), test=((375, 335, 540, 427),)),
    Material("fur", _SKIMAGE, "data/chelsea.png",
             train=((155, 0, 325, 85), (45, 20, 137, 110)), test=((90, 140, 207, 240),)),
    Material("petals", _SKLEARN, "datasets/images/flower.jpg",
             train=((185, 110, 300, 340),), test=((325, 110, 430, 340),)),
    Material("tissue", _SKIMAGE, "data/ihc.png", train=((0, 0, 300, 512),), test=((332, 0, 512, 512),)),
    Material("pagoda", _SKLEARN, "datasets/images/china.jpg",
             train=((85, 80, 198, 325),), test=((222, 80, 335, 315),)),
    Material("coins", _SKIMAGE, "data/coins.png", train=((0, 0, 384, 148),), test=((0, 166, 384, 303),)),
    Material("print", _SKIMAGE, "data/page.png", train=((0, 0, 220, 128),), test=((240, 42, 384, 128),)),
)  # fmt: skip
"""The ten classes, in the order of their labels."""

WINDOW = (32, 64)
"""Least and greatest side of a window in pixels of the photograph."""

DEFAULT_COUNT = {"train": 2000, "test": 1000}

PATCHES = DataInfo(
    name="patches",
    title="Patches of photographs",
    licence="CC0 or public domain (photographs of scikit-image); CC BY 2.0 (those of scikit-learn)",
    citation="S. van der Walt et al., scikit-image: Image Processing in Python, PeerJ 2:e453, 2014; "
    "photographs china.jpg by danielbuechele and flower.jpg by vultilion, in scikit-learn",
    homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
    classes=tuple(material.name for material in MATERIALS),
)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def patches(
    split: Literal["train", "test"],
    *,
    side: int = 32,
    count: int | None = None,
    colour: Literal["matched", "original"] = "matched",
    window: tuple[int, int] = WINDOW,
    seed: int = 0,
) -> LabelledImages:
    """Return random windows of ten materials out of photographs that ship with installed packages.

    Every window is turned or mirrored at random. With ``"matched"`` colours a window keeps only its grey
    values: they are brought to mean 0 and standard deviation 1, and each colour channel gets a mean (110 to
    150 ± 30) and a standard deviation (35 to 55 ± 25 %) drawn alike for all classes. So neither hue nor
    brightness nor contrast tells the class; what is left to a colour histogram is its shape (see
    :func:`colour_histogram_baseline`).

    Label i % 10 belongs to image i, so every leading part is balanced too. More images continue the same
    sequence, and another side shows the same windows.

    Args:
        split: ``"train"`` or ``"test"``, from rectangles with a band between them.
        side: height and width of the images in pixels, at least 8; windows are resized to it.
        count: number of images, at least 10; ``None`` is 2,000 for training and 1,000 for testing.
        colour: ``"matched"``, or ``"original"`` for the photographs' own colours.
        window: least and greatest side of a window in pixels of the photograph, 16 to 64.
        seed: of the windows; training and test draws never share a stream.

    Returns:
        (N, 3, side, side) images and (N,) labels 0 to 9.

    Raises:
        ValueError: if an argument is out of its range or unknown.
        FileNotFoundError: if a package does not carry the photograph.

    Book: vgg
    """
    count = _checked_count(split, side, count, colour, window)
    generator = generator_for(seed, "patches", split)
    drawn = torch.rand(count, 13, generator=generator, dtype=torch.float64)
    targets = torch.arange(count) % len(MATERIALS)
    corners = _corners(split, targets, drawn[:, :4], window)
    images = torch.empty(count, 3, side, side)
    hashes = {}
    for label, material in enumerate(MATERIALS):
        pixels, digest = photograph(material)
        hashes[f"{material.package}/{material.photograph}"] = digest
        members = (targets == label).nonzero().squeeze(1)
        for length in sorted(set(corners[members, 2].tolist())):
            chosen = members[corners[members, 2] == length]
            windows = torch.stack(
                [pixels[:, y : y + length, x : x + length] for x, y in corners[chosen, :2].tolist()]
            )
            images[chosen] = functional.interpolate(
                windows.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False
            )
    images = _turned(images, (8 * drawn[:, 4]).long())
    if colour == "matched":
        images = _matched(images, drawn[:, 5:].float())
    return LabelledImages(images.round().clamp(0, 255).to(torch.uint8), targets, PATCHES, split, hashes)


@lru_cache(maxsize=len(MATERIALS))
def photograph(material: Material) -> tuple[Tensor, str]:
    """Return the photograph of a material and the SHA-256 of its file.

    Args:
        material: one of :data:`MATERIALS`.

    Returns:
        (3, H, W) uint8 pixels (grey photographs have three equal channels), and the digest.

    Raises:
        FileNotFoundError: if the package does not carry it.
    """
    from PIL import Image

    spec = importlib.util.find_spec(material.package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the photograph of {material.name} ships with {material.package}, which is not installed; "
            f"install scikit-image and scikit-learn"
        )
    path = Path(spec.origin).parent / material.photograph
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, the photograph of {material.name}; install {material.package} from its wheel"
        )
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1), hashlib.sha256(path.read_bytes()).hexdigest()


def _checked_count(split: str, side: int, count: int | None, colour: str, window: tuple[int, int]) -> int:
    """Return the number of images, or refuse the arguments."""
    if split not in DEFAULT_COUNT:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if side < 8:
        raise ValueError(f"side must be at least 8, or nothing can be recognised, got side={side}")
    count = DEFAULT_COUNT[split] if count is None else count
    if count < len(MATERIALS):
        raise ValueError(f"count must be at least {len(MATERIALS)}, one image a class, got count={count}")
    if colour not in ("matched", "original"):
        raise ValueError(f"colour must be 'matched' or 'original', got {colour!r}")
    if not 16 <= window[0] <= window[1] <= WINDOW[1]:
        raise ValueError(
            f"window must be two sides in increasing order from 16 to {WINDOW[1]}, as the rectangles are not "
            f"larger, got {window}"
        )
    return count


def _corners(split: str, targets: Tensor, drawn: Tensor, window: tuple[int, int]) -> Tensor:
    """Return (N, 3): left, top and side of each window, every place in the rectangles equally likely."""
    lengths = window[0] + (drawn[:, 0] * (window[1] - window[0] + 1)).long()
    corners = torch.empty(len(targets), 3, dtype=torch.int64)
    for label, material in enumerate(MATERIALS):
        members = (targets == label).nonzero().squeeze(1)
        boxes = torch.tensor(material.train if split == "train" else material.test)
        length = lengths[members].unsqueeze(1)
        across, down = boxes[:, 2] - boxes[:, 0] - length + 1, boxes[:, 3] - boxes[:, 1] - length + 1
        places = (across * down).cumsum(1)  # windows that fit into the boxes up to each
        number = (drawn[members, 1:2] * places[:, -1:]).long()
        box = (number >= places).sum(1)
        rows = torch.arange(len(members))
        left = boxes[box, 0] + (drawn[members, 2] * across[rows, box]).long()
        top = boxes[box, 1] + (drawn[members, 3] * down[rows, box]).long()
        corners[members] = torch.stack([left, top, lengths[members]], dim=1)
    return corners


def _turned(images: Tensor, pose: Tensor) -> Tensor:
    """Return each square image in one of its eight poses (quarter turns and mirror images)."""
    images = torch.where((pose >= 4).view(-1, 1, 1, 1), images.flip(3), images)
    for quarter in (1, 2, 3):
        chosen = pose % 4 == quarter
        images[chosen] = images[chosen].rot90(quarter, (2, 3))
    return images


def _matched(images: Tensor, drawn: Tensor) -> Tensor:
    """Return the grey values in channels whose mean and standard deviation were drawn alike for all."""
    grey = (images * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    centred = grey - grey.mean((2, 3), keepdim=True)
    standard = centred / centred.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1)
    mean = 110 + 40 * drawn[:, :1] + 60 * (drawn[:, 1:4] - 0.5)
    deviation = (35 + 20 * drawn[:, 4:5]) * (1 + 0.5 * (drawn[:, 5:8] - 0.5))
    return mean.view(-1, 3, 1, 1) + deviation.view(-1, 3, 1, 1) * standard
