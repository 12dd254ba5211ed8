"""The most probable classes of image files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.datasets import Normalisation
from cnncourse.datasets.decoding import centred, decode
from cnncourse.models import Preprocessing, build, find
from cnncourse.recipes.restored import trained_network
from cnncourse.training import predict, resolve_device


def label_images(
    paths: Sequence[Path],
    *,
    run: str | os.PathLike[str] | None = None,
    model: str = "efficientnet_lite0",
    weights: str = "imagenet",
    top: int = 5,
    device: str = "auto",
) -> list[tuple[Path, list[dict[str, Any]]]]:
    """Return the most probable classes of each image.

    Args:
        paths: image files.
        run: folder of a run or checkpoint file; ``None`` takes a network with public weights.
        model: name of that network in the catalogue.
        weights: ``"imagenet"``, or a file with its weights.
        top: classes to return, at least 1.
        device: where to compute.

    Returns:
        For each file a list of ``{"class": …, "probability": …}``, the most probable first.

    Raises:
        ValueError: if a file is no image, or the network has no known preprocessing.
    """
    place = resolve_device(device)
    if run is None:
        network, seen, classes = _public(model, weights)
        channels = 3
    else:
        trained = trained_network(run)
        network, classes = trained.model, trained.classes
        channels, side, _ = trained.input_shape
        scale = trained.normalisation
        seen = Preprocessing(side, scale.mean, scale.std, resize=trained.short_side or side)
    logits = predict(network.to(place), _batches(paths, seen, channels, place), precision="fp32")
    probabilities = logits.softmax(dim=1)
    values, indices = probabilities.topk(min(top, probabilities.shape[1]), dim=1)
    return [
        (path, [{"class": classes[i], "probability": p} for p, i in zip(row, places, strict=True)])
        for path, row, places in zip(paths, values.tolist(), indices.tolist(), strict=True)
    ]


def _public(name: str, weights: str) -> tuple[nn.Module, Preprocessing, tuple[str, ...]]:
    """Return a network with ImageNet weights, what its images go through, and its classes."""
    entry = find(name)
    if entry.preprocessing is None or entry.num_classes != 1000:
        raise ValueError(f"{entry.name} has no public ImageNet weights; train it, and give --run")
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return build(name, weights=weights).eval(), entry.preprocessing, tuple(_IMAGENET_CATEGORIES)


def _batches(
    paths: Sequence[Path], seen: Preprocessing, channels: int, device: torch.device
) -> Iterator[Tensor]:
    """Yield one prepared image after the other: they may have any size and number."""
    normalisation = Normalisation(seen.mean, seen.std)
    for path in paths:
        square = centred(decode(path), seen.side, seen.resize or seen.side)
        if channels == 1:  # as Pillow and torchvision make grey of colour (ITU-R 601-2)
            weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
            square = (square * weights).sum(dim=0, keepdim=True).round().to(torch.uint8)
        yield normalisation(square[None]).to(device)
