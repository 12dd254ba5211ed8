"""What the augmentation contestants have in common: resident images in a random order."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import training_images


def resident(task: Task) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of uint8 images and targets for ever, in a new order each pass.

    Args:
        task: the images.

    Yields:
        (N, C, H, W) uint8 and (N,) int64.
    """
    images, targets = training_images(task)
    while True:
        for chosen in torch.randperm(len(images)).split(task.batch_size):
            if len(chosen) == task.batch_size:
                yield images[chosen], targets[chosen]


def augment_batches(task: Task, clock: Clock, batch: Callable[[Tensor, Tensor], object]) -> None:
    """Time a change of resident batches.

    Args:
        task: the images.
        clock: times it.
        batch: from uint8 images and targets to augmented, normalised ones.
    """
    task.units_a_step = task.batch_size
    for images, targets in clock.through(resident(task)):
        batch(images, targets)
