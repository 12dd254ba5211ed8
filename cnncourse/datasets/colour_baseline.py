"""How far colour alone gets: a classifier that sees how many pixels have which colour, but not where."""

from typing import Any

import torch
from torch import Tensor

from cnncourse.datasets.labelled import LabelledImages


def colour_histograms(images: Tensor, bins: int = 8) -> Tensor:
    """Return for each image the share of its pixels in each cell of the colour cube.

    Swain & Ballard (1991), section 2: a joint histogram of all channels, the same for every arrangement of
    the pixels.

    Args:
        images: (N, C, H, W) uint8.
        bins: cells along a channel, 2 to 256.

    Returns:
        (N, bins ** C), every row sums to 1.

    Raises:
        ValueError: if the images are not uint8 or bins are out of range.
    """
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise ValueError(
            f"images must be uint8 of shape (N, C, H, W), got {images.dtype} {tuple(images.shape)}"
        )
    if not 2 <= bins <= 256:
        raise ValueError(f"bins must lie in [2, 256], got bins={bins}")
    cells = torch.zeros(len(images), *images.shape[2:], dtype=torch.int64)
    for channel in images.unbind(1):
        cells = bins * cells + (channel.long() * bins).div(256, rounding_mode="floor")
    counts = torch.zeros(len(images), bins ** images.shape[1])
    pixels = cells.flatten(1)
    return counts.scatter_add_(1, pixels, torch.ones(pixels.shape)) / pixels.shape[1]


def colour_histogram_baselines(
    train: LabelledImages, test: LabelledImages, *, bins: int = 8
) -> dict[str, float]:
    """Return the test accuracy of several classifiers that see colour histograms only.

    Args:
        train: images to learn from.
        test: images to be judged on.
        bins: cells along a channel, 2 to 256.

    Returns:
        Accuracy in [0, 1] of logistic regression, five nearest neighbours, a support vector machine and a
        random forest of scikit-learn, by name; all on square roots of the shares, which makes Euclidean
        distance Hellinger's.

    Raises:
        ValueError: if the parts have different classes, or bins are out of range.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    if train.classes != test.classes:
        raise ValueError(
            f"both parts must have the same classes, got {train.classes} to learn and {test.classes} to judge"
        )
    seen = colour_histograms(train.images, bins).sqrt().numpy()
    unseen = colour_histograms(test.images, bins).sqrt().numpy()
    models: dict[str, Any] = {
        "logistic regression": LogisticRegression(C=10, max_iter=500),
        "nearest neighbours": KNeighborsClassifier(5),
        "support vectors": SVC(C=10),
        "random forest": RandomForestClassifier(200, random_state=0),
    }
    return {
        name: float((model.fit(seen, train.targets.numpy()).predict(unseen) == test.targets.numpy()).mean())
        for name, model in models.items()
    }


def colour_histogram_baseline(train: LabelledImages, test: LabelledImages, *, bins: int = 8) -> float:
    """Return how far colour alone gets: the best of :func:`colour_histogram_baselines`.

    Args:
        train: images to learn from.
        test: images to be judged on.
        bins: cells along a channel, 2 to 256.

    Returns:
        The highest test accuracy, in [0, 1].

    Raises:
        ValueError: if the parts have different classes, or bins are out of range.
    """
    return max(colour_histogram_baselines(train, test, bins=bins).values())
