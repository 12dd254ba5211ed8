"""Data that needs no network, because an installed package carries it.

So far: 1,797 handwritten digits of 8 x 8, inside scikit-learn.
"""

import hashlib
from typing import Literal

import torch
from torch.nn import functional

from cnncourse.datasets.labelled import DataInfo, LabelledImages

DIGITS = DataInfo(
    name="digits",
    title="Optical recognition of handwritten digits",
    licence="CC BY 4.0",
    citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, 1998, doi:10.24432/C50P49",
    homepage="https://archive.ics.uci.edu/dataset/80",
    classes=tuple("0123456789"),
)

SPLIT_SEED = 0
"""Seed of the split between training and test images, the same in every chapter and record."""


def digits(
    split: Literal["train", "test"],
    *,
    side: int = 8,
    fit: Literal["upsample", "pad"] = "upsample",
    test_fraction: float = 0.25,
    split_seed: int = SPLIT_SEED,
) -> LabelledImages:
    """Return the handwritten digits that ship with scikit-learn, split into training and test images.

    Alpaydin & Kaynak (1998), the test part of the UCI data set: 43 people wrote 1,797 digits, counted into 8
    x 8 cells of 0 to 16 dark pixels (here scaled to 0 to 255). The writers are not recorded, so training and
    test images may come from one hand: results look better than on strangers' digits.

    Args:
        split: ``"train"`` or ``"test"``, disjoint and stratified by class.
        side: height and width in pixels, at least 8.
        fit: how a larger side is reached: ``"upsample"`` (bilinear) or ``"pad"`` (black margin).
        test_fraction: share of the test images, 0 < test_fraction < 1.
        split_seed: seed of the split; the same seed gives parts that fit together.

    Returns:
        (N, 1, side, side) images and (N,) labels 0 to 9; 1,347 training and 450 test images by default.

    Raises:
        ValueError: if an argument is out of its range or unknown.

    Book: pooling_lenet
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if fit not in ("upsample", "pad"):
        raise ValueError(f"fit must be 'upsample' or 'pad', got {fit!r}")
    if side < 8:
        raise ValueError(f"side must be at least 8, the side of the original images, got side={side}")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    cells = torch.from_numpy(pixels).float().view(-1, 1, 8, 8)
    images = (cells * (255 / 16)).round().to(torch.uint8)
    content = images.numpy().tobytes() + labels.astype("<i8").tobytes()
    whole = LabelledImages(
        images=images,
        targets=torch.from_numpy(labels).long(),
        info=DIGITS,
        split="all",
        sha256={
            "sklearn.datasets.load_digits, as uint8 images and int64 labels": hashlib.sha256(
                content
            ).hexdigest()
        },
    )
    parts = whole.held_out(test_fraction, generator=torch.Generator().manual_seed(split_seed))
    part = parts[0] if split == "train" else parts[1]
    part = part.select(slice(None), split)
    if side == 8:
        return part
    if fit == "pad":
        return part.padded(side)
    larger = functional.interpolate(
        part.images.float(), size=(side, side), mode="bilinear", align_corners=False
    )
    return LabelledImages(larger.round().to(torch.uint8), part.targets, DIGITS, split, part.sha256)
