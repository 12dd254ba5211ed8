"""kornia: batches of floats, every image changed in a way of its own."""

from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.bench.clock import Clock
from cnncourse.bench.peers.resident_order import augment_batches
from cnncourse.bench.peers.torchvision_transforms import ERASED, JITTER
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import MEAN, STD


def augment(task: Task, clock: Clock) -> None:
    """Augment and normalise resident images.

    Args:
        task: ``settings["operation"]`` says how.
        clock: times it.
    """
    from kornia import augmentation as kornia

    side, operation = int(task.settings.get("side", 32)), task.settings["operation"]
    changes: dict[str, list[Any]] = {
        "crop_flip": [kornia.RandomCrop((side, side), padding=4), kornia.RandomHorizontalFlip(p=0.5)],
        "colour_jitter": [kornia.ColorJitter(*JITTER, p=1.0)],
        "random_resized_crop": [kornia.RandomResizedCrop((side, side))],
        "cutout": [kornia.RandomErasing(scale=ERASED, ratio=(1.0, 1.0), p=1.0)],
        "mixup": [],
    }
    transform = nn.Sequential(
        *changes[operation], kornia.Normalize(mean=torch.tensor(MEAN), std=torch.tensor(STD))
    )
    mixing = kornia.RandomMixUpV2(p=1.0, data_keys=["input", "class"]) if operation == "mixup" else None

    def batch(images: Tensor, targets: Tensor) -> object:
        floats = transform(images.float() / 255)
        return floats if mixing is None else mixing(floats, targets)

    augment_batches(task, clock, batch)
