"""Loaders alone: torch's DataLoader over torchvision's transforms, image by image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task
from cnncourse.bench.training_task import CLASSES, MEAN, STD, training_images


def forever(loader: Any) -> Iterator[Any]:
    """Yield the batches of a loader, pass after pass.

    Args:
        loader: each iteration is one pass.

    Yields:
        Its batches.
    """
    while True:
        yield from loader


def in_memory(task: Task, clock: Clock, *, workers: int = 0, tensors: bool = False) -> None:
    """Load images from memory.

    Args:
        task: what to load.
        clock: times it.
        workers: processes of the DataLoader.
        tensors: use the second transforms on tensors instead of PIL images.
    """
    from torch.utils.data import DataLoader

    from cnncourse.bench.peers.per_sample import course_dataset, tensor_dataset

    dataset = tensor_dataset(task) if tensors else course_dataset(task)
    loader = DataLoader(dataset, batch_size=task.batch_size, shuffle=True, num_workers=workers)
    task.units_a_step = task.batch_size
    for _ in clock.through(forever(loader)):
        pass


def from_folder(task: Task, clock: Clock, *, workers: int = 0) -> None:
    """Load a folder of JPEG files with torchvision's ImageFolder.

    Args:
        task: what to load.
        clock: times it.
        workers: processes of the DataLoader.
    """
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(int(task.settings["crop"])),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    dataset = ImageFolder(str(image_folder(task)), transform)
    loader = DataLoader(
        dataset,
        batch_size=task.batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    task.units_a_step = task.batch_size
    for _ in clock.through(forever(loader)):
        pass


def image_folder(task: Task) -> Path:
    """Return a folder of smooth random JPEG files, made by the first trial that asks for it.

    Args:
        task: ``settings`` hold ``files`` and ``file_side``.

    Returns:
        A folder with a folder for each class.
    """
    from torchvision.io import write_jpeg

    folder = task.scratch / "images"
    if (folder / "complete").exists():
        return folder / "train"
    side, count = int(task.settings["file_side"]), int(task.settings["files"])
    coarse, targets = training_images(task, count)
    for number, (image, target) in enumerate(zip(coarse, targets.tolist(), strict=True)):
        # Upsampled noise compresses about as well as a photograph does.
        fine = functional.interpolate(image[None].float(), size=(side, side * 4 // 3), mode="bicubic")
        place = folder / "train" / f"class{target}"
        place.mkdir(parents=True, exist_ok=True)
        write_jpeg(fine[0].clamp(0, 255).to(torch.uint8), str(place / f"{number}.jpg"), quality=90)
    for target in range(CLASSES):
        (folder / "train" / f"class{target}").mkdir(parents=True, exist_ok=True)
    (folder / "complete").touch()
    return folder / "train"
