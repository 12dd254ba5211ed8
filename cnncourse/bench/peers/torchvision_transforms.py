"""torchvision's second transforms: the whole batch in one call, or image by image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cnncourse.bench.clock import Clock
from cnncourse.bench.peers.resident_order import augment_batches
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import CLASSES, MEAN, STD

JITTER = (0.4, 0.4, 0.4, 0.1)
"""Strengths of brightness, contrast, saturation and hue, everybody's."""
ERASED = (0.25, 0.25)
"""Share of the area that cutout erases: a square of half the side."""


def augment(task: Task, clock: Clock, *, per_sample: bool = False) -> None:
    """Augment and normalise resident images.

    Args:
        task: ``settings["operation"]`` says how.
        clock: times it.
        per_sample: one call an image; else one call a batch, which changes all its images alike.
    """
    from torchvision.transforms import v2

    transform = _transform(task, v2)
    mixing = v2.MixUp(num_classes=CLASSES, alpha=0.2) if task.settings["operation"] == "mixup" else None

    def batch(images: Tensor, targets: Tensor) -> object:
        if per_sample:
            return torch.stack([transform(image) for image in images])
        floats = transform(images)
        return floats if mixing is None else mixing(floats, targets)

    augment_batches(task, clock, batch)


def _transform(task: Task, v2: Any) -> Callable[[Tensor], Tensor]:
    side, operation = int(task.settings.get("side", 32)), task.settings["operation"]
    changes: dict[str, list[Any]] = {
        "crop_flip": [v2.RandomCrop(side, padding=4), v2.RandomHorizontalFlip()],
        "colour_jitter": [v2.ColorJitter(*JITTER)],
        "random_resized_crop": [v2.RandomResizedCrop(side)],
        "mixup": [],
    }
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(MEAN), list(STD))]
    if operation == "cutout":
        return v2.Compose([*to_float, v2.RandomErasing(p=1.0, scale=ERASED, ratio=(1.0, 1.0))])  # type: ignore[no-any-return]
    return v2.Compose([*changes[operation], *to_float])  # type: ignore[no-any-return]
