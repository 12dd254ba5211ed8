"""A fixed, small part of a data set at a small size: what grids and races of short runs learn from."""

import os
from dataclasses import replace

import torch
from torch.nn import functional

from cnncourse.augmentation import generator_for
from cnncourse.datasets import LabelledImages
from cnncourse.recipes.in_memory import load_in_memory


def few_images(
    name: str,
    train: int,
    test: int,
    *,
    side: int = 16,
    root: str | os.PathLike[str] | None = None,
) -> tuple[LabelledImages, LabelledImages]:
    """Return a part of CIFAR-10's JPEG copies, or patches of photographs that come with installed packages.

    Args:
        name: of the experiment; each draws its own part, always the same.
        train: images to learn from, at least 1.
        test: images to measure, at least 1.
        side: height and width in pixels, at most 32; larger images are averaged over areas.
        root: folder with the JPEG copies; ``None`` takes the patches.

    Returns:
        Training and test images, (N, 3, side, side).
    """
    parts = []
    for split, count in (("train", train), ("test", test)):
        if root is None:
            parts.append(load_in_memory("patches", split, side=side, count=count))
            continue
        whole = load_in_memory("cifar10-jpeg", split, root=root)
        drawn = torch.randperm(len(whole), generator=generator_for(0, name, split))[:count]
        part = whole.select(drawn.sort().values)
        smaller = functional.interpolate(part.images.float(), size=(side, side), mode="area")
        parts.append(replace(part, images=smaller.round().to(torch.uint8)))
    return parts[0], parts[1]


def described(train: LabelledImages, test: LabelledImages) -> str:
    """Return what a caption says of the images: data set, size, numbers.

    Args:
        train: images to learn from.
        test: images to measure.

    Returns:
        Such as ``Patches of photographs, 16 px, 640 images to train and 300 to test``.
    """
    side = train.images.shape[-1]
    return f"{train.info.title}, {side} px, {len(train):,} images to train and {len(test):,} to test"
