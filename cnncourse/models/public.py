"""What public weights have in common: where torchvision keeps them, and what images go through before them."""

from cnncourse.models.entry import Preprocessing, WeightsSource

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's channels in [0, 1] units, as nearly all public weights take them."""

IMAGENET = Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=256)
"""Shorter side to 256 pixels, the middle 224: torchvision's first weights of almost every network."""

IMAGENET_BICUBIC = Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=256, interpolation="bicubic")
"""The same, resized by cubic interpolation."""


def torchvision(file: str) -> WeightsSource:
    """Return the source of one of torchvision's files.

    Args:
        file: its name, which carries the first digits of its SHA-256: ``"resnet18-f37072fd.pth"``.

    Returns:
        The source.
    """
    return WeightsSource(f"https://download.pytorch.org/models/{file}", "BSD-3-Clause")
